"""`limbeck transfer`: a student that learns from teachers, and what that was worth."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from limbeck.cli.models import (
    ArchOption,
    AugmentOption,
    BatchSizeOption,
    ClassesOption,
    ClassMapOption,
    ClientOption,
    CompileOption,
    DataDirOption,
    DataOption,
    DataOptions,
    DeviceOption,
    ImageSizeOption,
    InputSizeOption,
    JsonOption,
    LabelColumnOption,
    LrOption,
    MapOption,
    MaxLengthOption,
    MemoryFormatOption,
    ModelOptions,
    NoCacheOption,
    NormalizeOption,
    OptimizerOption,
    PrecisionOption,
    SplitOption,
    StudentOption,
    TeacherOption,
    TextColumnOption,
    ThreadsOption,
    WeightDecayOption,
    load_models,
    name_models,
    read_class_map,
    split_pair,
)
from limbeck.cli.output import explain_interrupt, make_console, print_json, print_paths
from limbeck.cli.tables import make_table
from limbeck.cli.transfer_folder import (
    EXPORT_FILES,
    check_folder,
    export_student,
    hash_models,
    open_folder,
    write_folder,
)
from limbeck.core.errors import InputError, require_known

if TYPE_CHECKING:
    from limbeck.engine import Wishes
    from limbeck.pairs import TransferRecord

DEFAULT_FOLDER = Path("limbeck-transfer")
COMPILE_WORDS: dict[str, bool | Literal["auto"]] = {"off": False, "on": True, "auto": "auto"}


def transfer(  # noqa: PLR0913 - the command's options
    *,
    student: StudentOption,
    data: DataOption,
    teacher: TeacherOption = None,
    technique: Annotated[
        str, typer.Option(help="How to transfer, such as finetune, kd, dkd, dist, dml or dp-kd.")
    ] = "kd",
    temperature: Annotated[
        float | None, typer.Option(help="Temperature T > 0. [default: the technique's]")
    ] = None,
    weight: Annotated[
        float | None, typer.Option(help="Weight w of the teacher, 0 to 1. [default: the technique's]")
    ] = None,
    setting: Annotated[
        list[str] | None,
        typer.Option("--set", help="A further setting of the technique, such as beta=2; repeatable."),
    ] = None,
    epochs: Annotated[int, typer.Option(help="Passes over the samples.")] = 5,
    batch_size: BatchSizeOption = 64,
    optimizer: OptimizerOption = None,
    lr: LrOption = None,
    weight_decay: WeightDecayOption = 0.0,
    validation_share: Annotated[
        float, typer.Option(help="Share of the training samples that judges the epochs.")
    ] = 0.1,
    keep: Annotated[
        str, typer.Option(help="best: the student of the best epoch or as it came; last: after the last one.")
    ] = "best",
    proxy: Annotated[
        str | None, typer.Option(help="An unlabelled set to learn from instead of the training samples.")
    ] = None,
    arch: ArchOption = None,
    normalize: NormalizeOption = None,
    input_size: InputSizeOption = None,
    classes: ClassesOption = None,
    max_length: MaxLengthOption = None,
    class_map: ClassMapOption = None,
    pair: MapOption = None,
    split: SplitOption = None,
    client: ClientOption = None,
    data_dir: DataDirOption = None,
    image_size: ImageSizeOption = None,
    text_column: TextColumnOption = None,
    label_column: LabelColumnOption = None,
    baseline: Annotated[
        bool,
        typer.Option("--baseline/--no-baseline", help="Also finetune without a teacher, for comparison."),
    ] = True,
    no_cache: NoCacheOption = False,
    seed: Annotated[int, typer.Option(help="Seed of the hold-out and the order of samples.")] = 0,
    augment: AugmentOption = "none",
    precision: PrecisionOption = "auto",
    memory_format: MemoryFormatOption = "auto",
    threads: ThreadsOption = None,
    compiling: CompileOption = "off",
    device: DeviceOption = "auto",
    out: Annotated[Path, typer.Option(help="Folder for the new student, its card and report.")] = (
        DEFAULT_FOLDER
    ),
    export: Annotated[
        str | None, typer.Option(help="Also write the student for other programs: onnx or torch.")
    ] = None,
    as_json: JsonOption = False,
) -> int:
    """Let a student learn from one or more teachers, and measure what that was worth.

    --arch, --normalize, --input-size, --classes and --max-length belong to a model: give each once for all
    models, or once per model, the student first; - where a model speaks for itself. A class map takes names
    of the teachers or the data to the student's.
    """
    from limbeck import pairs

    sources = [student, *(teacher or [])]
    options = ModelOptions(
        arch=arch, normalize=normalize, input_size=input_size, classes=classes, max_length=max_length
    )
    settings, renaming = options.of_each(len(sources)), read_class_map(class_map, pair)
    coefficients = parse_settings(setting or [])
    wishes = read_wishes(
        precision=precision, memory_format=memory_format, threads=threads, compiling=compiling
    )
    check_words(technique, optimizer=optimizer, keep=keep, form=export)
    check_folder(out, sources)
    data_options = DataOptions(
        data_dir=data_dir, image_size=image_size, text_column=text_column, label_column=label_column
    )
    data_set = data_options.load(data, split=split, client=client)
    classifiers = load_models(sources, settings, data_set)
    transfer_set = None if proxy is None else data_options.load_proxy(proxy)
    with open_folder(out):
        outcome = pairs.transfer(
            classifiers[0],
            classifiers[1:],
            data_set,
            technique=technique,
            temperature=temperature,
            weight=weight,
            coefficients=coefficients,
            epochs=epochs,
            batch_size=batch_size,
            optimizer=optimizer,  # pyright: ignore[reportArgumentType] - checked above
            lr=lr,
            weight_decay=weight_decay,
            augmentation=augment,  # pyright: ignore[reportArgumentType] - checked by the library
            precision=wishes.precision,
            memory_format=wishes.memory_format,
            threads=wishes.threads,
            compile=wishes.compile,
            validation_share=validation_share,
            keep=keep,  # pyright: ignore[reportArgumentType] - checked above
            transfer_set=transfer_set,
            class_map=renaming,
            baseline=baseline,
            cache=not no_cache,
            seed=seed,
            device=device,
            teacher_names=name_models(sources)[1:],
        )
        new_student: Any = outcome.student
        with explain_interrupt(out):
            page = write_folder(out, new_student, outcome.record, data_set, parents=hash_models(classifiers))
            program = None if export is None else export_student(out, new_student, data_set, form=export)
    paths = {"student": str(out), "report": str(page), "export": None if program is None else str(program)}
    _show(outcome.record, paths)
    if as_json:
        print_json({**outcome.record.to_dict(), **paths})
    return 0


def check_words(technique: str, *, optimizer: str | None, keep: str, form: str | None) -> None:
    """Raise `InputError` for an unknown name or a missing library before anything is loaded."""
    from limbeck.engine import OPTIMIZERS
    from limbeck.models.libraries import require_library
    from limbeck.pairs.keeper import KEEPS
    from limbeck.techniques import get_technique

    get_technique(technique)
    require_known("value of `--keep`", keep, KEEPS)
    if optimizer is not None:
        require_known("optimizer", optimizer, OPTIMIZERS)
    if form is not None:
        require_known("form to export", form, EXPORT_FILES)
    if form == "onnx":
        require_library("onnx", extra="export")
        require_library("onnxscript", extra="export")


def read_wishes(*, precision: str, memory_format: str, threads: int | None, compiling: str) -> "Wishes":
    """How the student is to be run, as far as the words say.

    Raises:
        InputError: When a word is unknown, or there is no thread.
    """
    from limbeck.engine import Wishes

    require_known("value of `--compile`", compiling, COMPILE_WORDS)
    return Wishes(
        precision=precision,  # pyright: ignore[reportArgumentType] - checked by the record
        memory_format=memory_format,  # pyright: ignore[reportArgumentType] - checked by the record
        threads=threads,
        compile=COMPILE_WORDS[compiling],
    )


def parse_settings(words: Sequence[str]) -> dict[str, float]:
    """``["beta=2"]`` as numbers by name.

    Raises:
        InputError: When a word is not NAME=NUMBER.
    """
    settings = {}
    for word in words:
        name, text = split_pair("--set", word, "beta=2")
        try:
            settings[name] = float(text)
        except ValueError as error:
            raise InputError(
                f"`--set` takes NAME=NUMBER, but got `{word}`. Write for example beta=2."
            ) from error
    return settings


def _show(record: "TransferRecord", paths: Mapping[str, str | None]) -> None:
    from limbeck.report.transfer import describe_layout, tabulate_attempts

    console = make_console()
    console.print(make_table(tabulate_attempts(record)))
    console.print(f"Run as: {describe_layout(record.training)}", markup=False, soft_wrap=True)
    for warning in record.warnings:
        console.print(f"Warning: {warning}", markup=False, soft_wrap=True)
    names = {"student": "New student", "report": "Report", "export": "Export"}
    print_paths(console, {names[name]: path for name, path in paths.items() if path is not None})
