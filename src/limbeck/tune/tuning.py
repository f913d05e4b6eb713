"""Tuning one transfer: the best settings, the whole response surface, and whether it was worth it."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from torch import nn

from limbeck.core.fingerprint import hash_config, hash_state
from limbeck.engine import check_transfer, hash_inputs
from limbeck.pairs import Outcome, TransferRecord
from limbeck.pairs.setup import Options, Setup, list_teachers, set_up
from limbeck.pairs.transfer import make_outcome, run_baseline
from limbeck.techniques import Technique, get_technique, make_settings
from limbeck.tune.grid import choose_best
from limbeck.tune.search import (
    Driver,
    SearchPlan,
    Space,
    Tried,
    check_space,
    count_trials,
    describe_attempt,
    search,
)

DEFAULT_FOLDER = Path("limbeck-tune")
# Two-sided, of the normal distribution: 95 % of it lies within.
NORMAL_95 = 1.959964


@dataclass(frozen=True, kw_only=True)
class Worth:
    """Test accuracy of the tuned student minus that of the student with the technique's defaults.

    Attributes:
        mean: The difference.
        low: Lower end of its 95 % interval.
        high: Upper end. The interval is that of a difference of paired proportions and covers the choice of
            test samples, not that of the seed.
    """

    mean: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Tuned:
    """What `limbeck.tune` returns.

    Attributes:
        outcome: The student with the best settings, and its record beside `finetune`.
        trials: Every setting that was tried, in order: the response surface.
        default: What the technique's defaults came to.
        importance: Per setting its share of the variance of the validation accuracy.
        worth: What tuning was worth against the defaults.
        driver: How settings were chosen.
    """

    outcome: Outcome
    trials: tuple[Tried, ...]
    default: Tried
    importance: dict[str, float]
    worth: Worth
    driver: Driver

    @property
    def settings(self) -> dict[str, float]:
        """The best settings by name."""
        return self.record.attempt.settings

    @property
    def record(self) -> TransferRecord:
        """The record of the transfer with the best settings."""
        return self.outcome.record

    def to_dict(self) -> dict[str, Any]:
        """One object for programs: the record's fields at the top."""
        return {
            **self.record.to_dict(),
            "driver": self.driver,
            "trials": [asdict(tried) for tried in self.trials],
            "default": asdict(self.default),
            "importance": self.importance,
            "worth": asdict(self.worth),
        }


def tune(  # noqa: PLR0913 - everything a user may set, in one call
    student: nn.Module,
    teachers: nn.Module | Sequence[nn.Module] | None,
    data: Any,
    *,
    technique: str | Technique = "kd",
    space: Space | None = None,
    driver: Driver = "grid",
    num_trials: int | None = None,
    folder: str | Path = DEFAULT_FOLDER,
    epochs: int = 5,
    batch_size: int = 64,
    optimizer: Literal["sgd", "adam"] | None = None,
    lr: float | None = None,
    weight_decay: float = 0.0,
    precision: Literal["auto", "float32", "bfloat16"] = "float32",
    validation_share: float = 0.1,
    class_map: Mapping[str, str] | None = None,
    taught_classes: Sequence[Sequence[str]] | None = None,
    seed: int = 0,
    device: str = "auto",
    cache: bool = True,
    progress: bool = True,
    teacher_names: Sequence[str] | None = None,
    after_trial: Callable[[Sequence[Tried]], None] = lambda _: None,
) -> Tuned:
    """The settings of a technique that suit one transfer, and the student they make.

    Each setting is one transfer under equal conditions; the one with the highest validation accuracy is
    chosen, the first of equals. Then the technique's defaults and `finetune` run too, and the test part,
    which decided nothing, says what tuning was worth. The same call again goes on where it stopped.

    Args:
        student: As in `limbeck.transfer`, like every argument that is not listed here.
        teachers: One or more; None for `self-kd`.
        data: Anything `limbeck.transfer` takes.
        technique: A name, or a technique of your own.
        space: Values to try by the name of a setting; None for the technique's own search space.
        driver: `grid` for every point, `tpe` for `num_trials` points chosen by what was learned so far.
        num_trials: For `tpe`; None for 20.
        folder: Where the database of trials lies; Optuna's dashboard opens it.
        epochs: Passes over the samples in each trial.
        batch_size: Samples per step.
        optimizer: `sgd` or `adam`.
        lr: Learning rate at the start.
        weight_decay: L2 coefficient.
        precision: `float32`; `bfloat16` for forward passes in training; `auto` for the faster one, measured
            on this machine once and then remembered.
        validation_share: Share of the training samples that judges.
        class_map: Names of others to the student's.
        taught_classes: For `kd-coverage`.
        seed: Seed of the hold-out, the batch order and the driver.
        device: `auto`, `cpu` or `cuda`.
        cache: Whether the teachers' logits are kept.
        progress: Whether to show the progress of each trial.
        teacher_names: What to call the teachers.
        after_trial: Called with all trials so far.

    Raises:
        InputError: When models, data, technique, space and driver do not fit each other.

    References:
        The grid of temperature and weight: "Practical Insights into Knowledge Distillation for Pre-Trained
        Models", https://arxiv.org/abs/2402.14922.
    """
    chosen = get_technique(technique) if isinstance(technique, str) else technique
    checked = check_space(chosen, chosen.search_space if space is None else space)
    total = count_trials(checked, driver, num_trials)
    given = list_teachers(teachers)
    check_transfer(chosen, chosen.defaults, has_labels=True, num_teachers=len(given))
    options = Options(
        epochs=epochs,
        batch_size=batch_size,
        optimizer=optimizer,
        lr=lr,
        weight_decay=weight_decay,
        precision=precision,
        validation_share=validation_share,
        keep="best",
        transfer_set=None,
        class_map=class_map or {},
        taught_classes=taught_classes,
        seed=seed,
        device=device,
        cache=cache,
        progress=progress,
        teacher_names=teacher_names,
    )
    setup = set_up(student, given, data, options)
    trials, importance = search(
        chosen,
        checked,
        lambda settings: setup.trial.run(setup.case, chosen, settings).attempt,
        plan=SearchPlan(driver=driver, num_trials=total, seed=seed),
        conditions=_identify(setup),
        folder=Path(folder),
        after_trial=after_trial,
    )
    return _conclude(setup, student, chosen, trials, importance, driver)


