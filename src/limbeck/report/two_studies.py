"""Two studies beside each other: what both ran is compared pair by pair, what only one ran is named.

A transfer of one study matches that of the other with the same scenario, transfer set, architectures, seed,
clients and technique; a federation that with the same scenario, architecture, strategy, start and seed. All
differences are the second study's value minus the first's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import polars as pl

from limbeck.core.errors import InputError, enumerate_words
from limbeck.report.compute import PAIR, add_interval, student_rows
from limbeck.report.inputs import Study, read_study
from limbeck.report.rounds import STRATEGY, add_costs, count_unreached, rounds_to_target
from limbeck.report.statistics import sum_up_differences

TRANSFER = (*PAIR, "technique")
FEDERATION = ("scenario", "arch", STRATEGY, "start", "seed")
# What a reader asks of both studies, with the column that answers.
KINDS: Mapping[str, str] = {
    "Scenarios": "scenario",
    "Techniques": "technique",
    "Transfer sets": "transfer_set",
    "Teachers": "teacher_arch",
    "Students": "student_arch",
    "Seeds": "seed",
    "Federated strategies": STRATEGY,
    "Starts": "start",
    "Federated architectures": "arch",
}


@dataclass(frozen=True, kw_only=True)
class TwoStudies:
    """Two studies and what both of them ran.

    Attributes:
        first: The study that is compared with.
        second: The study that is compared.
        names: What a reader knows them by, in this order.
        transfers: What `match_transfers` found.
        federations: What `match_federations` found.
    """

    first: Study
    second: Study
    names: tuple[str, str]
    transfers: pl.DataFrame
    federations: pl.DataFrame

    @cached_property
    def effects(self) -> pl.DataFrame:
        """What `list_effects` finds in the transfers, which takes its time."""
        return list_effects(self.transfers)


def read_two_studies(first: Path, second: Path) -> TwoStudies:
    """The studies of two folders, matched.

    Raises:
        InputError: When a file is missing or damaged, or the studies have nothing in common.
    """
    studies = (read_study(Path(first)), read_study(Path(second)))
    two = match_studies(*studies, names=_name_folders(studies, (Path(first), Path(second))))
    if not two.transfers.height and not two.federations.height:
        scenarios = [enumerate_words(sorted(_values(study, "scenario"))) or "none" for study in studies]
        raise InputError(
            f"Two studies must share a transfer or a federation, but `{first}` (scenarios {scenarios[0]}) "
            f"and `{second}` (scenarios {scenarios[1]}) have none in common. Give two studies with a "
            "scenario, a seed, the same architectures and a technique or start in common."
        )
    return two


def match_studies(first: Study, second: Study, *, names: tuple[str, str]) -> TwoStudies:
    """Two studies with what both of them ran."""
    return TwoStudies(
        first=first,
        second=second,
        names=names,
        transfers=match_transfers(first.results, second.results),
        federations=match_federations(first, second),
    )


def match_transfers(first: pl.DataFrame, second: pl.DataFrame) -> pl.DataFrame:
    """The transfers that both studies ran, with their differences.

    Args:
        first: The rows of one ``results.parquet``.
        second: Those of the other.

    Returns:
        `PAIR`, ``technique``, ``is_same_split``, and for ``gain``, ``accuracy_after``, ``forgetting`` and
        ``seconds`` the columns ``..._first``, ``..._second`` and ``..._difference``. A key that occurs
        several times in a study counts with its first row.
    """
    measures = ("gain", "accuracy_after", "forgetting", "seconds")
    columns = [*TRANSFER, "partition_hash", *measures]
    one, other = (
        student_rows(rows).select(columns).unique(list(TRANSFER), keep="first", maintain_order=True)
        for rows in (first, second)
    )
    pairs = one.join(other, on=list(TRANSFER), suffix="_second", maintain_order="left")
    return pairs.select(
        *TRANSFER,
        (pl.col("partition_hash") == pl.col("partition_hash_second")).alias("is_same_split"),
        *(column for name in measures for column in _beside(name)),
    )


def match_federations(first: Study, second: Study) -> pl.DataFrame:
    """The federations that both studies ran, with their accuracies after the last round that both have.

    Returns:
        `FEDERATION`, ``is_same_split``, ``round`` (that round), and for ``accuracy``, ``bytes_with_start``
        and ``seconds_with_start`` until it the columns ``..._first``, ``..._second`` and ``..._difference``.
    """
    measures = ("accuracy", "bytes_with_start", "seconds_with_start")
    keys = [*FEDERATION, "round"]
    one, other = (
        add_costs(study.federation)
        .select(*keys, "partition_hash", *measures)
        .unique(keys, keep="first", maintain_order=True)
        for study in (first, second)
    )
    pairs = one.join(other, on=keys, suffix="_second", maintain_order="left")
    return (
        pairs.sort("round", maintain_order=True)
        .group_by(*FEDERATION, maintain_order=True)
        .last()
        .select(
            *FEDERATION,
            (pl.col("partition_hash") == pl.col("partition_hash_second")).alias("is_same_split"),
            "round",
            *(column for name in measures for column in _beside(name)),
        )
    )


def match_rounds(two: TwoStudies) -> pl.DataFrame:
    """Rounds to the targets that both studies have, of the federations that both ran.

    Returns:
        `FEDERATION`, ``target``, ``rounds_first``, ``rounds_second``, ``rounds_difference``, ``is_bound``
        (whether one of the two never reached it and counts as one round more than it ran).
    """
    targets = [target for target in two.first.about["targets"] if target in two.second.about["targets"]]
    keys = [*FEDERATION, "target"]
    one, other = (
        count_unreached(rounds_to_target(study.federation, targets))
        .select(*keys, pl.col("rounds").cast(pl.Float64), "reached")
        .unique(keys, keep="first", maintain_order=True)
        for study in (two.first, two.second)
    )
    pairs = one.join(other, on=keys, suffix="_second", maintain_order="left")
    is_bound = ~(pl.col("reached") & pl.col("reached_second"))
    return pairs.select(*keys, *_beside("rounds"), is_bound.alias("is_bound"))


def sum_up_pairs(pairs: pl.DataFrame, keys: Sequence[str], name: str) -> pl.DataFrame:
    """Mean values and differences over seeds, with the interval of the difference.

    Pairs of clients of one seed are averaged first. The interval is that of `tuning_worth`.

    Args:
        pairs: What one of the functions above found.
        keys: What a row of the result stands for.
        name: The measure, such as ``gain``.

    Returns:
        `keys`, ``pairs``, ``seeds``, ``first``, ``second``, ``difference_mean``, ``difference_low``,
        ``difference_high`` (null for a single seed).
    """
    by_seed = pairs.group_by(*keys, "seed", maintain_order=True).agg(
        pl.len().cast(pl.Int64).alias("pairs"),
        pl.col(f"{name}_first").mean().alias("first"),
        pl.col(f"{name}_second").mean().alias("second"),
        pl.col(f"{name}_difference").mean().alias("difference"),
    )
    table = by_seed.group_by(*keys, maintain_order=True).agg(
        pl.col("pairs").sum(),
        pl.len().cast(pl.Int64).alias("seeds"),
        pl.col("first", "second").mean(),
        pl.col("difference").mean().alias("difference_mean"),
        pl.col("difference").std().alias("difference_sd"),
    )
    return add_interval(table, "difference", table["seeds"]).drop("difference_sd")


def list_effects(transfers: pl.DataFrame) -> pl.DataFrame:
    """The difference of each technique's gain over all matched transfers, in the columns of `effect_table`.

    Args:
        transfers: What `match_transfers` found.
    """
    return sum_up_differences(transfers.rename({"gain_difference": "difference"}))


def list_unmatched(two: TwoStudies) -> list[tuple[str, list[str], list[str], list[str]]]:
    """For each of `KINDS`: its name, the values of both studies, of the first alone, of the second alone."""
    rows = []
    for kind, column in KINDS.items():
        one, other = (_values(study, column) for study in (two.first, two.second))
        if one or other:
            shared = [value for value in one if value in other]
            rows.append(
                (
                    kind,
                    shared,
                    [value for value in one if value not in other],
                    [value for value in other if value not in one],
                )
            )
    return rows


def list_changes(two: TwoStudies) -> list[tuple[str, str, str]]:
    """What differs between the specs and circumstances: its name and its value in each study."""
    one, other = (_circumstances(study.about) for study in (two.first, two.second))
    names = list(dict.fromkeys([*one, *other]))
    return [
        (name, one.get(name, ""), other.get(name, ""))
        for name in names
        if one.get(name, "") != other.get(name, "")
    ]


def _beside(name: str) -> tuple[pl.Expr, pl.Expr, pl.Expr]:
    first, second = pl.col(name), pl.col(f"{name}_second")
    return first.alias(f"{name}_first"), second, (second - first).alias(f"{name}_difference")


def _values(study: Study, column: str) -> list[str]:
    """The distinct values of a column over a study's tables, in reading order."""
    tables = (study.results, study.federation)
    return [
        str(value)
        for value in dict.fromkeys(
            value for table in tables if column in table.columns for value in table[column].to_list()
        )
    ]


