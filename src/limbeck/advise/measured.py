"""What was measured: cases, settings and what each setting gained in each case, as the package ships them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl

from limbeck.core.errors import InputError, describe_error
from limbeck.core.files import write_atomically

SHIPPED = Path(__file__).with_name("measured.parquet")
SHIPPED_FEDERATIONS = Path(__file__).with_name("federations.parquet")
MARGIN = 0.14
METADATA_KEY = "limbeck.advise"
CASE = ("study", "scenario", "student_client", "teacher_client", "student_arch", "teacher_arch")
"""What names a case; its seeds are repetitions."""
REMEDY = "Install limbeck again, or make the table anew: `python -m benchmarks.advice_table STUDY_FOLDER...`."

GAINS = ("gains", "validation_gains")

Place = Literal["student", "teacher"]


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What can be done with a pair of models.

    Attributes:
        technique: Its name, or `LEAVE_ALONE`'s.
        temperature: T, None for a technique without settings.
        weight: w, likewise.
        place: Whose samples the student learns from; None where it learns nothing.
    """

    technique: str
    temperature: float | None
    weight: float | None
    place: Place | None

    @property
    def label(self) -> str:
        """What a reader calls it, such as ``kd, T = 4, w = 0.3, on the student's data``."""
        if self.place is None:
            return "leave the student as it is"
        words = [self.technique]
        if self.temperature is not None:
            words += [f"T = {self.temperature:g}", f"w = {self.weight:g}"]
        return ", ".join([*words, f"on the {self.place}'s data"])


LEAVE_ALONE = Setting(technique="none", temperature=None, weight=None, place=None)


@dataclass(frozen=True, kw_only=True, eq=False)
class Measured:
    """Measured cases.

    Attributes:
        cases: One row per case and seed: `CASE`, ``seed``, ``label``, ``data``, ``num_validation``, the
            budget (``epochs``, ``lr``, ``batch_size``) and the features, null where unknown.
        settings: What was tried; the first is `LEAVE_ALONE`.
        gains: The student's gain on the test samples, a fraction, float32 of shape [rows of `cases`,
            settings]; NaN where it was not measured, 0 for `LEAVE_ALONE`.
        validation_gains: The same on the validation samples, which a check may look at.
        federations: One row per federated run and target; see `limbeck.advise.table.read_federations`.
        about: Where they come from: ``command``, ``studies`` and what was chosen by them.
    """

    cases: pl.DataFrame
    settings: tuple[Setting, ...]
    gains: np.ndarray
    validation_gains: np.ndarray
    federations: pl.DataFrame
    about: Mapping[str, Any]

    @cached_property
    def checked_gains(self) -> np.ndarray:
        """The gain of a student that goes back to what it was unless it passes the check, like `gains`.

        It passes when its validation accuracy rose by at least `check_margin`.
        """
        margins = check_margin(self.cases["num_validation"].to_numpy())[:, None]
        return np.where(self.validation_gains >= margins, self.gains, self.gains * 0)

    @cached_property
    def case_numbers(self) -> np.ndarray:
        """The number of the case that each row belongs to, int64 of shape [rows of `cases`]."""
        names = ["\x1f".join(map(str, row)) for row in self.cases.select(CASE).iter_rows()]
        return np.unique(names, return_inverse=True)[1]

    def take(self, rows: np.ndarray) -> "Measured":
        """The same with some of the cases, by an array of row numbers."""
        return replace(
            self,
            cases=self.cases[rows],
            gains=self.gains[rows],
            validation_gains=self.validation_gains[rows],
        )


def check_margin(num_samples: int | np.ndarray) -> Any:
    """By how much accuracy on so many samples must rise before a new student replaces the old one.

    ``0.14 / sqrt(n)``: half the standard error of a difference of paired proportions where 8 % of the samples
    flip, sqrt(0.08 / n) / 2; 0.2 points for 5,000 samples.
    """
    return MARGIN / np.sqrt(num_samples)


def write_measured(measured: Measured, path: Path, federations_path: Path) -> None:
    """Write cases with their gains, and federations, as two parquet files.

    Raises:
        RunError: When the disk refuses.
    """
    lists = [pl.Series(name, getattr(measured, name).tolist(), dtype=pl.List(pl.Float32)) for name in GAINS]
    settings = [[each.technique, each.temperature, each.weight, each.place] for each in measured.settings]
    metadata = {METADATA_KEY: json.dumps({**measured.about, "settings": settings})}
    with write_atomically(path) as temporary:
        frame = measured.cases.with_columns(lists)
        frame.write_parquet(temporary, compression_level=19, metadata=metadata)
    with write_atomically(federations_path) as temporary:
        measured.federations.write_parquet(temporary, compression_level=19)


def read_measured(path: Path = SHIPPED, federations_path: Path = SHIPPED_FEDERATIONS) -> Measured:
    """The measured cases in two files; those that the package ships by default.

    Raises:
        InputError: When a file is missing or damaged.
    """
    try:
        frame = pl.read_parquet(path)
        federations = pl.read_parquet(federations_path)
        about = json.loads(pl.read_parquet_metadata(path)[METADATA_KEY])
        gains = {name: np.array(frame[name].to_list(), dtype=np.float32) for name in GAINS}
        settings = tuple(
            Setting(technique=technique, temperature=temperature, weight=weight, place=place)
            for technique, temperature, weight, place in about.pop("settings")
        )
    except (OSError, ValueError, KeyError, TypeError, pl.exceptions.PolarsError) as error:
        raise InputError(
            f"`{path}` must be a whole table of measured cases, but: {describe_error(error)}. {REMEDY}"
        ) from error
    return Measured(cases=frame.drop(GAINS), settings=settings, **gains, federations=federations, about=about)
