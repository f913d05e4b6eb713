"""Differences between techniques with the uncertainty that a study leaves: pairs first, then a bootstrap.

Two techniques are compared on the same pair of models, data and seed, so what both share cancels. Transfers
of one scenario and seed share their split and their models and are no independent evidence: intervals come
from resampling such groups whole (a cluster bootstrap, percentiles of `NUM_RESAMPLES` draws).

References:
    Headline figures: "Practical Insights into Knowledge Distillation for Pre-Trained Models",
        https://arxiv.org/abs/2402.14922, abstract.
    Bootstrap: Davison and Hinkley 1997, "Bootstrap Methods and their Application", chapter 3.8.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.stats import bootstrap

from limbeck.report.compute import BASELINE, CONFIDENCE, PAIR, student_rows, tuning_pairs

GROUP = ("scenario", "seed")
IID = "uniform"
NUM_RESAMPLES = 9999
SEED = 0
# What tuned KD gained over the best untuned technique, in percent, as the paper's abstract gives it.
PAPER_PERCENT = {True: 16.0, False: 139.0}


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A number with its 95 % interval.

    Attributes:
        value: The number.
        low: Lower end, None where there are fewer than two groups.
        high: Upper end.
        num_groups: Scenario-seed groups behind it.
        num_transfers: Transfers behind it.
    """

    value: float
    low: float | None
    high: float | None
    num_groups: int
    num_transfers: int


@dataclass(frozen=True, kw_only=True)
class HeadlineFigure:
    """What tuning added to the gain of the best untuned technique, beside what the paper says.

    Attributes:
        is_iid: Whether it is of scenarios split uniformly, or of all others.
        percent: 100 times (summed gain of tuned KD over that of the best untuned technique, minus 1); None
            where the untuned techniques gained nothing.
        points: Mean gain of tuned KD minus that of the best untuned technique, a fraction.
        tuned_gain: Mean gain of tuned KD.
        untuned_gain: Mean gain of the best untuned technique.
        paper_percent: What the paper gives.
    """

    is_iid: bool
    percent: Estimate | None
    points: Estimate
    tuned_gain: float
    untuned_gain: float
    paper_percent: float


def effect_table(results: pl.DataFrame, baseline: str = BASELINE) -> pl.DataFrame:
    """The gain of every technique minus that of a baseline on the same pairs of models, over a whole study.

    Args:
        results: The rows of ``results.parquet``.
        baseline: The technique to compare with.

    Returns:
        ``technique``, ``transfers``, ``groups``, ``effect``, ``low``, ``high`` (fractions; the interval is
        null for a single group) and ``better`` (share of the pairs in which it gained more), highest effect
        first; no rows where the baseline was not run.
    """
    return sum_up_differences(paired_differences(results, baseline)).sort("effect", descending=True)


def sum_up_differences(differences: pl.DataFrame) -> pl.DataFrame:
    """The mean difference of each technique with its interval, in the columns of `effect_table`.

    Args:
        differences: Hold `GROUP`, ``technique`` and ``difference``, one row per pair of models.
    """
    rows = []
    for (technique,), own in differences.group_by("technique", maintain_order=True):
        estimate = estimate_mean(own, "difference")
        rows.append(
            {
                "technique": technique,
                "transfers": estimate.num_transfers,
                "groups": estimate.num_groups,
                "effect": estimate.value,
                "low": estimate.low,
                "high": estimate.high,
                "better": float((own["difference"].to_numpy() > 0).mean()),
            }
        )
    schema = {
        "technique": pl.String,
        "transfers": pl.Int64,
        "groups": pl.Int64,
        **dict.fromkeys(("effect", "low", "high", "better"), pl.Float64),
    }
    return pl.DataFrame(rows, schema=schema)


def paired_differences(results: pl.DataFrame, baseline: str = BASELINE) -> pl.DataFrame:
    """`PAIR`, ``technique`` and ``difference``: its gain minus the baseline's for the same models and data.

    Args:
        results: The rows of ``results.parquet``.
        baseline: The technique to compare with.
    """
    rows = student_rows(results)
    reference = rows.filter(pl.col("technique") == baseline).select(*PAIR, pl.col("gain").alias("_reference"))
    return (
        rows.filter(pl.col("technique") != baseline)
        .join(reference, on=list(PAIR), maintain_order="left")
        .select(*PAIR, "technique", (pl.col("gain") - pl.col("_reference")).alias("difference"))
    )


def headline_figures(results: pl.DataFrame) -> list[HeadlineFigure]:
    """The paper's two figures from a study: on scenarios split uniformly, and on the others.

    The untuned technique is the one that validation chooses for each pair of models (see `tuning_pairs`), so
    that neither side has seen the test samples.

    Args:
        results: The rows of ``results.parquet``.
    """
    strategies = dict(results.select("scenario", "strategy").unique().iter_rows())
    pairs = tuning_pairs(results)
    is_iid = pairs["scenario"].replace_strict(strategies, return_dtype=pl.String) == IID
    figures = []
    for wanted in (True, False):
        own = pairs.filter(is_iid == wanted)
        if own.height:
            figures.append(_sum_up(own, is_iid=wanted))
    return figures


def estimate_mean(rows: pl.DataFrame, column: str) -> Estimate:
    """The mean of a column with its interval.

    Args:
        rows: Hold `GROUP` and the column.
        column: Its name.
    """
    return _estimate(rows, (column, None), lambda sums: sums[0] / sums[1])


def _sum_up(pairs: pl.DataFrame, *, is_iid: bool) -> HeadlineFigure:
    tuned, untuned = (float(pairs[name].to_numpy().mean()) for name in ("tuned_gain", "untuned_gain"))
    percent = None
    if untuned > 0:
        percent = _estimate(pairs, ("tuned_gain", "untuned_gain"), lambda sums: 100 * (sums[0] / sums[1] - 1))
    return HeadlineFigure(
        is_iid=is_iid,
        percent=percent,
        points=estimate_mean(pairs, "worth"),
        tuned_gain=tuned,
        untuned_gain=untuned,
        paper_percent=PAPER_PERCENT[is_iid],
    )


def _estimate(
    rows: pl.DataFrame,
    columns: tuple[str, str | None],
    statistic: Callable[[list[NDArray[np.float64]]], NDArray[np.float64]],
) -> Estimate:
    """A function of two sums over all rows, resampled by group; None stands for the number of rows."""
    sums = [pl.len().cast(pl.Float64) if name is None else pl.col(name).sum() for name in columns]
    groups = rows.group_by(*GROUP, maintain_order=True).agg(sums[0].alias("_first"), sums[1].alias("_second"))
    parts = tuple(groups[name].to_numpy() for name in ("_first", "_second"))
    value = float(statistic([part.sum(axis=-1) for part in parts]))
    interval = _resample(parts, statistic) if groups.height > 1 else (None, None)
    return Estimate(
        value=value, low=interval[0], high=interval[1], num_groups=groups.height, num_transfers=rows.height
    )


def _resample(
    parts: tuple[NDArray[np.float64], ...],
    statistic: Callable[[list[NDArray[np.float64]]], NDArray[np.float64]],
) -> tuple[float, float]:
    drawn = bootstrap(
        parts,
        lambda *drawn, axis: statistic([part.sum(axis=axis) for part in drawn]),
        paired=True,
        confidence_level=CONFIDENCE,
        n_resamples=NUM_RESAMPLES,
        method="percentile",
        rng=np.random.default_rng(SEED),
    )
    return float(drawn.confidence_interval.low), float(drawn.confidence_interval.high)
