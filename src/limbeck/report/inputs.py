"""A study's folder as values: read once, checked, put into reading order."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import polars as pl

from limbeck.core.errors import InputError, enumerate_words
from limbeck.report.statistics import effect_table
from limbeck.report.wording import START_LABELS, TECHNIQUE_LABELS, order_known

STUDY_FILE = "study.json"
STUDY_KEYS: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("name", "spec", "spec_hash", "command", "commit", "versions"), ()),
    **dict.fromkeys(("started", "finished", "seconds", "elapsed_seconds", "workers"), ()),
    **dict.fromkeys(("scenarios", "targets"), ()),
    "data": ("name", "fingerprint", "num_train", "num_validation", "num_test", "class_names"),
    "hardware": ("cpu", "cores", "device"),
    "runs": ("total", "done", "skipped", "failed"),
}
SCENARIO_KEYS = ("scenario", "label", "seed", "num_clients", "partition")
PARTITION_KEYS = ("hash", "histogram", "sizes", "mean_divergence")
TEXT, REAL, WHOLE = pl.String(), pl.Float64(), pl.Int64()
REALS = pl.List(pl.Float64)

RESULTS_SCHEMA: dict[str, pl.DataType] = {
    **dict.fromkeys(("run_id", "scenario", "strategy", "parameters", "partition_hash"), TEXT),
    **dict.fromkeys(("num_clients", "seed", "student_client", "teacher_client"), WHOLE),
    **dict.fromkeys(("student_arch", "teacher_arch", "student_run_id", "teacher_run_id"), TEXT),
    **dict.fromkeys(("transfer_set", "technique", "role"), TEXT),
    **dict.fromkeys(("temperature", "weight", "validation_before", "validation_after"), REAL),
    **dict.fromkeys(("accuracy_before", "accuracy_after", "gain", "forgetting"), REAL),
    **dict.fromkeys(("positive_flips", "negative_flips", "num_test_samples"), WHOLE),
    **dict.fromkeys(("teacher_accuracy", "share_from_teacher"), REAL),
    **dict.fromkeys(("class_accuracy_before", "class_accuracy_after"), REALS),
    "seconds": REAL,
}
GRID_SCHEMA: dict[str, pl.DataType] = {
    **dict.fromkeys(("run_id", "scenario"), TEXT),
    **dict.fromkeys(("seed", "student_client", "teacher_client"), WHOLE),
    **dict.fromkeys(("student_arch", "teacher_arch", "transfer_set"), TEXT),
    **dict.fromkeys(("temperature", "weight", "validation_before", "validation_after"), REAL),
    **dict.fromkeys(("accuracy_before", "accuracy_after", "gain", "forgetting", "seconds"), REAL),
}
FEDERATION_SCHEMA: dict[str, pl.DataType] = {
    **dict.fromkeys(("run_id", "scenario", "strategy", "parameters", "partition_hash"), TEXT),
    **dict.fromkeys(("seed", "num_clients"), WHOLE),
    **dict.fromkeys(("arch", "start", "federated_strategy"), TEXT),
    "round": WHOLE,
    **dict.fromkeys(("accuracy", "bytes_sent", "seconds"), REAL),
    **dict.fromkeys(("start_bytes", "start_seconds", "pretrain_seconds"), REAL),
}


@dataclass(frozen=True, kw_only=True)
class Study:
    """Everything a report is made from.

    Attributes:
        about: The content of ``study.json``: data, hardware, versions, scenarios, targets, runs.
        results: One row per transfer, ordered by scenario, technique and seed.
        grid: One row per tried (temperature, weight), ordered by scenario; may have no rows.
        federation: One row per federated run and round, ordered by scenario and start; may have no rows.
    """

    about: Mapping[str, Any]
    results: pl.DataFrame
    grid: pl.DataFrame
    federation: pl.DataFrame

    @cached_property
    def effects(self) -> pl.DataFrame:
        """What every technique gained beyond finetuning; see `effect_table`, which takes its time."""
        return effect_table(self.results)

    def label_scenario(self, scenario: str) -> str:
        """The scenario's name for a reader; its own name when the study does not list it."""
        labels = {entry["scenario"]: str(entry["label"]) for entry in self.about["scenarios"]}
        return labels.get(scenario, scenario)

    @property
    def strategies(self) -> list[str]:
        """The federated strategies that rows are there of, in the order of the study."""
        known = tuple(entry["federated_strategy"] for entry in list_strategies(self.about))
        return order_known(self.federation["federated_strategy"].to_list(), known)

    def label_strategy(self, strategy: str) -> str:
        """The federated strategy's name for a reader; its own name when the study does not list it."""
        labels = {entry["federated_strategy"]: str(entry["label"]) for entry in list_strategies(self.about)}
        return labels.get(strategy, strategy)

    def label_federation(self, row: Mapping[str, Any], *, has_archs: bool, has_strategies: bool) -> str:
        """A federation's scenario for a reader, with architecture and strategy where there are several."""
        label = self.label_scenario(row["scenario"])
        label += f", {row['arch']}" if has_archs else ""
        return label + (f" · {self.label_strategy(row['federated_strategy'])}" if has_strategies else "")


