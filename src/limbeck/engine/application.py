"""Applying a technique: a student, its teachers and samples become a new student.

A transfer that trains once is a course, which can stop after any epoch and go on later; a composed technique
is a chain of such transfers.
"""

import copy
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from itertools import chain
from typing import Any

from torch import Tensor, nn

from limbeck.core.errors import require
from limbeck.engine.case import Case
from limbeck.engine.training import Course, Hooks, LossFn, Trained, Training
from limbeck.models.averaging import weighted_average
from limbeck.techniques import (
    AnySettings,
    ComposedTechnique,
    FrozenTechnique,
    MutualTechnique,
    Target,
    Technique,
)


@dataclass(frozen=True, kw_only=True)
class Transferred:
    """The outcome of a transfer.

    Attributes:
        student: The new student.
        peers: The teachers as they became when the technique teaches them too, else empty.
        share_from_teacher: Share of samples whose target was a teacher's, None when nothing is selected.
        trained: What the training took, all steps of a composed technique together.
    """

    student: nn.Module
    peers: tuple[nn.Module, ...]
    share_from_teacher: float | None
    trained: Trained


def apply_technique(
    case: Case,
    *,
    technique: Technique,
    settings: AnySettings | None,
    training: Training,
    seed: int,
    hooks: Hooks = Hooks(),  # noqa: B008 - frozen
) -> Transferred:
    """Transfer knowledge by one technique.

    Args:
        case: Student, teachers and samples.
        technique: How; see `limbeck.techniques`.
        settings: Settings of the technique's own type, None for a technique that has none.
        training: The budget and optimiser, the same for every technique in a fair comparison.
        seed: Seed of the batch order.
        hooks: What to call on the way, with the student first among the models.

    Raises:
        InputError: When the technique, its settings, the teachers and the transfer set do not fit each other.
        DivergedError: When the training diverges.
    """
    if isinstance(technique, ComposedTechnique):
        has_labels, num_teachers = case.labels is not None, case.num_teachers
        check_transfer(technique, settings, has_labels=has_labels, num_teachers=num_teachers)
        run = _Run(settings=settings, training=training, seed=seed, hooks=hooks)
        compose = _transfer_in_sequence if technique.order == "sequence" else _transfer_as_soup
        return compose(case, technique.step, run)
    started = time.perf_counter()
    transfer = begin_transfer(case, technique=technique, settings=settings, training=training, seed=seed)
    transfer.course.advance(training.epochs, hooks)
    return transfer.finish(seconds=time.perf_counter() - started)


@dataclass(frozen=True, kw_only=True)
class Transfer:
    """A transfer under way.

    Attributes:
        course: The training, the student first among its models.
        share_fn: Gives the share of samples whose target is a teacher's, None when nothing is selected.
    """

    course: Course
    share_fn: Callable[[], float | None]

    def finish(self, *, seconds: float) -> Transferred:
        """The outcome after the epochs that are done.

        Args:
            seconds: What they took.
        """
        student, *peers = [model.eval() for model in self.course.models]
        return Transferred(
            student=student,
            peers=tuple(peers),
            share_from_teacher=self.share_fn(),
            trained=Trained(
                losses=tuple(self.course.losses),
                steps=self.course.epoch * self.course.steps_per_epoch,
                seconds=seconds,
            ),
        )


def begin_transfer(
    case: Case,
    *,
    technique: FrozenTechnique[Any] | MutualTechnique,
    settings: AnySettings | None,
    training: Training,
    seed: int,
) -> Transfer:
    """A transfer before its first step, on copies of the case's models; see `apply_technique`.

    Raises:
        InputError: When the technique, its settings, the teachers and the transfer set do not fit each other.
    """
    check_transfer(technique, settings, has_labels=case.labels is not None, num_teachers=case.num_teachers)
    if isinstance(technique, MutualTechnique):
        return _begin_mutual(case, technique, training, seed)
    targets = _Targets(case=case, technique=technique, settings=settings, training=training, seed=seed)
    student = copy.deepcopy(case.student)
    loss_fn = _frozen_loss(technique, targets, case.labels, settings)
    course = Course([student], case.inputs, loss_fn, training=training, seed=seed)
    return Transfer(course=course, share_fn=lambda: _share_from_teacher(targets.of_epoch(0)))


@dataclass(frozen=True, kw_only=True)
class _Targets:
    """What a student is pulled towards in each epoch: always the same without augmentation."""

    case: Case
    technique: FrozenTechnique[Any]
    settings: AnySettings | None
    training: Training
    seed: int

    def of_epoch(self, epoch: int) -> Target | None:
        """The target of each sample as it is in an epoch, None for a technique without one."""
        if self.technique.target_fn is None:
            return None
        return self._build(0 if self.training.augmentation == "none" else epoch)

    @cached_property
    def _build(self) -> Callable[[int], Target]:
        """Builds an epoch's target and keeps it as long as it is that epoch."""

        @lru_cache(1)
        def build(epoch: int) -> Target:
            assert self.technique.target_fn is not None
            view = self.case.view(self.training.augmentation, epoch=epoch, seed=self.seed)
            return self.technique.target_fn(view, self.settings)  # pyright: ignore[reportArgumentType] - cached_property is a property

        return build


