"""The figures of one federation: its accuracies by round, and the bytes of each round and direction.

They follow the page as those of `draw` do. Accuracies are drawn in percent, bytes in MB.
"""

from collections.abc import Mapping
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
# A run that ended at once would otherwise be one bar as wide as the page.
FEWEST_PLACES = 5
TEST, VALIDATION, OWN = "test", "validation", "clients' own"
CURVE_MARKS = {
    TEST: Mark(colour="#1668B8", symbol="diamond"),
    VALIDATION: Mark(colour="#D08700", symbol="square", dash="dash"),
    OWN: Mark(colour="#0A9A75", symbol="circle", dash="dot"),
}
CURVE_COLUMNS = {TEST: "accuracy", VALIDATION: "validation_accuracy", OWN: "client_accuracy"}
WAYS = {"down": ("to the clients", "#3F9FDB"), "up": ("from the clients", "#D08700")}


def draw_federation(run: FederationRun) -> dict[str, go.Figure]:
    """Two pictures of a federation: its accuracy `curves` by round and its `bytes`.

    Args:
        run: What `read_federation` returned.
    """
    return {"curves": draw_curves(run), "bytes": draw_bytes(run)}


def draw_curves(run: FederationRun) -> go.Figure:
    """Accuracy by round on test and validation samples, and the clients' own with its spread as a band.

    A ring marks the round whose model is kept, a dotted line the target. Every trace carries in ``meta`` its
    x values (a band those of its upper edge) for the axes ``rounds``, ``bytes`` (MB), ``seconds`` and
    ``bytes_with_start``, between which the page switches. A strategy without a global model has the clients'
    curve alone.
    """
    figure = new_figure("", height=380)
    for name in reversed(list_curves(run)):
        figure.add_traces(_draw_curve(run, name))
    if run.strategy.has_global_model:
        figure.add_trace(_kept_ring(run))
    if run.spec.target is not None:
        figure.add_hline(y=100 * run.spec.target, line={"width": 1, "dash": "dot", "color": INK}, opacity=0.6)
    figure.update_xaxes(title_text="communication rounds", zeroline=False, rangemode="tozero")
    return figure.update_yaxes(title_text="accuracy, %", zeroline=False, range=_limit_accuracies(run))


def list_curves(run: FederationRun) -> list[str]:
    """The names of the curves there are: those of a global model, and the clients' where they measured."""
    has_own = run.rounds["client_accuracy"].null_count() < run.rounds.height
    return [*([TEST, VALIDATION] if run.strategy.has_global_model else []), *([OWN] if has_own else [])]


def draw_bytes(run: FederationRun) -> go.Figure:
    """The bytes of each round as stacked bars, to the clients below and from them above; 0 is the start."""
    figure = new_figure("", height=300)
    for way, (name, colour) in WAYS.items():
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
        figure.update_xaxes(dtick=1, range=[-0.6, max(run.last["round"], FEWEST_PLACES) + 0.6])
    figure.update_yaxes(title_text="sent, MB", zeroline=True, rangemode="tozero")
    return figure.update_layout(barmode="stack", bargap=0.25)


def _limit_accuracies(run: FederationRun) -> list[float]:
    """The ends of the accuracy axis in percent, between which the target lies too, reached or not."""
    mean, spread = run.rounds["client_accuracy"], run.rounds["client_spread"].fill_null(0.0)
    series = [mean - spread, mean + spread]
    if run.strategy.has_global_model:
        series += [run.rounds["accuracy"], run.rounds["validation_accuracy"]]
    values = [100 * value for values in series for value in values.drop_nulls().to_list()]
    values += [100 * run.spec.target] if run.spec.target is not None else []
    low, high = min(values, default=0.0), max(values, default=100.0)
    margin = max(1.0, 0.06 * (high - low))
    return [low - margin, high + margin]


def _axes_of(rows: pl.DataFrame) -> dict[str, list[float]]:
    return {
        "rounds": rows["round"].cast(pl.Float64).to_list(),
        "bytes": (rows["bytes_sent"] / MEGABYTE).to_list(),
        "seconds": rows["seconds"].to_list(),
        "bytes_with_start": (rows["bytes_with_start"] / MEGABYTE).to_list(),
    }


def _draw_curve(run: FederationRun, name: str) -> list[go.Scatter]:
    """The curve, and behind that of the clients the band of one standard deviation between them."""
    rows = run.rounds.filter(pl.col(CURVE_COLUMNS[name]).is_not_null())
    has_band = name == OWN and rows["client_spread"].null_count() < rows.height
    return [_band(rows), _curve(rows, name)] if has_band else [_curve(rows, name)]


def _curve(rows: pl.DataFrame, name: str) -> go.Scatter:
    axes, mark, column = _axes_of(rows), CURVE_MARKS[name], CURVE_COLUMNS[name]
    hovers = [
        f"{name} · {_name_round(row)}"
        f"<br>{text_own_accuracy(row) if name == OWN else text_percent(row[column])}<br>{_text_costs(row)}"
        for row in rows.iter_rows(named=True)
    ]
    return go.Scatter(
        x=axes["rounds"],
        y=(100 * rows[column]).to_list(),
        mode="lines" if rows.height > 1 else "lines+markers",
        name=name,
        line={"color": mark.colour, "width": 2.4, "dash": mark.dash},
        marker={"symbol": mark.symbol, "size": 8},
        customdata=hovers,
        hovertemplate="%{customdata}<extra></extra>",
        meta={"axes": axes},
        cliponaxis=None if rows.height > 1 else False,
    )


def _band(rows: pl.DataFrame) -> go.Scatter:
    axes = _axes_of(rows)
    mean, spread = 100 * rows["client_accuracy"], 100 * rows["client_spread"].fill_null(0.0)
    return go.Scatter(
        x=axes["rounds"] + axes["rounds"][::-1],
        y=(mean + spread).to_list() + (mean - spread).to_list()[::-1],
        mode="lines",
        line={"width": 0},
        fill="toself",
        fillcolor=fade(CURVE_MARKS[OWN].colour, BAND_OPACITY),
        hoverinfo="skip",
        showlegend=False,
        meta={"axes": axes},
    )


def _kept_ring(run: FederationRun) -> go.Scatter:
    rows = run.rounds.filter(pl.col("round") == run.best_round)
    axes = _axes_of(rows)
    return go.Scatter(
        x=axes["rounds"],
        y=(100 * rows["accuracy"]).to_list(),
        mode="markers",
        name="kept",
        marker={
            "symbol": "circle-open",
            "size": 15,
            "color": CURVE_MARKS[TEST].colour,
            "line": {"width": 2.5},
        },
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
