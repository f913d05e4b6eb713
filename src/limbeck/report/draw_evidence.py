"""The figures that say how sure a comparison is, what tuning is worth by skew, and who flipped.

They follow the page as those of `draw` do. A trace whose points belong to scenarios names these in its
``meta``, and the page dims the points of all but the chosen one.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go
import polars as pl

from limbeck.report.canvas import INK, escape_markup, new_figure
from limbeck.report.palette import GAIN_COLOUR, LOSS_COLOUR, TECHNIQUE_MARKS, pick_mark
from limbeck.report.wording import (
    TECHNIQUE_LABELS,
    label_technique,
    order_known,
    text_interval,
    text_number,
    text_percent,
    text_points,
)

SKEW_STEP = 0.006
SKEW_SYMBOLS = ("diamond", "circle", "square", "triangle-up", "cross", "star")


def draw_effects(effects: pl.DataFrame, *, axis: str, title: str = "") -> go.Figure:
    """Each technique's effect with its interval; the line at zero is what it is compared with.

    Args:
        effects: Rows of `effect_table`.
        axis: What the effect is, in points.
        title: Drawn above the figure.
    """
    rows = list(effects.iter_rows(named=True))[::-1]
    figure = new_figure(title, height=64 + 34 * len(rows))
    for place, row in enumerate(rows):
        mark = pick_mark(row["technique"], TECHNIQUE_MARKS)
        label = escape_markup(label_technique(row["technique"]))
        figure.add_trace(
            go.Scatter(
                x=[100 * row["effect"]],
                y=[place],
                mode="markers",
                name=label,
                marker={"symbol": mark.symbol, "color": mark.colour, "size": 12},
                error_x=_interval(row["effect"], row["low"], row["high"], colour=mark.colour),
                hovertemplate=f"{label}: {text_points(row['effect'])} points"
                f"<br>95 % interval {text_interval(row['low'], row['high'])}"
                f"<br>better in {text_percent(row['better'], 0)} of {row['transfers']:,} pairs"
                "<extra></extra>",
            )
        )
    figure.update_yaxes(
        tickvals=list(range(len(rows))),
        ticktext=[label_technique(row["technique"]) for row in rows],
        range=[-0.6, len(rows) - 0.4],
        showgrid=False,
        zeroline=False,
    )
    figure.update_xaxes(title_text=f"{escape_markup(axis)}, points", zeroline=True, rangemode="tozero")
    return figure.update_layout(showlegend=False)


def draw_worth_by_skew(worth: pl.DataFrame, labels: Sequence[str], *, title: str = "") -> go.Figure:
    """What tuning was worth in each case over the divergence between its clients, with intervals.

    Cases of the same architectures share a mark; those of one split stand side by side, `SKEW_STEP` apart.

    Args:
        worth: Rows of `worth_by_skew`.
        labels: One name per row.
        title: Drawn above the figure.
    """
    figure = new_figure(title, height=380)
    names = worth.with_columns(pl.Series("_label", list(labels)))
    pairs = list(names.select("teacher_arch", "student_arch").unique(maintain_order=True).iter_rows())
    colours = [mark.colour for mark in TECHNIQUE_MARKS.values()]
    for number, (teacher, student) in enumerate(pairs):
        rows = names.filter((pl.col("teacher_arch") == teacher) & (pl.col("student_arch") == student))
        figure.add_trace(
            _skew_points(
                list(rows.iter_rows(named=True)),
                name=f"{teacher} → {student}",
                colour=colours[(number + 2) % len(colours)],
                symbol=SKEW_SYMBOLS[number % len(SKEW_SYMBOLS)],
                shift=SKEW_STEP * (number - (len(pairs) - 1) / 2),
            )
        )
    figure.update_xaxes(title_text="mean divergence between clients")
    figure.update_xaxes(zeroline=False)
    figure.update_yaxes(title_text="worth of tuning, points", zeroline=True)
    return figure.update_layout(showlegend=len(pairs) > 1)


def draw_flips(table: pl.DataFrame, *, title: str = "", limit: float | None = None) -> go.Figure:
    """Newly right samples to the right and newly wrong ones to the left, by technique of one case.

    Args:
        table: Rows of `forgetting_table` of one case.
        title: Drawn above the figure.
        limit: The ends of the axis in percent of the test samples, to make several figures comparable.
    """
    techniques = order_known(table["technique"].to_list(), tuple(TECHNIQUE_LABELS))[::-1]
    rows = [table.row(by_predicate=pl.col("technique") == name, named=True) for name in techniques]
    figure = new_figure(title, height=58 + 28 * len(techniques))
    for column, sign, name, colour in (
        ("positive_share", 1, "newly right", GAIN_COLOUR),
        ("negative_share", -1, "newly wrong", LOSS_COLOUR),
    ):
        figure.add_trace(
            go.Bar(
                x=[100 * sign * row[f"{column}_mean"] for row in rows],
                y=list(range(len(rows))),
                orientation="h",
                name=name,
                marker={"color": f"rgba({colour}, 0.8)", "line": {"width": 0}},
                customdata=[_flip_hover(row, column, name) for row in rows],
                hovertemplate="%{customdata}<extra></extra>",
            )
        )
    figure.update_yaxes(
        tickvals=list(range(len(rows))),
        ticktext=[label_technique(name) for name in techniques],
        showgrid=False,
        zeroline=False,
    )
    ends = None if limit is None else [-limit, limit]
    figure.update_xaxes(title_text="newly wrong | newly right, %", range=ends, zeroline=True)
    return figure.update_layout(barmode="relative", bargap=0.3, showlegend=False)


def _interval(mean: float, low: float | None, high: float | None, *, colour: str) -> dict[str, Any]:
    """An error bar from `low` to `high` around `mean`, all fractions; none where there is no interval."""
    if low is None or high is None:
        return {"visible": False}
    return {
        "type": "data",
        "symmetric": False,
        "array": [100 * (high - mean)],
        "arrayminus": [100 * (mean - low)],
        "color": colour,
        "thickness": 2,
        "width": 4,
    }


def _skew_points(
    rows: Sequence[Mapping[str, Any]], *, name: str, colour: str, symbol: str, shift: float
) -> go.Scatter:
    widths = [
        100 * (row["worth_high"] - row["worth_mean"]) if row["worth_high"] is not None else 0.0
        for row in rows
    ]
    return go.Scatter(
        x=[row["divergence"] + shift for row in rows],
        y=[100 * row["worth_mean"] for row in rows],
        mode="markers",
        name=escape_markup(name),
        marker={"symbol": symbol, "color": colour, "size": 10, "opacity": 1},
        error_y={"type": "data", "array": widths, "color": INK, "thickness": 1, "width": 0},
        meta={"scenarios": [row["scenario"] for row in rows]},
        customdata=[
            f"{escape_markup(row['_label'])}<br>divergence {text_number(row['divergence'], 3)}"
            f"<br>worth {text_points(row['worth_mean'])} points"
            f"<br>95 % interval {text_interval(row['worth_low'], row['worth_high'])}"
            for row in rows
        ],
        hovertemplate="%{customdata}<extra></extra>",
    )


def _flip_hover(row: Mapping[str, Any], column: str, name: str) -> str:
    spread = "" if row[f"{column}_sd"] is None else f" ± {100 * row[f'{column}_sd']:.1f}"
    label = escape_markup(label_technique(row["technique"]))
    return f"{label}<br>{name}: {100 * row[f'{column}_mean']:.1f}{spread} %"
