"""What measured cases near a new one say of every setting, and which settings to try first.

Features are brought to mean 0 and deviation 1 over the measured cases; the distance of two cases is the root
mean square of the differences. A measured transfer counts with weight exp(-distance^2 / (2 bandwidth^2)),
and the average over all measured transfers counts as `PRIOR_WEIGHT` transfers more: a case far from
everything is told the average.

A shortlist is made greedily: first the setting with the largest expected gain; then, again and again, the
one that adds most to the expected gain of the best of them. So the second is no near copy of the first, but
what helps where the first does not. Gains are those of students that go back to what they were unless they
pass a check (`limbeck.advise.measured.check_margin`).

References:
    Weights: Nadaraya 1964, "On Estimating Regression", https://doi.org/10.1137/1109020.
    Greedy choice: Nemhauser, Wolsey and Fisher 1978, "An analysis of approximations for maximizing submodular
        set functions", https://doi.org/10.1007/BF01588971: at least 1 - 1/e of the best shortlist's worth.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from limbeck.advise.features import Features

PRIOR_WEIGHT = 0.2
NUM_RESAMPLES = 999
SEED = 0
TAILS = (2.5, 97.5)
# Without a check, at most this share of the near transfers may have made the student worse.
RISK_LIMIT = 0.02

Numbers = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Scale:
    """Measured cases as points.

    Attributes:
        names: The features that are known of every measured case.
        mean: Shape [features].
        deviation: Shape [features], 1 for a feature that does not vary.
        points: The cases' scaled features, shape [cases, features].
    """

    names: tuple[str, ...]
    mean: Numbers
    deviation: Numbers
    points: Numbers

    def measure_distances(self, values: Numbers) -> Numbers:
        """Distances of unscaled points, [points, features], from the measured cases: [points, cases]."""
        scaled = (values - self.mean) / self.deviation
        # One measured case after another: all pairs at once would need points x cases x features numbers.
        columns = [((scaled - point) ** 2).mean(axis=1) for point in self.points]
        return np.sqrt(np.stack(columns, axis=1))


def fit_scale(cases: pl.DataFrame, names: Sequence[str]) -> Scale:
    """The scale of measured cases; features that are unknown of one of them are left out."""
    usable = tuple(name for name in names if cases[name].null_count() == 0)
    values = list_values(cases, usable)
    mean, deviation = values.mean(axis=0), values.std(axis=0)
    deviation = np.where(deviation > 1e-9, deviation, 1.0)
    return Scale(names=usable, mean=mean, deviation=deviation, points=(values - mean) / deviation)


def list_values(cases: pl.DataFrame, names: Sequence[str]) -> Numbers:
    """The features of cases, shape [cases, features]."""
    return cases.select(names).to_numpy().astype(float)


def place(scale: Scale, features: Features) -> Numbers:
    """A new case's features in the order of a scale, shape [1, features]."""
    return np.array([[features[name] for name in scale.names]], dtype=float)


def weigh(distances: Numbers, bandwidth: float) -> Numbers:
    """The weights of measured transfers at these distances, in [0, 1]."""
    return np.exp(-0.5 * (distances / bandwidth) ** 2)


def average(values: Numbers, weights: Numbers) -> Numbers:
    """The weighted mean of every setting, with the prior; shape [settings], NaN for one never measured.

    Law: with weights of 0 it is the plain mean over all measured transfers.

    Args:
        values: Shape [transfers, settings]; NaN where not measured.
        weights: Shape [transfers].
    """
    is_known = ~np.isnan(values)
    with_prior = weights[:, None] + PRIOR_WEIGHT / len(values)
    mass = (with_prior * is_known).sum(axis=0)
    sums = (with_prior * np.where(is_known, values, 0.0)).sum(axis=0)
    return np.divide(sums, mass, out=np.full(len(mass), np.nan), where=mass > 0)


def make_shortlist(checked: Numbers, weights: Numbers, *, size: int, allowed: NDArray[np.bool_]) -> list[int]:
    """The settings to try, the most promising first; fewer than `size` where nothing more is gained.

    Args:
        checked: Gains after the check, [transfers, settings]; NaN where not measured. The first setting
            leaves the student alone and is never listed.
        weights: Of the transfers, shape [transfers].
        size: At most so many, at least 1.
        allowed: Which settings may be listed, shape [settings].
    """
    expected = average(checked, weights)
    may_list = allowed & ~np.isnan(expected)
    may_list[0] = False
    filled = np.where(np.isnan(checked), expected, checked)
    with_prior = (weights + PRIOR_WEIGHT / len(checked))[:, None]
    best, chosen = np.zeros(len(checked)), []
    for _ in range(size):
        worth = (with_prior * (np.maximum(filled, best[:, None]) - best[:, None])).sum(axis=0)
        worth[~may_list] = -np.inf
        number = int(worth.argmax())
        if worth[number] <= 0:
            break
        chosen.append(number)
        may_list[number] = False
        best = np.maximum(best, filled[:, number])
    return chosen


def pick_unchecked(gains: Numbers, weights: Numbers, *, allowed: NDArray[np.bool_]) -> int:
    """The setting for a student that is not checked afterwards: often to leave it alone, which is setting 0.

    Of the settings that made at most `RISK_LIMIT` of the near transfers worse, the one that gained most.
    """
    is_worse = np.where(np.isnan(gains), np.nan, gains < 0)
    risk, expected = average(is_worse, weights), average(gains, weights)
    is_safe = allowed & (risk <= RISK_LIMIT)
    is_safe[0] = True
    return int(np.where(is_safe, expected, -np.inf).argmax())


def resample_mean(values: Numbers, weights: Numbers, groups: NDArray[np.int64]) -> tuple[float, float] | None:
    """The 95 % interval of a weighted mean by resampling whole groups; None for fewer than two groups.

    Args:
        values: Shape [transfers]; NaN does not count.
        weights: Shape [transfers].
        groups: The number of the case that each transfer belongs to: its seeds are no independent evidence.
    """
    is_known = ~np.isnan(values)
    size = int(groups.max()) + 1
    mass = np.bincount(groups[is_known], weights[is_known], minlength=size)
    sums = np.bincount(groups[is_known], (weights * values)[is_known], minlength=size)
    mass, sums = mass[mass > 0], sums[mass > 0]
    if len(mass) < 2:
        return None
    draws = np.random.default_rng(SEED).integers(0, len(mass), size=(NUM_RESAMPLES, len(mass)))
    low, high = np.percentile(sums[draws].sum(axis=1) / mass[draws].sum(axis=1), TAILS)
    return float(low), float(high)
