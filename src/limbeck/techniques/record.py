"""The shape of a technique: a small record of functions over losses.

A frozen-teacher technique turns (teachers' logits, initial-student logits, labels) into a target once; its
loss then sees only the student's logits and the target. A mutual technique sees the logits of all models
that learn together. Neither knows about optimisers, batches or devices.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from limbeck.losses import check_settings, distillation


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Temperature T > 0 and weight w in [0, 1] of a transfer.

    Raises:
        InputError: When built with values out of range.
    """

    temperature: float
    weight: float

    def __post_init__(self) -> None:
        check_settings(temperature=self.temperature, weight=self.weight)


@dataclass(frozen=True, kw_only=True)
class Target:
    """What a student is pulled towards.

    Attributes:
        logits: One row per sample of the transfer set.
        from_teacher: True where the row is a teacher's, or None when all are.
    """

    logits: Tensor
    from_teacher: Tensor | None = None


def pull_to_target(
    student_logits: Tensor, target_logits: Tensor | None, labels: Tensor | None, settings: Settings | None
) -> Tensor:
    """(1 - w) CE + w T^2 KL(target || student) of each sample: the loss of every technique with a target."""
    assert target_logits is not None
    assert settings is not None
    return distillation(
        student_logits, target_logits, labels, temperature=settings.temperature, weight=settings.weight
    )


class Outputs(Protocol):
    """What the models that do not change say about the transfer set, each computed when first asked for."""

    @property
    def teacher_logits(self) -> Tensor:
        """[teachers, samples, classes]."""
        ...

    @property
    def initial_logits(self) -> Tensor:
        """Of the student before the transfer, [samples, classes]."""
        ...

    @property
    def labels(self) -> Tensor | None:
        """[samples], None when the transfer set is unlabelled."""
        ...


TargetFn = Callable[[Outputs, Settings | None], Target]
FrozenLossFn = Callable[[Tensor, Tensor | None, Tensor | None, Settings | None], Tensor]
MutualLossFn = Callable[[Sequence[Tensor], Tensor], list[Tensor]]


@dataclass(frozen=True, kw_only=True)
class FrozenTechnique:
    """A technique whose teacher does not change.

    Attributes:
        name: Name on the command line and in results.
        title: Name for people.
        reference: Paper and place.
        deviations: How this differs from the paper.
        cost: Forward passes beyond training the student.
        needs_labels: Whether it can work on labelled samples only.
        defaults: Settings when nothing is tuned, None when there is nothing to set.
        target_fn: (outputs of the frozen models, settings) to the target; None without a teacher.
        loss_fn: (student logits, target logits, labels, settings) to one number per sample.
    """

    name: str
    title: str
    reference: str
    deviations: str
    cost: str
    needs_labels: bool
    defaults: Settings | None
    target_fn: TargetFn | None
    loss_fn: FrozenLossFn


@dataclass(frozen=True, kw_only=True)
class MutualTechnique:
    """A technique in which student and teacher both learn.

    Attributes:
        name: Name on the command line and in results.
        title: Name for people.
        reference: Paper and place.
        deviations: How this differs from the paper.
        cost: Forward passes beyond training the student.
        loss_fn: (logits of every model, labels) to one tensor per model with one number per sample.
    """

    name: str
    title: str
    reference: str
    deviations: str
    cost: str
    loss_fn: MutualLossFn
    needs_labels: bool = True
    defaults: None = None


Technique = FrozenTechnique | MutualTechnique
