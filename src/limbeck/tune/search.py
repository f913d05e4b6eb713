"""Searching the settings of a technique for one transfer, resumable at any point.

Optuna chooses what to try and keeps what was tried in a database beside the results. Every trial is a
transfer under equal conditions, judged on the validation samples; the test part decides nothing. Teachers are
asked once for all trials. Successive halving trains all settings for some epochs, and only the best of them
further, from where they are.

References:
    Successive halving: Jamieson and Talwalkar 2016, https://arxiv.org/abs/1502.07943, algorithm 1; here over
    epochs, with the reduction factor 4 of Li et al. 2020, https://arxiv.org/abs/1810.05934.
"""

import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, get_args

from limbeck.core.errors import InputError, RunError, require, require_known
from limbeck.core.fingerprint import hash_config
from limbeck.core.seeds import derive_seed
from limbeck.pairs.trial import list_settings
from limbeck.techniques import AnySettings, ComposedTechnique, Technique, make_settings
from limbeck.tune.sweep import Stage

if TYPE_CHECKING:
    from optuna import Study, Trial
    from optuna.distributions import BaseDistribution
    from optuna.samplers import BaseSampler
    from optuna.trial import FrozenTrial

Driver = Literal["grid", "tpe", "halving"]
DRIVERS: tuple[Driver, ...] = get_args(Driver)
STORE_FILE = "tuning.sqlite"
REDUCTION = 4
# TPE is asked for so many points at once whatever the machine: the same search tries the same points.
TPE_BATCH = 4
TRIED = "tried"

Space = Mapping[str, Sequence[float]]
"""Values to try, by the name of a setting."""


@dataclass(frozen=True, kw_only=True)
class Tried:
    """A setting and what it came to.

    Attributes:
        settings: By name; the technique's defaults for what was not searched.
        validation: Validation accuracy of the student that was kept.
        epochs: Epochs it was trained; successive halving stops some early, and those are not measured on the
            test part: the numbers from here to the flips are None.
        accuracy_after: On the test part; decides nothing.
        gain: Accuracy after minus before, on the test part.
        forgetting: Accuracy lost on the classes the student knew, on the test part.
        positive_flips: Test samples that only the student after gets right.
        negative_flips: Test samples that only the student before got right.
        kept_epoch: The epoch that was kept, 0 for the student as it came.
        seconds: Wall time.
    """

    settings: dict[str, float]
    validation: float
    epochs: int
    accuracy_after: float | None
    gain: float | None
    forgetting: float | None
    positive_flips: int | None
    negative_flips: int | None
    kept_epoch: int
    seconds: float


def check_space(technique: Technique, space: Space) -> dict[str, tuple[float, ...]]:
    """A space whose every value the technique takes.

    Raises:
        InputError: When the technique has nothing to search, or a name or value does not fit it.
    """
    require(
        len(space) > 0 and technique.defaults is not None,
        f"`{technique.name}` has settings to search",
        "none",
        "Tune a technique with settings, such as `kd` or `dkd`.",
    )
    for name, values in space.items():
        require(
            len(values) > 0 and len(set(values)) == len(values),
            f"{name} has one value or more, and none twice",
            f"{list(values)}",
            "Name each value to try once.",
        )
        for value in values:
            make_settings(technique, {name: value})
    return {name: tuple(float(value) for value in values) for name, values in space.items()}


@dataclass(frozen=True, kw_only=True)
class SearchPlan:
    """How points are chosen.

    Attributes:
        driver: `grid`, `tpe` or `halving`.
        num_trials: How many trials there are in all.
        epochs: Epochs of a whole trial.
        seed: Seed of the driver.
    """

    driver: Driver
    num_trials: int
    epochs: int
    seed: int


class AdvanceFn(Protocol):
    """Trains students."""

    def __call__(self, settings: Sequence[AnySettings], until: int) -> Iterator[tuple[int, Stage]]:
        """Train a student of each of the settings until so many epochs are done.

        Yields:
            (place of the settings, where its student is), as each is.
        """
        ...


