"""What a study's transfers, searches, starts and rounds took in computing time and bytes."""

import polars as pl

from limbeck.report.compute import BASELINE, TUNED, student_rows
from limbeck.report.inputs import Study
from limbeck.report.rounds import STRATEGY
from limbeck.report.tables import Table
from limbeck.report.wording import (
    ABSENT,
    TECHNIQUE_LABELS,
    label_start,
    label_technique,
    order_known,
    text_bytes,
    text_number,
    text_seconds,
)

RUN_COSTS = ("bytes_sent", "seconds", "start_bytes", "start_seconds", "pretrain_seconds")
KIND = ("arch", STRATEGY, "start")


def transfer_costs(results: pl.DataFrame, grid: pl.DataFrame) -> pl.DataFrame:
    """Computing time of each technique's transfers, and of the searches that tuned KD is chosen by.

    Args:
        results: The rows of ``results.parquet``.
        grid: The rows of ``grid.parquet``.

    Returns:
        ``technique``, ``transfers``, ``seconds_mean`` (of one transfer), ``search_mean`` (of one search: all
        settings of the grid for one pair of models; null for techniques that are not searched) and
        ``seconds_total`` (of the study: all transfers, or all searches, which hold the chosen transfer).
    """
    table = (
        student_rows(results)
        .group_by("technique", maintain_order=True)
        .agg(
            pl.len().cast(pl.Int64).alias("transfers"),
            pl.col("seconds").mean().alias("seconds_mean"),
            pl.col("seconds").sum().alias("seconds_total"),
        )
    )
    searched = (pl.col("technique") == TUNED) & pl.lit(grid.height > 0)
    total = float(grid["seconds"].to_numpy().sum())
    return table.with_columns(
        pl.when(searched).then(total / pl.col("transfers")).alias("search_mean"),
        pl.when(searched).then(total).otherwise(pl.col("seconds_total")).alias("seconds_total"),
    )


def federation_costs(federation: pl.DataFrame) -> pl.DataFrame:
    """What making each start and one round of each strategy took, averaged over scenarios and seeds.

    Args:
        federation: The rows of ``federation.parquet``.

    Returns:
        ``arch``, ``federated_strategy``, ``start``, ``runs``, ``start_bytes``, ``start_seconds``,
        ``pretrain_seconds`` (means per run), ``round_bytes`` and ``round_seconds`` (means per round over all
        rounds that were run; null where none was).
    """
    runs = (
        federation.sort("round", maintain_order=True)
        .group_by("run_id", *KIND, maintain_order=True)
        .agg(pl.col("round", *RUN_COSTS).last())
    )
    rounds = pl.col("round").sum()
    return runs.group_by(*KIND, maintain_order=True).agg(
        pl.len().cast(pl.Int64).alias("runs"),
        pl.col("start_bytes", "start_seconds", "pretrain_seconds").mean(),
        pl.when(rounds > 0).then(pl.col("bytes_sent").sum() / rounds).alias("round_bytes"),
        pl.when(rounds > 0).then(pl.col("seconds").sum() / rounds).alias("round_seconds"),
    )


def tabulate_transfer_costs(study: Study) -> Table:
    """Computing time by technique, beside that of finetuning."""
    table = transfer_costs(study.results, study.grid)
    found = {row["technique"]: row for row in table.iter_rows(named=True)}
    baseline = found[BASELINE]["seconds_mean"] if BASELINE in found else None
    ordered = [found[name] for name in order_known(list(found), tuple(TECHNIQUE_LABELS))]
    rows = [
        (
            label_technique(row["technique"]),
            f"{row['transfers']:,}",
            text_seconds(row["seconds_mean"]),
            text_number(row["seconds_mean"] / baseline, 2) if baseline else ABSENT,
            text_seconds(row["search_mean"]),
            text_seconds(row["seconds_total"]),
        )
        for row in ordered
    ]
    return Table(
        name="transfer-costs",
        caption="Computing time by technique: of one transfer (mean), as a multiple of finetuning, of one "
        "search over the whole grid, and of all of them together. Measuring and the teacher's own forward "
        "pass are not in it.",
        columns=("Technique", "Transfers", "One transfer", "Times finetune", "One search", "All together"),
        rows=tuple(rows),
    )


def tabulate_federation_costs(study: Study) -> Table:
    """Bytes and computing time of every start and of one round after it."""
    table = federation_costs(study.federation)
    has_archs, has_strategies = table["arch"].n_unique() > 1, len(study.strategies) > 1
    rows = [
        (
            label_start(row["start"]),
            *([study.label_strategy(row[STRATEGY])] if has_strategies else []),
            *([row["arch"]] if has_archs else []),
            f"{row['runs']:,}",
            text_bytes(row["start_bytes"]),
            text_seconds(row["start_seconds"]),
            text_seconds(row["pretrain_seconds"]),
            text_bytes(row["round_bytes"]),
            text_seconds(row["round_seconds"]),
        )
        for row in table.iter_rows(named=True)
    ]
    return Table(
        name="federation-costs",
        caption="What making a start and one round after it took: means over runs and rounds. Seconds are "
        "those of all clients added.",
        columns=(
            "Start",
            *(["Strategy"] if has_strategies else []),
            *(["Architecture"] if has_archs else []),
            "Runs",
            "Bytes of the start",
            "Time of the start",
            "Clients' pre-training",
            "Bytes of a round",
            "Time of a round",
        ),
        rows=tuple(rows),
        num_labels=1 + has_strategies + has_archs,
    )
