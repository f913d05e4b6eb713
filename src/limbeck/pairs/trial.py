"""Trying techniques on one student under equal conditions."""

import copy
import time
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np
from torch import nn

from limbeck.core.errors import DivergedError
from limbeck.data import count_samples
from limbeck.engine import (
    Case,
    Change,
    Hooks,
    Training,
    accuracy,
    apply_technique,
    device_of,
    measure_change,
    predict,
    tells_better_than_chance,
    warm_up,
)
from limbeck.pairs.keeper import Keep, Keeper
from limbeck.pairs.progress import StepBar
from limbeck.pairs.readiness import Ready
from limbeck.pairs.record import Attempt
from limbeck.techniques import AnySettings, ComposedTechnique, Technique, list_coefficients


class Trial:
    """Tries techniques on one student under equal conditions.

    Args:
        ready: Models and samples.
        training: The budget and optimiser of every attempt.
        keep: Which epoch's student an attempt ends with.
        seed: Seed of the batch order.
        shows_progress: Whether to show it.
    """

    def __init__(
        self, ready: Ready, training: Training, *, keep: Keep, seed: int, shows_progress: bool
    ) -> None:
        warm_up(training, device=device_of(ready.parties.student))
        self._ready = ready
        self._training = training
        self._keep: Keep = keep
        self._seed = seed
        self._shows_progress = shows_progress
        self._true_classes = ready.validation.true_classes()
        self._first_score = self._score(ready.parties.student)
        self.before = predict(ready.parties.student, ready.measured.inputs)

    def run(self, case: Case, technique: Technique, settings: AnySettings | None) -> "Tryout":
        """The student one technique makes, and what that was worth."""
        started = time.perf_counter()
        keeper = Keeper(case.student, self._score, first_score=self._first_score, keep=self._keep)
        course = self._train(case, technique, settings, keeper)
        student = keeper.restore(copy.deepcopy(case.student))
        seconds = time.perf_counter() - started
        predictions = predict(student, self._ready.measured.inputs)
        change = self._measure(predictions)
        attempt = Attempt(
            technique=technique.name,
            settings={} if settings is None else _list_settings(settings),
            change=change,
            class_forgetting=_list_losses(change),
            validation=tuple(keeper.scores),
            kept_epoch=keeper.kept_epoch,
            losses=course.losses,
            share_from_teacher=course.share_from_teacher,
            seconds=seconds,
            diverged_in_epoch=course.diverged_in_epoch,
        )
        return Tryout(student=student, attempt=attempt, predictions=predictions)

    def _train(
        self, case: Case, technique: Technique, settings: AnySettings | None, keeper: Keeper
    ) -> "_Course":
        num_steps = self._count_steps(case, technique)
        with StepBar(technique.name, num_steps, is_shown=self._shows_progress) as bar:

            def look(models: Sequence[nn.Module]) -> None:
                keeper.look(models)
                epoch = len(keeper.scores) - 1
                bar.note(f"epoch {epoch}: validation accuracy {keeper.scores[-1]:.4f}")

            try:
                transferred = apply_technique(
                    case,
                    technique=technique,
                    settings=settings,
                    training=self._training,
                    seed=self._seed,
                    hooks=Hooks(after_step=bar.advance, after_epoch=look),
                )
            except DivergedError as error:
                return _Course(losses=_of_student(error.losses), diverged_in_epoch=error.epoch)
        return _Course(
            losses=_of_student(transferred.trained.losses), share_from_teacher=transferred.share_from_teacher
        )

    def _measure(self, predictions: np.ndarray) -> Change:
        measured, num_classes = self._ready.measured, len(self._ready.classes.names)
        labels = measured.true_classes()
        tells = tells_better_than_chance(self.before, labels, num_classes=num_classes)
        return measure_change(
            self.before,
            predictions,
            labels,
            known_classes=[index for index, told in enumerate(tells) if told],
            num_classes=num_classes,
        )

    def _score(self, model: nn.Module) -> float:
        return accuracy(predict(model, self._ready.validation.inputs), self._true_classes)

    def _count_steps(self, case: Case, technique: Technique) -> int:
        trainings = len(case.teachers) if isinstance(technique, ComposedTechnique) else 1
        steps_per_epoch = ceil(count_samples(case.inputs) / self._training.batch_size)
        return trainings * self._training.epochs * steps_per_epoch


@dataclass(frozen=True, kw_only=True)
class Tryout:
    """A student that one technique made.

    Attributes:
        student: The student.
        attempt: What that was worth.
        predictions: What it says about the measured samples, int64 [n].
    """

    student: nn.Module
    attempt: Attempt
    predictions: np.ndarray


@dataclass(frozen=True, kw_only=True)
class _Course:
    """How a training went; the fields are those of `Attempt`."""

    losses: tuple[float, ...]
    share_from_teacher: float | None = None
    diverged_in_epoch: int | None = None


def _of_student(losses: Sequence[tuple[float, ...]]) -> tuple[float, ...]:
    return tuple(per_model[0] for per_model in losses)


def _list_losses(change: Change) -> tuple[float | None, ...]:
    """Per class the accuracy lost, None for a class without samples."""
    pairs = zip(change.class_accuracy_before, change.class_accuracy_after, strict=True)
    return tuple(
        None if before is None or after is None else max(0.0, before - after) for before, after in pairs
    )


def _list_settings(settings: AnySettings) -> dict[str, float]:
    return {
        "temperature": settings.temperature,
        "weight": settings.weight,
        **list_coefficients(settings),
    }
