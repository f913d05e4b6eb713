"""The grid of temperatures and weights, and the choice among its measured points."""

from collections.abc import Mapping, Sequence
from typing import TypeVar

from limbeck.core.errors import require
from limbeck.techniques import Settings

Key = TypeVar("Key")


def grid_points(temperatures: Sequence[float], weights: Sequence[float]) -> list[Settings]:
    """Every pair of a temperature and a weight, weights outermost, both in the order given.

    Raises:
        InputError: When a list is empty, repeats itself, or holds a value out of range.
    """
    for name, values in (("temperatures", temperatures), ("weights", weights)):
        require(
            len(values) > 0, f"`{name}` has at least one value", "an empty list", "Name one value or more."
        )
        require(
            len(set(values)) == len(values),
            f"`{name}` has no value twice",
            f"{name}={list(values)}",
            "Remove the repetition.",
        )
    return [
        Settings(temperature=temperature, weight=weight) for weight in weights for temperature in temperatures
    ]


def choose_best(scores: Mapping[Key, float]) -> Key:
    """The key with the largest score; of equal ones the first, so that the choice does not depend on chance.

    Args:
        scores: Validation accuracy by candidate, in a fixed order.

    Raises:
        InputError: When there is no candidate.
    """
    require(len(scores) > 0, "at least one candidate to choose from", "none", "Measure one setting or more.")
    return max(scores, key=lambda key: scores[key])
