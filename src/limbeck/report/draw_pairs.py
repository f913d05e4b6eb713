"""The figures of one comparison and of one transfer: what each of two models gets right, class by class.

They follow the page as those of `draw` do. Accuracies are drawn in percent.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import plotly.graph_objects as go

from limbeck.report.canvas import escape_markup, new_figure
from limbeck.report.palette import GAIN_COLOUR, LOSS_COLOUR, TECHNIQUE_MARKS, Mark, fade, pick_mark
from limbeck.report.wording import label_technique, shorten_middle, text_count, text_percent, text_points

if TYPE_CHECKING:
    from limbeck.pairs import Attempt, Comparison, TransferRecord

MAX_CLASSES = 40
NAME_LENGTH = 18
FIRST_MARK = Mark(colour="#D08700", symbol="circle")
BEFORE_MARK = Mark(colour="#7F858F", symbol="circle-open")
SECOND_MARK = Mark(colour="#1668B8", symbol="diamond")
BOTH_COLOUR = "#0A9A75"
NEITHER_COLOUR = "#7F858F"
LEGEND_ABOVE = {"y": 1, "yanchor": "bottom"}


@dataclass(frozen=True, kw_only=True)
class ClassPair:
    """One class and what two models, or one model at two times, get right of it.

    Attributes:
        name: The class.
        first: Accuracy of the first in [0, 1].
        second: Accuracy of the second.
        only_first: Samples that only the first gets right, 0 where nobody counted.
        only_second: Samples that only the second gets right.
    """

    name: str
    first: float
    second: float
    only_first: int = 0
    only_second: int = 0

    @property
    def difference(self) -> float:
        """Accuracy of the second minus that of the first."""
        return self.second - self.first


def pair_classes(comparison: "Comparison") -> list[ClassPair]:
    """The classes that have samples, those where the second model is furthest ahead first."""
    columns = (
        comparison.class_names,
        comparison.first.class_accuracy,
        comparison.second.class_accuracy,
        comparison.class_negative_flips,
        comparison.class_positive_flips,
    )
    return _sort(
        ClassPair(name=name, first=first, second=second, only_first=only_first, only_second=only_second)
        for name, first, second, only_first, only_second in zip(*columns, strict=True)
        if first is not None and second is not None
    )


def pair_changes(record: "TransferRecord") -> list[ClassPair]:
    """The student's classes that have samples, those that gained most first."""
    change = record.attempt.change
    return _sort(
        ClassPair(name=name, first=before, second=after)
        for name, before, after in zip(
            record.class_names, change.class_accuracy_before, change.class_accuracy_after, strict=True
        )
        if before is not None and after is not None
    )


def pick_telling(pairs: Sequence[ClassPair]) -> list[ClassPair]:
    """At most `MAX_CLASSES` of the pairs in their order: most flips, or else the largest difference."""
    telling = sorted(pairs, key=lambda pair: (pair.only_first + pair.only_second, abs(pair.difference)))
    kept = {pair.name for pair in telling[-MAX_CLASSES:]}
    return [pair for pair in pairs if pair.name in kept]


def draw_comparison(comparison: "Comparison") -> dict[str, go.Figure]:
    """Three pictures of a comparison: its `parts`, its `classes` and their `flips`.

    Args:
        comparison: What `limbeck.compare` returned.

    Returns:
        A figure by name. With more than `MAX_CLASSES` classes, those that differ most are drawn.
    """
    names = (comparison.first.name, comparison.second.name)
    pairs = pick_telling(pair_classes(comparison))
    return {
        "parts": draw_parts(comparison),
        "classes": draw_class_pairs(pairs, names, (FIRST_MARK, SECOND_MARK)),
        "flips": draw_class_flips(pairs, names),
    }


def draw_transfer(record: "TransferRecord") -> dict[str, go.Figure]:
    """Two pictures of a transfer: its `classes` before and after, and the `validation` accuracy by epoch.

    Args:
        record: What `limbeck.transfer` measured.

    Returns:
        A figure by name. With more than `MAX_CLASSES` classes, those that changed most are drawn.
    """
    pairs = pick_telling(pair_changes(record))
    return {
        "classes": draw_class_pairs(pairs, ("before", "after"), (BEFORE_MARK, SECOND_MARK)),
        "validation": draw_validation(record),
    }


