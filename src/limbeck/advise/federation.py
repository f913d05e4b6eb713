"""Advice on a federation: the start and strategy that took the fewest rounds in near measured federations.

Rounds are compared with those of `fedavg` from scratch in the same scenario, seed and target, so that easy
and hard scenarios weigh alike. A run that never reached its target counts as one round more than were run.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from limbeck.advise.counts import LabelCounts
from limbeck.advise.features import describe_federation
from limbeck.advise.folds import find_reach
from limbeck.advise.measured import Measured
from limbeck.advise.predict import Numbers, Scale, fit_scale, list_values, place, resample_mean, weigh
from limbeck.advise.record import FederationAdvice, FederationOption
from limbeck.advise.table import FEDERATION_FEATURES
from limbeck.advise.transfer import read_shipped
from limbeck.core.errors import require
from limbeck.federate.starts import STARTS
from limbeck.federate.strategies import get_strategy
from limbeck.report.rounds import NAIVE_STARTS, SCRATCH, STRATEGY

REFERENCE = "fedavg"
OPTION = (STRATEGY, "start")
SPLIT = ("study", "scenario", "seed")
BANDWIDTH = 0.5
NUM_NEAREST = 3
# An option counts as if it had taken as many rounds as scratch in so many federations more.
PRIOR_FEDERATIONS = 1.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Federations:
    """Measured federations, one row per option, split and target.

    Attributes:
        table: `SPLIT`, ``label``, ``target``, `OPTION`, the features, ``share`` (rounds over those of
            `REFERENCE` from scratch) and ``naive`` (the same over the better of `NAIVE_STARTS`; null where
            none was measured).
        scale: The rows as points.
    """

    table: pl.DataFrame
    scale: Scale


def advise_federation(
    counts: LabelCounts, *, measured: Measured | None = None, has_proxy: bool = False
) -> FederationAdvice:
    """Start and strategy for clients with these label counts.

    Args:
        counts: At least two clients.
        measured: The evidence; None for what ships with the package.
        has_proxy: Whether there is an unlabelled proxy set, which some starts and strategies need.

    Raises:
        InputError: When there are fewer than two clients, or the evidence has no federations.
    """
    require(
        len(counts.clients) >= 2,
        "a federation has at least two clients",
        f"{len(counts.clients)}",
        "Name the counts of every client with --counts.",
    )
    features = describe_federation(counts.told)
    found = compare_rounds((measured or read_shipped()).federations)
    distances = found.scale.measure_distances(place(found.scale, features))[0]
    reach = measure_reach(found)
    has_evidence = float(distances.min()) <= reach
    usable = [option for option in list_options(found.table) if has_proxy or not needs_proxy(*option)]
    options = rank_options(found, distances, reach, usable) if has_evidence else []
    return FederationAdvice(
        features=features,
        options=tuple(options),
        distance=float(distances.min()),
        reach=reach,
        nearest=_name_nearest(found.table, distances),
    )


def compare_rounds(federations: pl.DataFrame) -> Federations:
    """Rounds of every measured federation against those of its reference.

    Goals that neither it nor its reference reached say nothing and are left out.

    Raises:
        InputError: When there is none.
    """
    goal = [*SPLIT, "target"]
    counted = federations.with_columns(
        pl.col("rounds").is_not_null().alias("reached"), pl.col("rounds").fill_null(pl.col("rounds_run") + 1)
    )
    by_reference = pl.col(STRATEGY) == REFERENCE
    scratch = counted.filter(by_reference, pl.col("start") == SCRATCH).select(
        *goal, pl.col("rounds").alias("_scratch"), pl.col("reached").alias("_scratch_reached")
    )
    naive = (
        counted.filter(by_reference, pl.col("start").is_in(list(NAIVE_STARTS)))
        .group_by(goal)
        .agg(pl.col("rounds").min().alias("_naive"))
    )
    table = (
        counted.unique([*goal, *OPTION], keep="first", maintain_order=True)
        .join(scratch.unique(goal), on=goal, how="inner", maintain_order="left")
        .join(naive, on=goal, how="left", maintain_order="left")
        .filter(pl.col("reached") | pl.col("_scratch_reached"), pl.col("_scratch") > 0)
        .with_columns(
            (pl.col("rounds") / pl.col("_scratch")).alias("share"),
            (pl.col("rounds") / pl.max_horizontal("_naive", 1)).alias("naive"),
        )
        .select(*goal, "label", *OPTION, *FEDERATION_FEATURES, "share", "naive")
    )
    require(table.height > 0, "federations were measured", "none", "Give a table that has some.")
    return Federations(table=table, scale=fit_scale(table, FEDERATION_FEATURES))


def list_options(table: pl.DataFrame) -> list[tuple[str, str]]:
    """The (strategy, start) pairs that were measured."""
    return list(table.select(OPTION).unique(maintain_order=True).iter_rows())


def needs_proxy(strategy: str, start: str) -> bool:
    """Whether anyone learns from a proxy set. A strategy may come with settings behind its name."""
    chosen = get_strategy(strategy.split(maxsplit=1)[0])
    return STARTS[start].needs_proxy or chosen.server_needs_proxy or chosen.clients_need_proxy


def rank_options(
    found: Federations, distances: Numbers, reach: float, usable: Sequence[tuple[str, str]]
) -> list[FederationOption]:
    """The options that were measured nearby, the fewest rounds first.

    An option counts only where it was measured in the nearest scenario's neighbourhood, `reach` wide.
    """
    weights, is_near = weigh(distances, BANDWIDTH), distances <= reach
    options = []
    for strategy, start in usable:
        is_own = ((found.table[STRATEGY] == strategy) & (found.table["start"] == start)).to_numpy() & is_near
        if is_own.any():
            options.append(_describe_option(found.table, weights, is_own, strategy, start))
    return sorted(options, key=lambda option: _shrink(option.rounds_share, option.num_federations))


def measure_reach(found: Federations) -> float:
    """The distance beyond which a federation is far from all measured ones, as for transfers."""
    splits = found.table.unique(SPLIT, maintain_order=True)
    distances = found.scale.measure_distances(list_values(splits, found.scale.names))
    return find_reach(distances, splits["scenario"].to_numpy(), found.table["scenario"].to_numpy())


def _name_nearest(table: pl.DataFrame, distances: Numbers) -> tuple[str, ...]:
    labels = table["label"][np.argsort(distances, kind="stable")].unique(maintain_order=True)
    return tuple(labels[:NUM_NEAREST].to_list())


def _shrink(share: float, num_federations: int) -> float:
    """A share drawn towards 1, which is scratch's, the more so the fewer federations it was measured in."""
    return (num_federations * share + PRIOR_FEDERATIONS) / (num_federations + PRIOR_FEDERATIONS)


def _describe_option(
    table: pl.DataFrame, weights: Numbers, is_own: np.ndarray, strategy: str, start: str
) -> FederationOption:
    rows, own_weights = table.filter(is_own), weights[is_own]
    shares, naive = rows["share"].to_numpy().astype(float), rows["naive"].to_numpy().astype(float)
    scenarios = rows.select(pl.concat_str("study", "scenario", separator="\x1f")).to_series().to_numpy()
    groups = np.unique(scenarios, return_inverse=True)[1]
    interval = resample_mean(shares, own_weights, groups)
    has_naive = not np.isnan(naive).any()
    return FederationOption(
        start=start,
        strategy=strategy,
        rounds_share=float(np.average(shares, weights=own_weights)),
        low=None if interval is None else interval[0],
        high=None if interval is None else interval[1],
        naive_share=float(np.average(naive, weights=own_weights)) if has_naive else None,
        num_federations=rows.height,
    )
