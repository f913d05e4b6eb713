"""`limbeck tune`: the settings of a technique that suit one transfer, and whether they were worth it."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

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
from limbeck.cli.search_progress import SearchDisplay
from limbeck.cli.tables import make_table
from limbeck.cli.transfer import check_words, read_wishes
from limbeck.cli.transfer_folder import (
    REPORT_FILE,
    WEIGHTS_FILE,
    check_folder,
    hash_models,
    open_folder,
    save_student,
)
from limbeck.core.errors import InputError, RunError, require

if TYPE_CHECKING:
    from limbeck.data import DataSet
    from limbeck.tune import Tuned

DEFAULT_FOLDER = Path("limbeck-tune")


def tune(  # noqa: PLR0913 - the command's options
    *,
    student: StudentOption,
    data: DataOption,
    teacher: TeacherOption = None,
    technique: Annotated[
        str, typer.Option(help="Whose settings to search, such as kd, dkd, dist or dp-kd.")
    ] = "kd",
    driver: Annotated[
        str,
        typer.Option(
            help="grid: every point; halving: every point, but only the best are trained to the end; tpe: "
            "points chosen by what was learned so far."
        ),
    ] = "grid",
    trials: Annotated[
        int | None, typer.Option(help="How many points tpe tries. [default: 20, or the whole grid]")
    ] = None,
    space: Annotated[
        list[str] | None,
        typer.Option(
            help="Values to try for one setting, such as temperature=1,2,4; repeatable. "
            "[default: the technique's]"
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(help="Students trained at a time on a CPU, one thread each. [default: one per core]"),
    ] = None,
    objective: Annotated[
        str,
        typer.Option(
            help="What is maximised: the accuracy on samples that are held out by the student's client "
            "(local), by every client of --split (federated), or on half of the test part (global)."
        ),
    ] = "local",
    epochs: Annotated[int, typer.Option(help="Passes over the samples in each trial.")] = 5,
    batch_size: BatchSizeOption = 64,
    optimizer: OptimizerOption = None,
    lr: LrOption = None,
    weight_decay: WeightDecayOption = 0.0,
    validation_share: Annotated[
        float, typer.Option(help="Share of the training samples that judges epochs and settings.")
    ] = 0.1,
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
    augment: AugmentOption = "none",
    precision: PrecisionOption = "auto",
    memory_format: MemoryFormatOption = "auto",
    threads: ThreadsOption = None,
    compiling: CompileOption = "off",
    no_cache: NoCacheOption = False,
    seed: Annotated[int, typer.Option(help="Seed of the hold-out, the order of samples and tpe.")] = 0,
    device: DeviceOption = "auto",
    out: Annotated[Path, typer.Option(help="Folder for the trials, the new student and its report.")] = (
        DEFAULT_FOLDER
    ),
    as_json: JsonOption = False,
) -> int:
    """Search the settings of a technique for one transfer, and measure what tuning was worth.

    The same command again goes on where it stopped. --arch, --normalize, --input-size, --classes and
    --max-length belong to a model: give each once for all models, or once per model, the student first; -
    where a model speaks for itself.
    """
    from limbeck import tune as tuning

    sources = [student, *(teacher or [])]
    options = ModelOptions(
        arch=arch, normalize=normalize, input_size=input_size, classes=classes, max_length=max_length
    )
    settings, renaming = options.of_each(len(sources)), read_class_map(class_map, pair)
    check_words(technique, optimizer=optimizer, keep="best", form=None)
    values = choose_space(technique, parse_space(space or []))
    num_trials = count_trials(technique, values, driver, trials)
    wishes = read_wishes(
        precision=precision, memory_format=memory_format, threads=threads, compiling=compiling
    )
    check_search_folder(out, sources)
    data_options = DataOptions(
        data_dir=data_dir, image_size=image_size, text_column=text_column, label_column=label_column
    )
    data_set = data_options.load(data, split=split, client=client)
    others = []
    if objective == "federated":
        others = data_options.load_others(data, split=split, client=client)
    classifiers = load_models(sources, settings, data_set)
    display = SearchDisplay(make_console(), technique, num_trials=num_trials)

    def search() -> "Tuned":
        return tuning.tune(
            classifiers[0],
            classifiers[1:],
            data_set,
            technique=technique,
            space=values,
            driver=driver,  # pyright: ignore[reportArgumentType] - checked above
            num_trials=trials,
            folder=out,
            epochs=epochs,
            batch_size=batch_size,
            optimizer=optimizer,  # pyright: ignore[reportArgumentType] - checked above
            lr=lr,
            weight_decay=weight_decay,
            validation_share=validation_share,
            class_map=renaming,
            seed=seed,
            device=device,
            objective=objective,  # pyright: ignore[reportArgumentType] - checked by the library
            clients=others,
            workers=workers,
            augmentation=augment,  # pyright: ignore[reportArgumentType] - checked by the library
            precision=wishes.precision,
            memory_format=wishes.memory_format,
            threads=wishes.threads,
            compile=wishes.compile,
            cache=not no_cache,
            progress=False,
            teacher_names=name_models(sources)[1:],
            after_trial=display.show,
            after_steps=display.note_share,
        )

    with open_folder(out):
        tuned = watch_search(search, display)
        with explain_interrupt(out):
            page = write_search(out, tuned, data_set, parents=hash_models(classifiers))
    paths = {"student": str(out), "report": str(page)}
    _show(tuned, {"New student": str(out), "Report": str(page)})
    if as_json:
        print_json({**tuned.to_dict(), **paths})
    return 0


def parse_space(words: Sequence[str]) -> dict[str, tuple[float, ...]]:
    """``["temperature=1,2"]`` as values by name.

    Raises:
        InputError: When a word is not NAME=V1,V2,... or a name comes twice.
    """
    space = {}
    for word in words:
        name, text = split_pair("--space", word, "temperature=1,2,4")
        require(
            name not in space,
            "--space names a setting once",
            f"{name} twice",
            "Write all its values at once.",
        )
        try:
            space[name] = tuple(float(value) for value in text.split(","))
        except ValueError as error:
            raise InputError(
                f"`--space` takes NAME=V1,V2,..., but got `{word}`. Write for example temperature=1,2,4."
            ) from error
    return space


def choose_space(technique: str, changes: Mapping[str, Sequence[float]]) -> dict[str, Sequence[float]]:
    """The technique's own search space, with the values given for some settings instead of its own.

    Raises:
        InputError: When the technique is unknown.
    """
    from limbeck.techniques import get_technique

    return {**get_technique(technique).search_space, **changes}


def count_trials(
    technique: str, space: Mapping[str, Sequence[float]], driver: str, num_trials: int | None
) -> int:
    """How many trials the search takes.

    Raises:
        InputError: When the technique does not take the space, or the driver the number.
    """
    from limbeck.techniques import get_technique
    from limbeck.tune import search

    checked = search.check_space(get_technique(technique), space)
    return search.count_trials(get_technique(technique), checked, driver, num_trials)  # pyright: ignore[reportArgumentType]


def check_search_folder(folder: Path, models: Sequence[str]) -> None:
    """Refuse a folder as `check_folder` does, but for one that holds the trials of a search that was stopped.

    Raises:
        InputError: When writing there would destroy something.
    """
    from limbeck.tune.search import STORE_FILE
    from limbeck.tune.tuner import TRIALS_FOLDER

    names = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    if STORE_FILE in names and all(name.startswith(STORE_FILE) or name == TRIALS_FOLDER for name in names):
        return
    check_folder(folder, models)


def watch_search(search_fn: "Callable[[], Tuned]", display: SearchDisplay) -> "Tuned":
    """What the search finds, shown while it runs.

    Raises:
        RunError: Instead of `KeyboardInterrupt`, to say what is kept.
    """
    with display:
        try:
            return search_fn()
        except KeyboardInterrupt as error:
            raise RunError(display.describe_interrupt()) from error


def write_search(folder: Path, tuned: "Tuned", data: "DataSet", *, parents: Sequence[str]) -> Path:
    """Write the student with the best settings, its card, and the search's record and report.

    Returns:
        The report's path.

    Raises:
        RunError: When a file cannot be written.
    """
    from limbeck.report import build_tuning_page

    student: Any = tuned.outcome.student
    content = tuned.to_dict()
    card = save_student(folder, student, tuned.record, data, content=content, parents=parents)
    return build_tuning_page(tuned, folder / REPORT_FILE, card=card, weights=folder / WEIGHTS_FILE)


def _show(tuned: "Tuned", paths: Mapping[str, str]) -> None:
    from limbeck.report.transfer import describe_layout
    from limbeck.report.tuning import describe_worth, tabulate_settings, tabulate_tuned

    console = make_console()
    tables = [tabulate_tuned(tuned), tabulate_settings(tuned)]
    for table in tables:
        if table.rows:
            console.print(make_table(table))
    console.print(f"Run as: {describe_layout(tuned.record.training)}", markup=False, soft_wrap=True)
    for sentence in (describe_worth(tuned), *(f"Warning: {warning}" for warning in tuned.record.warnings)):
        console.print(sentence, markup=False, soft_wrap=True)
    print_paths(console, paths)
