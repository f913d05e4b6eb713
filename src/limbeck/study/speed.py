"""How fast this machine trains a study's architectures: seconds per unit of a run's cost."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from statistics import fmean

import torch
from torch import Tensor

from limbeck import models
from limbeck.core.processes import can_fork, run_forked
from limbeck.core.spec_files import Part
from limbeck.data import DataSet, Inputs, View, measure_normalization, normalize
from limbeck.engine import Layout, Training, predict, pretrain, use_threads
from limbeck.study.plan import EVALUATION_COST, Kind, PartName
from limbeck.study.spec import StudySpec

LEAST_SECONDS = 1.0
NUM_BATCHES = 8
SMALL_LR = 1e-3


class Speed(Part):
    """How fast one kind of run is done with one architecture.

    Attributes:
        part: Part of the study.
        kind: Kind of run.
        arch: Architecture.
        seconds_per_sample: Seconds of a worker per sample trained on.
    """

    part: PartName
    kind: Kind
    arch: str
    seconds_per_sample: float


def measure_speeds(
    spec: StudySpec, data: DataSet, *, layouts: Mapping[str, Layout], device: torch.device, num_workers: int
) -> tuple[Speed, ...]:
    """The speed of every kind of run with every architecture, measured now.

    What is timed are real epochs over a few batches and the evaluation of as many samples, with one thread,
    by as many processes at a time as will do the runs: they share caches and memory. The best of the
    repetitions counts, so that what else happens on the machine for a moment does not.

    Args:
        spec: The study.
        data: Its data set.
        layouts: How architectures are run, where it is not as their training says.
        device: Where it runs.
        num_workers: How many runs are done at a time.
    """
    shortened = {place: _shorten(training, layouts.get(place[2])) for place, training in _list(spec).items()}
    tasks = list(dict.fromkeys((arch, training) for (_, _, arch), training in shortened.items()))
    timer = _Timer(data, device)
    repeated = [task for task in tasks for _ in range(num_workers)]
    seconds: dict[tuple[str, Training], list[float]] = {task: [] for task in tasks}
    for number, taken in _do_all(repeated, timer.time, num_workers):
        seconds[repeated[number]].append(taken)
    return tuple(
        Speed(part=part, kind=kind, arch=arch, seconds_per_sample=fmean(seconds[arch, training]))
        for (part, kind, arch), training in shortened.items()
    )


def _do_all(
    tasks: Sequence[tuple[str, Training]], time_fn: Callable[[str, Training], float], num_workers: int
) -> Iterable[tuple[int, float]]:
    """(place of a task, its seconds), in forked processes where that is possible."""
    if can_fork():
        return run_forked(tasks, lambda task, _: time_fn(*task), num_workers=num_workers)
    return enumerate(time_fn(*task) for task in tasks)


def _list(spec: StudySpec) -> dict[tuple[PartName, Kind, str], Training]:
    """How each kind of run trains each architecture."""
    trainings: dict[tuple[PartName, Kind, str], Training] = {}
    if spec.transfer is not None:
        for pair in spec.transfer.architectures:
            for arch in (pair.student, pair.teacher):
                trainings["transfer", "pretrain", arch] = spec.transfer.pretrain
                trainings["transfer", "transfer", arch] = spec.transfer.training
    if spec.federated is not None:
        trainings["federated", "pretrain", spec.federated.arch] = spec.federated.pretrain
        trainings["federated", "federate", spec.federated.arch] = spec.federated.local
    return trainings


def _shorten(training: Training, layout: Layout | None) -> Training:
    """One epoch of a training as it is laid out, without what its duration does not depend on."""
    laid_out = training if layout is None else replace(training, **asdict(layout))
    return replace(laid_out, epochs=1, lr=SMALL_LR, schedule="constant")


class _Timer:
    """Times the training of models on the first samples of a data set."""

    def __init__(self, data: DataSet, device: torch.device) -> None:
        self._data = data
        self._device = device
        self._normalization = measure_normalization(data.train)

    def time(self, arch: str, training: Training) -> float:
        """Seconds per sample trained on, with its share of evaluation as `Run.cost` counts it."""
        num_samples = min(len(self._data.train), NUM_BATCHES * training.batch_size)
        inputs, labels = self._take(num_samples)
        model = models.build(
            arch, input_shape=self._data.input_shape, num_classes=self._data.num_classes, seed=0
        ).to(self._device)

        def step() -> float:
            started = time.perf_counter()
            pretrain(model, inputs, labels, training=training, seed=0)
            predict(model, inputs)
            return time.perf_counter() - started

        with use_threads(1, self._device):
            step()  # loads kernels
            times = [step()]
            while sum(times) < LEAST_SECONDS:
                times.append(step())
        return min(times) / (num_samples * (1 + EVALUATION_COST))

    def _take(self, num_samples: int) -> tuple[Inputs, Tensor]:
        """The first samples as a model takes them, and their labels, on the device."""
        samples = self._data.subset(range(num_samples)).to(self._device)
        if isinstance(samples.inputs, Tensor) and samples.inputs.dtype == torch.uint8:
            return View(inputs=samples.inputs, normalization=self._normalization), samples.labels
        return normalize(samples.inputs, self._normalization), samples.labels
