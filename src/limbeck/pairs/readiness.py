"""Models and samples that fit each other: what a transfer needs before it can start."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Literal, get_args

import numpy as np
from torch import Tensor

from limbeck.core.errors import count, require, require_known
from limbeck.core.fingerprint import hash_state
from limbeck.data import Inputs, Samples
from limbeck.engine import Case, Precision, TargetCache, device_of
from limbeck.models import Classifier
from limbeck.pairs.classes import (
    check_class_map,
    count_up,
    describe_columns,
    find_columns,
    find_names,
    name_some,
    relabel,
    rename_classes,
)
from limbeck.pairs.compare import Judge, measure_standing
from limbeck.pairs.preparation import (
    PROBED,
    prepare_inputs,
    probe_model,
    warn_of_chance,
    warn_of_cut_texts,
)
from limbeck.pairs.record import Standing
from limbeck.pairs.user_data import UserData
from limbeck.partition import carve_out

STUDENT = "The student"

Objective = Literal["local", "global", "federated"]
"""Whose samples judge: `local`, those the student's party holds out; `global`, half of the test part;
`federated`, those that each party holds out, the mean over parties, as a real federation can measure."""
OBJECTIVES: tuple[Objective, ...] = get_args(Objective)


@dataclass(frozen=True, kw_only=True)
class Part:
    """Samples as the models take them, with the student's class numbers.

    Attributes:
        inputs: On the models' device, or where they are read from.
        labels: int64 [n] on the models' device.
    """

    inputs: Inputs
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def true_classes(self) -> np.ndarray:
        """The labels, int64 [n] on the CPU."""
        return self.labels.cpu().numpy()


@dataclass(frozen=True, kw_only=True)
class Parties:
    """The models that meet.

    Attributes:
        student: The one that learns.
        teachers: Those that teach.
        teacher_names: What to call them.
    """

    student: Classifier
    teachers: Sequence[Classifier]
    teacher_names: Sequence[str]

    @property
    def all(self) -> list[Classifier]:
        """Student and teachers."""
        return [self.student, *self.teachers]


@dataclass(frozen=True, kw_only=True)
class Classes:
    """The student's classes, and where those of the others are among them.

    Attributes:
        names: The student's.
        teachers_names: Per teacher its names, those of the map replaced.
        are_equal: Whether every teacher has the same ones, in the same order.
        columns: Per teacher and class of the student the teacher's class, None where it has none.
        warnings: What one side lacks, and what looks wrong with a model's outputs.
    """

    names: tuple[str, ...]
    teachers_names: Sequence[tuple[str, ...]]
    are_equal: bool
    columns: Sequence[tuple[int | None, ...]]
    warnings: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Ready:
    """Models and samples that fit each other.

    Attributes:
        parties: The models, on one device.
        classes: Their classes.
        train: Labelled samples to learn from.
        judges: Sets of samples whose mean accuracy judges epochs and settings; see `Objective`.
        measured: Samples for the record's numbers.
        measured_on: What those are.
        proxy: Unlabelled inputs to learn from instead, None for the training samples.
        standings: How the teachers do on the measured samples.
        warnings: What a reader should know, one sentence each.
    """

    parties: Parties
    classes: Classes
    train: Part
    judges: tuple[Part, ...]
    measured: Part
    measured_on: Literal["test", "validation"]
    proxy: Inputs | None
    standings: tuple[Standing, ...]
    warnings: tuple[str, ...]

    @property
    def num_judging(self) -> int:
        """Samples that judge."""
        return sum(map(len, self.judges))

    def case(
        self,
        *,
        cache: TargetCache | None,
        taught_classes: Sequence[Sequence[int]] | None = None,
        precision: Precision = "float32",
    ) -> Case:
        """What a technique is applied to: the proxy without labels, or the training samples with theirs."""
        return Case(
            student=self.parties.student,
            teachers=self.parties.teachers,
            inputs=self.train.inputs if self.proxy is None else self.proxy,
            labels=self.train.labels if self.proxy is None else None,
            columns=None if self.classes.are_equal else self.classes.columns,
            taught_classes=taught_classes,
            cache=cache,
            precision=precision,
        )

    def baseline_case(self) -> Case:
        """The student and the labelled training samples, without a teacher."""
        return Case(
            student=self.parties.student, teachers=(), inputs=self.train.inputs, labels=self.train.labels
        )


@dataclass(frozen=True, kw_only=True)
class Judging:
    """What epochs and settings are judged by.

    Attributes:
        objective: Whose samples judge.
        share: Share of a party's samples that it holds out to judge, in (0, 1).
        clients: The other parties' samples, for `federated`.

    Raises:
        InputError: When built with clients where the objective needs none, or without where it does.
    """

    objective: Objective
    share: float
    clients: Sequence[UserData]

    def __post_init__(self) -> None:
        require_known("objective", self.objective, OBJECTIVES)
        require(
            0 < self.share < 1, "0 < validation_share < 1", f"validation_share={self.share}", "0.1 is usual."
        )
        require(
            (self.objective == "federated") == (len(self.clients) > 0),
            "the objective `federated`, and no other, has the other clients' samples",
            f"objective={self.objective} with {count(len(self.clients), 'other client')}",
            "Name the clients of a split, or choose `local` or `global`.",
        )


def get_ready(
    parties: Parties,
    data: UserData,
    judge: Judge,
    *,
    proxy: Inputs | None,
    class_map: Mapping[str, str],
    judging: Judging,
    seed: int,
) -> Ready:
    """Bring models and samples together.

    Raises:
        InputError: When they do not fit each other.
    """
    device = device_of(parties.student)

    def place(samples: Samples) -> Part:
        inputs = prepare_inputs(samples.inputs, parties.all, device)
        return Part(inputs=inputs, labels=samples.labels.to(device))

    first_inputs = place(data.train.subset(range(min(PROBED, len(data.train))))).inputs
    classes = _match_classes(parties, data, first_inputs, class_map)
    own, lost = _with_own_classes(data, data.train, classes, class_map, part="training")
    held, rest = (own, own) if judging.objective == "global" else _hold_out(own, judging.share, seed=seed)
    cut = warn_of_cut_texts(own.inputs, parties.all, [STUDENT, *parties.teacher_names])
    empty = _warn_of_empty_classes(rest, classes, has_proxy=proxy is not None)
    judges, warnings = [held], [*classes.warnings, *lost, *cut, *empty]
    measured = held
    if data.test is not None:
        measured, lost = _with_own_classes(data, data.test, classes, class_map, part="test")
        warnings += lost
    if judging.objective == "global":
        judges, measured = _halve(data.test, measured, seed=seed)
    for number, client in enumerate(judging.clients, start=1):
        others, lost = _with_own_classes(client, client.train, classes, class_map, part=f"client {number}'s")
        judges.append(others if len(others) == 1 else _hold_out(others, judging.share, seed=seed)[0])
        warnings += lost
    measured = place(measured)
    standings, weak = _judge_teachers(parties, classes, measured, judge)
    return Ready(
        parties=parties,
        classes=classes,
        train=place(rest),
        judges=tuple(map(place, judges)),
        measured=measured,
        measured_on="validation" if data.test is None else "test",
        proxy=None if proxy is None else prepare_inputs(proxy, parties.all, device),
        standings=standings,
        warnings=(*warnings, *_warn_of_copies(parties), *weak),
    )


def _match_classes(
    parties: Parties, data: UserData, first_inputs: Inputs, class_map: Mapping[str, str]
) -> Classes:
    titles = [STUDENT, *parties.teacher_names]
    probes = [
        probe_model(model, first_inputs, whose=whose)
        for model, whose in zip(parties.all, titles, strict=True)
    ]
    data_names = data.class_names or count_up(max(1, int(data.train.labels.max()) + 1))
    names = find_names(
        parties.student.class_names,
        [rename_classes(data_names, class_map)],
        num_classes=probes[0].num_classes,
        whose=STUDENT,
    )
    teachers_names = [
        find_names(teacher.class_names, [data_names, names], num_classes=probe.num_classes, whose=whose)
        for teacher, probe, whose in zip(parties.teachers, probes[1:], parties.teacher_names, strict=True)
    ]
    check_class_map(class_map, others=[*data_names, *chain.from_iterable(teachers_names)], names=names)
    renamed = [rename_classes(own, class_map) for own in teachers_names]
    columns = [find_columns(names, own) for own in renamed]
    warnings = [warning for probe in probes for warning in probe.warnings]
    for own_columns, own, whose in zip(columns, renamed, parties.teacher_names, strict=True):
        warnings += describe_columns(own_columns, names, own, whose=whose)
    return Classes(
        names=names,
        teachers_names=renamed,
        are_equal=all(own == names for own in renamed),
        columns=columns,
        warnings=tuple(warnings),
    )


def _with_own_classes(
    data: UserData, samples: Samples, classes: Classes, class_map: Mapping[str, str], *, part: str
) -> tuple[Samples, Sequence[str]]:
    """Samples with the student's class numbers, and what was lost on the way."""
    data_names = rename_classes(data.class_names or classes.names, class_map)
    return relabel(samples, data_names, classes.names, part=part)


