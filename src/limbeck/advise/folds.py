"""Leaving one scenario out: how advice is tuned, and how it is judged.

A scenario is a way to split, by its name: every study, data set, seed and pair of models in which data were
split so is left out together. So advice is judged on splits it has never seen.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from limbeck.advise.measured import Measured
from limbeck.advise.predict import (
    Numbers,
    fit_scale,
    list_values,
    make_shortlist,
    pick_unchecked,
    weigh,
)

BANDWIDTHS = (0.2, 0.3, 0.5, 0.8, 1.2)
SHORTLIST = 5
# A case is far from all when it is farther from the nearest than so many of the measured cases from theirs.
FAR_QUANTILE = 0.95


@dataclass(frozen=True, kw_only=True, eq=False)
class Picks:
    """What is recommended in held-out cases, by number of the setting.

    Attributes:
        shortlists: One list per case.
        unchecked: The setting for a student that is not checked afterwards, shape [cases].
        distances: Distance of the nearest measured case, shape [cases].
    """

    shortlists: list[list[int]]
    unchecked: np.ndarray
    distances: Numbers


def list_folds(measured: Measured) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Each scenario with the rows of all others and with its own."""
    scenarios = measured.cases["scenario"].to_numpy()
    for scenario in sorted(set(scenarios)):
        is_own = scenarios == scenario
        yield scenario, np.flatnonzero(~is_own), np.flatnonzero(is_own)


def recommend_held_out(
    measured: Measured, held_out: Measured, names: Sequence[str], bandwidth: float, *, size: int = SHORTLIST
) -> Picks:
    """What measured cases recommend in others; only what was tried there, for the rest cannot be judged."""
    scale = fit_scale(measured.cases, names)
    distances = scale.measure_distances(list_values(held_out.cases, scale.names))
    weights, is_tried = weigh(distances, bandwidth), ~np.isnan(held_out.gains)
    checked, gains = measured.checked_gains.astype(float), measured.gains.astype(float)
    rows = range(len(distances))
    return Picks(
        shortlists=[make_shortlist(checked, weights[row], size=size, allowed=is_tried[row]) for row in rows],
        unchecked=np.array([pick_unchecked(gains, weights[row], allowed=is_tried[row]) for row in rows]),
        distances=distances.min(axis=1),
    )


def take_best(measured: Measured, shortlists: Sequence[Sequence[int]]) -> Numbers:
    """What a student gains that tries a shortlist, keeps the best by validation, and that only if it passes.

    Args:
        measured: The cases.
        shortlists: One per case; an empty one leaves the student alone.

    Returns:
        The gain on the test samples, a fraction, shape [cases].
    """
    gains = np.zeros(len(shortlists))
    for row, shortlist in enumerate(shortlists):
        if shortlist:
            best = shortlist[int(measured.validation_gains[row, shortlist].argmax())]
            gains[row] = measured.checked_gains[row, best]
    return gains


def choose_bandwidth(measured: Measured, names: Sequence[str], *, size: int = SHORTLIST) -> float:
    """The bandwidth with the largest mean gain in held-out scenarios, the first of equals."""
    totals = dict.fromkeys(BANDWIDTHS, 0.0)
    for _, others, own in list_folds(measured):
        seen, held_out = measured.take(others), measured.take(own)
        for bandwidth in BANDWIDTHS:
            picks = recommend_held_out(seen, held_out, names, bandwidth, size=size)
            totals[bandwidth] += float(take_best(held_out, picks.shortlists).sum())
    return max(totals, key=lambda bandwidth: totals[bandwidth])


def measure_reach(measured: Measured, names: Sequence[str]) -> float:
    """The distance beyond which a case is far from all that was measured.

    It is the `FAR_QUANTILE` of the measured cases' distances from the nearest case of another scenario.
    """
    scale = fit_scale(measured.cases, names)
    distances = scale.measure_distances(list_values(measured.cases, scale.names))
    scenarios = measured.cases["scenario"].to_numpy()
    return find_reach(distances, scenarios, scenarios)


def find_reach(distances: Numbers, own: np.ndarray, others: np.ndarray) -> float:
    """The `FAR_QUANTILE` of distances to the nearest point of another scenario; 0 where there is no other.

    Args:
        distances: Shape [points, other points].
        own: The points' scenarios.
        others: Those of the other points.
    """
    nearest = np.where(own[:, None] == others[None], np.inf, distances).min(axis=1)
    finite = nearest[np.isfinite(nearest)]
    return float(np.quantile(finite, FAR_QUANTILE)) if len(finite) else 0.0