@dataclass(frozen=True, kw_only=True)
class _Run:
    """What is the same in every step of a composed transfer; see `apply_technique`."""

    settings: AnySettings | None
    training: Training
    seed: int
    hooks: Hooks

    def transfer(self, case: Case, technique: FrozenTechnique[Any]) -> Transferred:
        """One step of it."""
        return apply_technique(
            case,
            technique=technique,
            settings=self.settings,
            training=self.training,
            seed=self.seed,
            hooks=self.hooks,
        )


def check_transfer(
    technique: Technique, settings: AnySettings | None, *, has_labels: bool, num_teachers: int = 1
) -> None:
    """Check that a technique, its settings, the teachers and the transfer set fit each other.

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
    require(
        settings is None or type(settings) is type(technique.defaults),
        f"`{technique.name}` takes {type(technique.defaults).__name__}",
        f"settings={settings}",
        "Use `make_settings`.",
    )
    require(
        num_teachers >= technique.min_teachers,
        f"`{technique.name}` has {technique.min_teachers} teacher or more",
        f"{num_teachers}",
        "Give a teacher, or use `finetune` or `self-kd`.",
    )
    require(
        technique.max_teachers is None or num_teachers <= technique.max_teachers,
        f"`{technique.name}` has at most {technique.max_teachers} teacher",
        f"{num_teachers}",
        "Give fewer teachers, or use `dml`, which takes any number.",
    )


def _frozen_loss(
    technique: FrozenTechnique[Any],
    targets: _Targets,
    labels: Tensor | None,
    settings: AnySettings | None,
) -> LossFn:
    def loss_fn(logits: list[Tensor], ids: Tensor, epoch: int) -> list[Tensor]:
        target = targets.of_epoch(epoch)
        batch_target = None if target is None else target.logits[ids]
        batch_labels = None if labels is None else labels[ids]
        return [technique.loss(logits[0], batch_target, batch_labels, settings)]

    return loss_fn


def _share_from_teacher(target: Target | None) -> float | None:
    if target is None or target.from_teacher is None:
        return None
    return float(target.from_teacher.float().mean())


def _begin_mutual(case: Case, technique: MutualTechnique, training: Training, seed: int) -> Transfer:
    labels = case.labels
    assert labels is not None
    require(
        case.told is None,
        f"in `{technique.name}`, where both learn, the teachers are at hand",
        "what they said",
        "Use a technique with a frozen teacher, such as `kd`.",
    )
    require(
        case.columns is None,
        f"in `{technique.name}`, where both learn, student and teacher have the same classes in one order",
        "other classes, or another order",
        "Use a technique with a frozen teacher, such as `kd` or `dp-kd`.",
    )
    models = [copy.deepcopy(model) for model in (case.student, *case.teachers)]

    def loss_fn(logits: list[Tensor], ids: Tensor, epoch: int) -> list[Tensor]:
        del epoch
        return technique.loss_fn(logits, labels[ids])

    course = Course(models, case.inputs, loss_fn, training=training, seed=seed)
    return Transfer(course=course, share_fn=lambda: None)


def _transfer_in_sequence(case: Case, step: FrozenTechnique[Any], run: _Run) -> Transferred:
    """One teacher after another; each time the student before is the one the last teacher made."""
    outcomes: list[Transferred] = []
    for number in range(case.num_teachers):
        student = outcomes[-1].student if outcomes else case.student
        one = replace(case.only_teacher(number), student=student)
        outcomes.append(run.transfer(one, step))
    return _join(outcomes, outcomes[-1].student)


def _transfer_as_soup(case: Case, step: FrozenTechnique[Any], run: _Run) -> Transferred:
    """One student per teacher, all from the same start, and the mean of their weights."""
    # The students before the soup are nobody's result.
    quiet = replace(run, hooks=Hooks(after_step=run.hooks.after_step))
    outcomes = [quiet.transfer(case.only_teacher(number), step) for number in range(case.num_teachers)]
    states = [outcome.student.state_dict() for outcome in outcomes]
    soup = copy.deepcopy(case.student)
    soup.load_state_dict(weighted_average(states, [1.0] * len(states)))
    run.hooks.after_epoch([soup])
    return _join(outcomes, soup.eval())


def _join(outcomes: Sequence[Transferred], student: nn.Module) -> Transferred:
    shares = [outcome.share_from_teacher for outcome in outcomes if outcome.share_from_teacher is not None]
    return Transferred(
        student=student,
        peers=(),
        share_from_teacher=sum(shares) / len(shares) if shares else None,
        trained=Trained(
            losses=tuple(chain.from_iterable(outcome.trained.losses for outcome in outcomes)),
            steps=sum(outcome.trained.steps for outcome in outcomes),
            seconds=sum(outcome.trained.seconds for outcome in outcomes),
        ),
    )
