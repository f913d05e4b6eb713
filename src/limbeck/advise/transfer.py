"""Advice on one transfer: from a case in numbers to settings to try, with what they did in near cases."""

import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from limbeck.advise.features import FEATURES, Features
from limbeck.advise.folds import SHORTLIST, choose_bandwidth, measure_reach
from limbeck.advise.measured import CASE, Measured, Setting, read_measured
from limbeck.advise.predict import (
    Numbers,
    average,
    fit_scale,
    make_shortlist,
    pick_unchecked,
    place,
    resample_mean,
    weigh,
)
from limbeck.advise.record import Advice, Expectation, Neighbour
from limbeck.core.errors import require
from limbeck.techniques import get_technique

NUM_NEAREST = 5
MOST_TRIES = 10
NEAR_SHARE = 0.1
BUDGET = ("epochs", "lr", "batch_size")

read_shipped = lru_cache(1)(read_measured)


@dataclass(frozen=True, kw_only=True)
class Wording:
    """What the command to run names.

    Attributes:
        student: The student's model.
        teacher: The teacher's model.
        own: What names the student's data, as words of a command line.
        other: What names the teacher's data, likewise.
        options: Further options, such as how both models are read.
        alone_options: The same where there is no teacher.
    """

    student: str = "STUDENT"
    teacher: str = "TEACHER"
    own: tuple[str, ...] = ("--data", "STUDENT_DATA")
    other: tuple[str, ...] = ("--data", "TEACHER_DATA")
    options: tuple[str, ...] = ()
    alone_options: tuple[str, ...] = ()

    def write_command(self, setting: Setting, budget: Mapping[str, float]) -> str:
        """The `limbeck transfer` that does what a setting says, with the budget it was measured with."""
        where = self.other if setting.place == "teacher" else self.own
        words = ["limbeck", "transfer", "--student", self.student]
        if get_technique(setting.technique).min_teachers > 0:
            words += ["--teacher", self.teacher, *where, *self.options]
        else:
            words += [*where, *self.alone_options]
        words += ["--technique", setting.technique]
        if setting.temperature is not None and setting.weight is not None:
            words += ["--temperature", f"{setting.temperature:g}", "--weight", f"{setting.weight:g}"]
        words += ["--epochs", f"{budget['epochs']:g}", "--batch-size", f"{budget['batch_size']:g}"]
        return shlex.join([*words, "--lr", f"{budget['lr']:g}", "--keep", "last"])

    def write_tune_command(self) -> str:
        """The search to run where advice knows nothing."""
        words = ["limbeck", "tune", "--student", self.student, "--teacher", self.teacher, *self.own]
        return shlex.join([*words, *self.options, "--technique", "kd"])