def _conclude(
    setup: Setup,
    student: nn.Module,
    technique: Technique,
    trials: Sequence[Tried],
    importance: dict[str, float],
    driver: Driver,
) -> Tuned:
    """Run the best settings, the defaults and the baseline once more, and compare them on the test part."""
    best = trials[choose_best({number: tried.validation for number, tried in enumerate(trials)})]
    tuned = setup.trial.run(setup.case, technique, make_settings(technique, best.settings))
    default = setup.trial.run(setup.case, technique, technique.defaults)
    labels = setup.ready.measured.true_classes()
    right = [tryout.predictions == labels for tryout in (tuned, default)]
    return Tuned(
        outcome=make_outcome(setup, student, tuned, run_baseline(setup)),
        trials=tuple(trials),
        default=describe_attempt(default.attempt),
        importance=importance,
        worth=compare_paired(*right),
        driver=driver,
    )


def compare_paired(first: np.ndarray, second: np.ndarray) -> Worth:
    """The difference of two shares of right answers on the same samples, with its 95 % interval.

    Law: swapping the two turns the sign around.

    Args:
        first: Whether each sample is right with the one, bool [n].
        second: With the other.

    References:
        The large-sample interval of a difference of paired proportions: Agresti, "Categorical Data Analysis",
        3rd edition, section 11.1.
    """
    num_samples = len(first)
    gained, lost = int(np.sum(first & ~second)), int(np.sum(second & ~first))
    mean = (gained - lost) / num_samples
    spread = math.sqrt(max(0.0, gained + lost - (gained - lost) ** 2 / num_samples)) / num_samples
    return Worth(mean=mean, low=mean - NORMAL_95 * spread, high=mean + NORMAL_95 * spread)


def _identify(setup: Setup) -> dict[str, Any]:
    """Everything a trial depends on beside its settings."""
    ready, options = setup.ready, setup.options
    return {
        "models": [hash_state(model.state_dict()) for model in ready.parties.all],
        "samples": [hash_inputs(part.inputs) for part in (ready.train, ready.validation)],
        "labels": hash_config({"labels": ready.train.true_classes().tolist()}),
        "classes": list(ready.classes.names),
        "columns": [list(columns) for columns in ready.classes.columns],
        "taught_classes": options.taught_classes and [list(taught) for taught in options.taught_classes],
        "training": setup.training.to_dict(),
        "seed": options.seed,
    }
