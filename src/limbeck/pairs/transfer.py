"""One transfer as a user asks for it: any models, any data, an honest measurement and no regret."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from torch import nn

from limbeck.core.device import describe_device
from limbeck.data import Augmentation, Inputs, count_samples
from limbeck.engine import MemoryFormat, Precision, Wishes, check_transfer, device_of
from limbeck.models import Classifier, adapt
from limbeck.pairs.keeper import Keep
from limbeck.pairs.preparation import warn_of_chance
from limbeck.pairs.readiness import STUDENT
from limbeck.pairs.record import Attempt, Outcome, TransferRecord
from limbeck.pairs.setup import Options, Setup, choose_settings, list_teachers, set_up
from limbeck.pairs.trial import Tryout
from limbeck.techniques import Technique, get_technique

BASELINE = "finetune"


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
    augmentation: Augmentation = "none",
    precision: Literal["auto"] | Precision = "auto",
    memory_format: Literal["auto"] | MemoryFormat = "auto",
    threads: int | None = None,
    compile: bool | Literal["auto"] = False,  # noqa: A002 - PyTorch's word
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
        augmentation: How images change from epoch to epoch: `none`, `flip`, `crop` or `crop-flip`; teachers
            see the same changed images.
        precision: `float32`, `bfloat16` for forward passes in training and the teachers', or `auto`, like
            the next three, for what a short measurement on this machine finds faster. The choice is
            remembered, so the same call gives the same numbers here; another machine may choose otherwise.
            ``float32`` and ``as-is`` are plain arithmetic.
        memory_format: How weights lie in memory: `as-is`, `contiguous` or `channels-last`.
        threads: Threads of the CPU, None for as many as are faster.
        compile: Whether `torch.compile` compiles the forward pass; `auto` measures that too, which takes half
            a minute or more.
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
    is_labelled = transfer_set is None
    chosen = get_technique(technique) if isinstance(technique, str) else technique
    settings = choose_settings(chosen, temperature, weight, coefficients or {}, is_labelled=is_labelled)
    given = list_teachers(teachers)
    check_transfer(chosen, settings, has_labels=is_labelled, num_teachers=len(given))
    options = Options(
        epochs=epochs,
        batch_size=batch_size,
        optimizer=optimizer,
        lr=lr,
        weight_decay=weight_decay,
        wishes=Wishes(precision=precision, memory_format=memory_format, threads=threads, compile=compile),
        augmentation=augmentation,
        validation_share=validation_share,
        objective="local",
        clients=(),
        keep=keep,
        transfer_set=transfer_set,
        class_map=class_map or {},
        taught_classes=taught_classes,
        seed=seed,
        device=device,
        cache=cache,
        progress=progress,
        teacher_names=teacher_names,
    )
    setup = set_up(student, given, data, options)
    tryout = setup.trial.run(setup.case, chosen, settings)
    finetuned = run_baseline(setup) if baseline and chosen.name != BASELINE else None
    return make_outcome(setup, student, tryout, finetuned)


def run_baseline(setup: Setup) -> Attempt:
    """What `finetune` comes to on the labelled training samples."""
    return setup.trial.run(setup.ready.baseline_case(), get_technique(BASELINE), None).attempt


def make_outcome(
    setup: Setup,
    given: nn.Module,
    tryout: Tryout,
    finetuned: Attempt | None,
    *,
    warnings: Sequence[str] = (),
) -> Outcome:
    """The new student in the type that was given, and the record of what was measured.

    Args:
        setup: Models and samples.
        given: The student as the user gave it.
        tryout: What the technique made of it.
        finetuned: The baseline's, None when it was not run.
        warnings: What else a reader should know.
    """
    ready, options = setup.ready, setup.options
    return Outcome(
        student=_as_given(tryout.student, given, ready.classes.names),
        record=TransferRecord(
            attempt=tryout.attempt,
            baseline=finetuned,
            teachers=ready.standings,
            class_names=ready.classes.names,
            measured_on=ready.measured_on,
            keep=options.keep,
            num_train=count_samples(setup.case.inputs),
            num_validation=ready.num_judging,
            num_measured=len(ready.measured),
            training=setup.training.to_dict(),
            seed=options.seed,
            data=setup.data.name,
            data_fingerprint=setup.data.fingerprint,
            device=describe_device(device_of(ready.parties.student)),
            warnings=(*ready.warnings, *warnings, *_warn_of_outcome(setup, tryout.attempt, finetuned)),
        ),
    )


def _as_given(student: nn.Module, given: nn.Module, class_names: tuple[str, ...]) -> nn.Module:
    """The new student as a plain module where one was given, else with its class names."""
    named = adapt(student, class_names=class_names)
    new_student = named if isinstance(given, Classifier) else named.module
    return new_student.to(device_of(given)).eval()


def _warn_of_outcome(setup: Setup, attempt: Attempt, finetuned: Attempt | None) -> list[str]:
    ready, training = setup.ready, setup.training
    student, num_classes = ready.parties.student, len(ready.classes.names)
    warnings = list(
        warn_of_chance(
            setup.trial.before,
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
