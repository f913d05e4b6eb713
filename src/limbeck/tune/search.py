"""Searching the settings of a technique for one transfer, resumable at any point.

Optuna chooses what to try and keeps what was tried in a database beside the results. Every trial is a whole
transfer under equal conditions, judged on the validation samples; the test part decides nothing. Teachers are
asked once for all trials.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from limbeck.core.errors import InputError, RunError, require, require_known
from limbeck.core.fingerprint import hash_config
from limbeck.core.seeds import derive_seed
from limbeck.pairs import Attempt
from limbeck.techniques import Technique, make_settings

if TYPE_CHECKING:
    from optuna import Study, Trial
    from optuna.samplers import BaseSampler

Driver = Literal["grid", "tpe"]
DRIVERS: tuple[Driver, ...] = get_args(Driver)
STORE_FILE = "tuning.sqlite"

Space = Mapping[str, Sequence[float]]
"""Values to try, by the name of a setting."""


@dataclass(frozen=True, kw_only=True)
class Tried:
    """A setting and what it came to.

    Attributes:
        settings: By name; the technique's defaults for what was not searched.
        validation: Validation accuracy of the student that was kept.
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
    accuracy_after: float
    gain: float
    forgetting: float
    positive_flips: int
    negative_flips: int
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
        driver: `grid` or `tpe`.
        num_trials: How many trials there are in all.
        seed: Seed of the driver.
    """

    driver: Driver
    num_trials: int
    seed: int


def count_trials(space: Space, driver: Driver, num_trials: int | None) -> int:
    """How many trials a search takes: every point of a grid, or `num_trials`.

    Raises:
        InputError: When the driver is unknown, or the number does not fit it.
    """
    require_known("driver", driver, DRIVERS)
    num_points = prod(len(values) for values in space.values())
    if driver == "grid":
        require(
            num_trials is None or num_trials == num_points,
            "a grid tries every point",
            f"num_trials={num_trials} for {num_points} points",
            "Leave the number of trials out, or use the driver `tpe`.",
        )
        return num_points
    total = min(20, num_points) if num_trials is None else num_trials
    require(total >= 1, "num_trials >= 1", f"num_trials={num_trials}", "20 is usual.")
    return total


def search(
    technique: Technique,
    space: Space,
    try_fn: Callable[[Any], Attempt],
    *,
    plan: SearchPlan,
    conditions: Mapping[str, Any],
    folder: Path,
    after_trial: Callable[[Sequence[Tried]], None] = lambda _: None,
) -> tuple[list[Tried], dict[str, float]]:
    """Every setting that was tried, in order, and the importance of each setting.

    Args:
        technique: What is tuned.
        space: From `check_space`.
        try_fn: A record of settings to the attempt it makes.
        plan: How points are chosen, and how many.
        conditions: Everything else the attempts depend on: a search with the same conditions, technique,
            space and driver goes on where it stopped.
        folder: Where the database lies.
        after_trial: Called with all trials so far.

    Returns:
        The trials, and per setting its share of the variance of the validation accuracy (fANOVA); empty for
        fewer than two different results.
    """
    import optuna

    folder.mkdir(parents=True, exist_ok=True)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    identity = {
        "technique": technique.name,
        "space": space,
        "driver": plan.driver,
        "conditions": dict(conditions),
    }
    study = _open_study(
        folder / STORE_FILE, f"{technique.name}-{hash_config(identity)}", _make_sampler(space, plan)
    )

    def objective(trial: "Trial") -> float:
        changes = {name: trial.suggest_categorical(name, values) for name, values in space.items()}
        settings = make_settings(technique, changes)  # pyright: ignore[reportArgumentType] - numbers
        attempt = try_fn(settings)
        for name, value in asdict(describe_attempt(attempt)).items():
            trial.set_user_attr(name, value)
        return attempt.validation[attempt.kept_epoch]

    missing = plan.num_trials - len(_list_finished(study))
    if missing > 0:
        study.optimize(
            objective, n_trials=missing, callbacks=[lambda study, _: after_trial(_list_finished(study))]
        )
    finished = _list_finished(study)
    return finished, _weigh_settings(study, finished)


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


def _make_sampler(space: Space, plan: SearchPlan) -> "BaseSampler":
    import optuna

    seed = derive_seed(plan.seed, "tune") % 2**32
    if plan.driver == "grid":
        return optuna.samplers.GridSampler({name: list(values) for name, values in space.items()}, seed=seed)
    return optuna.samplers.TPESampler(seed=seed)


def describe_attempt(attempt: Attempt) -> Tried:
    """What an attempt came to, for the table of trials."""
    change = attempt.change
    return Tried(
        settings=attempt.settings,
        validation=attempt.validation[attempt.kept_epoch],
        accuracy_after=change.accuracy_after,
        gain=change.gain,
        forgetting=change.forgetting,
        positive_flips=change.positive_flips,
        negative_flips=change.negative_flips,
        kept_epoch=attempt.kept_epoch,
        seconds=attempt.seconds,
    )


def _list_finished(study: "Study") -> list[Tried]:
    from optuna.trial import TrialState

    trials = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    return [Tried(**trial.user_attrs) for trial in trials]


def _weigh_settings(study: "Study", finished: Sequence[Tried]) -> dict[str, float]:
    import optuna

    if len({tried.validation for tried in finished}) < 2:
        return {}
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
    importances = optuna.importance.get_param_importances(study, evaluator=evaluator)
    return {name: float(share) for name, share in importances.items()}
