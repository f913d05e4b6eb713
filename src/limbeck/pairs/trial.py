"""Trying techniques on one student under equal conditions."""

import copy
import time
from collections.abc import Sequence
from math import ceil

import numpy as np
from torch import nn

from limbeck.core.errors import DivergedError
from limbeck.data import count_samples
from limbeck.engine import (
    Case,
    Hooks,
    Training,
    Transferred,
    accuracy,
    apply_technique,
    class_accuracy,
    measure_change,
    predict,
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
        self._ready = ready
        self._training = training
        self._keep: Keep = keep
        self._seed = seed
        self._shows_progress = shows_progress
        self._true_classes = ready.validation.true_classes()
        self._before = predict(ready.parties.student, ready.measured.inputs)

    def run(
        self, case: Case, technique: Technique, settings: AnySettings | None
    ) -> tuple[nn.Module, Attempt]:
        """The student one technique makes, and what that was worth."""
        started = time.perf_counter()
        keeper = Keeper(case.student, self._score, keep=self._keep)
        transferred, diverged = self._apply(case, technique, settings, keeper)
        if transferred is None:
            student = keeper.restore(copy.deepcopy(case.student))
        else:
            student = keeper.restore(transferred.student)
        seconds = time.perf_counter() - started
        return student, self._measure(
            student, technique, settings, keeper, transferred=transferred, diverged=diverged, seconds=seconds
        )

    def _apply(
        self, case: Case, technique: Technique, settings: AnySettings | None, keeper: Keeper
    ) -> tuple[Transferred | None, DivergedError | None]:
        with StepBar(
            technique.name, self._count_steps(case, technique), is_shown=self._shows_progress
        ) as bar:

            def look(models: Sequence[nn.Module]) -> None:
                keeper.look(models)
                bar.note(f"validation accuracy {keeper.scores[-1]:.4f}")

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
                return None, error
        return transferred, None

    def _measure(
        self,
        student: nn.Module,
        technique: Technique,
        settings: AnySettings | None,
        keeper: Keeper,
        *,
        transferred: Transferred | None,
        diverged: DivergedError | None,
        seconds: float,
    ) -> Attempt:
        measured = self._ready.measured
        labels, num_classes = measured.true_classes(), len(self._ready.classes.names)
        change = measure_change(
            self._before,
            predict(student, measured.inputs),
            labels,
            known_classes=find_known_classes(self._before, labels, num_classes=num_classes),
            num_classes=num_classes,
        )
        losses = transferred.trained.losses if transferred else diverged.losses if diverged else ()
        return Attempt(
            technique=technique.name,
            settings={} if settings is None else _list_settings(settings),
            change=change,
            class_forgetting=tuple(
                None if before is None or after is None else max(0.0, before - after)
                for before, after in zip(
                    change.class_accuracy_before, change.class_accuracy_after, strict=True
                )
            ),
            validation=tuple(keeper.scores),
            kept_epoch=keeper.kept_epoch,
            losses=tuple(per_model[0] for per_model in losses),
            share_from_teacher=transferred.share_from_teacher if transferred else None,
            seconds=seconds,
            diverged_in_epoch=diverged.epoch if diverged else None,
        )

    def _score(self, model: nn.Module) -> float:
        return accuracy(predict(model, self._ready.validation.inputs), self._true_classes)

    def _count_steps(self, case: Case, technique: Technique) -> int:
        trainings = len(case.teachers) if isinstance(technique, ComposedTechnique) else 1
        steps_per_epoch = ceil(count_samples(case.inputs) / self._training.batch_size)
        return trainings * self._training.epochs * steps_per_epoch


def find_known_classes(predictions: np.ndarray, labels: np.ndarray, *, num_classes: int) -> list[int]:
    """The classes a student knew: those it told better than chance."""
    per_class = class_accuracy(predictions, labels, num_classes=num_classes)
    return [index for index, value in enumerate(per_class) if value is not None and value > 1 / num_classes]


def _list_settings(settings: AnySettings) -> dict[str, float]:
    return {
        "temperature": settings.temperature,
        "weight": settings.weight,
        **list_coefficients(settings),
    }
