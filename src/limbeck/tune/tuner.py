"""One tuning from its setup to what it found."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from limbeck.core.fingerprint import hash_arrays, hash_state
from limbeck.engine import hash_inputs
from limbeck.pairs.progress import StepBar
from limbeck.pairs.setup import Setup
from limbeck.pairs.transfer import BASELINE, make_outcome
from limbeck.pairs.trial import Tryout, list_settings
from limbeck.techniques import AnySettings, Technique, get_technique, make_settings
from limbeck.tune.grid import choose_best
from limbeck.tune.record import Tuned, compare_paired
from limbeck.tune.search import (
    Search,
    SearchPlan,
    Space,
    Tried,
    describe_stage,
    name_search,
    plan_rungs,
)
from limbeck.tune.sweep import Stage, Sweep, Task, conclude

TRIALS_FOLDER = "trials"


class Tuner:
    """Searches the settings of a technique and compares the best with the defaults and the baseline.

    Args:
        setup: Models, samples and budget.
        technique: What is tuned.
        space: From `check_space`.
        plan: How points are chosen, and how many.
        folder: Where the database of trials and the students under way lie.
        workers: Students trained at a time on a CPU; see `Sweep`.
    """

    def __init__(
        self,
        setup: Setup,
        technique: Technique,
        space: Space,
        *,
        plan: SearchPlan,
        folder: Path,
        workers: int | None,
    ) -> None:
        name = name_search(technique, space, plan.driver, _identify(setup, technique))
        self._setup = setup
        self._technique = technique
        self._plan = plan
        self._sweep = Sweep(setup, folder / TRIALS_FOLDER / name, workers=workers)
        self._search = Search(technique, space, plan=plan, name=name, folder=folder)
        self._default = Task(technique=technique, settings=technique.defaults)
        self._baseline = Task(technique=get_technique(BASELINE), settings=None, is_baseline=True)
        self._leader = _Leader(self._sweep, spared=self._default)

    def run(
        self,
        student: nn.Module,
        *,
        after_trial: Callable[[Sequence[Tried]], None],
        after_steps: Callable[[float], None],
    ) -> Tuned:
        """Search, then measure.

        Args:
            student: As the user gave it.
            after_trial: Called with all trials so far.
            after_steps: Called now and then with the share of all steps that are done, in [0, 1].
        """
        num_steps = self._count_steps(num_missing=self._plan.num_trials - len(self._search.list_tried()))
        bar = StepBar(f"tuning {self._technique.name}", num_steps, is_shown=self._setup.options.progress)
        num_done = 0

        def count(steps: int) -> None:
            nonlocal num_done
            num_done += steps
            bar.advance(steps)
            after_steps(min(1.0, num_done / max(1, num_steps)))

        with bar:
            self._search.run(
                lambda settings, until: self._advance(settings, until, count), after_trial=after_trial
            )
            trials = self._search.list_tried()
            tryouts = self._close(trials, count)
        after_steps(1.0)
        tuned = self._conclude(student, trials, *tryouts)
        self._sweep.forget_all()
        return tuned

    def _advance(
        self, settings: Sequence[AnySettings], until: int, after_steps: Callable[[int], None]
    ) -> Iterator[tuple[int, Stage]]:
        tasks = [Task(technique=self._technique, settings=point) for point in settings]
        self._leader.list(tasks)
        for place, stage in self._sweep.advance(tasks, until, after_steps=after_steps):
            if stage.attempt is not None and until == self._plan.epochs:
                self._leader.meet(tasks[place], stage)
            yield place, stage

    def _close(
        self, trials: Sequence[Tried], after_steps: Callable[[int], None]
    ) -> tuple[Tryout, Tryout, Tryout]:
        """The students with the best settings, with the defaults, and of the baseline."""
        best = trials[choose_best(_score_finished(trials))]
        winner = Task(technique=self._technique, settings=make_settings(self._technique, best.settings))
        tasks = (winner, self._default, self._baseline)
        apart = list({task.name: task for task in tasks}.values())
        for _ in self._sweep.advance(apart, self._plan.epochs, after_steps=after_steps):
            pass
        tuned, usual, finetuned = (self._sweep.read(task) for task in tasks)
        assert tuned is not None
        assert usual is not None
        assert finetuned is not None
        return tuned, usual, finetuned

    def _conclude(
        self, student: nn.Module, trials: Sequence[Tried], tuned: Tryout, usual: Tryout, finetuned: Tryout
    ) -> Tuned:
        labels = self._setup.ready.measured.true_classes()
        right = [tryout.predictions == labels for tryout in (tuned, usual)]
        return Tuned(
            outcome=make_outcome(
                self._setup, student, tuned, finetuned.attempt, warnings=self._sweep.warnings
            ),
            trials=tuple(trials),
            default=describe_stage(self._technique.defaults, conclude(usual.attempt)),
            importance=self._search.weigh_settings(),
            worth=compare_paired(*right),
            driver=self._plan.driver,
        )

    def _count_steps(self, *, num_missing: int) -> int:
        """Optimiser steps of the missing trials and of the two runs beside them."""
        plan = self._plan
        rungs = [(num_missing, plan.epochs)]
        if plan.driver == "halving":
            rungs = plan_rungs(num_missing, plan.epochs)
        reached, passes = 0, 0
        for num_students, until in rungs:
            passes += num_students * (until - reached)
            reached = until
        steps_per_pass = self._sweep.count_steps([self._default], epochs=1)
        beside = self._sweep.count_steps([self._default, self._baseline], epochs=plan.epochs)
        return passes * steps_per_pass + beside


class _Leader:
    """Keeps the best finished student of a search on disk, and forgets the others.

    Args:
        sweep: Where they are.
        spared: A student to keep whatever it is worth.
    """

    def __init__(self, sweep: Sweep, *, spared: Task) -> None:
        self._sweep = sweep
        self._spared = spared.name
        self._places: dict[str, int] = {}
        self._best: tuple[tuple[float, int], Task] | None = None

    def list(self, tasks: Sequence[Task]) -> None:
        """Students begin; of equal ones the first listed leads."""
        for task in tasks:
            self._places.setdefault(task.name, len(self._places))

    def meet(self, task: Task, stage: Stage) -> None:
        """A student is finished."""
        challenger = ((stage.best_score, -self._places[task.name]), task)
        loser = None if self._best is None else min(self._best, challenger, key=lambda entry: entry[0])
        self._best = (
            challenger if self._best is None else max(self._best, challenger, key=lambda entry: entry[0])
        )
        if loser is not None and loser[1].name not in (self._spared, self._best[1].name):
            self._sweep.forget(loser[1])


def _score_finished(trials: Sequence[Tried]) -> dict[int, float]:
    """Validation accuracy by the place of each trial that was trained to its end."""
    return {place: tried.validation for place, tried in enumerate(trials) if tried.accuracy_after is not None}


def _identify(setup: Setup, technique: Technique) -> dict[str, Any]:
    """Everything a trial depends on beside its settings."""
    ready, options = setup.ready, setup.options
    parts = (ready.train, *ready.judges, ready.measured)
    models = ready.parties.all
    return {
        "models": [hash_state(model.state_dict()) for model in models],
        "structures": [str(model) for model in models],
        "learns": [name for name, weight in models[0].named_parameters() if weight.requires_grad],
        "samples": [hash_inputs(part.inputs) for part in parts],
        "labels": [hash_arrays([part.true_classes()]) for part in parts],
        "objective": options.objective,
        "classes": list(ready.classes.names),
        "columns": [list(columns) for columns in ready.classes.columns],
        "taught_classes": options.taught_classes and [list(taught) for taught in options.taught_classes],
        "defaults": list_settings(technique.defaults),
        "training": setup.training.to_dict(),
        "seed": options.seed,
    }
