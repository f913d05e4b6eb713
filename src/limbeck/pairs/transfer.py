"""One transfer as a user asks for it: any models, any data, an honest measurement and no regret."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from torch import nn

from limbeck.core.device import describe_device, pick_device
from limbeck.core.errors import require, require_known
from limbeck.data import Inputs, Tokens, count_samples
from limbeck.engine import Training, check_transfer, default_target_cache, device_of
from limbeck.models import Classifier, adapt
from limbeck.pairs.classes import find_columns
from limbeck.pairs.compare import Judge
from limbeck.pairs.keeper import KEEPS, Keep
from limbeck.pairs.preparation import prepare_model, warn_of_chance
from limbeck.pairs.readiness import STUDENT, Parties, Ready, get_ready
from limbeck.pairs.record import Attempt, Outcome, TransferRecord
from limbeck.pairs.trial import Trial
from limbeck.pairs.user_data import read_user_data
from limbeck.techniques import (
    AnySettings,
    Technique,
    get_technique,
    make_settings,
)

BASELINE = "finetune"
# Small, because students are trained already; a transformer's weights bear smaller steps still.
DEFAULT_LRS = {"sgd": 0.01, "adam": 0.001}
TEXT_LR = 5e-5


def transfer(  # noqa: PLR0913 - everything a user may set, in one call
    student: nn.Module,
    teachers: nn.Module | Sequence[nn.Module] | None,
    data: Any,
    *,
    technique: str | Technique = "kd",
    temperature: float | None = None,
    weight: float | None = None,
    coefficients: Mapping[str, float] | None = None,
    epochs: int = 5,
    batch_size: int = 64,
    optimizer: Literal["sgd", "adam"] | None = None,
    lr: float | None = None,
    weight_decay: float = 0.0,
    validation_share: float = 0.1,
    keep: Keep = "best",
    transfer_set: Inputs | None = None,
    class_map: Mapping[str, str] | None = None,
    taught_classes: Sequence[Sequence[str]] | None = None,
    baseline: bool = True,
    seed: int = 0,
    device: str = "auto",
    cache: bool = True,
    progress: bool = True,
    teacher_names: Sequence[str] | None = None,
) -> Outcome:
    """A new student that learned from the teachers, and what that was worth; no model that was given changes.

    Part of the training samples is held out and judges the student before and after each epoch; with
    ``keep="best"`` the student of the best epoch is returned, or the student as it came where no epoch was
    better. The numbers of the record are measured on the data's test part, which decides nothing. Beside the
    technique, `finetune` gets the same samples, steps and rules: a gain it also has is not a transfer.

    Args:
        student: Any module that returns logits, or a `limbeck.models.Classifier`; see `models.adapt`.
        teachers: One or more of the same; None for `finetune` and `self-kd`.
        data: A data set, samples, a pair (inputs, labels), a PyTorch data set, or the name or path of a data
            set; see `limbeck.data.load`.
        technique: A name in `limbeck.techniques.TECHNIQUES`, or a technique of your own.
        temperature: T > 0, None for the technique's default.
        weight: w in [0, 1], None for the technique's default; always 1 on an unlabelled transfer set.
        coefficients: Further settings of the technique by name, such as ``{"beta": 2}``.
        epochs: Passes over the transfer set.
        batch_size: Samples per step.
        optimizer: `sgd` or `adam`; None for `adam` on text and `sgd` on all else.
        lr: Learning rate at the start; None for 0.01 (`sgd`), 0.001 (`adam`), 0.00005 (`adam` on text).
        weight_decay: L2 coefficient.
        validation_share: Share of the training samples that judges the epochs, in (0, 1).
        keep: `best`, or `last` for the student after the last epoch whatever its accuracy.
        transfer_set: Unlabelled inputs to learn from instead of the data's training samples.
        class_map: Names of the teachers' or the data's classes to the student's names, where they differ.
        taught_classes: Per teacher the names of the classes it was trained on, for `kd-coverage`; None to
            find out from the labels.
        baseline: Whether `finetune` runs too.
        seed: Seed of the hold-out and the batch order.
        device: `auto`, `cpu` or `cuda`.
        cache: Whether the teachers' logits are kept in the user's cache folder, so that the next technique
            need not ask them again.
        progress: Whether to show progress on stderr or in the notebook.
        teacher_names: What to call the teachers.

    Raises:
        InputError: When models, data, technique and settings do not fit each other.
    """
    given = [] if teachers is None else [teachers] if isinstance(teachers, nn.Module) else list(teachers)
    chosen = get_technique(technique) if isinstance(technique, str) else technique
    settings = _choose_settings(
        chosen, temperature, weight, coefficients or {}, is_labelled=transfer_set is None
    )
    check_transfer(chosen, settings, has_labels=transfer_set is None, num_teachers=len(given))
    _check_share(validation_share)
    require_known("value of `keep`", keep, KEEPS)
    own_data, kept_targets = read_user_data(data), default_target_cache() if cache else None
    place = pick_device(device)
    ready = get_ready(
        _gather(student, given, teacher_names, place),
        own_data,
        Judge(cache=kept_targets, shows_progress=progress),
        proxy=transfer_set,
        class_map=class_map or {},
        validation_share=validation_share,
        seed=seed,
    )
    is_text = isinstance(ready.train.inputs, Tokens)
    kind = optimizer or ("adam" if is_text else "sgd")
    training = Training(
        epochs=epochs,
        batch_size=batch_size,
        optimizer=kind,
        lr=_default_lr(kind, is_text=is_text) if lr is None else lr,
        weight_decay=weight_decay,
    )
    trial = Trial(ready, training, keep=keep, seed=seed, shows_progress=progress)
    case = ready.case(cache=kept_targets, taught_classes=_number_classes(taught_classes, ready.classes.names))
    new_student, attempt = trial.run(case, chosen, settings)
    finetuned = None
    if baseline and chosen.name != BASELINE:
        _, finetuned = trial.run(ready.baseline_case(), get_technique(BASELINE), None)
    return Outcome(
        student=_as_given(new_student, student, ready.classes.names),
        record=TransferRecord(
            attempt=attempt,
            baseline=finetuned,
            teachers=ready.standings,
            class_names=ready.classes.names,
            measured_on=ready.measured_on,
            keep=keep,
            num_train=count_samples(case.inputs),
            num_validation=len(ready.validation),
            num_measured=len(ready.measured),
            training=training.to_dict(),
            seed=seed,
            data=own_data.name,
            data_fingerprint=own_data.fingerprint,
            device=describe_device(place),
            warnings=(*ready.warnings, *_warn_of_outcome(ready, trial, attempt, finetuned, training)),
        ),
    )


def _gather(
    student: nn.Module,
    teachers: Sequence[nn.Module],
    teacher_names: Sequence[str] | None,
    device: torch.device,
) -> Parties:
    names = _name_teachers(teacher_names, len(teachers))
    return Parties(
        student=prepare_model(student, device, whose=STUDENT),
        teachers=[
            prepare_model(teacher, device, whose=name) for teacher, name in zip(teachers, names, strict=True)
        ],
        teacher_names=names,
    )


def _check_share(validation_share: float) -> None:
    require(
        0 < validation_share < 1,
        "0 < validation_share < 1",
        f"validation_share={validation_share}",
        "0.1 is usual.",
    )


def _name_teachers(names: Sequence[str] | None, num_teachers: int) -> list[str]:
    if names is None:
        return ["The teacher"] if num_teachers == 1 else [f"Teacher {n + 1}" for n in range(num_teachers)]
    require(
        len(names) == num_teachers,
        "there is one name per teacher",
        f"{len(names)} names for {num_teachers} teachers",
        "Name every teacher, or none.",
    )
    return list(names)


def _choose_settings(
    technique: Technique,
    temperature: float | None,
    weight: float | None,
    coefficients: Mapping[str, float],
    *,
    is_labelled: bool,
) -> AnySettings | None:
    """The technique's defaults with what was given; the teacher alone counts where there are no labels."""
    alone = not is_labelled and technique.defaults is not None
    given = {"temperature": temperature, "weight": 1.0 if weight is None and alone else weight}
    return make_settings(
        technique, {**{name: value for name, value in given.items() if value is not None}, **coefficients}
    )