def _halve(test: Samples | None, samples: Samples, *, seed: int) -> tuple[list[Samples], Samples]:
    """Half of the test samples to judge and the other half to measure.

    Raises:
        InputError: When there are none.
    """
    require(
        test is not None,
        "the objective `global` has a test part, of which one half judges and the other measures",
        "data without one",
        "Use the objective `local`, or data with a test part.",
    )
    judging, measuring = _hold_out(samples, 0.5, seed=seed)
    return [judging], measuring


def _hold_out(samples: Samples, share: float, *, seed: int) -> tuple[Samples, Samples]:
    """(validation, rest), each class in proportion."""
    num_held = max(1, round(share * len(samples)))
    require(
        num_held < len(samples),
        "the hold-out leaves samples to learn from",
        f"{num_held} of {len(samples)} held out",
        "Give more samples, or a smaller validation share.",
    )
    rest, held = carve_out(samples.labels.cpu().numpy(), num_held, seed=seed)
    return samples.subset(held), samples.subset(rest)


def _judge_teachers(
    parties: Parties, classes: Classes, part: Part, judge: Judge
) -> tuple[tuple[Standing, ...], list[str]]:
    """How the teachers do in the student's classes, and which do hardly better than guessing."""
    labels, num_classes = part.true_classes(), len(classes.names)
    standings, warnings = [], []
    for teacher, own, columns, name in zip(
        parties.teachers, classes.teachers_names, classes.columns, parties.teacher_names, strict=True
    ):
        verdict = judge.hear(teacher, part.inputs, find_columns(own, classes.names), whose=name)
        standings.append(measure_standing(verdict, labels, name=name, num_classes=num_classes))
        warnings += warn_of_chance(verdict.predictions, labels, columns, whose=name, model=teacher)
    return tuple(standings), warnings


def _warn_of_empty_classes(samples: Samples, classes: Classes, *, has_proxy: bool) -> tuple[str, ...]:
    counts = np.bincount(samples.labels.cpu().numpy(), minlength=len(classes.names))
    empty = [name for name, count in zip(classes.names, counts, strict=True) if count == 0]
    if not empty:
        return ()
    if has_proxy:
        return (
            f"There are no labelled samples of {name_some(empty)}: what the student learns of it from the "
            "proxy set does not count when the best epoch is chosen. To have it anyway, keep the last epoch.",
        )
    return (
        f"There are no training samples of {name_some(empty)}: the student may forget what it knew of it.",
    )


def _warn_of_copies(parties: Parties) -> tuple[str, ...]:
    own = hash_state(parties.student.state_dict())
    return tuple(
        f"{name} has the student's weights: there is nothing to learn from it."
        for teacher, name in zip(parties.teachers, parties.teacher_names, strict=True)
        if hash_state(teacher.state_dict()) == own
    )
