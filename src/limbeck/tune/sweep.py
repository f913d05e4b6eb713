"""Training many students of one setup: on a CPU in a process each, on a GPU as one stack.

What a student needs to go on, and what it came to, lies in a file of its own; so a student can be trained a
few epochs, wait until others have caught up, and go on in another process or after an interruption.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from limbeck.core.device import count_cores, count_free_bytes
from limbeck.core.errors import count, require
from limbeck.core.files import write_atomically
from limbeck.core.fingerprint import hash_config
from limbeck.core.processes import can_fork, run_forked
from limbeck.core.tensors import copy_state
from limbeck.data import load_batch
from limbeck.engine import Case, count_stack_bytes, device_of, is_stack_faster
from limbeck.pairs import Attempt
from limbeck.pairs.setup import Setup
from limbeck.pairs.trial import Candidate, Tryout, list_settings
from limbeck.techniques import AnySettings, ComposedTechnique, Technique

SUFFIX = ".safetensors"
ATTEMPT, PREDICTIONS, STUDENT = "attempt", "predictions", "student."
# What stays free of memory whatever trains.
RESERVE_BYTES = 2**30
MAX_STACK = 64


@dataclass(frozen=True, kw_only=True)
class Task:
    """A student to be trained.

    Attributes:
        technique: How.
        settings: Settings of the technique's own type, None for a technique without any.
        is_baseline: Whether it learns from the labelled samples without a teacher.
    """

    technique: Technique
    settings: AnySettings | None
    is_baseline: bool = False

    @property
    def name(self) -> str:
        """What its file is called."""
        settings = {name: float(value) for name, value in list_settings(self.settings).items()}
        return f"{self.technique.name}-{hash_config(settings)}"


@dataclass(frozen=True, kw_only=True)
class Stage:
    """Where a student is.

    Attributes:
        scores: Validation accuracy before (first) and after each epoch.
        kept_epoch: The epoch with the best one.
        seconds: Wall time so far.
        attempt: What it came to after its last epoch, None before.
    """

    scores: tuple[float, ...]
    kept_epoch: int
    seconds: float
    attempt: Attempt | None

    @property
    def best_score(self) -> float:
        """The score of the epoch that is kept."""
        return self.scores[self.kept_epoch]


class Sweep:
    """Trains the students of one setup.

    Args:
        setup: Models, samples and budget.
        folder: Where students under way and finished ones lie.
        workers: Processes at a time on a CPU; None for as many as there are cores and memory for.
        stack: Students that one process trains in one pass; None for one on a CPU, and on a GPU for as many
            as its memory holds where a measurement finds that faster.

    Attributes:
        warnings: What a reader should know, such as memory that holds fewer students.
    """

    def __init__(self, setup: Setup, folder: Path, *, workers: int | None, stack: int | None = None) -> None:
        require(workers is None or workers >= 1, "workers >= 1", f"workers={workers}", "Leave it out.")
        self._setup = setup
        self._folder = folder
        self._workers = workers
        self._stack = stack
        self._epochs = setup.training.epochs
        self.warnings: list[str] = []

    def advance(
        self, tasks: Sequence[Task], until: int, *, after_steps: Callable[[int], None] = lambda _: None
    ) -> Iterator[tuple[int, Stage]]:
        """Train students until so many epochs are done and yield (place of the task, stage) as each is.

        Args:
            tasks: Students after equally many epochs.
            until: Epochs in all.
            after_steps: Told how many steps have been done since.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        self._ask_teachers(tasks)
        num_workers = self._count_workers(len(tasks))
        if num_workers > 1:
            answers = run_forked(
                tasks,
                lambda task, report: asdict(self._train([task], until, report)[0]),
                num_workers=num_workers,
                after_steps=after_steps,
            )
            for place, answer in answers:
                yield place, TypeAdapter(Stage).validate_python(answer)
            return
        size = self._count_stack(tasks)
        for start in range(0, len(tasks), size):
            group = tasks[start : start + size]
            yield from enumerate(self._train(group, until, after_steps), start=start)

    def count_steps(self, tasks: Sequence[Task], *, epochs: int) -> int:
        """Optimiser steps that so many epochs of all take."""
        return sum(
            self._setup.trial.count_steps(self._case(task), task.technique, epochs=epochs) for task in tasks
        )

    def read(self, task: Task) -> Tryout | None:
        """The student a task made and what it came to; None where its file is gone or damaged."""
        attempt = self._read_attempt(task)
        if attempt is None:
            return None
        tensors = load_file(self._file(task))
        student = self._setup.trial.copy_student()
        student.load_state_dict(
            {name.removeprefix(STUDENT): value for name, value in tensors.items() if name.startswith(STUDENT)}
        )
        return Tryout(student=student, attempt=attempt, predictions=tensors[PREDICTIONS].numpy())

    def forget(self, task: Task) -> None:
        """Remove what a task left."""
        self._file(task).unlink(missing_ok=True)

    def forget_all(self) -> None:
        """Remove what every task left."""
        for path in self._folder.glob("*"):  # what a killed process was writing too
            path.unlink(missing_ok=True)
        for folder in (self._folder, self._folder.parent):
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()

    def _case(self, task: Task) -> Case:
        return self._setup.ready.baseline_case() if task.is_baseline else self._setup.case

    def _file(self, task: Task) -> Path:
        return self._folder / f"{task.name}{SUFFIX}"

    def _ask_teachers(self, tasks: Sequence[Task]) -> None:
        """Have every target's ingredients in memory before others share it."""
        training, seed = self._setup.training, self._setup.options.seed
        for task in {task.technique.name: task for task in tasks}.values():
            target_fn = getattr(task.technique, "target_fn", None)
            if target_fn is None:
                continue
            for epoch in range(self._epochs):
                target_fn(self._case(task).view(training.augmentation, epoch=epoch, seed=seed), task.settings)
                if training.augmentation == "none":
                    break

    def _train(self, group: Sequence[Task], until: int, after_steps: Callable[[int], None]) -> list[Stage]:
        stages: dict[str, Stage] = {}
        waiting: dict[int, list[tuple[Task, Candidate]]] = {}
        for task in group:
            attempt = self._read_attempt(task)
            if attempt is not None:
                stages[task.name] = conclude(attempt)
            elif isinstance(task.technique, ComposedTechnique):
                stages[task.name] = self._compose(task, after_steps)
            else:
                candidate = self._begin(task, packed=_read_packed(self._file(task)))
                waiting.setdefault(candidate.transfer.course.epoch, []).append((task, candidate))
        # After an interruption students may have got to different epochs, and a stack needs them in one.
        for members in waiting.values():
            candidates, num_members = [candidate for _, candidate in members], len(members)
            self._setup.trial.advance(candidates, until, after_step=partial(after_steps, num_members))
            stages |= {task.name: self._leave(task, candidate, until) for task, candidate in members}
        return [stages[task.name] for task in group]

    def _begin(self, task: Task, *, packed: Mapping[str, Tensor] | None = None) -> Candidate:
        technique = task.technique
        assert not isinstance(technique, ComposedTechnique)
        return self._setup.trial.begin(self._case(task), technique, task.settings, packed=packed)

    def _leave(self, task: Task, candidate: Candidate, until: int) -> Stage:
        if until >= self._epochs or candidate.diverged_in_epoch is not None:
            return self._keep(task, self._setup.trial.finish(candidate))
        with write_atomically(self._file(task)) as temporary:
            save_file(copy_state(candidate.pack()), temporary)
        keeper = candidate.keeper
        return Stage(
            scores=tuple(keeper.scores),
            kept_epoch=keeper.kept_epoch,
            seconds=candidate.seconds,
            attempt=None,
        )

    def _compose(self, task: Task, after_steps: Callable[[int], None]) -> Stage:
        tryout = self._setup.trial.run(self._case(task), task.technique, task.settings)
        after_steps(self.count_steps([task], epochs=self._epochs))
        return self._keep(task, tryout)

    def _keep(self, task: Task, tryout: Tryout) -> Stage:
        attempt = tryout.attempt
        state = {f"{STUDENT}{name}": value for name, value in tryout.student.state_dict().items()}
        state[PREDICTIONS] = torch.from_numpy(tryout.predictions)
        content = TypeAdapter(Attempt).dump_json(attempt).decode()
        with write_atomically(self._file(task)) as temporary:
            save_file(
                copy_state(state),
                temporary,
                metadata={ATTEMPT: content},
            )
        return conclude(attempt)

    def _read_attempt(self, task: Task) -> Attempt | None:
        """What a student that is finished came to, None where it is not."""
        try:
            with safe_open(self._file(task), framework="pt") as file:
                return TypeAdapter(Attempt).validate_json((file.metadata() or {})[ATTEMPT])
        except (OSError, SafetensorError, KeyError):
            return None

    def _count_workers(self, num_tasks: int) -> int:
        if not can_train_apart(device_of(self._setup.case.student)):
            return 1
        return self._shrink(min(num_tasks, self._workers or count_cores()))

    def _count_stack(self, tasks: Sequence[Task]) -> int:
        """How many students a pass trains: those a GPU has memory for, where a stack of them is faster."""
        if len(tasks) <= 1 or isinstance(tasks[0].technique, ComposedTechnique):
            return 1
        if self._stack is not None or device_of(self._setup.case.student).type == "cpu":
            return self._stack or 1
        size = self._shrink(min(len(tasks), MAX_STACK))
        begun = [self._begin(task) for task in tasks[:size]]
        return size if is_stack_faster([candidate.transfer.course for candidate in begun]) else 1

    def _shrink(self, wanted: int) -> int:
        """So many students at a time as free memory holds, at least one."""
        if wanted == 1:
            return 1
        free_bytes = count_free_bytes(device_of(self._setup.case.student)) - RESERVE_BYTES
        fitting = max(1, free_bytes // self._student_bytes)
        if fitting < wanted and not self.warnings:
            self.warnings.append(
                f"Memory holds {count(fitting, 'student')} of {wanted} at a time: each takes about "
                f"{self._student_bytes / 2**20:,.0f} MiB while it trains."
            )
        return min(wanted, fitting)

    @cached_property
    def _student_bytes(self) -> int:
        case, training = self._setup.case, self._setup.training
        ids = torch.arange(min(training.batch_size, len(case.inputs)))
        batch = load_batch(case.inputs, ids, device_of(case.student))
        return count_stack_bytes(case.student, batch, precision=training.precision)


def can_train_apart(device: torch.device) -> bool:
    """Whether students of this device can train in processes of their own, with one thread each."""
    return device.type == "cpu" and can_fork()


def conclude(attempt: Attempt) -> Stage:
    """Where a student is that came to this."""
    return Stage(
        scores=attempt.validation,
        kept_epoch=attempt.kept_epoch,
        seconds=attempt.seconds,
        attempt=attempt,
    )


def _read_packed(path: Path) -> dict[str, Any] | None:
    """What a student under way left; None where nothing is or it is damaged, and training starts anew."""
    try:
        with safe_open(path, framework="pt") as file:
            if file.metadata() is not None:
                return None
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    except (OSError, SafetensorError):
        return None
