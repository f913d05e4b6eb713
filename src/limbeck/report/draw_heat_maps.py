"""The heat maps of a report: blue is gain, orange is loss, no colour is no change."""

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go
import polars as pl

from limbeck.report.canvas import INK, escape_markup, new_figure
from limbeck.report.palette import diverging_scale, symmetric_limit
from limbeck.report.wording import (
    TECHNIQUE_LABELS,
    label_technique,
    order_known,
    shorten,
    text_percent,
    text_plain,
    text_points,
    text_signed,
)

MAX_CELL_TEXTS = 14
NAME_LENGTH = 11


def draw_surface(surface: pl.DataFrame, *, title: str = "") -> go.Figure:
    """The gain over temperature and weight of one case: solid frame = best, dotted frame = vanilla.

    Args:
        surface: Rows of `grid_surface` of one case.
        title: Drawn above the figure.
    """
    weights = sorted(surface["weight"].unique().to_list())
    temperatures = sorted(surface["temperature"].unique().to_list())
    rows = {(row["temperature"], row["weight"]): row for row in surface.iter_rows(named=True)}
    cells = [[rows.get((t, w)) for w in weights] for t in temperatures]
    figure = new_figure(title, height=72 + 40 * len(temperatures))
    figure.add_trace(
        heat_map(
            values=[[_scale(cell, "gain") for cell in line] for line in cells],
            texts=[[_surface_text(cell) for cell in line] for line in cells],
            hovers=[[_surface_hover(cell) for cell in line] for line in cells],
        )
    )
    for row in rows.values():
        place = (weights.index(row["weight"]), temperatures.index(row["temperature"]))
        if row["is_vanilla"]:
            figure.add_shape(frame_cell(place, inset=0.09, dash="dot", name="vanilla"))
        if row["is_best"]:
            figure.add_shape(frame_cell(place, inset=0.02, dash="solid", name="best by validation"))
    label_cells(figure, list(map(text_plain, weights)), list(map(text_plain, temperatures)))
    figure.update_xaxes(title_text="weight w")
    return figure.update_yaxes(title_text="temperature T")


def draw_class_changes(changes: pl.DataFrame, class_names: Sequence[str], *, title: str = "") -> go.Figure:
    """How each class's accuracy changed under each technique of one case, in points.

    Args:
        changes: Rows of `class_changes` of one case.
        class_names: The data set's class names.
        title: Drawn above the figure.
    """
    techniques = order_known(changes["technique"].to_list(), tuple(TECHNIQUE_LABELS))[::-1]
    classes = sorted(changes["class_index"].unique().to_list())
    rows = {(row["technique"], row["class_index"]): row for row in changes.iter_rows(named=True)}
    cells = [[rows.get((technique, index)) for index in classes] for technique in techniques]
    names = [str(class_names[i]) if i < len(class_names) else str(i) for i in classes]
    figure = new_figure(title, height=88 + 34 * len(techniques))
    figure.add_trace(
        heat_map(
            values=[[_scale(cell, "change") for cell in line] for line in cells],
            texts=[[_change_text(cell) for cell in line] for line in cells],
            hovers=[
                [_change_hover(cell, name) for cell, name in zip(line, names, strict=True)] for line in cells
            ],
        )
    )
    label_cells(
        figure, [shorten(name, NAME_LENGTH) for name in names], [label_technique(t) for t in techniques]
    )
    return figure.update_xaxes(tickangle=-45 if max(map(len, names), default=0) > 3 else 0)


def heat_map(
    *, values: list[list[float | None]], texts: list[list[str]], hovers: list[list[str]]
) -> go.Heatmap:
    """Cells around zero: blue above, orange below, with their texts where these have room.

    Args:
        values: Per row from the bottom, one number per column; None for an empty cell.
        texts: What stands in each cell.
        hovers: What is said of it under the pointer, as markup.
    """
    limit = symmetric_limit([value for line in values for value in line if value is not None])
    shows_text = max(map(len, values), default=0) <= MAX_CELL_TEXTS
    return go.Heatmap(
        z=values,
        text=texts,
        texttemplate="%{text}" if shows_text else None,
        customdata=hovers,
        hovertemplate="%{customdata}<extra></extra>",
        colorscale=diverging_scale(),
        zmin=-limit,
        zmax=limit,
        showscale=False,
        xgap=2,
        ygap=2,
    )


def label_cells(figure: go.Figure, columns: Sequence[str], rows: Sequence[str]) -> None:
    """Label the columns and, from the bottom, the rows of a heat map."""
    quiet = {"showgrid": False, "zeroline": False}
    figure.update_xaxes(
        tickvals=list(range(len(columns))), ticktext=list(map(escape_markup, columns)), **quiet
    )
    figure.update_yaxes(tickvals=list(range(len(rows))), ticktext=list(map(escape_markup, rows)), **quiet)


def frame_cell(place: tuple[int, int], *, inset: float, dash: str, name: str) -> dict[str, Any]:
    """A frame within the cell at (column, row)."""
    reach = 0.5 - inset
    return {
        "type": "rect",
        "name": name,
        "x0": place[0] - reach,
        "x1": place[0] + reach,
        "y0": place[1] - reach,
        "y1": place[1] + reach,
        "line": {"color": INK, "width": 2.5 if dash == "solid" else 2, "dash": dash},
    }


def _scale(cell: Mapping[str, Any] | None, column: str) -> float | None:
    return None if cell is None else 100 * cell[column]


def _surface_text(cell: Mapping[str, Any] | None) -> str:
    return "" if cell is None else text_points(cell["gain"])


def _surface_hover(cell: Mapping[str, Any] | None) -> str:
    if cell is None:
        return ""
    notes = [
        note
        for note, holds in (("best by validation", cell["is_best"]), ("vanilla", cell["is_vanilla"]))
        if holds
    ]
    return (
        f"T = {cell['temperature']:g}, w = {cell['weight']:g}{' · ' + ', '.join(notes) if notes else ''}"
        f"<br>gain {text_points(cell['gain'])} points"
        f"<br>validation {text_percent(cell['validation_after'])}"
        f"<br>forgetting {text_percent(cell['forgetting'])}"
    )


def _change_text(cell: Mapping[str, Any] | None) -> str:
    return "" if cell is None else text_signed(100 * cell["change"], 0).removeprefix("+")


def _change_hover(cell: Mapping[str, Any] | None, class_name: str) -> str:
    if cell is None:
        return ""
    return (
        f"{escape_markup(label_technique(cell['technique']))} · {escape_markup(class_name)}"
        f"<br>{text_percent(cell['before'])} → {text_percent(cell['after'])}"
        f"<br>{text_points(cell['change'])} points"
    )
