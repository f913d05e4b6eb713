"""The transfer tables of a study: gains, what tuning was worth, response surfaces, forgetting.

No plotting here. A *case* is a scenario with its transfer set and architectures. Several pairs of clients
in one case and seed are averaged first, so every spread is a spread over seeds, not over pairs.
"""

import numpy as np
import polars as pl
from scipy.special import stdtrit

CASE = ("scenario", "transfer_set", "student_arch", "teacher_arch")
PAIR = (*CASE, "seed", "student_client", "teacher_client")
TUNED = "tuned-kd"
BASELINE = "finetune"
UNTUNED = ("kd", "dml", "dp-kd", "dp-kd-unsupervised")
VANILLA_TEMPERATURE = 1.0
VANILLA_WEIGHT = 0.5
CONFIDENCE = 0.95


def student_rows(results: pl.DataFrame) -> pl.DataFrame:
    """The transfers in which a model was the student; the peers of mutual learning are left out."""
    return results.filter(pl.col("role") == "student")


def average_by_seed(results: pl.DataFrame) -> pl.DataFrame:
    """One row per case, technique and seed: each measure averaged over the pairs of clients.

    Args:
        results: The rows of ``results.parquet``.

    Returns:
        `CASE`, ``technique``, ``seed``, ``transfers`` (how many pairs), ``gain``, ``accuracy_before``,
        ``accuracy_after``, ``validation_after``, ``teacher_accuracy``, ``forgetting``, ``positive_share``
        and ``negative_share`` (flips as a fraction of the test samples), ``share_from_teacher``, ``seconds``.
    """
    return (
        student_rows(results)
        .group_by(*CASE, "technique", "seed", maintain_order=True)
        .agg(
            pl.len().cast(pl.Int64).alias("transfers"),
            pl.col(
                "gain",
                "accuracy_before",
                "accuracy_after",
                "validation_after",
                "teacher_accuracy",
                "forgetting",
                "share_from_teacher",
                "seconds",
            ).mean(),
            (pl.col("positive_flips") / pl.col("num_test_samples")).mean().alias("positive_share"),
            (pl.col("negative_flips") / pl.col("num_test_samples")).mean().alias("negative_share"),
        )
    )


def technique_table(results: pl.DataFrame) -> pl.DataFrame:
    """Mean and standard deviation over seeds of what each technique did in each case.

    Args:
        results: The rows of ``results.parquet``.

    Returns:
        `CASE`, ``technique``, ``seeds``, ``transfers``, and for ``gain``, ``accuracy_before``,
        ``accuracy_after``, ``validation_after``, ``teacher_accuracy``, ``forgetting`` and ``seconds`` the
        columns ``..._mean`` and ``..._sd`` (n - 1 in the denominator; null for a single seed). Fractions.
        ``gain_low`` and ``gain_high`` are the ends of the gain's interval; see `tuning_worth`.
    """
    measures = (
        "gain",
        "accuracy_before",
        "accuracy_after",
        "validation_after",
        "teacher_accuracy",
        "forgetting",
        "seconds",
    )
    table = _spread_over_seeds(average_by_seed(results), (*CASE, "technique"), measures)
    return add_interval(table, "gain", table["seeds"])


def forgetting_table(results: pl.DataFrame) -> pl.DataFrame:
    """Mean and standard deviation over seeds of what each technique made the student forget and learn.

    Args:
        results: The rows of ``results.parquet``.

    Returns:
        `CASE`, ``technique``, ``seeds``, ``transfers``, and ``..._mean`` and ``..._sd`` for ``forgetting``,
        ``positive_share`` (test samples right only after the transfer, as a fraction of all) and
        ``negative_share`` (right only before). Their difference is the gain.
    """
    return _spread_over_seeds(
        average_by_seed(results), (*CASE, "technique"), ("forgetting", "positive_share", "negative_share")
    )