def _default_lr(optimizer: str, *, is_text: bool) -> float:
    return TEXT_LR if is_text and optimizer == "adam" else DEFAULT_LRS.get(optimizer, DEFAULT_LRS["sgd"])


def _number_classes(
    taught_classes: Sequence[Sequence[str]] | None, names: Sequence[str]
) -> list[list[int]] | None:
    """The student's class numbers of what teachers were taught; a class it lacks does not count."""
    if taught_classes is None:
        return None
    return [
        [place for place in find_columns(taught, names) if place is not None] for taught in taught_classes
    ]


def _as_given(student: nn.Module, given: nn.Module, class_names: tuple[str, ...]) -> nn.Module:
    """The new student as a plain module where one was given, else with its class names."""
    named = adapt(student, class_names=class_names)
    new_student = named if isinstance(given, Classifier) else named.module
    return new_student.to(device_of(given)).eval()


def _warn_of_outcome(
    ready: Ready, trial: Trial, attempt: Attempt, finetuned: Attempt | None, training: Training
) -> list[str]:
    student, num_classes = ready.parties.student, len(ready.classes.names)
    warnings = list(
        warn_of_chance(
            trial.before,
            ready.measured.true_classes(),
            range(num_classes),
            whose=f"{STUDENT} as it came",
            model=student,
        )
    )
    warnings += [
        f"`{tried.technique}` diverged in epoch {tried.diverged_in_epoch}: the student of epoch "
        f"{tried.kept_epoch} was kept. Lower `lr` (it is {training.lr:g})."
        for tried in (attempt, finetuned)
        if tried is not None and tried.diverged_in_epoch is not None
    ]
    if training.epochs == 0:
        warnings.append("With 0 epochs nothing was learned: the student is returned as it came.")
    elif attempt.kept_epoch == 0 and attempt.diverged_in_epoch is None:
        warnings.append(
            "No epoch made the student better on the validation samples, so it is returned as it came. "
            "Lower `lr` or the weight, or try another technique."
        )
    return warnings