def plan_rungs(num_trials: int, epochs: int) -> list[tuple[int, int]]:
    """(students, epochs until which they are trained) of each rung of successive halving.

    From the last rung down, each has a `REDUCTION`-th of the epochs; from the first up, each has a
    `REDUCTION`-th of the students, rounded up. Law: the first rung has every student, the last all epochs.

    Args:
        num_trials: How many settings there are.
        epochs: Epochs of a whole trial.
    """
    ends = [epochs]
    while ends[0] > 1:
        ends.insert(0, math.ceil(ends[0] / REDUCTION))
    return [(math.ceil(num_trials / REDUCTION**rung), end) for rung, end in enumerate(ends)]


def count_trials(technique: Technique, space: Space, driver: Driver, num_trials: int | None) -> int:
    """How many trials a search takes: every point of a grid, or `num_trials`.

    Raises:
        InputError: When the driver is unknown, or the number or the technique does not fit it.
    """
    require_known("driver", driver, DRIVERS)
    num_points = prod(len(values) for values in space.values())
    require(
        driver != "halving" or not isinstance(technique, ComposedTechnique),
        "`halving` stops and goes on between the epochs of one training",
        f"`{technique.name}`, which trains several times",
        "Use the driver `grid` or `tpe`.",
    )
    if driver in ("grid", "halving"):
        require(
            num_trials is None or num_trials == num_points,
            f"`{driver}` tries every point",
            f"num_trials={num_trials} for {num_points} points",
            "Leave the number of trials out, or use the driver `tpe`.",
        )
        return num_points
    total = min(20, num_points) if num_trials is None else num_trials
    require(total >= 1, "num_trials >= 1", f"num_trials={num_trials}", "20 is usual.")
    return total


def name_search(technique: Technique, space: Space, driver: Driver, conditions: Mapping[str, Any]) -> str:
    """What a search is called in the database: searches of one name go on where the last one stopped.

    Args:
        technique: What is tuned.
        space: From `check_space`.
        driver: How points are chosen.
        conditions: Everything else the trials depend on.
    """
    identity = {
        "technique": technique.name,
        "space": space,
        "driver": driver,
        "conditions": dict(conditions),
    }
    return f"{technique.name}-{hash_config(identity)}"


