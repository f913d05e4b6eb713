"""Colours and marks: the same one for the same technique everywhere, told apart without hue as well.

The colours come from Okabe and Ito's palette for colour-blind readers, moved to a lightness that keeps a
contrast of about 3:1 on white and on near-black, so that one figure serves both.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Mark:
    """How one technique or start is drawn: its colour, its point and its line."""

    colour: str
    symbol: str
    dash: str = "solid"


TECHNIQUE_MARKS: Mapping[str, Mark] = {
    "finetune": Mark(colour="#7F858F", symbol="circle-open"),
    "kd": Mark(colour="#3F9FDB", symbol="square"),
    "tuned-kd": Mark(colour="#1668B8", symbol="diamond"),
    "dml": Mark(colour="#0A9A75", symbol="triangle-up"),
    "dp-kd": Mark(colour="#D08700", symbol="circle"),
    "dp-kd-unsupervised": Mark(colour="#C4639B", symbol="cross"),
}
START_MARKS: Mapping[str, Mark] = {
    "scratch": Mark(colour="#7F858F", symbol="circle-open", dash="dot"),
    "best-client": Mark(colour="#0A9A75", symbol="triangle-up", dash="dash"),
    "weight-average": Mark(colour="#D08700", symbol="square", dash="dashdot"),
    "hub": Mark(colour="#1668B8", symbol="diamond"),
    "chain": Mark(colour="#C4639B", symbol="circle"),
    "mesh": Mark(colour="#B5533C", symbol="star"),
    "mesh-refit": Mark(colour="#8A6BBE", symbol="x"),
    "refit": Mark(colour="#6B8E23", symbol="hexagon", dash="dash"),
    "ensemble": Mark(colour="#3F9FDB", symbol="cross", dash="longdash"),
}
SPARE_MARKS = (
    Mark(colour="#B5533C", symbol="star"),
    Mark(colour="#6B8E23", symbol="hexagon"),
    Mark(colour="#8A6BBE", symbol="x"),
    Mark(colour="#8C6D46", symbol="pentagon"),
)
ORDERED_MARKS = (
    *START_MARKS.values(),
    Mark(colour="#8C6D46", symbol="pentagon", dash="dashdot"),
    Mark(colour="#5E8C8A", symbol="hourglass", dash="dot"),
    Mark(colour="#C05A7A", symbol="bowtie", dash="dash"),
)
CLASS_COLOURS = (
    "#1668B8",
    "#D08700",
    "#0A9A75",
    "#C4639B",
    "#8FC7EA",
    "#B5533C",
    "#E8C547",
    "#5B4B8A",
    "#9BBF65",
    "#7F858F",
)
LOSS_COLOUR = "196, 92, 30"
GAIN_COLOUR = "40, 134, 214"


def pick_mark(name: str, marks: Mapping[str, Mark]) -> Mark:
    """The mark of a technique or start; an unknown name always gets the same spare one."""
    return marks.get(name, SPARE_MARKS[sum(name.encode()) % len(SPARE_MARKS)])


def pick_marks_in_order(names: Sequence[str]) -> dict[str, Mark]:
    """A mark for each name by its place: distinct ones, repeated in order when there are more names."""
    return {name: ORDERED_MARKS[place % len(ORDERED_MARKS)] for place, name in enumerate(names)}


def pick_class_colours(num_classes: int) -> list[str]:
    """One colour per class: ten distinct ones, repeated in order when there are more classes."""
    return [CLASS_COLOURS[index % len(CLASS_COLOURS)] for index in range(num_classes)]


def diverging_scale() -> list[tuple[float, str]]:
    """A colour scale from loss through nothing to gain, whose middle lets the page shine through."""
    return [
        (0.0, f"rgba({LOSS_COLOUR}, 0.85)"),
        (0.5, f"rgba({LOSS_COLOUR}, 0.0)"),
        (0.5, f"rgba({GAIN_COLOUR}, 0.0)"),
        (1.0, f"rgba({GAIN_COLOUR}, 0.85)"),
    ]


def fade(colour: str, opacity: float) -> str:
    """A ``#rrggbb`` colour as ``rgba`` with an opacity in [0, 1]."""
    red, green, blue = (int(colour[start : start + 2], 16) for start in (1, 3, 5))
    return f"rgba({red}, {green}, {blue}, {opacity:g})"


def symmetric_limit(values: Sequence[float]) -> float:
    """The largest absolute value, at least a hundredth: the end of a scale that has zero in its middle."""
    return max([abs(value) for value in values] + [0.01])
