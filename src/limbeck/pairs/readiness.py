"""Models and samples that fit each other: what a transfer needs before it can start."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from torch import Tensor

from limbeck.core.errors import require
from limbeck.data import DataSet, Inputs, Samples
from limbeck.engine import Case, device_of
from limbeck.models import Classifier
from limbeck.pairs.classes import (
    agree_on_names,
    describe_columns,
    find_columns,
    name_some,
    relabel,
    rename_classes,
)
from limbeck.pairs.compare import judge, measure_standing
from limbeck.pairs.preparation import PROBED, prepare_inputs, probe_model, warn_of_chance
from limbeck.pairs.record import Standing
from limbeck.partition import carve_out

STUDENT = "The student"


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
        are_equal: Whether every teacher has the same ones, in the same order.
        columns: Per teacher and class of the student the teacher's class, None where it has none.
        warnings: What one side lacks, and what looks wrong with a model's outputs.
    """

    names: tuple[str, ...]
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
        validation: Samples that judge the epochs.
        measured: Samples for the record's numbers.
        measured_on: What those are.
        proxy: Unlabelled inputs to learn from instead, None for the training samples.
        standings: How the teachers do on the measured samples.
        warnings: What a reader should know, one sentence each.
    """

    parties: Parties
    classes: Classes
    train: Part
    validation: Part
    measured: Part
    measured_on: Literal["test", "validation"]
    proxy: Inputs | None
    standings: tuple[Standing, ...]
    warnings: tuple[str, ...]

    def case(self, taught_classes: Sequence[Sequence[int]] | None = None) -> Case:
        """What a technique is applied to: the proxy without labels, or the training samples with theirs."""
        return Case(
            student=self.parties.student,
            teachers=self.parties.teachers,
            inputs=self.train.inputs if self.proxy is None else self.proxy,
            labels=self.train.labels if self.proxy is None else None,
            columns=None if self.classes.are_equal else self.classes.columns,
            taught_classes=taught_classes,
        )

    def baseline_case(self) -> Case:
        """The student and the labelled training samples, without a teacher."""
        return Case(
            student=self.parties.student, teachers=(), inputs=self.train.inputs, labels=self.train.labels
        )


def get_ready(
    parties: Parties,
    data: DataSet | Samples,
    *,
    proxy: Inputs | None,
    class_map: Mapping[str, str],
    validation_share: float,
    seed: int,
) -> Ready:
    """Bring models and samples together.

    Raises:
        InputError: When they do not fit each other.
    """
    device = device_of(parties.student)
    train, measured = (data.train, data.test) if isinstance(data, DataSet) else (data, None)
    first = prepare_inputs(train.subset(range(min(PROBED, len(train)))).inputs, parties.all, device)
    classes = _match_classes(parties, data, first, class_map)
    data_names = rename_classes(_data_names(data, classes.names), class_map)
    train, warnings = relabel(train, data_names, classes.names, part="training")
    validation, train = _hold_out(train, validation_share, seed=seed)
    if measured is not None:
        measured, more = relabel(measured, data_names, classes.names, part="test")
        warnings += more
    parts = {
        name: Part(
            inputs=prepare_inputs(samples.inputs, parties.all, device), labels=samples.labels.to(device)
        )
        for name, samples in (("train", train), ("validation", validation), ("measured", measured))
        if samples is not None
    }
    judged = parts.get("measured", parts["validation"])
    standings = tuple(
        _stand(teacher, columns, judged, name=name)
        for teacher, columns, name in zip(
            parties.teachers, classes.columns, parties.teacher_names, strict=True
        )
    )
    return Ready(
        parties=parties,
        classes=classes,
        train=parts["train"],
        validation=parts["validation"],
        measured=judged,
        measured_on="validation" if measured is None else "test",
        proxy=None if proxy is None else prepare_inputs(proxy, parties.all, device),
        standings=standings,
        warnings=(
            *classes.warnings,
            *warnings,
            *_warn_of_empty_classes(train, classes.names),
            *_warn_of_weak_teachers(standings, num_classes=len(classes.names)),
        ),
    )


def _match_classes(
    parties: Parties, data: DataSet | Samples, first: Inputs, class_map: Mapping[str, str]
) -> Classes:
    labels = [STUDENT, *parties.teacher_names]
    probes = [
        probe_model(model, first, whose=whose) for model, whose in zip(parties.all, labels, strict=True)
    ]
    student = parties.student
    fallback = _data_names(data, student.class_names or tuple(map(str, range(probes[0].num_classes))))
    names = agree_on_names(
        student.class_names,
        rename_classes(fallback, class_map),
        num_classes=probes[0].num_classes,
        whose=STUDENT,
    )
    columns, are_equal = [], True
    warnings = [warning for probe in probes for warning in probe.warnings]
    for teacher, probe, whose in zip(parties.teachers, probes[1:], parties.teacher_names, strict=True):
        own = agree_on_names(teacher.class_names, names, num_classes=probe.num_classes, whose=whose)
        renamed = rename_classes(own, class_map)
        are_equal = are_equal and renamed == names
        columns.append(find_columns(names, renamed))
        warnings += describe_columns(columns[-1], names, renamed, whose=whose)
    return Classes(names=names, are_equal=are_equal, columns=columns, warnings=tuple(warnings))


def _data_names(data: DataSet | Samples, fallback: Sequence[str]) -> tuple[str, ...]:
    return data.class_names if isinstance(data, DataSet) else tuple(fallback)


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


def _stand(teacher: Classifier, columns: Sequence[int | None], part: Part, *, name: str) -> Standing:
    """How a teacher does in the student's classes; a class that the student lacks is a wrong answer."""
    places = find_columns(range(teacher.num_classes or len(columns)), columns)  # the other way round
    verdict = judge(teacher, part.inputs, places)
    return measure_standing(verdict, part.true_classes(), name=name, num_classes=len(columns))


def _warn_of_empty_classes(samples: Samples, names: Sequence[str]) -> tuple[str, ...]:
    counts = np.bincount(samples.labels.cpu().numpy(), minlength=len(names))
    empty = [name for name, count in zip(names, counts, strict=True) if count == 0]
    if not empty:
        return ()
    return (
        f"There are no training samples of {name_some(empty)}: the student may forget what it knew of it.",
    )


def _warn_of_weak_teachers(standings: Sequence[Standing], *, num_classes: int) -> tuple[str, ...]:
    return tuple(
        warning
        for standing in standings
        for warning in warn_of_chance(standing.accuracy, num_classes=num_classes, whose=standing.name)
    )
