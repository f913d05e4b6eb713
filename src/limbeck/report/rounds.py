"""The federated tables of a study: curves, rounds-to-target, what a start and what a strategy saves.

**A seed that never reaches the target** is counted as one round more than were run, and with every byte and
second that was spent. That is the least it can cost. So a saving *against* such a run is a lower bound, a
saving *of* such a run an upper bound, and where both failed nothing is known; a ``bound`` column says which.
"""

from collections.abc import Sequence

import polars as pl

SCRATCH = "scratch"
NAIVE_STARTS = ("best-client", "weight-average")
STRATEGY = "federated_strategy"
RUN = ("scenario", "arch", STRATEGY, "start", "seed", "run_id")
GOAL = ("scenario", "arch", STRATEGY, "start", "target")
COSTS = ("bytes", "seconds", "bytes_with_start", "seconds_with_start")
ROUNDS_SCHEMA: dict[str, pl.DataType] = {
    **dict.fromkeys(("scenario", "arch", STRATEGY, "start"), pl.String()),
    "seed": pl.Int64(),
    "run_id": pl.String(),
    **dict.fromkeys(("rounds_run",), pl.Int64()),
    **dict.fromkeys((*COSTS, *(f"{cost}_run" for cost in COSTS), "target"), pl.Float64()),
    "rounds": pl.Int64(),
    "reached": pl.Boolean(),
}


def add_costs(federation: pl.DataFrame) -> pl.DataFrame:
    """`federation` with ``bytes_with_start`` and ``seconds_with_start``: costs that include making the start.

    A start costs ``start_bytes``, ``start_seconds`` and the ``pretrain_seconds`` of the clients' own models,
    which are 0 where neither the start nor the strategy uses these.
    """
    seconds = pl.col("seconds") + pl.col("start_seconds") + pl.col("pretrain_seconds")
    return federation.with_columns(
        (pl.col("bytes_sent") + pl.col("start_bytes")).cast(pl.Float64).alias("bytes_with_start"),
        seconds.alias("seconds_with_start"),
    )


def federated_curves(federation: pl.DataFrame) -> pl.DataFrame:
    """The global model's accuracy by round, over seeds, with what was spent until then.

    A curve ends with the first of its seeds that ended: the mean of the others would be one of the slow.

    Args:
        federation: The rows of ``federation.parquet``.

    Returns:
        ``scenario``, ``arch``, ``federated_strategy``, ``start``, ``round``, ``seeds``, ``accuracy_mean``,
        ``accuracy_sd`` (null for a single seed) and the means of ``bytes``, ``seconds``,
        ``bytes_with_start``, ``seconds_with_start``.
    """
    curve = ("scenario", "arch", STRATEGY, "start")
    rows = add_costs(federation).with_columns(pl.col("round").max().over("run_id").alias("_last"))
    return (
        rows.filter(pl.col("round") <= pl.col("_last").min().over(*curve))
        .rename({"bytes_sent": "bytes"})
        .sort("round", maintain_order=True)
        .group_by(*curve, "round", maintain_order=True)
        .agg(
            pl.len().cast(pl.Int64).alias("seeds"),
            pl.col("accuracy").mean().alias("accuracy_mean"),
            pl.col("accuracy").std().alias("accuracy_sd"),
            pl.col(*COSTS).mean(),
        )
    )


def rounds_to_target(federation: pl.DataFrame, targets: Sequence[float]) -> pl.DataFrame:
    """The first round at which each run's global model reaches each target, and what was spent until then.

    Round 0 is the starting model: a start that is good enough needs 0 rounds. Costs with the start are
    those of `add_costs`.

    Args:
        federation: The rows of ``federation.parquet``.
        targets: Accuracies in [0, 1].

    Returns:
        ``scenario``, ``arch``, ``federated_strategy``, ``start``, ``seed``, ``run_id``, ``target``,
        ``reached``, ``rounds``, ``bytes``, ``seconds``, ``bytes_with_start``, ``seconds_with_start`` (null
        when never reached), and the same with the ending ``_run`` for all rounds that were run.
    """
    rows = add_costs(federation).rename({"bytes_sent": "bytes", "round": "rounds"})
    rows = rows.sort("rounds", maintain_order=True)
    runs = rows.group_by(*RUN, maintain_order=True).agg(pl.col("rounds", *COSTS).last().name.suffix("_run"))
    frames = [_reach(rows, runs, target) for target in targets]
    return pl.concat(frames) if frames else pl.DataFrame(schema=ROUNDS_SCHEMA)


def count_unreached(rounds: pl.DataFrame) -> pl.DataFrame:
    """`rounds` without nulls: a run that never reached the target counts as the least it can cost.

    That is one round more than were run, and all bytes and seconds that were spent.
    """
    return rounds.with_columns(
        pl.col("rounds").fill_null(pl.col("rounds_run") + 1),
        *(pl.col(cost).fill_null(pl.col(f"{cost}_run")) for cost in COSTS),
    )


