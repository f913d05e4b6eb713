"""Tuning one transfer: the best settings, the whole response surface, and whether it was worth it."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from torch import nn

from limbeck.core.device import pick_device
from limbeck.core.errors import require
from limbeck.data import Augmentation
from limbeck.engine import MemoryFormat, Precision, Wishes, check_transfer
from limbeck.pairs.readiness import Objective
from limbeck.pairs.setup import Options, list_teachers, set_up
from limbeck.techniques import Technique, get_technique
from limbeck.tune.record import Tuned
from limbeck.tune.search import Driver, SearchPlan, Space, Tried, check_space, count_trials
from limbeck.tune.sweep import can_train_apart
from limbeck.tune.tuner import Tuner

DEFAULT_FOLDER = Path("limbeck-tune")


def tune(  # noqa: PLR0913 - everything a user may set, in one call
    student: nn.Module,
    teachers: nn.Module | Sequence[nn.Module] | None,
    data: Any,
    *,
    technique: str | Technique = "kd",
    space: Space | None = None,
    driver: Driver = "grid",
    num_trials: int | None = None,
    workers: int | None = None,
    folder: str | Path = DEFAULT_FOLDER,
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
    objective: Objective = "local",
    clients: Sequence[Any] = (),
    class_map: Mapping[str, str] | None = None,
    taught_classes: Sequence[Sequence[str]] | None = None,
    seed: int = 0,
    device: str = "auto",
    cache: bool = True,
    progress: bool = True,
    teacher_names: Sequence[str] | None = None,
    after_trial: Callable[[Sequence[Tried]], None] = lambda _: None,
    after_steps: Callable[[float], None] = lambda _: None,
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
        driver: `grid` for every point; `halving` for every point, of which only the best are trained to the
            end; `tpe` for `num_trials` points chosen by what was learned so far.
        num_trials: For `tpe`; None for 20.
        workers: Students trained at a time on a CPU, each in a process with one thread; None for one per
            core. The result does not depend on it. A GPU trains them as one stack instead.
        folder: Where the database of trials lies; Optuna's dashboard opens it.
        epochs: Passes over the samples in each trial.
        batch_size: Samples per step.
        optimizer: `sgd` or `adam`.
        lr: Learning rate at the start.
        weight_decay: L2 coefficient.
        augmentation: How images change from epoch to epoch: `none`, `flip`, `crop` or `crop-flip`; teachers
            see the same changed images.
        precision: As in `limbeck.transfer`, like the next three; but a student has one thread where several
            are trained at a time.
        memory_format: How weights lie in memory.
        threads: Threads of the CPU; more than one only with ``workers=1``.
        compile: Whether the forward pass is compiled.
        validation_share: Share of a party's training samples that judges.
        objective: What is maximised: `local`, the accuracy on samples the student's party holds out;
            `global`, on half of the test part, and the other half measures; `federated`, the mean accuracy
            over the samples each party holds out, which is what a real federation can measure.
        clients: The other parties' samples, each anything `data` may be, for `federated` alone.
        class_map: Names of others to the student's.
        taught_classes: For `kd-coverage`.
        seed: Seed of the hold-out, the batch order and the driver.
        device: `auto`, `cpu` or `cuda`.
        cache: Whether the teachers' logits are kept.
        progress: Whether to show the progress of each trial.
        teacher_names: What to call the teachers.
        after_trial: Called with all trials so far.
        after_steps: Called now and then with the share of all steps that are done, in [0, 1].

    Raises:
        InputError: When models, data, technique, space and driver do not fit each other.

    References:
        The grid of temperature and weight: "Practical Insights into Knowledge Distillation for Pre-Trained
        Models", https://arxiv.org/abs/2402.14922.
    """
    chosen = get_technique(technique) if isinstance(technique, str) else technique
    checked = check_space(chosen, chosen.search_space if space is None else space)
    total = count_trials(chosen, checked, driver, num_trials)
    given = list_teachers(teachers)
    check_transfer(chosen, chosen.defaults, has_labels=True, num_teachers=len(given))
    options = Options(
        epochs=epochs,
        batch_size=batch_size,
        optimizer=optimizer,
        lr=lr,
        weight_decay=weight_decay,
        wishes=Wishes(
            precision=precision,
            memory_format=memory_format,
            threads=_share_cores(workers, threads, device),
            compile=compile,
        ),
        augmentation=augmentation,
        validation_share=validation_share,
        objective=objective,
        clients=clients,
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
    plan = SearchPlan(driver=driver, num_trials=total, epochs=epochs, seed=seed)
    tuner = Tuner(setup, chosen, checked, plan=plan, folder=Path(folder), workers=workers)
    return tuner.run(student, after_trial=after_trial, after_steps=after_steps)


def _share_cores(workers: int | None, threads: int | None, device: str) -> int | None:
    """Threads of a student: one where several are trained at a time, so that workers change no result.

    Raises:
        InputError: When both several workers and several threads are asked for.
    """
    if not can_train_apart(pick_device(device)):
        return threads
    require(
        threads in (None, 1) or workers == 1,
        "a worker has one thread",
        f"threads={threads} with workers={workers}",
        "Leave `threads` out, or set `workers` to 1.",
    )
    return 1 if threads is None else threads