class Search:
    """The trials of one search in its database.

    Args:
        technique: What is tuned.
        space: From `check_space`.
        plan: How points are chosen, and how many.
        name: From `name_search`.
        folder: Where the database lies.

    Raises:
        InputError: When the database is damaged or something else.
        RunError: When it cannot be written.
    """

    def __init__(
        self, technique: Technique, space: Space, *, plan: SearchPlan, name: str, folder: Path
    ) -> None:
        import optuna

        folder.mkdir(parents=True, exist_ok=True)
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._technique = technique
        self._space = space
        self._plan = plan
        self._study = _open_study(folder / STORE_FILE, name, _make_sampler(plan, num_ended=0))
        self._distributions: dict[str, BaseDistribution] = {
            key: optuna.distributions.CategoricalDistribution(values) for key, values in space.items()
        }
        # Of every trial that ended, by its number, and of those under way the accuracies that are noted:
        # asking the database each time would cost more than a small student's training.
        self._tried = {trial.number: Tried(**trial.user_attrs[TRIED]) for trial in self._list_ended()}
        self._scores: dict[int, tuple[float, ...]] = {}

    def run(self, advance_fn: AdvanceFn, *, after_trial: Callable[[Sequence[Tried]], None]) -> None:
        """Try what is missing.

        Args:
            advance_fn: Trains students.
            after_trial: Called with all trials so far, those of earlier searches first, whenever one ends;
                by halving whenever one reaches its rung.
        """
        self._drop_unfinished()
        if self._tried:
            after_trial(self.list_tried())
        if self._plan.driver == "tpe":
            self._run_tpe(advance_fn, after_trial)
            return
        done = {self._key(trial.params) for trial in self._list_ended()}
        points = [dict(zip(self._space, values, strict=True)) for values in product(*self._space.values())]
        trials = [self._ask(point) for point in points if self._key(point) not in done]
        if self._plan.driver == "grid":
            self._run_whole(trials, advance_fn, after_trial)
        elif trials:
            self._run_rungs(trials, advance_fn, after_trial)

    def list_tried(self) -> list[Tried]:
        """Every trial that ended, in the order in which they were asked for."""
        return [self._tried[number] for number in sorted(self._tried)]

    def weigh_settings(self) -> dict[str, float]:
        """Per setting its share of the variance of the validation accuracy (fANOVA).

        Of a search by halving it is the accuracy after the first rung, the last at which all settings
        compete. Empty for fewer than two different results.
        """
        import optuna

        ended = self._list_ended()
        first_rung = plan_rungs(self._plan.num_trials, self._plan.epochs)[0][1]
        values = [
            trial.intermediate_values.get(first_rung, 0.0) if self._plan.driver == "halving" else trial.value
            for trial in ended
        ]
        if len(set(values)) < 2:
            return {}
        even = optuna.create_study(direction="maximize")
        even.add_trials(
            [
                optuna.create_trial(params=trial.params, distributions=trial.distributions, value=value)
                for trial, value in zip(ended, values, strict=True)
            ]
        )
        evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
        importances = optuna.importance.get_param_importances(even, evaluator=evaluator)
        return {name: float(share) for name, share in importances.items()}

    def _run_tpe(self, advance_fn: AdvanceFn, after_trial: Callable[[Sequence[Tried]], None]) -> None:
        missing = self._plan.num_trials - len(self._list_ended())
        while missing > 0:
            # A search that goes on draws what it would have drawn: its seed is how far it is.
            self._study.sampler = _make_sampler(self._plan, num_ended=self._plan.num_trials - missing)
            trials = [self._study.ask(self._distributions) for _ in range(min(TPE_BATCH, missing))]
            self._run_whole(trials, advance_fn, after_trial, in_order=True)
            missing -= len(trials)

    def _run_whole(
        self,
        trials: "Sequence[Trial]",
        advance_fn: AdvanceFn,
        after_trial: Callable[[Sequence[Tried]], None],
        *,
        in_order: bool = False,
    ) -> None:
        """Run trials to their end, and note each as it ends, or all in their order."""
        settings = [self._settings(trial) for trial in trials]
        stages = advance_fn(settings, self._plan.epochs)
        for place, stage in sorted(stages, key=lambda item: item[0]) if in_order else stages:
            self._end(trials[place], settings[place], stage)
            after_trial(self.list_tried())

    def _run_rungs(
        self,
        trials: "Sequence[Trial]",
        advance_fn: AdvanceFn,
        after_trial: Callable[[Sequence[Tried]], None],
    ) -> None:
        from optuna.trial import TrialState

        going, reached = list(trials), 0
        described: dict[int, Tried] = {}
        for num_students, until in plan_rungs(self._plan.num_trials, self._plan.epochs):
            scores = {trial.number: self._score(trial, reached) for trial in going}
            ranked = sorted(going, key=lambda trial: -scores[trial.number])
            going, dropped, reached = ranked[:num_students], ranked[num_students:], until
            for trial in sorted(dropped, key=lambda trial: trial.number):
                self._study.tell(trial, state=TrialState.PRUNED)
                self._tried[trial.number] = described[trial.number]
            going.sort(key=lambda trial: trial.number)
            settings = [self._settings(trial) for trial in going]
            for place, stage in advance_fn(settings, until):
                described[going[place].number] = self._note(going[place], settings[place], stage)
                if until == self._plan.epochs:
                    self._end(going[place], settings[place], stage)
                known = {**described, **self._tried}
                after_trial([known[number] for number in sorted(known)])

    def _ask(self, point: Mapping[str, float]) -> "Trial":
        self._study.enqueue_trial(dict(point))
        return self._study.ask(self._distributions)

    def _settings(self, trial: "Trial") -> AnySettings:
        settings = make_settings(self._technique, trial.params)
        assert settings is not None
        return settings

    def _note(self, trial: "Trial", settings: AnySettings, stage: Stage) -> Tried:
        """Keep where a trial is."""
        num_noted = len(self._scores.get(trial.number, ()))
        for epoch, score in enumerate(stage.scores[num_noted:], start=num_noted):
            trial.report(score, epoch)
        self._scores[trial.number] = stage.scores
        tried = describe_stage(settings, stage)
        trial.set_user_attr(TRIED, asdict(tried))
        return tried

    def _end(self, trial: "Trial", settings: AnySettings, stage: Stage) -> None:
        tried = self._note(trial, settings, stage)
        self._study.tell(trial, stage.best_score)
        self._tried[trial.number] = tried

    def _score(self, trial: "Trial", epoch: int) -> float:
        """The accuracy of a trial after an epoch; 0 where it diverged before, so that it is dropped first."""
        scores = self._scores.get(trial.number, ())
        return scores[epoch] if epoch < len(scores) else 0.0

    def _key(self, point: Mapping[str, float]) -> tuple[float, ...]:
        return tuple(point[name] for name in self._space)

    def _list_ended(self) -> "list[FrozenTrial]":
        from optuna.trial import TrialState

        states = (TrialState.COMPLETE, TrialState.PRUNED)
        return self._study.get_trials(deepcopy=False, states=states)

    def _drop_unfinished(self) -> None:
        """Give up trials that an interruption left open; their students go on from where they are."""
        from optuna.trial import TrialState

        waiting = self._study.get_trials(deepcopy=False, states=(TrialState.WAITING,))
        for trial in self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            self._study.tell(trial.number, state=TrialState.FAIL)
        for _ in waiting:  # only a running trial can be told of
            self._study.tell(self._study.ask(self._distributions), state=TrialState.FAIL)