def summarise_rounds(rounds: pl.DataFrame) -> pl.DataFrame:
    """Rounds-to-target over seeds, for each scenario, strategy, start and target.

    Args:
        rounds: What `rounds_to_target` returned.

    Returns:
        ``scenario``, ``arch``, ``federated_strategy``, ``start``, ``target``, ``seeds``, ``reached`` (how
        many of them), ``rounds_run``, ``median_rounds``, ``mean_rounds`` and the means of the four costs.
        Seeds that never reached the target are counted by `count_unreached`; then the means are lower bounds.
    """
    return (
        count_unreached(rounds)
        .group_by(*GOAL, maintain_order=True)
        .agg(
            pl.len().cast(pl.Int64).alias("seeds"),
            pl.col("reached").sum().cast(pl.Int64),
            pl.col("rounds_run").max(),
            pl.col("rounds").median().alias("median_rounds"),
            pl.col("rounds").mean().alias("mean_rounds"),
            pl.col(*COSTS).mean(),
        )
    )


def rounds_saved(rounds: pl.DataFrame) -> pl.DataFrame:
    """Rounds that each start saves against scratch and the best naive warm start, strategy by strategy.

    The saving of a seed is ``rounds(reference) - rounds(start)`` of the same seed and strategy; its
    percentage is the mean saving over the mean rounds of the reference (null when that is zero). The best
    naive warm start is the one of `NAIVE_STARTS` with the fewest mean rounds in that scenario, strategy and
    target, a tie going to the first: the comparison that is hardest to win. Unreached seeds are counted by
    `count_unreached`.

    Args:
        rounds: What `rounds_to_target` returned.

    Returns:
        ``scenario``, ``arch``, ``federated_strategy``, ``start``, ``target``, and for scratch and naive:
        ``scratch_rounds``, ``scratch_saved``, ``scratch_saved_sd`` (over seeds; null for a single one),
        ``scratch_saved_percent``, ``scratch_bound``, ``naive_start``, ``naive_rounds``, ``naive_saved``,
        ``naive_saved_sd``, ``naive_saved_percent``, ``naive_bound``. A bound is ``exact``, ``at least``,
        ``at most`` or ``unknown``. Null where the study has no such reference.
    """
    pairs = pair_with_references(rounds)
    return (
        _goals(rounds)
        .join(_sum_up(pairs["scratch"], "scratch"), on=list(GOAL), how="left", maintain_order="left")
        .join(_best_naive(rounds), on=list(_without("start")), how="left", maintain_order="left")
        .join(_sum_up(pairs["naive"], "naive"), on=list(GOAL), how="left", maintain_order="left")
    )


def strategies_saved(rounds: pl.DataFrame) -> pl.DataFrame:
    """Rounds that each strategy saves against the study's first one, from the same start.

    Args:
        rounds: What `rounds_to_target` returned.

    Returns:
        ``scenario``, ``arch``, ``federated_strategy``, ``start``, ``target``, ``first_rounds``,
        ``first_saved``, ``first_saved_sd``, ``first_saved_percent``, ``first_bound``; as in `rounds_saved`.
    """
    pairs = pair_with_references(rounds)["first"]
    return _goals(rounds).join(_sum_up(pairs, "first"), on=list(GOAL), how="left", maintain_order="left")


def total_savings(rounds: pl.DataFrame) -> pl.DataFrame:
    """What each start saved in all with each strategy, over scenarios and targets.

    A percentage is the saved rounds over the reference's rounds, both summed over the goals that can be
    compared: those in which at least one of the two reached the target in every seed. It is bounded where
    some of them is. Its deviation is that of the seeds' own percentages over the same goals.

    Args:
        rounds: What `rounds_to_target` returned.

    Returns:
        ``federated_strategy``, ``start``, and for ``scratch``, ``naive`` and ``first`` (the study's first
        strategy from the same start): ``..._goals``, ``..._better`` (in how many it took fewer rounds),
        ``..._percent``, ``..._sd`` (null for a single seed), ``..._bounded``. Null where nothing can be
        compared.
    """
    keys = [STRATEGY, "start"]
    saved = rounds_saved(rounds).join(strategies_saved(rounds), on=list(GOAL), maintain_order="left")
    table = rounds.select(*keys).unique(maintain_order=True)
    for name, pairs in pair_with_references(rounds).items():
        known = saved.filter(pl.col(f"{name}_bound") != "unknown")
        for part in (_total(known, name, keys), _spread_of_totals(pairs, known, name, keys)):
            table = table.join(part, on=keys, how="left", maintain_order="left")
    return table


