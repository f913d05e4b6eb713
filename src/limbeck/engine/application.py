"""Transfer: a student, a teacher and samples become a new student.

What does not depend on the technique or its settings (the teacher's and the initial student's logits on the
transfer set) is computed once, in a `Case`, and shared by every transfer made from it.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn

from limbeck.core.errors import require
from limbeck.engine.evaluation import predict_logits
from limbeck.engine.training import LossFn, Trained, Training, train
from limbeck.techniques import FrozenTechnique, MutualTechnique, Settings, Target, Technique


@dataclass(frozen=True, kw_only=True)
class Case:
    """One student, one or more teachers and the samples to transfer on. Models are never changed.

    Attributes:
        student: The student before the transfer.
        teachers: The trained models that know something else.
        inputs: [samples, ...] normalised, on the models' device.
        labels: [samples] int64, or None when the transfer set is unlabelled.
    """

    student: nn.Module
    teachers: Sequence[nn.Module]
    inputs: Tensor
    labels: Tensor | None

    @cached_property
    def teacher_logits(self) -> Tensor:
        """What each teacher says, [teachers, samples, classes]."""
        return torch.stack([predict_logits(teacher, self.inputs) for teacher in self.teachers])

    @cached_property
    def initial_logits(self) -> Tensor:
        """What the student says before the transfer."""
        return predict_logits(self.student, self.inputs)


@dataclass(frozen=True, kw_only=True)
class Transferred:
    """The outcome of a transfer.

    Attributes:
        student: The new student.
        peers: The teachers as they became when the technique teaches them too, else empty.
        share_from_teacher: Share of samples whose target was a teacher's, None when nothing is selected.
        trained: What the training took.
    """

    student: nn.Module
    peers: tuple[nn.Module, ...]
    share_from_teacher: float | None
    trained: Trained


def transfer(
    case: Case, *, technique: Technique, settings: Settings | None, training: Training, seed: int
) -> Transferred:
    """Transfer knowledge by one technique.

    Args:
        case: Student, teachers and samples.
        technique: How; see `limbeck.techniques`.
        settings: Temperature and weight, None for a technique that has none.
        training: The budget and optimiser, the same for every technique in a fair comparison.
        seed: Seed of the batch order.

    Raises:
        InputError: When the technique needs labels and there are none, or settings do not fit the technique.
        RunError: When the training diverges.
    """
    check_transfer(technique, settings, has_labels=case.labels is not None)
    if isinstance(technique, MutualTechnique):
        return _transfer_mutually(case, technique, training=training, seed=seed)
    return _transfer_from_frozen(case, technique, settings=settings, training=training, seed=seed)


def check_transfer(technique: Technique, settings: Settings | None, *, has_labels: bool) -> None:
    """Check that a technique, its settings and the transfer set fit each other.

    Raises:
        InputError: When they do not.
    """
    require(
        has_labels or not technique.needs_labels,
        f"`{technique.name}` has labels to learn from",
        "an unlabelled transfer set",
        "Use `kd` or `dp-kd-unsupervised` with weight 1, or a labelled transfer set.",
    )
    require(
        has_labels or (settings is not None and settings.weight == 1),
        "weight == 1 without labels",
        f"settings={settings}",
        "Set the weight to 1, or use a labelled transfer set.",
    )
    takes_settings = technique.defaults is not None
    require(
        takes_settings == (settings is not None),
        f"`{technique.name}` {'needs a temperature and a weight' if takes_settings else 'has no settings'}",
        f"settings={settings}",
        "Give settings exactly to the techniques that have them.",
    )


def _transfer_from_frozen(
    case: Case, technique: FrozenTechnique, *, settings: Settings | None, training: Training, seed: int
) -> Transferred:
    target = _make_target(case, technique, settings)
    student = copy.deepcopy(case.student)
    loss_fn = _frozen_loss(technique, target, case.labels, settings)
    trained = train([student], case.inputs, loss_fn, training=training, seed=seed)
    return Transferred(
        student=student.eval(), peers=(), share_from_teacher=_share_from_teacher(target), trained=trained
    )


def _make_target(case: Case, technique: FrozenTechnique, settings: Settings | None) -> Target | None:
    if technique.target_fn is None:
        return None
    return technique.target_fn(case, settings)  # pyright: ignore[reportArgumentType] - cached_property is a property


def _frozen_loss(
    technique: FrozenTechnique, target: Target | None, labels: Tensor | None, settings: Settings | None
) -> LossFn:
    def loss_fn(logits: list[Tensor], ids: Tensor) -> list[Tensor]:
        batch_target = None if target is None else target.logits[ids]
        batch_labels = None if labels is None else labels[ids]
        return [technique.loss_fn(logits[0], batch_target, batch_labels, settings)]

    return loss_fn


def _share_from_teacher(target: Target | None) -> float | None:
    if target is None or target.from_teacher is None:
        return None
    return float(target.from_teacher.float().mean())


def _transfer_mutually(
    case: Case, technique: MutualTechnique, *, training: Training, seed: int
) -> Transferred:
    labels = case.labels
    assert labels is not None
    models = [copy.deepcopy(model) for model in (case.student, *case.teachers)]

    def loss_fn(logits: list[Tensor], ids: Tensor) -> list[Tensor]:
        return technique.loss_fn(logits, labels[ids])

    trained = train(models, case.inputs, loss_fn, training=training, seed=seed)
    student, *peers = [model.eval() for model in models]
    return Transferred(student=student, peers=tuple(peers), share_from_teacher=None, trained=trained)