def class_changes(results: pl.DataFrame) -> pl.DataFrame:
    """How each class's accuracy changed, per case and technique.

    Args:
        results: The rows of ``results.parquet``; null entries (a class absent in the test set) are skipped.

    Returns:
        `CASE`, ``technique``, ``class_index``, ``before``, ``after``, ``change`` (means over all transfers of
        the case that have the class; ``change = after - before``).
    """
    rows = student_rows(results).filter(pl.col("class_accuracy_before").list.len() > 0)
    return (
        rows.select(
            *CASE,
            "technique",
            pl.int_ranges(pl.col("class_accuracy_before").list.len().cast(pl.Int64)).alias("class_index"),
            pl.col("class_accuracy_before").alias("before"),
            pl.col("class_accuracy_after").alias("after"),
        )
        .explode("class_index", "before", "after")
        .drop_nulls(["before", "after"])
        .group_by(*CASE, "technique", "class_index", maintain_order=True)
        .agg(pl.col("before").mean(), pl.col("after").mean())
        .with_columns((pl.col("after") - pl.col("before")).alias("change"))
    )


def tuning_pairs(results: pl.DataFrame) -> pl.DataFrame:
    """Tuned KD beside the best untuned technique and beside finetune, for each pair of clients and seed.

    The best untuned technique (of `UNTUNED`) is the one with the highest validation accuracy after the
    transfer; the test set has no say. A tie goes to the technique named first in `UNTUNED`.

    Args:
        results: The rows of ``results.parquet``.

    Returns:
        `PAIR`, ``tuned_gain``, ``temperature``, ``weight``, ``untuned_technique``, ``untuned_gain``,
        ``finetune_gain`` (null when not run), ``worth`` (tuned minus untuned gain), ``over_finetune``.
        Pairs without tuned KD or without any untuned technique are left out.
    """
    rows = student_rows(results)
    tuned = rows.filter(pl.col("technique") == TUNED).select(
        *PAIR, pl.col("gain").alias("tuned_gain"), "temperature", "weight"
    )
    baseline = rows.filter(pl.col("technique") == BASELINE).select(
        *PAIR, pl.col("gain").alias("finetune_gain")
    )
    return (
        tuned.join(_best_untuned(rows), on=list(PAIR), how="inner", maintain_order="left")
        .join(baseline, on=list(PAIR), how="left", maintain_order="left")
        .with_columns(
            (pl.col("tuned_gain") - pl.col("untuned_gain")).alias("worth"),
            (pl.col("tuned_gain") - pl.col("finetune_gain")).alias("over_finetune"),
        )
    )


def tuning_worth(results: pl.DataFrame) -> pl.DataFrame:
    """What tuning the temperature and weight was worth in each case, over seeds.

    For each seed ``worth = gain(tuned KD) - gain(best untuned technique by validation)``; see `tuning_pairs`.
    The interval is ``mean ± t(0.975, n - 1) * sd / sqrt(n)`` over the n seeds. The relative improvement is
    ``100 * mean worth / mean untuned gain``: a ratio of means, because a seed with an untuned gain near zero
    would swamp a mean of ratios.

    Args:
        results: The rows of ``results.parquet``.

    Returns:
        `CASE`, ``seeds``, ``tuned_gain``, ``untuned_gain``, ``finetune_gain`` (means), ``worth_mean``,
        ``worth_sd``, ``worth_low``, ``worth_high``, ``relative_percent`` (null unless the untuned gain is
        above zero), ``over_finetune_mean``, ``..._sd``, ``..._low``, ``..._high`` (against finetune; null
        when finetune was not run), ``untuned_techniques`` (the chosen ones). Spreads and intervals are null
        for a single seed.
    """
    pairs = tuning_pairs(results)
    gains = ("tuned_gain", "untuned_gain", "finetune_gain")
    chosen = pairs.group_by(*CASE, maintain_order=True).agg(
        pl.col("untuned_technique").unique().sort().alias("untuned_techniques")
    )
    by_seed = pairs.group_by(*CASE, "seed", maintain_order=True).agg(
        pl.col(*gains, "worth", "over_finetune").mean()
    )
    table = by_seed.group_by(*CASE, maintain_order=True).agg(
        pl.len().cast(pl.Int64).alias("seeds"),
        pl.col(*gains).mean(),
        *(
            expression
            for name in ("worth", "over_finetune")
            for expression in (
                pl.col(name).count().cast(pl.Int64).alias(f"_{name}_seeds"),
                pl.col(name).mean().alias(f"{name}_mean"),
                pl.col(name).std().alias(f"{name}_sd"),
            )
        ),
    )
    for name in ("worth", "over_finetune"):
        table = add_interval(table, name, table[f"_{name}_seeds"]).drop(f"_{name}_seeds")
    relative = 100 * pl.col("worth_mean") / pl.col("untuned_gain")
    return table.with_columns(
        pl.when(pl.col("untuned_gain") > 0).then(relative).alias("relative_percent")
    ).join(chosen, on=list(CASE), how="left", maintain_order="left")