def _name_folders(studies: tuple[Study, Study], folders: tuple[Path, Path]) -> tuple[str, str]:
    """The studies' names where these differ, else their folders', else A and B with them."""
    for names in (
        tuple(str(study.about["name"]) for study in studies),
        tuple(folder.resolve().name for folder in folders),
        tuple(str(folder) for folder in folders),
    ):
        if names[0] != names[1]:
            return names[0], names[1]
    return f"{folders[0]} (A)", f"{folders[1]} (B)"


def _circumstances(about: Mapping[str, Any]) -> dict[str, str]:
    told = {
        "data fingerprint": about["data"]["fingerprint"],
        "commit": about["commit"] or "not known",
        "processor": about["hardware"]["cpu"],
        "device": about["hardware"]["device"],
        **{f"version of {name}": version for name, version in about["versions"].items()},
        **_flatten(about["spec"], ""),
    }
    return {name: str(value) for name, value in told.items()}


def _flatten(value: Any, prefix: str) -> dict[str, Any]:
    """Every setting of a nested record under its path, with dots between the levels."""
    if isinstance(value, Mapping):
        return {
            path: inner
            for name, held in value.items()
            for path, inner in _flatten(held, f"{prefix}.{name}" if prefix else str(name)).items()
        }
    if isinstance(value, list) and any(isinstance(held, Mapping) for held in value):
        return {
            path: inner
            for place, held in enumerate(value)
            for path, inner in _flatten(held, f"{prefix}[{place}]").items()
        }
    return {prefix: value}