def draw_parts(comparison: "Comparison") -> go.Figure:
    """The four parts of the samples as bars: right by both, by either alone, by neither."""
    parts = (
        ("both right", comparison.both_right, BOTH_COLOUR),
        (f"only {comparison.second.name}", comparison.positive_flips, SECOND_MARK.colour),
        (f"only {comparison.first.name}", comparison.negative_flips, FIRST_MARK.colour),
        ("both wrong", comparison.both_wrong, NEITHER_COLOUR),
    )
    shares = [count / comparison.num_samples for _, count, _ in parts]
    figure = new_figure("", height=150)
    figure.add_trace(
        go.Bar(
            x=[100 * share for share in shares],
            y=list(range(len(parts))),
            orientation="h",
            marker={"color": [fade(colour, 0.85) for *_, colour in parts], "line": {"width": 0}},
            text=[text_percent(share) for share in shares],
            textposition="outside",
            cliponaxis=False,
            customdata=[
                f"{escape_markup(label)}<br>{text_count(count, 'sample')}, {text_percent(share)}"
                for (label, count, _), share in zip(parts, shares, strict=True)
            ],
            hovertemplate="%{customdata}<extra></extra>",
        )
    )
    _label_rows(figure, [label for label, *_ in parts])
    # Room for the number beside the longest bar.
    figure.update_xaxes(range=[0, 128 * max(shares)], zeroline=False, showgrid=False, showticklabels=False)
    return figure.update_layout(showlegend=False, bargap=0.3)


def draw_class_pairs(
    pairs: Sequence[ClassPair], names: tuple[str, str], marks: tuple[Mark, Mark]
) -> go.Figure:
    """Two accuracies per class, joined by a line: blue where the second is higher, orange where it is lower.

    Args:
        pairs: One row each, from the top.
        names: What to call the first and the second.
        marks: How they are drawn.
    """
    figure = new_figure("", height=96 + 24 * len(pairs))
    figure.add_trace(_joins(pairs, colour=f"rgba({GAIN_COLOUR}, 0.75)", is_gain=True))
    figure.add_trace(_joins(pairs, colour=f"rgba({LOSS_COLOUR}, 0.85)", is_gain=False))
    hovers = [
        f"{escape_markup(pair.name)}<br>{escape_markup(names[0])}: {text_percent(pair.first)}"
        f"<br>{escape_markup(names[1])}: {text_percent(pair.second)}<br>{text_points(pair.difference)} points"
        for pair in pairs
    ]
    values = ([pair.first for pair in pairs], [pair.second for pair in pairs])
    for name, mark, accuracies in zip(names, marks, values, strict=True):
        figure.add_trace(_ends(accuracies, hovers, name=name, mark=mark))
    _label_rows(figure, [pair.name for pair in pairs])
    figure.update_xaxes(title_text="accuracy, %", zeroline=False)
    return figure.update_layout(legend=LEGEND_ABOVE)


def draw_class_flips(pairs: Sequence[ClassPair], names: tuple[str, str]) -> go.Figure:
    """Per class the samples that only the second gets right (to the right) and only the first (to the left).

    Args:
        pairs: One row each, from the top.
        names: What to call the first and the second.
    """
    figure = new_figure("", height=96 + 24 * len(pairs))
    sides = (
        (names[0], [pair.only_first for pair in pairs], FIRST_MARK, -1),
        (names[1], [pair.only_second for pair in pairs], SECOND_MARK, 1),
    )
    for name, counts, mark, sign in sides:
        label = f"only {escape_markup(shorten_middle(name, NAME_LENGTH))} right"
        figure.add_trace(
            go.Bar(
                x=[sign * count for count in counts],
                y=list(range(len(pairs))),
                orientation="h",
                name=label,
                marker={"color": fade(mark.colour, 0.85), "line": {"width": 0}},
                text=[f"{count:,}" if count else "" for count in counts],
                textposition="outside",
                cliponaxis=False,
                customdata=[
                    f"{escape_markup(pair.name)}<br>{label}: {text_count(count, 'sample')}"
                    for pair, count in zip(pairs, counts, strict=True)
                ],
                hovertemplate="%{customdata}<extra></extra>",
            )
        )
    _label_rows(figure, [pair.name for pair in pairs])
    limit = 1.3 * max([count for _, counts, *_ in sides for count in counts] + [1])
    figure.update_xaxes(
        title_text="samples", range=[-limit, limit], zeroline=True, showgrid=False, showticklabels=False
    )
    return figure.update_layout(barmode="overlay", bargap=0.3, legend=LEGEND_ABOVE)


