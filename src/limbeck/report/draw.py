"""The figures of a report, each a function from a table of `compute` or `rounds` to a plotly figure.

Backgrounds are transparent; text, grid and frame colours are set by ``templates/plots.js`` from the page's
colours, so that a figure follows light, dark and print. All differences are drawn in percentage points.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go
import polars as pl

from limbeck.report.canvas import INK, escape_markup, new_figure
from limbeck.report.draw_heat_maps import draw_class_changes, draw_surface
from limbeck.report.embed import write_figure_html
from limbeck.report.palette import (
    START_MARKS,
    TECHNIQUE_MARKS,
    Mark,
    fade,
    pick_class_colours,
    pick_mark,
    pick_marks_in_order,
)
from limbeck.report.wording import (
    TECHNIQUE_LABELS,
    label_start,
    label_technique,
    order_known,
    text_bytes,
    text_interval,
    text_percent,
    text_points,
    text_seconds,
    text_spread,
)

__all__ = [
    "draw_class_changes",
    "draw_federated",
    "draw_partition",
    "draw_surface",
    "draw_techniques",
    "draw_tuning_worth",
    "write_figure_html",
]

MAX_LEGEND_CLASSES = 20
BAND_OPACITY = 0.14
PAIRED_MARKS = {
    "worth": ("over the best untuned technique", TECHNIQUE_MARKS["tuned-kd"].colour),
    "over_finetune": ("over finetune alone", TECHNIQUE_MARKS["finetune"].colour),
}
Interval = tuple[float, float]


def draw_techniques(
    by_seed: pl.DataFrame, table: pl.DataFrame, *, title: str = "", limits: Interval | None = None
) -> go.Figure:
    """The gains of one case by technique: small points are seeds, large ones the mean with its interval.

    Args:
        by_seed: Rows of `average_by_seed` of one case.
        table: Rows of `technique_table` of the same case.
        title: Drawn above the figure.
        limits: The ends of the gain axis in points, to make several figures comparable.
    """
    techniques = order_known(table["technique"].to_list(), tuple(TECHNIQUE_LABELS))[::-1]
    figure = new_figure(title, height=52 + 31 * len(techniques))
    for place, technique in enumerate(techniques):
        mark = pick_mark(technique, TECHNIQUE_MARKS)
        seeds = by_seed.filter(pl.col("technique") == technique)
        row = table.row(by_predicate=pl.col("technique") == technique, named=True)
        figure.add_trace(_seed_points(seeds, place, mark))
        figure.add_trace(_mean_point(row, place, mark))
    figure.update_yaxes(
        tickvals=list(range(len(techniques))),
        ticktext=[label_technique(technique) for technique in techniques],
        range=[-0.6, len(techniques) - 0.4],
        showgrid=False,
        zeroline=False,
    )
    figure.update_xaxes(title_text="gain in points", zeroline=True, range=limits, ticksuffix=" ")
    return figure.update_layout(showlegend=False)


def draw_tuning_worth(worth: pl.DataFrame, labels: Sequence[str], *, title: str = "") -> go.Figure:
    """Bars of what tuning was worth in each case, with the 95 % interval over seeds.

    Args:
        worth: The rows of `tuning_worth`.
        labels: One name per row.
        title: Drawn above the figure.
    """
    figure = new_figure(title, height=96 + 62 * worth.height)
    rows = list(worth.iter_rows(named=True))
    places = [len(rows) - 1 - index for index in range(len(rows))]
    for offset, (name, (meaning, colour)) in zip((0.06, -0.2), PAIRED_MARKS.items(), strict=True):
        figure.add_trace(_worth_bars(rows, labels, [p + offset for p in places], name, meaning, colour))
    for place, label in zip(places, labels, strict=True):
        figure.add_annotation(
            text=f"<b>{escape_markup(label)}</b>",
            x=0,
            xref="paper",
            y=place + 0.36,
            yref="y",
            xanchor="left",
            showarrow=False,
        )
    figure.update_yaxes(visible=False, range=[-0.45, len(rows) - 0.35])
    figure.update_xaxes(title_text="difference in gain, points", zeroline=True)
    return figure.update_layout(barmode="overlay", margin_l=8, legend={"y": 1, "yanchor": "bottom"})


def draw_federated(
    curves: pl.DataFrame,
    *,
    title: str = "",
    targets: Sequence[float] = (),
    limits: Interval | None = None,
    strategies: Mapping[str, str] | None = None,
) -> go.Figure:
    """The global model's accuracy by round for each start: the mean, in a band of one deviation over seeds.

    Every trace carries in ``meta`` its x values (a band those of its upper edge) for the axes ``rounds``,
    ``bytes`` (MB), ``seconds`` and the last two with the cost of the start, between which the page switches.
    With several strategies it also carries its strategy and start and how it is drawn among the starts of one
    strategy and among the strategies from one start; those of the first strategy are shown.

    Args:
        curves: Rows of `federated_curves` of one scenario and architecture.
        title: Drawn above the figure.
        targets: Accuracies in [0, 1], drawn as faint lines.
        limits: The ends of the accuracy axis in percent.
        strategies: Names for a reader of all strategies of the study, in its order; None for those drawn.
    """
    figure = new_figure(title, height=330)
    names = strategies or {name: name for name in dict.fromkeys(curves["federated_strategy"].to_list())}
    marks = pick_marks_in_order(list(names))
    for (strategy, start), rows in curves.group_by("federated_strategy", "start", maintain_order=True):
        label = label_start(start) if len(names) == 1 else f"{label_start(start)}, {names[strategy]}"
        looks = {"start": pick_mark(start, START_MARKS), "strategy": marks[strategy]}
        switch = {"strategy": strategy, "start": start, "looks": _describe_looks(looks)}
        figure.add_traces(
            _draw_curve(
                rows.sort("round"),
                label,
                looks["start"],
                meta=switch if len(names) > 1 else {},
                is_shown=strategy == next(iter(names)),
            )
        )
    for target in targets:
        figure.add_hline(y=100 * target, line={"width": 1, "dash": "dot", "color": INK}, opacity=0.6)
    figure.update_xaxes(title_text="communication rounds", zeroline=False, rangemode="tozero")
    figure.update_yaxes(title_text="test accuracy, %", zeroline=False, range=limits)
    return figure


def draw_partition(
    histogram: Sequence[Sequence[int]],
    class_names: Sequence[str],
    title: str,
    *,
    roles: Mapping[int, str] | None = None,
) -> go.Figure:
    """How many samples of each class each client holds, as stacked bars.

    Args:
        histogram: Samples per client and class.
        class_names: The data set's class names.
        title: Drawn above the figure.
        roles: What to write beside a client's number, such as ``student``.
    """
    num_clients, num_classes = len(histogram), max(map(len, histogram), default=0)
    clients = [_name_client(index, (roles or {}).get(index)) for index in range(num_clients)]
    has_legend = num_classes <= MAX_LEGEND_CLASSES
    figure = new_figure(title, height=84 + 22 * num_clients + (60 if has_legend and title else 0))
    for index, colour in enumerate(pick_class_colours(num_classes)):
        name = str(class_names[index]) if index < len(class_names) else str(index)
        figure.add_trace(
            go.Bar(
                y=list(range(num_clients)),
                x=[row[index] for row in histogram],
                orientation="h",
                name=escape_markup(name),
                marker={"color": colour, "line": {"width": 0}},
                customdata=clients,
                hovertemplate=f"%{{customdata}}<br>{escape_markup(name)}: %{{x:,}} samples<extra></extra>",
            )
        )
    figure.update_yaxes(
        tickvals=list(range(num_clients)),
        ticktext=clients,
        autorange="reversed",
        showgrid=False,
        zeroline=False,
    )
    figure.update_xaxes(title_text="samples", zeroline=False)
    return figure.update_layout(barmode="stack", bargap=0.22, showlegend=has_legend)


def _seed_points(seeds: pl.DataFrame, place: int, mark: Mark) -> go.Scatter:
    return go.Scatter(
        x=[100 * gain for gain in seeds["gain"]],
        y=[place - 0.24] * seeds.height,
        mode="markers",
        marker={"symbol": "circle", "color": fade(mark.colour, 0.55), "size": 5},
        customdata=[[seed, text_points(gain)] for seed, gain in seeds.select("seed", "gain").iter_rows()],
        hovertemplate="seed %{customdata[0]}: %{customdata[1]} points<extra></extra>",
    )


def _mean_point(row: Mapping[str, Any], place: int, mark: Mark) -> go.Scatter:
    half_width = 100 * (row["gain_high"] - row["gain_mean"]) if row["gain_high"] is not None else 0.0
    return go.Scatter(
        x=[100 * row["gain_mean"]],
        y=[place + 0.08],
        mode="markers",
        marker={"symbol": mark.symbol, "color": mark.colour, "size": 11, "line": {"width": 2}}
        | ({} if mark.symbol.endswith("open") else {"line": {"width": 0}}),
        error_x={
            "type": "data",
            "array": [half_width],
            "color": mark.colour,
            "thickness": 2,
            "width": 4,
            "visible": row["gain_high"] is not None,
        },
        name=label_technique(row["technique"]),
        hovertemplate=(
            f"{escape_markup(label_technique(row['technique']))}: "
            f"{text_spread(row['gain_mean'], row['gain_sd'])} points"
            f"<br>95 % interval {text_interval(row['gain_low'], row['gain_high'])}"
            f"<br>{text_percent(row['accuracy_before_mean'])} → {text_percent(row['accuracy_after_mean'])}"
            "<extra></extra>"
        ),
    )


def _worth_bars(
    rows: Sequence[Mapping[str, Any]],
    labels: Sequence[str],
    places: Sequence[float],
    name: str,
    meaning: str,
    colour: str,
) -> go.Bar:
    means = [row[f"{name}_mean"] for row in rows]
    highs = [row[f"{name}_high"] for row in rows]
    widths = [
        100 * (high - mean) if high is not None and mean is not None else 0.0
        for high, mean in zip(highs, means, strict=True)
    ]
    hovers = [
        f"{escape_markup(label)}<br>tuned KD {meaning}: {text_points(row[f'{name}_mean'])}"
        f"<br>95 % interval {text_interval(row[f'{name}_low'], row[f'{name}_high'])}"
        for row, label in zip(rows, labels, strict=True)
    ]
    return go.Bar(
        x=[100 * mean if mean is not None else None for mean in means],
        y=list(places),
        width=0.22,
        orientation="h",
        name=meaning,
        marker={"color": fade(colour, 0.85), "line": {"width": 0}},
        error_x={
            "type": "data",
            "array": widths,
            "color": INK,
            "thickness": 1.5,
            "width": 3,
            "visible": any(widths),
        },
        customdata=hovers,
        hovertemplate="%{customdata}<extra></extra>",
        meta={"scenarios": [row["scenario"] for row in rows]},
    )


def _axes_values(rows: pl.DataFrame) -> dict[str, list[float]]:
    megabytes = 1e6
    return {
        "rounds": rows["round"].cast(pl.Float64).to_list(),
        "bytes": (rows["bytes"] / megabytes).to_list(),
        "seconds": rows["seconds"].to_list(),
        "bytes_with_start": (rows["bytes_with_start"] / megabytes).to_list(),
        "seconds_with_start": rows["seconds_with_start"].to_list(),
    }


def _describe_looks(looks: Mapping[str, Mark]) -> dict[str, dict[str, str]]:
    """How ``templates/plots.js`` colours a curve by its start and by its strategy."""
    return {
        name: {"line": mark.colour, "dash": mark.dash, "fill": fade(mark.colour, BAND_OPACITY)}
        for name, mark in looks.items()
    }


def _draw_curve(
    rows: pl.DataFrame, label: str, mark: Mark, *, meta: Mapping[str, Any], is_shown: bool
) -> list[go.Scatter]:
    """The mean, and behind it the band of one deviation where there are several seeds."""
    has_band = rows["accuracy_sd"].null_count() < rows.height
    traces = [
        *([_band(rows, label, mark, meta)] if has_band else []),
        draw_means(rows, label, colour=mark.colour, dash=mark.dash, meta=meta),
    ]
    return traces if is_shown else [trace.update(visible=False) for trace in traces]


def draw_means(
    rows: pl.DataFrame, label: str, *, colour: str, dash: str, meta: Mapping[str, Any] | None = None
) -> go.Scatter:
    """The line of one federated curve, with its x values for the axes of `draw_federated` in ``meta``.

    Args:
        rows: Rows of `federated_curves` of one scenario, architecture, strategy and start, by round.
        label: What it is called.
        colour: Its colour.
        dash: Its line style.
        meta: What else the page knows of it.
    """
    axes = _axes_values(rows)
    hovers = [
        f"{escape_markup(label)} · round {row['round']}"
        f"<br>{text_percent(row['accuracy_mean'])}"
        + (f" ± {100 * row['accuracy_sd']:.1f}" if row["accuracy_sd"] is not None else "")
        + f"<br>{text_bytes(row['bytes'])}, {text_seconds(row['seconds'])}"
        f"<br>with start: {text_bytes(row['bytes_with_start'])}, {text_seconds(row['seconds_with_start'])}"
        for row in rows.iter_rows(named=True)
    ]
    return go.Scatter(
        x=axes["rounds"],
        y=[100 * accuracy for accuracy in rows["accuracy_mean"]],
        mode="lines" if rows.height > 1 else "lines+markers",
        name=label,
        line={"color": colour, "width": 2.4, "dash": dash},
        customdata=hovers,
        hovertemplate="%{customdata}<extra></extra>",
        meta={"axes": axes, **(meta or {})},
        legendgroup=label,
        cliponaxis=None if rows.height > 1 else False,
    )


def _band(rows: pl.DataFrame, label: str, mark: Mark, meta: Mapping[str, Any]) -> go.Scatter:
    axes = _axes_values(rows)
    spread = rows["accuracy_sd"].fill_null(0.0)
    upper = (100 * (rows["accuracy_mean"] + spread)).to_list()
    lower = (100 * (rows["accuracy_mean"] - spread)).to_list()
    return go.Scatter(
        x=axes["rounds"] + axes["rounds"][::-1],
        y=upper + lower[::-1],
        mode="lines",
        line={"width": 0},
        fill="toself",
        fillcolor=fade(mark.colour, BAND_OPACITY),
        hoverinfo="skip",
        showlegend=False,
        meta={"axes": axes, **meta},
        legendgroup=label,
    )


def _name_client(index: int, role: str | None) -> str:
    return f"client {index}" if role is None else f"client {index} · {escape_markup(role)}"
