"""Trying techniques on one student under equal conditions."""

import copy
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import ceil
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from limbeck.core.errors import DivergedError
from limbeck.data import count_samples
from limbeck.engine import (
    Case,
    Change,
    Hooks,
    Training,
    Transfer,
    accuracy,
    advance_together,
    apply_technique,
    begin_transfer,
    device_of,
    measure_change,
    predict,
    tells_better_than_chance,
    use_threads,
    warm_up,
)
from limbeck.pairs.keeper import Keep, Keeper
from limbeck.pairs.progress import StepBar
from limbeck.pairs.readiness import Ready
from limbeck.pairs.record import Attempt
from limbeck.techniques import (
    AnySettings,
    ComposedTechnique,
    FrozenTechnique,
    MutualTechnique,
    Technique,
    list_coefficients,
)

SECONDS = "seconds"


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
        self._truths = [part.true_classes() for part in ready.judges]
        self._first_score = self._score(ready.parties.student)
        self.before = predict(ready.parties.student, ready.measured.inputs)

    def run(self, case: Case, technique: Technique, settings: AnySettings | None) -> "Tryout":
        """The student one technique makes, and what that was worth."""
        num_steps = self.count_steps(case, technique, epochs=self._training.epochs)
        with StepBar(technique.name, num_steps, is_shown=self._shows_progress) as bar:

            def tell(keeper: Keeper) -> None:
                bar.note(f"epoch {len(keeper.scores) - 1}: validation accuracy {keeper.scores[-1]:.4f}")

            if isinstance(technique, ComposedTechnique):
                return self._compose(case, technique, settings, after_step=bar.advance, tell_fn=tell)
            candidate = self.begin(case, technique, settings)
            self.advance([candidate], self._training.epochs, after_step=bar.advance, tell_fn=tell)
        return self.finish(candidate)

    def begin(
        self,
        case: Case,
        technique: FrozenTechnique[Any] | MutualTechnique,
        settings: AnySettings | None,
        *,
        packed: Mapping[str, Tensor] | None = None,
    ) -> "Candidate":
        """A student before its first step, or where it was when it was packed."""
        started = time.perf_counter()
        transfer = begin_transfer(
            case, technique=technique, settings=settings, training=self._training, seed=self._seed
        )
        candidate = Candidate(
            technique=technique.name,
            settings=list_settings(settings),
            transfer=transfer,
            keeper=self._make_keeper(case.student),
        )
        if packed is not None:
            candidate.unpack(packed)
        candidate.seconds += time.perf_counter() - started
        return candidate

    def advance(
        self,
        candidates: "Sequence[Candidate]",
        until: int,
        *,
        after_step: Callable[[], None] = lambda: None,
        tell_fn: Callable[[Keeper], None] = lambda _: None,
    ) -> None:
        """Train students until so many epochs are done, several of them as one stack.

        Args:
            candidates: Students of the same case and technique, after equally many epochs.
            until: Epochs in all.
            after_step: Called after every step.
            tell_fn: Called with a student's scores after each of its epochs.
        """
        started = time.perf_counter()

        def look(place: int, models: Sequence[nn.Module]) -> None:
            keeper = candidates[place].keeper
            keeper.look(models)
            tell_fn(keeper)

        if len(candidates) == 1:
            ends = [
                _advance(candidates[0], until, Hooks(after_step=after_step, after_epoch=partial(look, 0)))
            ]
        else:
            courses = [candidate.transfer.course for candidate in candidates]
            ends = advance_together(courses, until, after_epoch=look, after_step=after_step)
        share = (time.perf_counter() - started) / len(candidates)
        for candidate, end in zip(candidates, ends, strict=True):
            candidate.seconds += share
            candidate.diverged_in_epoch = None if end is None else end.epoch

    def finish(self, candidate: "Candidate") -> "Tryout":
        """The student that is kept, and what it was worth."""
        transferred = candidate.transfer.finish(seconds=candidate.seconds)
        return self._conclude(
            candidate.technique,
            candidate.settings,
            candidate.keeper,
            _Course(
                losses=_of_student(transferred.trained.losses),
                share_from_teacher=transferred.share_from_teacher,
                diverged_in_epoch=candidate.diverged_in_epoch,
            ),
            seconds=candidate.seconds,
        )

    def copy_student(self) -> nn.Module:
        """The student as it came, to put other weights into."""
        return copy.deepcopy(self._ready.parties.student)

    def count_steps(self, case: Case, technique: Technique, *, epochs: int) -> int:
        """Optimiser steps that so many epochs of a technique take."""
        trainings = len(case.teachers) if isinstance(technique, ComposedTechnique) else 1
        steps_per_epoch = ceil(count_samples(case.inputs) / self._training.batch_size)
        return trainings * epochs * steps_per_epoch

    def _compose(
        self,
        case: Case,
        technique: ComposedTechnique,
        settings: AnySettings | None,
        *,
        after_step: Callable[[], None],
        tell_fn: Callable[[Keeper], None],
    ) -> "Tryout":
        started = time.perf_counter()
        keeper = self._make_keeper(case.student)

        def look(models: Sequence[nn.Module]) -> None:
            keeper.look(models)
            tell_fn(keeper)

        try:
            transferred = apply_technique(
                case,
                technique=technique,
                settings=settings,
                training=self._training,
                seed=self._seed,
                hooks=Hooks(after_step=after_step, after_epoch=look),
            )
        except DivergedError as error:
            course = _Course(losses=_of_student(error.losses), diverged_in_epoch=error.epoch)
        else:
            losses = _of_student(transferred.trained.losses)
            course = _Course(losses=losses, share_from_teacher=transferred.share_from_teacher)
        return self._conclude(
            technique.name, list_settings(settings), keeper, course, seconds=time.perf_counter() - started
        )

    def _make_keeper(self, student: nn.Module) -> Keeper:
        return Keeper(student, self._score, first_score=self._first_score, keep=self._keep)

    def _conclude(
        self, technique: str, settings: dict[str, float], keeper: Keeper, course: "_Course", *, seconds: float
    ) -> "Tryout":
        student = keeper.restore(self.copy_student())
        with use_threads(self._training.threads, device_of(student)):
            predictions = predict(student, self._ready.measured.inputs)
        change = self._measure(predictions)
        attempt = Attempt(
            technique=technique,
            settings=settings,
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
        shares = [
            accuracy(predict(model, part.inputs), truth)
            for part, truth in zip(self._ready.judges, self._truths, strict=True)
        ]
        return sum(shares) / len(shares)


@dataclass(kw_only=True)
class Candidate:
    """A student under way.

    Attributes:
        technique: Name of the technique.
        settings: Its settings by name.
        transfer: The training.
        keeper: The best state so far, and the scores.
        seconds: Wall time so far; of a stack, its share.
        diverged_in_epoch: The epoch in which the loss stopped being finite, None when it never did.
    """

    technique: str
    settings: dict[str, float]
    transfer: Transfer
    keeper: Keeper
    seconds: float = 0.0
    diverged_in_epoch: int | None = None

    def pack(self) -> dict[str, Tensor]:
        """Everything it needs to go on later, as tensors by name."""
        seconds = torch.tensor(self.seconds, dtype=torch.float64)
        return {**self.transfer.course.pack(), **self.keeper.pack(), SECONDS: seconds}

    def unpack(self, packed: Mapping[str, Tensor]) -> None:
        """Go on from what `pack` gave."""
        self.transfer.course.unpack(packed)
        self.keeper.unpack(packed)
        self.seconds = float(packed[SECONDS])


def _advance(candidate: Candidate, until: int, hooks: Hooks) -> DivergedError | None:
    try:
        candidate.transfer.course.advance(until, hooks)
    except DivergedError as error:
        return error
    return None


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


def list_settings(settings: AnySettings | None) -> dict[str, float]:
    """Settings by name, none for a technique without any."""
    if settings is None:
        return {}
    return {
        "temperature": settings.temperature,
        "weight": settings.weight,
        **list_coefficients(settings),
    }
