"""The shape of a technique: a small record of functions over losses.

A frozen-teacher technique turns (teachers' logits, initial-student logits, labels) into a target once; its
pull then sees only the student's logits and the target. A mutual technique sees the logits of all models that
learn together. A composed technique takes several transfers by another one. None knows about optimisers,
batches or devices.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any, Generic, Literal, Protocol, TypeVar

from torch import Tensor

from limbeck.core.errors import require
from limbeck.losses import blend, check_settings, cross_entropy, kd, mean_probabilities

SearchSpace = Mapping[str, tuple[float, ...]]
"""Values worth trying, by the name of a setting."""

KD_SEARCH_SPACE: SearchSpace = MappingProxyType(
    {"temperature": (1, 2, 4, 8), "weight": (0.1, 0.3, 0.5, 0.7, 0.9)}
)
"""For every technique that is a target and nothing more."""


class AnySettings(Protocol):
    """What every technique's settings hold, whatever else they do."""

    @property
    def temperature(self) -> float:
        """T > 0."""
        ...

    @property
    def weight(self) -> float:
        """w in [0, 1]: the technique's share of the loss; the labels have the rest."""
        ...


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


def list_coefficients(settings: AnySettings | None) -> dict[str, float]:
    """The settings of a technique beyond temperature and weight, by name; usually none."""
    if settings is None:
        return {}
    names = [entry.name for entry in fields(settings)]  # pyright: ignore[reportArgumentType] - a dataclass
    return {name: getattr(settings, name) for name in names if name not in ("temperature", "weight")}


def check_coefficients(settings: AnySettings) -> None:
    """Check temperature, weight and that every coefficient of a loss is finite and not negative.

    Raises:
        InputError: When one is out of range.
    """
    check_settings(temperature=settings.temperature, weight=settings.weight)
    for name, value in list_coefficients(settings).items():
        require(0 <= value < float("inf"), f"{name} >= 0", f"{name}={value}", "0 turns the term off.")


@dataclass(frozen=True, kw_only=True)
class Target:
    """What a student is pulled towards.

    Attributes:
        logits: One row per sample of the transfer set.
        from_teacher: True where the row is a teacher's, or None when all are.
    """

    logits: Tensor
    from_teacher: Tensor | None = None


class Outputs(Protocol):
    """What the models that do not change say about the transfer set, each computed when first asked for."""

    @property
    def teacher_logits(self) -> Tensor:
        """[teachers, samples, classes], in the student's classes."""
        ...

    @property
    def initial_logits(self) -> Tensor:
        """Of the student before the transfer, [samples, classes]."""
        ...

    @property
    def labels(self) -> Tensor | None:
        """[samples], None when the transfer set is unlabelled."""
        ...

    @property
    def known_classes(self) -> Tensor:
        """Which classes each teacher was trained on, bool [teachers, classes]."""
        ...


S = TypeVar("S")
TargetFn = Callable[[Outputs, S], Target]
PullFn = Callable[[Tensor, Tensor, Tensor | None, S], Tensor]
MutualLossFn = Callable[[Sequence[Tensor], Tensor], list[Tensor]]


def teachers_target(outputs: Outputs, settings: AnySettings) -> Target:
    """The teacher's logits, or those of the mean of several teachers' softened probabilities."""
    return Target(logits=mean_probabilities(outputs.teacher_logits, temperature=settings.temperature))


def pull_to_target(
    student_logits: Tensor, target_logits: Tensor, labels: Tensor | None, settings: AnySettings
) -> Tensor:
    """T^2 KL(target || student) of each sample: the pull of every technique that is a target and no more."""
    del labels
    return kd(student_logits, target_logits, temperature=settings.temperature)


@dataclass(frozen=True, kw_only=True)
class FrozenTechnique(Generic[S]):
    """A technique whose teacher does not change.

    Attributes:
        name: Name on the command line and in results.
        title: Name for people.
        reference: Paper and place.
        deviations: How this differs from the paper.
        cost: Forward passes beyond training the student.
        needs_labels: Whether it can work on labelled samples only.
        defaults: Settings when nothing is tuned, None when there is nothing to set.
        search_space: Values worth trying for each setting.
        target_fn: (outputs of the frozen models, settings) to the target; None without one.
        pull_fn: (student logits, target logits, labels, settings) to one number per sample; None without a
            target. Where the paper's term belongs to the batch, that one number.
        min_teachers: How many teachers it takes at least.
        max_teachers: How many it can use, None for any number.
    """

    name: str
    title: str
    reference: str
    deviations: str
    cost: str
    needs_labels: bool
    defaults: S
    target_fn: TargetFn[S] | None
    pull_fn: PullFn[S] | None
    search_space: SearchSpace = field(default_factory=lambda: KD_SEARCH_SPACE)
    min_teachers: int = 1
    max_teachers: int | None = None

    def loss(
        self, student_logits: Tensor, target_logits: Tensor | None, labels: Tensor | None, settings: S
    ) -> Tensor:
        """(1 - w) CE + w pull of each sample; cross-entropy alone without a pull.

        Args:
            student_logits: [batch, classes]; gradients flow.
            target_logits: The target's rows of the batch, None without a target.
            labels: [batch], None when w = 1.
            settings: Settings of this technique.
        """
        pull_fn = self.pull_fn
        if pull_fn is None:
            assert labels is not None
            return cross_entropy(student_logits, labels)
        assert target_logits is not None
        return blend(
            student_logits,
            labels,
            lambda: pull_fn(student_logits, target_logits, labels, settings),
            weight=settings.weight,  # pyright: ignore[reportAttributeAccessIssue] - settings of a pull
        )


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
        max_teachers: How many peers it can use, None for any number.
    """

    name: str
    title: str
    reference: str
    deviations: str
    cost: str
    loss_fn: MutualLossFn
    max_teachers: int | None = None
    min_teachers: int = 1
    needs_labels: bool = True
    defaults: None = None
    search_space: SearchSpace = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, kw_only=True)
class ComposedTechnique:
    """A technique that takes one transfer per teacher by another technique.

    Attributes:
        name: Name on the command line and in results.
        title: Name for people.
        reference: Paper and place.
        deviations: How this differs from the paper.
        cost: Forward passes beyond training the student once.
        step: The technique of each transfer.
        order: `sequence`: each transfer starts from the student the last one made; `soup`: each starts from
            the initial student, and the students' weights are averaged.
    """

    name: str
    title: str
    reference: str
    deviations: str
    cost: str
    step: FrozenTechnique[Any]
    order: Literal["sequence", "soup"]
    min_teachers: int = 1
    max_teachers: int | None = None

    @property
    def needs_labels(self) -> bool:
        """Whether each step does."""
        return self.step.needs_labels

    @property
    def defaults(self) -> Any:
        """Those of each step."""
        return self.step.defaults

    @property
    def search_space(self) -> SearchSpace:
        """That of each step."""
        return self.step.search_space


Technique = FrozenTechnique[Any] | MutualTechnique | ComposedTechnique