def draw_validation(record: "TransferRecord") -> go.Figure:
    """The accuracy on the validation samples before and after each epoch; a ring marks the kept epoch."""
    figure = new_figure("", height=300)
    attempts = [attempt for attempt in (record.baseline, record.attempt) if attempt is not None]
    for attempt in attempts:
        figure.add_trace(_curve(attempt))
    for attempt in attempts:
        figure.add_trace(_kept_point(attempt))
    last = max(len(attempt.validation) for attempt in attempts) - 1
    figure.update_xaxes(
        title_text="epoch (0: the student as it came)",
        zeroline=False,
        tickmode="linear",
        tick0=0,
        dtick=max(1, -(-last // 8)),
        range=[-0.04 * max(last, 1), 1.04 * max(last, 1)],
    )
    figure.update_yaxes(title_text="validation accuracy, %", zeroline=False)
    return figure.update_layout(legend=LEGEND_ABOVE)


def _sort(pairs: Iterable[ClassPair]) -> list[ClassPair]:
    return sorted(pairs, key=lambda pair: -pair.difference)


def _label_rows(figure: go.Figure, labels: Sequence[str]) -> None:
    """One label per row, the first at the top, with half a row of room at both ends."""
    figure.update_yaxes(
        tickvals=list(range(len(labels))),
        ticktext=[escape_markup(shorten_middle(label, NAME_LENGTH)) for label in labels],
        range=[len(labels) - 0.4, -0.6],
        showgrid=False,
        zeroline=False,
    )


def _joins(pairs: Sequence[ClassPair], *, colour: str, is_gain: bool) -> go.Scatter:
    xs: list[float | None] = []
    ys: list[float | None] = []
    for place, pair in enumerate(pairs):
        if pair.difference != 0 and (pair.difference > 0) == is_gain:
            xs += [100 * pair.first, 100 * pair.second, None]
            ys += [place, place, None]
    return go.Scatter(
        x=xs, y=ys, mode="lines", line={"width": 4, "color": colour}, hoverinfo="skip", showlegend=False
    )


def _ends(accuracies: Sequence[float], hovers: Sequence[str], *, name: str, mark: Mark) -> go.Scatter:
    is_open = mark.symbol.endswith("open")
    return go.Scatter(
        x=[100 * accuracy for accuracy in accuracies],
        y=list(range(len(accuracies))),
        mode="markers",
        marker={"symbol": mark.symbol, "color": mark.colour, "size": 10, "line": {"width": 2 * is_open}},
        name=escape_markup(shorten_middle(name, NAME_LENGTH)),
        customdata=hovers,
        hovertemplate="%{customdata}<extra></extra>",
        cliponaxis=False,
    )


def _curve(attempt: "Attempt") -> go.Scatter:
    mark = pick_mark(attempt.technique, TECHNIQUE_MARKS)
    label = escape_markup(label_technique(attempt.technique))
    return go.Scatter(
        x=list(range(len(attempt.validation))),
        y=[100 * accuracy for accuracy in attempt.validation],
        mode="lines+markers",
        name=label,
        line={"color": mark.colour, "width": 2.4},
        marker={"symbol": mark.symbol, "color": mark.colour, "size": 6},
        customdata=[
            f"{label} · epoch {epoch}<br>{text_percent(accuracy)}"
            for epoch, accuracy in enumerate(attempt.validation)
        ],
        hovertemplate="%{customdata}<extra></extra>",
    )


def _kept_point(attempt: "Attempt") -> go.Scatter:
    return go.Scatter(
        x=[attempt.kept_epoch],
        y=[100 * attempt.validation[attempt.kept_epoch]],
        mode="markers",
        marker={
            "symbol": "circle-open",
            "color": pick_mark(attempt.technique, TECHNIQUE_MARKS).colour,
            "size": 17,
            "line": {"width": 2.5},
        },
        hoverinfo="skip",
        showlegend=False,
        cliponaxis=False,
    )
