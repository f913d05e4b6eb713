"""An order in which any beginning of a list is balanced over what its rows say."""

from collections.abc import Hashable, Sequence
from itertools import combinations

import numpy as np


def order_evenly(rows: Sequence[tuple[Hashable, ...]], groups: Sequence[Hashable] | None = None) -> list[int]:
    """The rows in an order in which every value of every axis appears about equally often at any point.

    The next row is the one whose values were taken least often so far, added over the axes: no other row
    lets the sum of squares of these counts grow less. Among equals it is the one whose pairs of values were
    taken least often, then the first.

    Args:
        rows: One value per axis; all rows have the same axes.
        groups: Of each group only one row is taken; None for a group per row.

    Returns:
        Indices of rows, one per group.
    """
    if not rows:
        return []
    names = list(range(len(rows))) if groups is None else list(groups)
    members = _number(names)
    axes = [_number([row[axis] for row in rows]) for axis in range(len(rows[0]))]
    pairs = [first * len(rows) + second for first, second in combinations(axes, 2)]
    outweighs_pairs = len(rows) * len(pairs) + 1
    taken = np.zeros(len(rows), dtype=np.int64)
    order = []
    for _ in range(len(set(names))):
        chosen = int(taken.argmin())
        order.append(chosen)
        for axis in axes:
            taken[axis == axis[chosen]] += outweighs_pairs
        for pair in pairs:
            taken[pair == pair[chosen]] += 1
        taken[members == members[chosen]] = np.iinfo(np.int64).max // 2
    return order


def _number(values: Sequence[Hashable]) -> np.ndarray:
    """The values as numbers, in the order in which they appear first."""
    numbers = {value: number for number, value in enumerate(dict.fromkeys(values))}
    return np.array([numbers[value] for value in values], dtype=np.int64)