def describe_stage(settings: AnySettings | None, stage: Stage) -> Tried:
    """What a student came to, for the table of trials."""
    change = None if stage.attempt is None else stage.attempt.change
    return Tried(
        settings=list_settings(settings),
        validation=stage.best_score,
        epochs=len(stage.scores) - 1,
        accuracy_after=None if change is None else change.accuracy_after,
        gain=None if change is None else change.gain,
        forgetting=None if change is None else change.forgetting,
        positive_flips=None if change is None else change.positive_flips,
        negative_flips=None if change is None else change.negative_flips,
        kept_epoch=stage.kept_epoch,
        seconds=stage.seconds,
    )


def _open_study(path: Path, name: str, sampler: "BaseSampler") -> "Study":
    """The search called `name` in the database, made when missing.

    Raises:
        InputError: When the file is damaged or something else.
        RunError: When it cannot be written.
    """
    import optuna
    from sqlalchemy.exc import SQLAlchemyError

    try:
        return optuna.create_study(
            storage=f"sqlite:///{path}",
            study_name=name,
            sampler=sampler,
            direction="maximize",
            load_if_exists=True,
        )
    except (SQLAlchemyError, optuna.exceptions.StorageInternalError) as error:
        if not is_writable(path):
            raise RunError(
                f"`{path}` must be writable, but the system refuses it. Free space, or choose another folder."
            ) from error
        raise InputError(
            f"`{path}` must be a database of trials, but it is damaged or something else. "
            "Restore it from a copy, or move it away and search anew."
        ) from error


def is_writable(path: Path) -> bool:
    """Whether a file can be written, or made where it is missing."""
    return os.access(path if path.exists() else path.parent, os.W_OK)


def _make_sampler(plan: SearchPlan, *, num_ended: int) -> "BaseSampler":
    import optuna

    seed = derive_seed(plan.seed, "tune", num_ended) % 2**32
    if plan.driver == "tpe":
        return optuna.samplers.TPESampler(seed=seed, constant_liar=True)
    return optuna.samplers.RandomSampler(seed=seed)  # every point is given
