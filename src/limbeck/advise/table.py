"""From the folders of studies to measured cases: one row per pair and seed, one gain per setting."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from limbeck.advise.features import (
    FEATURES,
    describe_counts,
    describe_federation,
)
from limbeck.advise.measured import CASE, LEAVE_ALONE, Measured, Setting
from limbeck.core.errors import require
from limbeck.report.inputs import (
    FEDERATION_SCHEMA,
    complete_federation,
    read_about,
    read_table,
)
from limbeck.report.rounds import rounds_to_target

KD = "kd"
TUNED = "tuned-kd"
PLACES = ("student", "teacher")
PAIR = ("scenario", "seed", "student_client", "teacher_client", "student_arch", "teacher_arch")
FEDERATION_FEATURES = ("divergence", "coverage", "clients", "class_samples")
TEXT, REAL, WHOLE = pl.String(), pl.Float64(), pl.Int64()
MEETING = {
    **dict.fromkeys(("student_parameters", "teacher_parameters", "teacher_only_right"), WHOLE),
    **dict.fromkeys(("transfer_agreement", "transfer_teacher_confidence", "transfer_teacher_accuracy"), REAL),
}
GAIN = dict.fromkeys(("gain", "validation_before", "validation_after"), REAL)
RESULTS_SCHEMA: dict[str, pl.DataType] = {
    **dict.fromkeys(("scenario", "student_arch", "teacher_arch", "transfer_set", "technique", "role"), TEXT),
    **dict.fromkeys(("seed", "student_client", "teacher_client", "num_test_samples"), WHOLE),
    **dict.fromkeys(("temperature", "weight", "accuracy_before", "teacher_accuracy"), REAL),
    **GAIN,
    **MEETING,
}
GRID_SCHEMA: dict[str, pl.DataType] = {
    **dict.fromkeys(("scenario", "student_arch", "teacher_arch", "transfer_set"), TEXT),
    **dict.fromkeys(("seed", "student_client", "teacher_client"), WHOLE),
    **dict.fromkeys(("temperature", "weight"), REAL),
    **GAIN,
}
BUDGET = {"epochs": pl.Int64(), "lr": pl.Float64(), "batch_size": pl.Int64()}
CASES_SCHEMA: dict[str, pl.DataType] = {
    **dict.fromkeys(("study", "scenario"), TEXT),
    **dict.fromkeys(("student_client", "teacher_client"), WHOLE),
    **dict.fromkeys(("student_arch", "teacher_arch"), TEXT),
    "seed": WHOLE,
    **dict.fromkeys(("label", "data"), TEXT),
    "num_validation": WHOLE,
    **BUDGET,
    **dict.fromkeys(FEATURES, pl.Float32()),
}
FEDERATIONS_SCHEMA: dict[str, pl.DataType] = {
    **dict.fromkeys(("study", "scenario", "label", "federated_strategy", "start"), TEXT),
    **dict.fromkeys(("seed", "rounds", "rounds_run"), WHOLE),
    **dict.fromkeys(("target", *FEDERATION_FEATURES), pl.Float32()),
}

Row = Mapping[str, Any]
Gains = tuple[float, float]
"""What a student gained on the test and on the validation samples."""


def read_studies(folders: Sequence[Path], *, command: str = "") -> Measured:
    """The measured cases of studies.

    Args:
        folders: Each holds ``study.json`` and the tables of `limbeck study`, or what was published of them.
        command: What is called to make them, for whoever wants to do it again.

    Raises:
        InputError: When a file is missing or damaged, two studies have one name, or nothing was measured.
    """
    abouts = [read_about(Path(folder)) for folder in folders]
    names = [about["name"] for about in abouts]
    require(len(set(names)) == len(names), "every study is named once", ", ".join(names), "Drop one.")
    parts = [_read_transfers(Path(folder), about) for folder, about in zip(folders, abouts, strict=True)]
    gains = {key: found for _, part in parts for key, found in part.items()}
    rows = [row for part, _ in parts for row in part if _key(row) in gains]
    require(len(rows) > 0, "a study has transfers", f"none in {', '.join(names)}", "Name another folder.")
    settings = (LEAVE_ALONE, *sorted({each for found in gains.values() for each in found}, key=_rank))
    federations = [
        read_federations(Path(folder), about) for folder, about in zip(folders, abouts, strict=True)
    ]
    both = np.array([_line_up(gains[_key(row)], settings) for row in rows], dtype=np.float32)
    return Measured(
        cases=pl.DataFrame(rows, schema=CASES_SCHEMA, orient="row"),
        settings=settings,
        gains=both[:, :, 0],
        validation_gains=both[:, :, 1],
        federations=pl.concat(federations),
        about={"command": command, "studies": [_name_study(about) for about in abouts]},
    )


def read_federations(folder: Path, about: Row) -> pl.DataFrame:
    """How many rounds each federated run of a study took to each target.

    Args:
        folder: The study's.
        about: Its ``study.json``.

    Returns:
        ``study``, ``scenario``, ``label``, ``federated_strategy``, ``start``, ``seed``, ``rounds`` (null
        where the target was never reached), ``rounds_run``, ``target`` and the features of
        `limbeck.advise.features.describe_federation`.
    """
    if not (folder / "federation.parquet").is_file():
        return pl.DataFrame(schema=FEDERATIONS_SCHEMA)
    table = read_table(folder, "federation.parquet", FEDERATION_SCHEMA, complete_fn=complete_federation)
    splits = {
        (entry["scenario"], entry["seed"]): {
            "label": entry["label"],
            **describe_federation(np.array(entry["partition"]["histogram"])),
        }
        for entry in _list_splits(about, "federated")
    }
    rows = [
        {**row, "study": about["name"], **splits[row["scenario"], row["seed"]]}
        for row in rounds_to_target(table, about["targets"]).iter_rows(named=True)
        if (row["scenario"], row["seed"]) in splits
    ]
    chosen = [{name: row[name] for name in FEDERATIONS_SCHEMA} for row in rows]
    return pl.DataFrame(chosen, schema=FEDERATIONS_SCHEMA, orient="row")


def _read_transfers(folder: Path, about: Row) -> tuple[list[dict[str, Any]], dict[Any, dict[Setting, Gains]]]:
    """The cases of a study, and by case what each setting gained."""
    if not (folder / "results.parquet").is_file():
        return [], {}
    results = read_table(folder, "results.parquet", RESULTS_SCHEMA, complete_fn=_complete_results)
    results = results.filter(pl.col("role") == "student", pl.col("transfer_set").is_in(PLACES))
    splits = {(entry["scenario"], entry["seed"]): entry for entry in _list_splits(about, "transfer")}
    rows = [
        _describe_case(part, splits[scenario, seed], about)
        for (scenario, seed, *_), part in results.group_by(PAIR, maintain_order=True)
        if (scenario, seed) in splits
    ]
    gains: dict[Any, dict[Setting, Gains]] = {}
    for source in (_list_untuned(results), _list_points(folder)):
        for row, setting in source:
            validation_gain = row["validation_after"] - row["validation_before"]
            found = gains.setdefault(_key({**row, "study": about["name"]}), {})
            found[setting] = (row["gain"], validation_gain)
    return rows, gains


def _complete_results(frame: pl.DataFrame) -> pl.DataFrame:
    """The rows of ``results.parquet`` with the columns that files from before they were kept lack."""
    absent = [name for name in MEETING if name not in frame.columns]
    return frame.with_columns(pl.lit(None).alias(name) for name in absent)


def _describe_case(rows: pl.DataFrame, split: Row, about: Row) -> dict[str, Any]:
    """A pair of models with a seed: its name, budget and features."""
    row = rows.row(0, named=True)
    counts = np.array(split["partition"]["histogram"])
    student, teacher = counts[row["student_client"]], counts[row["teacher_client"]]
    training = about["spec"]["transfer"]["training"]
    return {
        "study": about["name"],
        **{name: row[name] for name in PAIR},
        "label": split["label"],
        "data": about["data"]["name"],
        "num_validation": about["data"]["num_validation"],
        **{name: training[name] for name in BUDGET},
        **describe_counts(student, teacher),
        "student_accuracy": row["accuracy_before"],
        "gap": row["teacher_accuracy"] - row["accuracy_before"],
        **_describe_meeting(rows),
    }


def _describe_meeting(rows: pl.DataFrame) -> dict[str, float | None]:
    """How the models relate on the test samples and on the student's data, None where it was not kept."""
    row = rows.row(0, named=True)
    own = rows.filter(pl.col("transfer_set") == "student").drop_nulls("transfer_agreement")
    there: Row = own.row(0, named=True) if own.height else {}
    flips, sizes = row["teacher_only_right"], (row["teacher_parameters"], row["student_parameters"])
    return {
        "flips": None if flips is None else flips / row["num_test_samples"],
        "teacher_on_transfer": there.get("transfer_teacher_accuracy"),
        "agreement": there.get("transfer_agreement"),
        "teacher_confidence": there.get("transfer_teacher_confidence"),
        "parameters_ratio": None if None in sizes else math.log2(sizes[0] / sizes[1]),
    }