def pair_with_references(rounds: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """Every run beside what it is compared with, seed by seed.

    Args:
        rounds: What `rounds_to_target` returned.

    Returns:
        ``scratch``: beside the run from scratch; ``naive``: beside that from the best naive warm start, both
        by the same strategy; ``first``: beside that by the study's first strategy from the same start.
    """
    counted = count_unreached(rounds)
    choice = _best_naive(rounds).rename({"naive_start": "start"})
    naive = counted.join(choice, on=list(GOAL), how="semi", maintain_order="left")
    return {
        "scratch": _pair(counted, counted.filter(pl.col("start") == SCRATCH), without="start"),
        "naive": _pair(counted, naive, without="start"),
        "first": _pair(
            counted, counted.filter(pl.col(STRATEGY) == pl.col(STRATEGY).first()), without=STRATEGY
        ),
    }


def _reach(rows: pl.DataFrame, runs: pl.DataFrame, target: float) -> pl.DataFrame:
    hits = (
        rows.filter(pl.col("accuracy") >= target)
        .group_by(*RUN, maintain_order=True)
        .agg(pl.col("rounds", *COSTS).first())
    )
    return (
        runs.join(hits, on=list(RUN), how="left", maintain_order="left")
        .with_columns(pl.lit(float(target)).alias("target"), pl.col("rounds").is_not_null().alias("reached"))
        .select(pl.col(name).cast(dtype) for name, dtype in ROUNDS_SCHEMA.items())
    )


def _best_naive(rounds: pl.DataFrame) -> pl.DataFrame:
    places = {name: place for place, name in enumerate(NAIVE_STARTS)}
    return (
        summarise_rounds(rounds)
        .filter(pl.col("start").is_in(list(NAIVE_STARTS)))
        .with_columns(pl.col("start").replace_strict(places, return_dtype=pl.Int64).alias("_place"))
        .sort("mean_rounds", "_place")
        .group_by(*_without("start"), maintain_order=True)
        .agg(pl.col("start").first().alias("naive_start"))
    )


def _without(name: str) -> tuple[str, ...]:
    """The columns of a goal but one."""
    return tuple(column for column in GOAL if column != name)


def _goals(rounds: pl.DataFrame) -> pl.DataFrame:
    return rounds.select(*GOAL).unique(maintain_order=True)


def _pair(counted: pl.DataFrame, reference: pl.DataFrame, *, without: str) -> pl.DataFrame:
    """Each run beside the reference of its seed, which shares its goal but for one column."""
    keys = [*_without(without), "seed"]
    beside = reference.select(
        *keys, pl.col("rounds").alias("_reference"), pl.col("reached").alias("_reference_reached")
    )
    return counted.join(beside, on=keys, how="inner", maintain_order="left").with_columns(
        (pl.col("_reference") - pl.col("rounds")).alias("_saved")
    )


def _sum_up(pairs: pl.DataFrame, name: str) -> pl.DataFrame:
    """What was saved over seeds, with what kind of bound it is."""
    reference_failed = (~pl.col("_reference_reached")).any()
    start_failed = (~pl.col("reached")).any()
    table = pairs.group_by(*GOAL, maintain_order=True).agg(
        pl.col("_reference").mean().alias(f"{name}_rounds"),
        pl.col("_saved").mean().alias(f"{name}_saved"),
        pl.col("_saved").std().alias(f"{name}_saved_sd"),
        pl.when(reference_failed & start_failed)
        .then(pl.lit("unknown"))
        .when(reference_failed)
        .then(pl.lit("at least"))
        .when(start_failed)
        .then(pl.lit("at most"))
        .otherwise(pl.lit("exact"))
        .alias(f"{name}_bound"),
    )
    percent = _percent(pl.col(f"{name}_saved"), pl.col(f"{name}_rounds"))
    return table.with_columns(percent.alias(f"{name}_saved_percent"))


def _total(known: pl.DataFrame, name: str, keys: list[str]) -> pl.DataFrame:
    return known.group_by(*keys, maintain_order=True).agg(
        pl.len().cast(pl.Int64).alias(f"{name}_goals"),
        (pl.col(f"{name}_saved") > 0).sum().cast(pl.Int64).alias(f"{name}_better"),
        _percent(pl.col(f"{name}_saved").sum(), pl.col(f"{name}_rounds").sum()).alias(f"{name}_percent"),
        (pl.col(f"{name}_bound") != "exact").any().alias(f"{name}_bounded"),
    )


def _spread_of_totals(pairs: pl.DataFrame, known: pl.DataFrame, name: str, keys: list[str]) -> pl.DataFrame:
    return (
        pairs.join(known.select(*GOAL), on=list(GOAL), how="semi", maintain_order="left")
        .group_by(*keys, "seed", maintain_order=True)
        .agg(_percent(pl.col("_saved").sum(), pl.col("_reference").sum()).alias("_percent"))
        .group_by(*keys, maintain_order=True)
        .agg(pl.col("_percent").std().alias(f"{name}_sd"))
    )


def _percent(saved: pl.Expr, reference: pl.Expr) -> pl.Expr:
    """The share that was saved in percent, null of nothing."""
    return pl.when(reference > 0).then(100 * saved / reference)