def grid_surface(grid: pl.DataFrame) -> pl.DataFrame:
    """The response surface over temperature and weight of each case, averaged over seeds.

    Args:
        grid: The rows of ``grid.parquet``.

    Returns:
        `CASE`, ``temperature``, ``weight``, ``seeds``, ``gain``, ``forgetting``, ``validation_after``
        (means), ``is_best`` (the one setting of the case with the highest mean validation accuracy; a tie
        goes to the lower temperature, then the lower weight) and ``is_vanilla`` (T = 1, w = 0.5).
    """
    setting = ("temperature", "weight")
    surface = (
        grid.group_by(*CASE, *setting, "seed", maintain_order=True)
        .agg(pl.col("gain", "forgetting", "validation_after").mean())
        .group_by(*CASE, *setting, maintain_order=True)
        .agg(pl.len().cast(pl.Int64).alias("seeds"), pl.col("gain", "forgetting", "validation_after").mean())
    )
    best = (
        surface.sort("validation_after", *setting, descending=[True, False, False], maintain_order=True)
        .group_by(*CASE, maintain_order=True)
        .first()
        .select(*CASE, *setting, pl.lit(True).alias("is_best"))
    )
    return surface.join(best, on=[*CASE, *setting], how="left", maintain_order="left").with_columns(
        pl.col("is_best").fill_null(False),
        ((pl.col("temperature") == VANILLA_TEMPERATURE) & (pl.col("weight") == VANILLA_WEIGHT)).alias(
            "is_vanilla"
        ),
    )


def add_interval(table: pl.DataFrame, name: str, counts: pl.Series) -> pl.DataFrame:
    """`table` with the ends of a mean's 95 % interval, ``..._low`` and ``..._high``.

    The interval is ``mean ± t(0.975, n - 1) * sd / sqrt(n)``, and null where n < 2.

    Args:
        table: Holds ``..._mean`` and ``..._sd``.
        name: What stands before these endings.
        counts: n of each row.
    """
    half_width = pl.col(f"{name}_sd") * pl.Series(_interval_factors(counts.to_numpy()), dtype=pl.Float64)
    return table.with_columns(
        (pl.col(f"{name}_mean") - half_width).alias(f"{name}_low"),
        (pl.col(f"{name}_mean") + half_width).alias(f"{name}_high"),
    )


def _spread_over_seeds(
    by_seed: pl.DataFrame, keys: tuple[str, ...], measures: tuple[str, ...]
) -> pl.DataFrame:
    return by_seed.group_by(*keys, maintain_order=True).agg(
        pl.len().cast(pl.Int64).alias("seeds"),
        pl.col("transfers").sum(),
        *(pl.col(name).mean().alias(f"{name}_mean") for name in measures),
        *(pl.col(name).std().alias(f"{name}_sd") for name in measures),
    )


def _best_untuned(rows: pl.DataFrame) -> pl.DataFrame:
    places = {name: place for place, name in enumerate(UNTUNED)}
    return (
        rows.filter(pl.col("technique").is_in(list(UNTUNED)))
        .with_columns(pl.col("technique").replace_strict(places, return_dtype=pl.Int64).alias("_place"))
        .sort("validation_after", "_place", descending=[True, False], nulls_last=True)
        .group_by(*PAIR, maintain_order=True)
        .first()
        .select(
            *PAIR,
            pl.col("technique").alias("untuned_technique"),
            pl.col("gain").alias("untuned_gain"),
        )
    )


def _interval_factors(counts: np.ndarray) -> list[float | None]:
    """t(0.975, n - 1) / sqrt(n) for each n; None where n < 2."""
    upper = (1 + CONFIDENCE) / 2
    return [float(stdtrit(n - 1, upper) / np.sqrt(n)) if n > 1 else None for n in counts]
