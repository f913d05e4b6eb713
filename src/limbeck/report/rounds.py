"""The federated tables of a study: curves, rounds-to-target and what a start saves.

**A seed that never reaches the target** is counted as one round more than were run, and with every byte and
second that was spent. That is the least it can cost. So a saving *against* such a run is a lower bound, a
saving *of* such a run an upper bound, and where both failed nothing is known; a ``bound`` column says which.
"""

from collections.abc import Sequence

import polars as pl

SCRATCH = "scratch"
NAIVE_STARTS = ("best-client", "weight-average")
RUN = ("scenario", "arch", "start", "seed", "run_id")
GOAL = ("scenario", "arch", "start", "target")
COSTS = ("bytes", "seconds", "bytes_with_start", "seconds_with_start")
ROUNDS_SCHEMA: dict[str, pl.DataType] = {
    **dict.fromkeys(("scenario", "arch", "start"), pl.String()),
    "seed": pl.Int64(),
    "run_id": pl.String(),
    **dict.fromkeys(("rounds_run",), pl.Int64()),
    **dict.fromkeys((*COSTS, *(f"{cost}_run" for cost in COSTS), "target"), pl.Float64()),
    "rounds": pl.Int64(),
    "reached": pl.Boolean(),
}


def add_costs(federation: pl.DataFrame) -> pl.DataFrame:
    """`federation` with ``bytes_with_start`` and ``seconds_with_start``: costs that include making the start.

    A start from scratch costs nothing. Any other costs ``start_bytes``, ``start_seconds`` and the
    ``pretrain_seconds`` of the clients' own models, which it cannot do without.
    """
    is_made = (pl.col("start") != SCRATCH).cast(pl.Float64)
    return federation.with_columns(
        (pl.col("bytes_sent") + is_made * pl.col("start_bytes")).alias("bytes_with_start"),
        (pl.col("seconds") + is_made * (pl.col("start_seconds") + pl.col("pretrain_seconds"))).alias(
            "seconds_with_start"
        ),
    )


def federated_curves(federation: pl.DataFrame) -> pl.DataFrame:
    """The global model's accuracy by round, over seeds, with what was spent until then.

    Args:
        federation: The rows of ``federation.parquet``.

    Returns:
        ``scenario``, ``arch``, ``start``, ``round``, ``seeds``, ``accuracy_mean``, ``accuracy_sd`` (null for
        a single seed) and the means of ``bytes``, ``seconds``, ``bytes_with_start``, ``seconds_with_start``.
    """
    return (
        add_costs(federation)
        .rename({"bytes_sent": "bytes"})
        .sort("round", maintain_order=True)
        .group_by("scenario", "arch", "start", "round", maintain_order=True)
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
        ``scenario``, ``arch``, ``start``, ``seed``, ``run_id``, ``target``, ``reached``, ``rounds``,
        ``bytes``, ``seconds``, ``bytes_with_start``, ``seconds_with_start`` (null when never
        reached), and the same with the ending ``_run`` for all rounds that were run.
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
    """Rounds-to-target over seeds, for each scenario, start and target.

    Args:
        rounds: What `rounds_to_target` returned.

    Returns:
        ``scenario``, ``arch``, ``start``, ``target``, ``seeds``, ``reached`` (how many of them),
        ``rounds_run``, ``median_rounds``, ``mean_rounds`` and the means of the four costs. Seeds that never
        reached the target are counted by `count_unreached`; then the means are lower bounds.
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
    """Rounds that each start saves against scratch and against the best naive warm start.

    The saving of a seed is ``rounds(reference) - rounds(start)`` of the same seed; its percentage is the mean
    saving over the mean rounds of the reference (null when that is zero). The best naive warm start is the
    one of `NAIVE_STARTS` with the fewest mean rounds in that scenario and target, a tie going to the first:
    the comparison that is hardest to win. Unreached seeds are counted by `count_unreached`.

    Args:
        rounds: What `rounds_to_target` returned.

    Returns:
        ``scenario``, ``arch``, ``start``, ``target``, and for scratch and naive: ``scratch_rounds``,
        ``scratch_saved``, ``scratch_saved_percent``, ``scratch_bound``, ``naive_start``, ``naive_rounds``,
        ``naive_saved``, ``naive_saved_percent``, ``naive_bound``. A bound is ``exact``, ``at least``,
        ``at most`` or ``unknown``. Null where the study has no such reference.
    """
    counted = count_unreached(rounds)
    naive_choice = _best_naive(rounds)
    naive = counted.join(
        naive_choice.rename({"naive_start": "start"}), on=list(GOAL), how="semi", maintain_order="left"
    )
    goals = counted.select(*GOAL).unique(maintain_order=True)
    return (
        goals.join(
            _saved_against(counted, counted.filter(pl.col("start") == SCRATCH), "scratch"),
            on=list(GOAL),
            how="left",
            maintain_order="left",
        )
        .join(naive_choice, on=["scenario", "arch", "target"], how="left", maintain_order="left")
        .join(_saved_against(counted, naive, "naive"), on=list(GOAL), how="left", maintain_order="left")
    )


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
        .group_by("scenario", "arch", "target", maintain_order=True)
        .agg(pl.col("start").first().alias("naive_start"))
    )


def _saved_against(counted: pl.DataFrame, reference: pl.DataFrame, name: str) -> pl.DataFrame:
    keys = ["scenario", "arch", "seed", "target"]
    pairs = counted.join(
        reference.select(
            *keys, pl.col("rounds").alias("_reference"), pl.col("reached").alias("_reference_reached")
        ),
        on=keys,
        how="inner",
        maintain_order="left",
    )
    reference_failed = (~pl.col("_reference_reached")).any()
    start_failed = (~pl.col("reached")).any()
    table = pairs.group_by(*GOAL, maintain_order=True).agg(
        pl.col("_reference").mean().alias(f"{name}_rounds"),
        (pl.col("_reference") - pl.col("rounds")).mean().alias(f"{name}_saved"),
        pl.when(reference_failed & start_failed)
        .then(pl.lit("unknown"))
        .when(reference_failed)
        .then(pl.lit("at least"))
        .when(start_failed)
        .then(pl.lit("at most"))
        .otherwise(pl.lit("exact"))
        .alias(f"{name}_bound"),
    )
    percent = 100 * pl.col(f"{name}_saved") / pl.col(f"{name}_rounds")
    return table.with_columns(
        pl.when(pl.col(f"{name}_rounds") > 0).then(percent).alias(f"{name}_saved_percent")
    )
