"""Every row of a study as text with its run id: where each number of the report comes from."""

import polars as pl

from limbeck.report.inputs import Study
from limbeck.report.rounds import STRATEGY
from limbeck.report.tables import Table
from limbeck.report.wording import (
    ABSENT,
    label_start,
    label_technique,
    text_bytes,
    text_percent,
    text_plain,
    text_seconds,
    text_spread,
)


def trace_transfers(study: Study, scenario: str) -> Table:
    """Every transfer of one scenario with the ids of its run and of the models it came from."""
    rows = [
        (
            row["run_id"],
            label_technique(row["technique"]) + ("" if row["role"] == "student" else f" ({row['role']})"),
            row["transfer_set"],
            f"{row['teacher_client']} → {row['student_client']}",
            f"{row['teacher_arch']} → {row['student_arch']}",
            row["student_run_id"] or ABSENT,
            row["teacher_run_id"] or ABSENT,
            str(row["seed"]),
            text_plain(row["temperature"]),
            text_plain(row["weight"]),
            text_percent(row["accuracy_before"]),
            text_percent(row["accuracy_after"]),
            text_spread(row["gain"], None),
        )
        for row in study.results.filter(pl.col("scenario") == scenario).iter_rows(named=True)
    ]
    return Table(
        name=f"transfers-{scenario}",
        caption="Every transfer with its run id.",
        columns=(
            "Run",
            "Technique",
            "Transfer set",
            "Clients",
            "Architectures",
            "Student's run",
            "Teacher's run",
            "Seed",
            "T",
            "w",
            "Before",
            "After",
            "Gain",
        ),
        rows=tuple(rows),
        num_labels=7,
    )


def trace_grid(study: Study, scenario: str) -> Table:
    """Every tried temperature and weight of one scenario with its run id."""
    rows = [
        (
            row["run_id"],
            row["transfer_set"],
            f"{row['teacher_client']} → {row['student_client']}",
            str(row["seed"]),
            text_plain(row["temperature"]),
            text_plain(row["weight"]),
            text_percent(row["validation_after"]),
            text_percent(row["accuracy_after"]),
            text_spread(row["gain"], None),
        )
        for row in study.grid.filter(pl.col("scenario") == scenario).iter_rows(named=True)
    ]
    return Table(
        name=f"grid-{scenario}",
        caption="Every setting of the grid with its run id.",
        columns=("Run", "Transfer set", "Clients", "Seed", "T", "w", "Validation", "Test", "Gain"),
        rows=tuple(rows),
        num_labels=3,
    )


def trace_federation(study: Study, scenario: str) -> Table:
    """Every federated run of one scenario with its run id: its first and last accuracy and its cost.

    The strategy has a column where the study has several.
    """
    has_strategies = len(study.strategies) > 1
    frame = study.federation.filter(pl.col("scenario") == scenario).sort("round", maintain_order=True)
    ends = frame.group_by("run_id", "arch", STRATEGY, "start", "seed", maintain_order=True).agg(
        pl.col("accuracy").first().alias("first"),
        pl.col("accuracy", "round", "bytes_sent", "seconds").last(),
        pl.col("start_bytes", "start_seconds", "pretrain_seconds").first(),
    )
    rows = [
        (
            row["run_id"],
            *([study.label_strategy(row[STRATEGY])] if has_strategies else []),
            label_start(row["start"]),
            row["arch"],
            str(row["seed"]),
            str(row["round"]),
            text_percent(row["first"]),
            text_percent(row["accuracy"]),
            text_bytes(row["bytes_sent"]),
            text_seconds(row["seconds"]),
            text_bytes(row["start_bytes"]),
            text_seconds(row["start_seconds"]),
            text_seconds(row["pretrain_seconds"]),
        )
        for row in ends.iter_rows(named=True)
    ]
    return Table(
        name=f"federations-{scenario}",
        caption="Every federated run with its run id.",
        columns=(
            "Run",
            *(["Strategy"] if has_strategies else []),
            "Start",
            "Architecture",
            "Seed",
            "Rounds",
            "At start",
            "At end",
            "Bytes",
            "Seconds",
            "Start's bytes",
            "Start's seconds",
            "Pre-training",
        ),
        rows=tuple(rows),
        num_labels=3 + has_strategies,
    )
