"""A comparison of two models in words: its findings, its tables, and both as Markdown."""

from typing import TYPE_CHECKING

from limbeck.core.errors import enumerate_words
from limbeck.report.draw_pairs import pair_classes
from limbeck.report.headline import Tile
from limbeck.report.markdown import join_markdown
from limbeck.report.tables import Table
from limbeck.report.wording import ABSENT, text_count, text_percent, text_points

if TYPE_CHECKING:
    from limbeck.pairs import Comparison

MOST_NAMED = 3


def comparison_markdown(comparison: "Comparison") -> str:
    """The findings, warnings and tables of a comparison, for copying into other documents.

    Args:
        comparison: What `limbeck.compare` returned.

    Returns:
        Markdown that ends with a newline.
    """
    sentences = [*describe_comparison(comparison), *comparison.warnings]
    tables = [
        tabulate_standings(comparison),
        tabulate_parts(comparison),
        tabulate_classes(comparison),
    ]
    return join_markdown(sentences, tables)


def describe_comparison(comparison: "Comparison") -> list[str]:
    """What each model knows that the other does not, most important first."""
    first, second = comparison.first, comparison.second
    gained = _part(comparison, comparison.positive_flips)
    lost = _part(comparison, comparison.negative_flips)
    return [
        f"{second.name} is right where {first.name} is wrong on {gained}: "
        f"what a perfect transfer could add to {first.name}'s accuracy of {text_percent(first.accuracy)}.",
        f"{first.name} is right where {second.name} is wrong on {lost}: what a transfer must not lose.",
        f"{second.name} as a whole is right on {text_percent(second.accuracy)}, {_difference(comparison)}. "
        f"They say the same class for {text_percent(comparison.agreement)} of the samples.",
        *_describe_classes(comparison),
    ]


def tile_comparison(comparison: "Comparison") -> list[Tile]:
    """Four numbers that sum the comparison up."""
    first, second = comparison.first, comparison.second
    return [
        _tile(first.accuracy, f"accuracy of {first.name}"),
        _tile(second.accuracy, f"accuracy of {second.name}"),
        _tile(comparison.complementary_share, f"only {second.name} gets right"),
        _tile(comparison.negative_flips / comparison.num_samples, f"only {first.name} gets right"),
    ]


def tabulate_standings(comparison: "Comparison") -> Table:
    """Accuracy, confidence and calibration of both models."""
    return Table(
        name="models",
        caption=f"Both models on the same {text_count(comparison.num_samples, 'sample')}.",
        columns=("Model", "Accuracy", "Mean confidence", "Calibration error"),
        rows=tuple(
            (
                standing.name,
                text_percent(standing.accuracy),
                text_percent(standing.confidence),
                text_percent(standing.calibration_error),
            )
            for standing in (comparison.first, comparison.second)
        ),
    )


def tabulate_parts(comparison: "Comparison") -> Table:
    """The four parts of the samples, and how often the models say the same."""
    first, second = comparison.first.name, comparison.second.name
    parts = (
        ("both right", comparison.both_right),
        (f"only {second} right", comparison.positive_flips),
        (f"only {first} right", comparison.negative_flips),
        ("both wrong", comparison.both_wrong),
        ("the same class", round(comparison.agreement * comparison.num_samples)),
    )
    return Table(
        name="parts",
        caption="Who is right: the first four parts are all samples. Two models that are wrong together may "
        "still say different classes.",
        columns=("Part", "Samples", "Share"),
        rows=tuple((part, f"{count:,}", _share(comparison, count)) for part, count in parts),
    )


def tabulate_classes(comparison: "Comparison", *, most: int | None = None) -> Table:
    """Accuracy and flips per class, in the order of the data's classes.

    Args:
        comparison: What `limbeck.compare` returned.
        most: How many classes at most, those with the most flips; None for all.
    """
    first, second = comparison.first, comparison.second
    columns = (
        comparison.class_names,
        comparison.class_samples,
        first.class_accuracy,
        second.class_accuracy,
        comparison.class_positive_flips,
        comparison.class_negative_flips,
    )
    flips = [sum(pair) for pair in zip(*columns[-2:], strict=True)]
    kept = set(sorted(range(len(flips)), key=lambda index: -flips[index])[:most])
    selection = f", for the {most} classes with the most flips" if most and most < len(flips) else ""
    return Table(
        name="classes",
        caption=f"Class by class{selection}; the difference is in percentage points.",
        columns=(
            "Class",
            "Samples",
            first.name,
            second.name,
            "Difference",
            f"Only {second.name} right",
            f"Only {first.name} right",
        ),
        rows=tuple(
            (
                name,
                f"{samples:,}",
                text_percent(of_first),
                text_percent(of_second),
                text_points(of_second - of_first)
                if of_first is not None and of_second is not None
                else ABSENT,
                f"{positive:,}",
                f"{negative:,}",
            )
            for index, (name, samples, of_first, of_second, positive, negative) in enumerate(
                zip(*columns, strict=True)
            )
            if index in kept
        ),
    )


def _describe_classes(comparison: "Comparison") -> list[str]:
    """Where the second model knows most that the first does not; nothing where it knows nothing."""
    pairs = [pair for pair in pair_classes(comparison) if pair.only_second]
    largest = sorted(pairs, key=lambda pair: -pair.only_second)[:MOST_NAMED]
    if not largest:
        return []
    named = enumerate_words([f"{pair.name} ({pair.only_second:,})" for pair in largest])
    return [f"Most of what only {comparison.second.name} knows is in {named}."]


def _difference(comparison: "Comparison") -> str:
    difference = comparison.second.accuracy - comparison.first.accuracy
    text = text_points(abs(difference)).removeprefix("+")
    if float(text) == 0:
        return f"as is {comparison.first.name}"
    return f"{text} points {'more' if difference > 0 else 'less'} than {comparison.first.name}"


def _share(comparison: "Comparison", count: int) -> str:
    return text_percent(count / comparison.num_samples)


def _part(comparison: "Comparison", count: int) -> str:
    return f"{_share(comparison, count)} of all samples ({count:,} of {comparison.num_samples:,})"


def _tile(fraction: float, meaning: str) -> Tile:
    value, _, unit = text_percent(fraction).partition("\N{NARROW NO-BREAK SPACE}")
    return Tile(value=value, unit=unit, meaning=meaning)
