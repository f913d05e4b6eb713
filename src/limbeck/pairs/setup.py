"""Setting up: from what a user says to models, samples and a budget that are ready for any technique."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import torch
from torch import nn

from limbeck.core.device import pick_device
from limbeck.core.errors import require, require_known
from limbeck.data import Augmentation, Inputs, Tokens, count_samples, load_batch
from limbeck.engine import (
    Case,
    Layout,
    Training,
    Wishes,
    calibrate,
    default_target_cache,
    device_of,
)
from limbeck.pairs.classes import find_columns
from limbeck.pairs.compare import Judge
from limbeck.pairs.keeper import KEEPS, Keep
from limbeck.pairs.preparation import prepare_model
from limbeck.pairs.readiness import STUDENT, Judging, Objective, Parties, Ready, get_ready
from limbeck.pairs.trial import Trial
from limbeck.pairs.user_data import UserData, read_user_data
from limbeck.techniques import AnySettings, Technique, make_settings

# Small, because students are trained already; a transformer's weights bear smaller steps still.
DEFAULT_LRS = {"sgd": 0.01, "adam": 0.001}
TEXT_LR = 5e-5


@dataclass(frozen=True, kw_only=True)
class Options:
    """What a user may set about a transfer whatever the technique; see `limbeck.pairs.transfer`.

    Raises:
        InputError: When a value is out of range.
    """

    epochs: int
    batch_size: int
    optimizer: Literal["sgd", "adam"] | None
    lr: float | None
    weight_decay: float
    wishes: Wishes
    augmentation: Augmentation
    validation_share: float
    objective: Objective
    clients: Sequence[Any]
    keep: Keep
    transfer_set: Inputs | None
    class_map: Mapping[str, str]
    taught_classes: Sequence[Sequence[str]] | None
    seed: int
    device: str
    cache: bool
    progress: bool
    teacher_names: Sequence[str] | None

    def __post_init__(self) -> None:
        require_known("value of `keep`", self.keep, KEEPS)


@dataclass(frozen=True, kw_only=True)
class Setup:
    """Everything that attempts on one student share.

    Attributes:
        options: What the user set.
        data: The samples as given.
        ready: Models and samples that fit each other.
        case: What a technique is applied to.
        training: The budget.
        trial: Runs techniques under equal conditions.
    """

    options: Options
    data: UserData
    ready: Ready
    case: Case
    training: Training
    trial: Trial


def set_up(student: nn.Module, teachers: Sequence[nn.Module], data: Any, options: Options) -> Setup:
    """Bring models, samples and budget together.

    Raises:
        InputError: When they do not fit each other.
    """
    own_data = read_user_data(data)
    judging = Judging(
        objective=options.objective,
        share=options.validation_share,
        clients=[read_user_data(client) for client in options.clients],
    )
    cache = default_target_cache() if options.cache else None
    ready = get_ready(
        _gather(student, teachers, options.teacher_names, pick_device(options.device)),
        own_data,
        Judge(cache=cache, shows_progress=options.progress),
        proxy=options.transfer_set,
        class_map=options.class_map,
        judging=judging,
        seed=options.seed,
    )
    training = _make_training(options, ready)
    taught = _number_classes(options.taught_classes, ready.classes.names)
    return Setup(
        options=options,
        data=own_data,
        ready=ready,
        case=ready.case(cache=cache, taught_classes=taught, precision=training.precision),
        training=training,
        trial=Trial(ready, training, keep=options.keep, seed=options.seed, shows_progress=options.progress),
    )


def list_teachers(teachers: nn.Module | Sequence[nn.Module] | None) -> list[nn.Module]:
    """None, one or several teachers as a list."""
    if teachers is None:
        return []
    return [teachers] if isinstance(teachers, nn.Module) else list(teachers)


def choose_settings(
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


def _make_training(options: Options, ready: Ready) -> Training:
    is_text = isinstance(ready.train.inputs, Tokens)
    kind = options.optimizer or ("adam" if is_text else "sgd")
    return Training(
        epochs=options.epochs,
        batch_size=options.batch_size,
        optimizer=kind,
        lr=_default_lr(kind, is_text=is_text) if options.lr is None else options.lr,
        weight_decay=options.weight_decay,
        augmentation=options.augmentation,
        **asdict(_pick_layout(options, ready)),
    )


def _pick_layout(options: Options, ready: Ready) -> Layout:
    """How the student is run here: as the user says, and measured on a batch where the user does not."""
    student, inputs = ready.parties.student, ready.train.inputs
    ids = torch.arange(min(options.batch_size, count_samples(inputs)))
    batch = load_batch(inputs, ids, device_of(student))
    name = student.arch or type(student.module).__name__
    return calibrate(student, batch, wishes=options.wishes, name=name)


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
