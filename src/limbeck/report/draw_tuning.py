"""The figures of a search: validation accuracy over temperature and weight, over any setting, and importance.

They follow the page as those of `draw` do. Accuracies are drawn in percent.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import plotly.graph_objects as go

from limbeck.core.errors import count
from limbeck.report.canvas import escape_markup, new_figure
from limbeck.report.draw_heat_maps import frame_cell, heat_map, label_cells
from limbeck.report.palette import TECHNIQUE_MARKS, fade
from limbeck.report.tuning import list_searched, list_values, rank_trials, text_settings
from limbeck.report.wording import text_percent, text_plain, text_points

if TYPE_CHECKING:
    from limbeck.tune import Tried, Tuned

SURFACE = ("weight", "temperature")
BEST_COLOUR = TECHNIQUE_MARKS["tuned-kd"].colour
PLAIN_COLOUR = TECHNIQUE_MARKS["finetune"].colour
LEGEND_ABOVE = {"y": 1, "yanchor": "bottom"}


def draw_tuning(tuned: "Tuned") -> dict[str, go.Figure]:
    """The pictures of a search that have something to show.

    Args:
        tuned: What `limbeck.tune` returned.

    Returns:
        A figure by name: `surface` where both temperature and weight were searched, one per other setting
        that was, and `importance` where it could be told.
    """
    searched = list_searched(tuned.trials)
    has_surface = set(SURFACE) <= set(searched)
    rest = [name for name in searched if not (has_surface and name in SURFACE)]
    importance = {name: share for name, share in tuned.importance.items() if name in searched}
    return {
        **({"surface": draw_response(tuned)} if has_surface else {}),
        **{name: draw_setting(tuned, name) for name in rest},
        **({"importance": draw_importance(importance)} if importance else {}),
    }


def draw_response(tuned: "Tuned") -> go.Figure:
    """The validation accuracy over temperature and weight: blue above that of the defaults, orange below.

    A cell that names its epochs was stopped early. Where other settings were searched too, a cell is the
    best of its trials. A solid frame marks the best settings, a dotted one the defaults where these lie on
    the grid.
    """
    columns, rows = (list_values(tuned.trials, name) for name in SURFACE)
    cells = _pick_cells(tuned.trials)
    grid = [[cells.get((weight, temperature)) for weight in columns] for temperature in rows]
    reference = tuned.default.validation
    figure = new_figure("", height=72 + 40 * len(rows))
    figure.add_trace(
        heat_map(
            values=[[_excess(tried, reference) for tried in line] for line in grid],
            texts=[[_text_cell(tried) for tried in line] for line in grid],
            hovers=[[_describe_trial(tried, reference) for tried in line] for line in grid],
        )
    )
    frames = ((tuned.default.settings, 0.09, "dot", "defaults"), (tuned.settings, 0.02, "solid", "best"))
    for settings, inset, dash, name in frames:
        weight, temperature = (settings[key] for key in SURFACE)
        if weight in columns and temperature in rows:
            place = (columns.index(weight), rows.index(temperature))
            figure.add_shape(frame_cell(place, inset=inset, dash=dash, name=name))
    label_cells(figure, list(map(text_plain, columns)), list(map(text_plain, rows)))
    figure.update_xaxes(title_text="weight w")
    return figure.update_yaxes(title_text="temperature T")


def draw_setting(tuned: "Tuned", name: str) -> go.Figure:
    """The validation accuracy of every trial over one setting, with a line through the best of each value.

    The diamond is the best trial, the dotted line the accuracy of the defaults.
    """
    values, reference = list_values(tuned.trials, name), tuned.default.validation
    places = {value: place for place, value in enumerate(values)}
    tops = [max(t.validation for t in tuned.trials if t.settings[name] == value) for value in values]
    figure = new_figure("", height=260)
    figure.add_hline(y=100 * reference, line={"dash": "dot", "width": 2, "color": PLAIN_COLOUR})
    figure.add_trace(
        go.Scatter(
            x=list(places.values()),
            y=[100 * top for top in tops],
            mode="lines",
            line={"color": fade(BEST_COLOUR, 0.6), "width": 2.4},
            hoverinfo="skip",
        )
    )
    _, best = rank_trials(tuned.trials)[0]
    others = [tried for tried in tuned.trials if tried is not best]
    for trials, symbol, size in ((others, "circle", 8), ([best], "diamond", 14)):
        figure.add_trace(
            go.Scatter(
                x=[places[tried.settings[name]] for tried in trials],
                y=[100 * tried.validation for tried in trials],
                mode="markers",
                marker={"symbol": symbol, "size": size, "color": fade(BEST_COLOUR, 0.85)},
                customdata=[_describe_trial(tried, reference) for tried in trials],
                hovertemplate="%{customdata}<extra></extra>",
                cliponaxis=False,
            )
        )
    figure.update_xaxes(
        title_text=escape_markup(_mark_default(name, tuned.default.settings.get(name))),
        tickvals=list(places.values()),
        ticktext=list(map(text_plain, values)),
        range=[-0.4, len(values) - 0.6],
        zeroline=False,
    )
    figure.update_yaxes(title_text="validation accuracy, %", zeroline=False)
    return figure.update_layout(showlegend=False)


def draw_importance(importance: Mapping[str, float]) -> go.Figure:
    """The share of each setting in the variance of the validation accuracy, the largest at the top."""
    shares = sorted(importance.items(), key=lambda item: -item[1])
    rows = list(range(len(shares)))
    figure = new_figure("", height=60 + 32 * len(shares))
    figure.add_trace(
        go.Bar(
            x=[100 * share for _, share in shares],
            y=rows,
            orientation="h",
            marker={"color": fade(BEST_COLOUR, 0.85), "line": {"width": 0}},
            text=[text_percent(share, 0) for _, share in shares],
            textposition="outside",
            cliponaxis=False,
            customdata=[f"{escape_markup(name)}<br>{text_percent(share)}" for name, share in shares],
            hovertemplate="%{customdata}<extra></extra>",
        )
    )
    figure.update_yaxes(
        tickvals=rows,
        ticktext=[escape_markup(name) for name, _ in shares],
        range=[len(shares) - 0.4, -0.6],
        showgrid=False,
        zeroline=False,
    )
    # Room for the number beside the longest bar.
    figure.update_xaxes(range=[0, 120], zeroline=False, showgrid=False, showticklabels=False)
    return figure.update_layout(showlegend=False, bargap=0.3)


def _pick_cells(trials: "Sequence[Tried]") -> "dict[tuple[float, ...], Tried]":
    """Per weight and temperature the best trial, of equals the first."""
    ranked = [tried for _, tried in rank_trials(trials)]
    return {tuple(tried.settings[name] for name in SURFACE): tried for tried in reversed(ranked)}


def _excess(tried: "Tried | None", reference: float) -> float | None:
    return None if tried is None else 100 * (tried.validation - reference)


def _text_cell(tried: "Tried | None") -> str:
    if tried is None:
        return ""
    early = "" if tried.accuracy_after is not None else f"<br>{count(tried.epochs, 'epoch')}"
    return f"{100 * tried.validation:.1f}{early}"


def _describe_trial(tried: "Tried | None", reference: float) -> str:
    if tried is None:
        return ""
    words = (
        f"{escape_markup(text_settings(tried.settings))}"
        f"<br>validation {text_percent(tried.validation)}, "
        f"{text_points(tried.validation - reference)} against the defaults"
    )
    if tried.accuracy_after is None:
        return f"{words}<br>stopped after {count(tried.epochs, 'epoch')}"
    return f"{words}<br>gain {text_points(tried.gain)}, forgetting {text_percent(tried.forgetting)}"


def _mark_default(name: str, value: float | None) -> str:
    return name if value is None else f"{name} (default {text_plain(value)})"
