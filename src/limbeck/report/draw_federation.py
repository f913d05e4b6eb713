"""The figures of one federation: its accuracies by round, and the bytes of each round and direction.

They follow the page as those of `draw` do. Accuracies are drawn in percent, bytes in MB.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go
import polars as pl

from limbeck.report.canvas import INK, new_figure
from limbeck.report.federation import FederationRun, text_own_accuracy
from limbeck.report.palette import Mark, fade
from limbeck.report.wording import text_bytes, text_percent, text_seconds

MEGABYTE = 1e6
BAND_OPACITY = 0.14
MOST_TICKS = 20
LEGEND_ABOVE = {"y": 1, "yanchor": "bottom"}
TEST_MARK = Mark(colour="#1668B8", symbol="diamond")
VALIDATION_MARK = Mark(colour="#D08700", symbol="square", dash="dash")
CLIENT_MARK = Mark(colour="#0A9A75", symbol="circle", dash="dot")
DOWN_COLOUR = "#3F9FDB"
UP_COLOUR = "#D08700"


def draw_federation(run: FederationRun) -> dict[str, go.Figure]:
    """Two pictures of a federation: its accuracy `curves` by round and its `bytes`.

    Args:
        run: What `read_federation` returned.
    """
    return {"curves": draw_curves(run), "bytes": draw_bytes(run)}


def draw_curves(run: FederationRun) -> go.Figure:
    """Accuracy by round on test and validation samples, and the clients' own with its spread as a band.

    A ring marks the round whose model is kept, a dotted line the target. Every trace carries in ``meta`` its
    x values for the axes ``rounds``, ``bytes`` (MB), ``seconds`` and ``bytes_with_start``, between which the
    page switches. A strategy without a global model has the clients' curve alone.
    """
    figure = new_figure("", height=380)
    own = run.rounds.filter(pl.col("client_accuracy").is_not_null())
    if own.height:
        figure.add_traces(_draw_own(own))
    if run.strategy.has_global_model:
        figure.add_trace(_curve(run.rounds, "validation_accuracy", "validation", VALIDATION_MARK))
        figure.add_trace(_curve(run.rounds, "accuracy", "test", TEST_MARK))
        figure.add_trace(_kept_ring(run))
    if run.spec.target is not None:
        figure.add_hline(y=100 * run.spec.target, line={"width": 1, "dash": "dot", "color": INK}, opacity=0.6)
    figure.update_xaxes(title_text="communication rounds", zeroline=False, rangemode="tozero")
    figure.update_yaxes(title_text="accuracy, %", zeroline=False)
    return figure.update_layout(legend=LEGEND_ABOVE)


def draw_bytes(run: FederationRun) -> go.Figure:
    """The bytes of each round as stacked bars, to the clients below and from them above; 0 is the start."""
    figure = new_figure("", height=300)
    for way, name, colour in (
        ("down", "to the clients", DOWN_COLOUR),
        ("up", "from the clients", UP_COLOUR),
    ):
        figure.add_trace(
            go.Bar(
                x=run.rounds["round"].to_list(),
                y=(run.rounds[way] / MEGABYTE).to_list(),
                name=name,
                marker={"color": fade(colour, 0.85), "line": {"width": 0}},
                customdata=[
                    f"{_name_round(row)}<br>{name}: {text_bytes(row[way])}"
                    for row in run.rounds.iter_rows(named=True)
                ],
                hovertemplate="%{customdata}<extra></extra>",
            )
        )
    figure.update_xaxes(title_text="communication round (0: the start)", zeroline=False, showgrid=False)
    if run.rounds.height <= MOST_TICKS:
        figure.update_xaxes(dtick=1)
    figure.update_yaxes(title_text="sent, MB", zeroline=True, rangemode="tozero")
    return figure.update_layout(barmode="stack", bargap=0.25, legend=LEGEND_ABOVE)


def _axes_of(rows: pl.DataFrame) -> dict[str, list[float]]:
    return {
        "rounds": rows["round"].cast(pl.Float64).to_list(),
        "bytes": (rows["bytes_sent"] / MEGABYTE).to_list(),
        "seconds": rows["seconds"].to_list(),
        "bytes_with_start": (rows["bytes_with_start"] / MEGABYTE).to_list(),
    }


def _curve(rows: pl.DataFrame, column: str, name: str, mark: Mark) -> go.Scatter:
    hovers = [
        f"{name} · {_name_round(row)}<br>{text_percent(row[column])}<br>{_text_costs(row)}"
        for row in rows.iter_rows(named=True)
    ]
    return _scatter(rows, (100 * rows[column]).to_list(), name=name, mark=mark, hovers=hovers)


def _draw_own(rows: pl.DataFrame) -> list[go.Scatter]:
    """The clients' mean, behind it the band of one standard deviation between them."""
    name = "clients' own"
    hovers = [
        f"{name} · {_name_round(row)}<br>{text_own_accuracy(row)}<br>{_text_costs(row)}"
        for row in rows.iter_rows(named=True)
    ]
    line = _scatter(
        rows, (100 * rows["client_accuracy"]).to_list(), name=name, mark=CLIENT_MARK, hovers=hovers
    )
    has_spread = rows["client_spread"].null_count() < rows.height
    return [_band(rows), line] if has_spread else [line]


def _band(rows: pl.DataFrame) -> go.Scatter:
    axes = {name: values + values[::-1] for name, values in _axes_of(rows).items()}
    mean, spread = 100 * rows["client_accuracy"], 100 * rows["client_spread"].fill_null(0.0)
    return go.Scatter(
        x=axes["rounds"],
        y=(mean + spread).to_list() + (mean - spread).to_list()[::-1],
        mode="lines",
        line={"width": 0},
        fill="toself",
        fillcolor=fade(CLIENT_MARK.colour, BAND_OPACITY),
        hoverinfo="skip",
        showlegend=False,
        meta={"axes": axes},
    )


def _scatter(
    rows: pl.DataFrame, accuracies: Sequence[float], *, name: str, mark: Mark, hovers: Sequence[str]
) -> go.Scatter:
    axes = _axes_of(rows)
    return go.Scatter(
        x=axes["rounds"],
        y=accuracies,
        mode="lines" if rows.height > 1 else "lines+markers",
        name=name,
        line={"color": mark.colour, "width": 2.4, "dash": mark.dash},
        marker={"symbol": mark.symbol, "size": 8},
        customdata=hovers,
        hovertemplate="%{customdata}<extra></extra>",
        meta={"axes": axes},
        cliponaxis=None if rows.height > 1 else False,
    )


def _kept_ring(run: FederationRun) -> go.Scatter:
    rows = run.rounds.filter(pl.col("round") == run.best_round)
    axes = _axes_of(rows)
    return go.Scatter(
        x=axes["rounds"],
        y=(100 * rows["accuracy"]).to_list(),
        mode="markers",
        name="kept",
        marker={"symbol": "circle-open", "size": 15, "color": TEST_MARK.colour, "line": {"width": 2.5}},
        hoverinfo="skip",
        meta={"axes": axes},
        cliponaxis=False,
    )


def _name_round(row: Mapping[str, Any]) -> str:
    return "start" if row["round"] == 0 else f"round {row['round']}"


def _text_costs(row: Mapping[str, Any]) -> str:
    return (
        f"{text_bytes(row['bytes_sent'])}, {text_seconds(row['seconds'])}"
        f"<br>with start: {text_bytes(row['bytes_with_start'])}"
    )