def _list_untuned(results: pl.DataFrame) -> Iterator[tuple[Row, Setting]]:
    """Every transfer of a technique with its own settings, and these."""
    for row in results.filter(pl.col("technique") != TUNED).iter_rows(named=True):
        yield row, _make_setting(row["technique"], row)


def _list_points(folder: Path) -> Iterable[tuple[Row, Setting]]:
    """Every transfer of the grid and its settings."""
    grid = read_table(folder, "grid.parquet", GRID_SCHEMA)
    for row in grid.filter(pl.col("transfer_set").is_in(PLACES)).iter_rows(named=True):
        yield row, _make_setting(KD, row)


def _make_setting(technique: str, row: Row) -> Setting:
    return Setting(
        technique=technique, temperature=row["temperature"], weight=row["weight"], place=row["transfer_set"]
    )


def _list_splits(about: Row, part: str) -> list[Row]:
    return [entry for entry in about["scenarios"] if entry["part"] == part]


def _line_up(found: Mapping[Setting, Gains], settings: Sequence[Setting]) -> list[Gains]:
    return [(0.0, 0.0) if each == LEAVE_ALONE else found.get(each, (math.nan, math.nan)) for each in settings]


def _key(row: Row) -> tuple[Any, ...]:
    return tuple(row[name] for name in (*CASE, "seed"))


def _rank(setting: Setting) -> tuple[Any, ...]:
    return (setting.place, setting.technique, setting.temperature or 0.0, setting.weight or 0.0)


def _name_study(about: Row) -> dict[str, Any]:
    """What it takes to find a study again."""
    return {
        "name": about["name"],
        "spec_hash": about["spec_hash"],
        "data": about["data"]["name"],
        "data_fingerprint": about["data"]["fingerprint"],
        "commit": about.get("commit"),
    }