def read_study(folder: Path) -> Study:
    """The study stored in `folder`, with its tables in reading order.

    Raises:
        InputError: When a file is missing or damaged; the message names it.
    """
    about = read_about(folder)
    results = read_table(folder, "results.parquet", RESULTS_SCHEMA)
    grid = read_table(folder, "grid.parquet", GRID_SCHEMA)
    federation = read_table(folder, "federation.parquet", FEDERATION_SCHEMA, complete_fn=complete_federation)
    strategies = tuple(entry["federated_strategy"] for entry in list_strategies(about))
    return Study(
        about=about,
        results=order_rows(results, about, {"technique": tuple(TECHNIQUE_LABELS)}),
        grid=order_rows(grid, about, {"transfer_set": ("student", "teacher", "proxy")}),
        federation=order_rows(
            federation, about, {"federated_strategy": strategies, "start": tuple(START_LABELS)}
        ),
    )


def complete_federation(frame: pl.DataFrame) -> pl.DataFrame:
    """The rows of ``federation.parquet`` as they are written now.

    A file from before strategies could be chosen is of federated averaging, and names the seconds of the
    clients' pre-training in the rows of scratch too, which does without it.
    """
    if "federated_strategy" in frame.columns:
        return frame
    seconds = pl.when(pl.col("start") == "scratch").then(0.0).otherwise(pl.col("pretrain_seconds"))
    return frame.with_columns(pl.lit("fedavg").alias("federated_strategy"), seconds.alias("pretrain_seconds"))


def list_strategies(about: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The federated strategies that ``study.json`` lists; none in a file from before they could be chosen."""
    return about.get("strategies", [])


def read_about(folder: Path) -> dict[str, Any]:
    """The content of the folder's ``study.json``.

    Raises:
        InputError: When the file is missing, is not JSON, or lacks a key.
    """
    path = require_file(folder, STUDY_FILE)
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise damaged(path, str(error)) from error
    absent = list_absent_keys(about)
    if absent:
        raise damaged(path, f"no {enumerate_words(absent)}")
    return about


def list_absent_keys(about: Any) -> list[str]:
    """The keys that ``study.json`` must have and `about` lacks, with dots between the levels."""
    absent = _absent(about, tuple(STUDY_KEYS), "")
    for key, inner in STUDY_KEYS.items():
        if inner and key not in absent:
            absent += _absent(about[key], inner, f"{key}.") if isinstance(about, dict) else []
    entries = about.get("scenarios", []) if isinstance(about, dict) else []
    for number, entry in enumerate(entries):
        lacks = _absent(entry, SCENARIO_KEYS, f"scenarios[{number}].")
        absent += lacks or _absent(entry["partition"], PARTITION_KEYS, f"scenarios[{number}].partition.")
    return absent


def read_table(
    folder: Path,
    name: str,
    schema: Mapping[str, pl.DataType],
    *,
    complete_fn: Callable[[pl.DataFrame], pl.DataFrame] = lambda frame: frame,
) -> pl.DataFrame:
    """The columns of `schema` from one parquet file, cast to its types.

    Args:
        folder: Where the file lies.
        name: Its name.
        schema: The columns.
        complete_fn: What is made of a file before its columns are looked for.

    Raises:
        InputError: When the file is missing, is not parquet, lacks a column or holds another type.
    """
    path = require_file(folder, name)
    try:
        frame = complete_fn(pl.read_parquet(path))
    except (pl.exceptions.PolarsError, OSError) as error:
        raise damaged(path, str(error)) from error
    absent = [column for column in schema if column not in frame.columns]
    if absent:
        raise damaged(path, f"no column {enumerate_words(absent)}")
    try:
        return frame.select(pl.col(column).cast(dtype) for column, dtype in schema.items())
    except pl.exceptions.PolarsError as error:
        raise damaged(path, str(error)) from error


def require_file(folder: Path, name: str) -> Path:
    """The path of a file that a study's folder must have.

    Raises:
        InputError: When it is not there.
    """
    path = folder / name
    if not path.is_file():
        raise InputError(
            f"`{name}` must lie in the study's folder, but `{folder}` has none. "
            "Run `limbeck study` again: finished runs are kept."
        )
    return path


def damaged(path: Path, reason: str) -> InputError:
    """The error that says which file cannot be read, why, and what to do."""
    first_line = reason.strip().splitlines()[0] if reason.strip() else "unreadable"
    return InputError(
        f"`{path}` must be a whole file written by limbeck, but got a damaged one ({first_line}). "
        "Run `limbeck study` again: finished runs are kept."
    )


def order_rows(
    frame: pl.DataFrame, about: Mapping[str, Any], columns: Mapping[str, tuple[str, ...]]
) -> pl.DataFrame:
    """`frame` in reading order: scenarios as the study lists them, each column by its names, then seeds."""
    scenarios = tuple(dict.fromkeys(entry["scenario"] for entry in about["scenarios"]))
    ranks = {"scenario": scenarios, **columns}
    places = [rank_names(frame, column, known).alias(f"_{column}") for column, known in ranks.items()]
    names = [place.name for place in places]
    return frame.with_columns(places).sort(*names, "seed", maintain_order=True).drop(names)


def rank_names(frame: pl.DataFrame, column: str, known: tuple[str, ...]) -> pl.Series:
    """Each row's place of `column` in the order of `order_known`."""
    names = frame[column].to_list()
    places = {name: place for place, name in enumerate(order_known(names, known))}
    return pl.Series([places[name] for name in names], dtype=pl.Int64)


def _absent(record: Any, keys: tuple[str, ...], prefix: str) -> list[str]:
    return [f"{prefix}{key}" for key in keys if not isinstance(record, dict) or key not in record]
