"""The cases of a study: a scenario with its transfer set and architectures, and their names for a reader."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from limbeck.report.compute import CASE
from limbeck.report.inputs import Study

Key = tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Case:
    """One case: its key in the order of `CASE` and its name."""

    key: Key
    label: str

    @property
    def scenario(self) -> str:
        """The scenario it belongs to."""
        return self.key[0]


def list_cases(study: Study) -> list[Case]:
    """Every case of the results and the grid, in reading order.

    A name mentions the transfer set or the architectures only where the study has several.
    """
    keys = list(dict.fromkeys([*_keys(study.results), *_keys(study.grid)]))
    scenarios = list(dict.fromkeys(key[0] for key in keys))
    ordered = sorted(keys, key=lambda key: scenarios.index(key[0]))
    has_sets = len({key[1] for key in keys}) > 1
    has_archs = len({key[2:] for key in keys}) > 1
    return [
        Case(
            key=key,
            label=_name_case(key, study.label_scenario(key[0]), has_sets=has_sets, has_archs=has_archs),
        )
        for key in ordered
    ]


def pick_case(frame: pl.DataFrame, case: Case) -> pl.DataFrame:
    """The rows of `frame` that belong to `case`."""
    return frame.filter(
        pl.all_horizontal(pl.col(name) == value for name, value in zip(CASE, case.key, strict=True))
    )


def case_key(row: Mapping[str, Any]) -> Key:
    """The key of the case that a row belongs to."""
    return tuple(row[name] for name in CASE)


def name_cases(cases: list[Case]) -> dict[Key, str]:
    """Each case's name by its key."""
    return {case.key: case.label for case in cases}


def _keys(frame: pl.DataFrame) -> list[Key]:
    return list(frame.select(*CASE).unique(maintain_order=True).iter_rows())


def _name_case(key: Key, scenario_label: str, *, has_sets: bool, has_archs: bool) -> str:
    _, transfer_set, student_arch, teacher_arch = key
    parts = [scenario_label]
    if has_sets:
        parts.append(f"{transfer_set} data")
    if has_archs:
        parts.append(f"{teacher_arch} → {student_arch}")
    return ", ".join(parts)