def advise_case(
    features: Features,
    *,
    measured: Measured | None = None,
    size: int = SHORTLIST,
    wording: Wording | None = None,
    warnings: Sequence[str] = (),
) -> Advice:
    """What to do in a case.

    Args:
        features: What is known of it, by the names of `FEATURES`.
        measured: The evidence; None for what ships with the package.
        size: At most so many settings to try, from 1 to `MOST_TRIES`.
        wording: What the command to run names.
        warnings: What a reader should know beside it.

    Raises:
        InputError: When none of the features is known, or the number of settings is out of range.
    """
    require(
        1 <= size <= MOST_TRIES,
        f"1 <= tries <= {MOST_TRIES}",
        f"tries={size}",
        "Use `limbeck tune` to search more.",
    )
    evidence, words = measured or read_shipped(), wording or Wording()
    names = list_known(evidence, features)
    bandwidth, reach = look_up_tuning(evidence, names)
    scale = fit_scale(evidence.cases, names)
    distances = scale.measure_distances(place(scale, features))[0]
    order = np.argsort(distances, kind="stable")
    budget = pick_budget(evidence, order)
    nearest = float(distances[order[0]])
    has_evidence = nearest <= reach
    weights = weigh(distances, bandwidth)
    near = Near(measured=evidence, weights=weights)
    shortlist = near.list_tries(size) if has_evidence else ()
    unchecked = near.expect_unchecked() if has_evidence else None
    first = shortlist[0].setting if shortlist else None
    return Advice(
        features=dict(features),
        based_on=scale.names,
        shortlist=shortlist,
        unchecked=unchecked,
        distance=nearest,
        reach=reach,
        nearest=list_nearest(evidence, distances, order, first),
        num_cases=near.num_cases if has_evidence else 0,
        budget=budget,
        num_validation=int(evidence.cases["num_validation"][int(order[0])]),
        command=_write_command(words, first, budget, has_evidence=has_evidence),
        warnings=tuple(warnings),
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class Near:
    """Measured transfers with their weights for one case.

    Attributes:
        measured: The evidence.
        weights: Shape [transfers].
    """

    measured: Measured
    weights: Numbers

    @property
    def is_near(self) -> np.ndarray:
        """Which transfers count as support: those that weigh at least `NEAR_SHARE` of the nearest."""
        return self.weights >= NEAR_SHARE * self.weights.max()

    @property
    def num_cases(self) -> int:
        """How many cases are near."""
        return len(set(self.measured.case_numbers[self.is_near].tolist()))

    def list_tries(self, size: int) -> tuple[Expectation, ...]:
        """The shortlist with what is expected of each."""
        checked = self.measured.checked_gains.astype(float)
        allowed = np.ones(len(self.measured.settings), dtype=bool)
        numbers = make_shortlist(checked, self.weights, size=size, allowed=allowed)
        return tuple(self.expect(number, checked) for number in numbers)

    def expect_unchecked(self) -> Expectation:
        """What to do without a check, with what is expected of it."""
        gains = self.measured.gains.astype(float)
        allowed = np.ones(len(self.measured.settings), dtype=bool)
        return self.expect(pick_unchecked(gains, self.weights, allowed=allowed), gains)

    def expect(self, number: int, gains: Numbers) -> Expectation:
        """What a setting did in near cases.

        Args:
            number: Its number.
            gains: [transfers, settings], checked or as they came.
        """
        raw = self.measured.gains.astype(float)[:, [number]]
        # Without the cases that hardly weigh: a draw of them alone would count as much as any other.
        interval = resample_mean(gains[:, number], self.weights * self.is_near, self.measured.case_numbers)
        was_tried = self.is_near & ~np.isnan(raw[:, 0])
        return Expectation(
            setting=self.measured.settings[number],
            gain=float(average(gains[:, [number]], self.weights)[0]),
            low=None if interval is None else interval[0],
            high=None if interval is None else interval[1],
            risk=float(average(np.where(np.isnan(raw), np.nan, raw < 0), self.weights)[0]),
            num_cases=len(set(self.measured.case_numbers[was_tried].tolist())),
            num_transfers=int(was_tried.sum()),
        )


def list_known(measured: Measured, features: Features) -> tuple[str, ...]:
    """The features known of a case and of every measured one.

    Raises:
        InputError: When there is none.
    """
    names = tuple(name for name in FEATURES if name in features and measured.cases[name].null_count() == 0)
    require(
        len(names) > 0,
        "something is known of the case",
        "nothing",
        f"Give one or more of {', '.join(FEATURES)}.",
    )
    return names


def look_up_tuning(measured: Measured, names: Sequence[str]) -> tuple[float, float]:
    """Bandwidth and reach for these features: as kept with the table, else chosen now."""
    kept = measured.about.get("tuning", {}).get(",".join(names))
    if kept is not None:
        return kept["bandwidth"], kept["reach"]
    return choose_bandwidth(measured, names), measure_reach(measured, names)


def pick_budget(measured: Measured, order: np.ndarray) -> dict[str, float]:
    """The budget that most of the nearest transfers had."""
    budgets = measured.cases.select(BUDGET).rows()
    [(budget, _)] = Counter(budgets[row] for row in order[:NUM_NEAREST].tolist()).most_common(1)
    return dict(zip(BUDGET, budget, strict=True))


def list_nearest(
    measured: Measured, distances: Numbers, order: np.ndarray, first: Setting | None
) -> tuple[Neighbour, ...]:
    """The nearest cases, one per scenario, study and architectures, with what the first setting gained."""
    checked = measured.checked_gains.astype(float)
    column = None if first is None else measured.settings.index(first)
    cases: dict[Any, list[int]] = {}
    for row, key in enumerate(measured.cases.select(CASE).iter_rows()):
        cases.setdefault(key, []).append(row)
    seen: dict[Any, Neighbour] = {}
    for row in order.tolist():
        case = measured.cases.row(row, named=True)
        key = tuple(case[name] for name in CASE)
        name = (case["study"], case["scenario"], case["student_arch"], case["teacher_arch"])
        if name in seen:
            continue
        gains = [] if column is None else checked[cases[key], column]
        is_known = len(gains) > 0 and not np.isnan(gains).all()
        seen[name] = Neighbour(
            **{field: case[field] for field in ("study", "scenario", "label", "data")},
            student_arch=case["student_arch"],
            teacher_arch=case["teacher_arch"],
            distance=float(distances[row]),
            gain=float(np.nanmean(gains)) if is_known else None,
        )
        if len(seen) == NUM_NEAREST:
            break
    return tuple(seen.values())


def _write_command(
    wording: Wording, first: Setting | None, budget: Mapping[str, float], *, has_evidence: bool
) -> str:
    if first is not None:
        return wording.write_command(first, budget)
    return "" if has_evidence else wording.write_tune_command()
