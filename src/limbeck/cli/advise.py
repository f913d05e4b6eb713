"""`limbeck advise`: which technique and settings to try, from what was measured in cases like this one."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from limbeck.cli.models import (
    MODEL,
    ArchOption,
    ClassesOption,
    ClassMapOption,
    ClientOption,
    DataDirOption,
    DataOptions,
    DeviceOption,
    ImageSizeOption,
    InputSizeOption,
    JsonOption,
    LabelColumnOption,
    MapOption,
    MaxLengthOption,
    ModelOptions,
    NoCacheOption,
    NormalizeOption,
    SplitOption,
    TextColumnOption,
    load_models,
    name_models,
    read_class_map,
)
from limbeck.cli.output import make_console, print_json, print_paths
from limbeck.cli.tables import make_table
from limbeck.core.errors import require

if TYPE_CHECKING:
    import numpy as np

    from limbeck.advise import Advice, FederationAdvice, LabelCounts, Wording
    from limbeck.data import DataSet

MIN_FEDERATED = 3


def advise(  # noqa: PLR0913 - the command's options
    student: Annotated[
        str | None, typer.Argument(metavar="[STUDENT]", help=f"The model that would learn: {MODEL}.")
    ] = None,
    teacher: Annotated[
        str | None, typer.Argument(metavar="[TEACHER]", help="The model that would teach, likewise.")
    ] = None,
    *,
    data: Annotated[
        str | None, typer.Option(help="The student's data, by name or path, such as digits or a folder.")
    ] = None,
    counts: Annotated[
        list[Path] | None,
        typer.Option(help="Label counts of one or more clients, JSON or CSV; repeatable, the student first."),
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
    teacher_client: Annotated[
        int | None,
        typer.Option(
            help="The teacher's client, counted from 0, in --split or --counts.", show_default=False
        ),
    ] = None,
    tries: Annotated[int, typer.Option(help="At most so many settings to try, 1 to 10.")] = 5,
    has_proxy: Annotated[
        bool, typer.Option("--has-proxy", help="There is an unlabelled set that a server may use.")
    ] = False,
    write_counts: Annotated[
        Path | None,
        typer.Option(help="Write the label counts of --counts or --data to this file, and stop."),
    ] = None,
    epsilon: Annotated[
        float | None,
        typer.Option(help="With --write-counts: noise for epsilon-differential privacy, such as 1."),
    ] = None,
    data_dir: DataDirOption = None,
    image_size: ImageSizeOption = None,
    text_column: TextColumnOption = None,
    label_column: LabelColumnOption = None,
    no_cache: NoCacheOption = False,
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
) -> int:
    """Recommend a technique and settings for two models, or a way to federate, without training anything.

    Give both models and the student's data, or label counts alone: those of two clients for a transfer, of
    more for a federation. Label counts are what --write-counts writes, {"CLIENT": {"CLASS": COUNT}} as JSON,
    or a CSV with the columns client,CLASS,CLASS and so on.
    """
    data_options = DataOptions(
        data_dir=data_dir, image_size=image_size, text_column=text_column, label_column=label_column
    )
    model_options = ModelOptions(
        arch=arch, normalize=normalize, input_size=input_size, classes=classes, max_length=max_length
    )
    _check_words(student, teacher, data=data, counts=counts, epsilon=epsilon, write_counts=write_counts)
    if write_counts is not None:
        data_set = None if data is None else data_options.load(data, split=split, client=client)
        return _write_counts(data_set, counts or [], write_counts, epsilon, as_json=as_json)
    found = None if counts is None else _read_counts(counts)
    if student is None or teacher is None or data is None:
        assert found is not None
        return _advise_counts(
            found,
            client=client,
            teacher_client=teacher_client,
            tries=tries,
            has_proxy=has_proxy,
            as_json=as_json,
        )
    from limbeck.advise import advise as advise_models

    settings = model_options.of_each(2)
    renaming = read_class_map(class_map, pair)
    data_set = data_options.load(data, split=split, client=client)
    models = load_models([student, teacher], settings, data_set)
    own = ["--data", data, *_repeat({"--split": split, "--client": client})]
    other = ["--data", data, *_repeat({"--split": split, "--client": teacher_client})]
    advice = advise_models(
        models[0],
        models[1],
        data_set,
        teacher_counts=_find_teacher_counts(data_set, data, data_options, split, teacher_client, found),
        tries=tries,
        names=_name_both(student, teacher),
        class_map=renaming,
        device=device,
        cache=not no_cache,
        wording=_make_wording(
            (student, teacher),
            own=own,
            other=other if teacher_client is not None and split is not None else None,
            shared=_repeat(
                {
                    "--data-dir": data_dir,
                    "--image-size": image_size,
                    "--text-column": text_column,
                    "--label-column": label_column,
                    "--class-map": class_map,
                }
            )
            + [word for names in pair or () for word in ("--map", names)],
            options=model_options,
        ),
    )
    _show_advice(advice)
    if as_json:
        print_json({"transfer": advice.to_dict(), "federation": None})
    return 0


def _check_words(
    student: str | None,
    teacher: str | None,
    *,
    data: str | None,
    counts: Sequence[Path] | None,
    epsilon: float | None,
    write_counts: Path | None,
) -> None:
    """Raise `InputError` for words that do not go together, before anything is loaded."""
    require(
        epsilon is None or write_counts is not None,
        "--epsilon goes with --write-counts",
        f"--epsilon {epsilon} alone",
        "Name the file to write the noisy counts to.",
    )
    if write_counts is not None:
        require(
            (data is None) != (not counts),
            "--write-counts takes the counts of --data or of --counts",
            "both" if counts else "neither",
            "Give one of them.",
        )
        return
    has_models = student is not None and teacher is not None
    require(
        has_models or student is None,
        "there are two models, or none",
        f"`{student}` alone",
        "Name the student and the teacher, or only label counts with --counts.",
    )
    require(
        has_models or bool(counts),
        "there are two models with --data, or label counts",
        "neither",
        "Write `limbeck advise STUDENT TEACHER --data FOLDER` or `limbeck advise --counts FILE`.",
    )
    require(
        has_models == (data is not None),
        "two models go with --data",
        f"{'no ' if data is None else ''}--data {data or ''}".strip(),
        "Name the student's data with both models; label counts need none.",
    )


def _write_counts(
    data_set: "DataSet | None", paths: Sequence[Path], target: Path, epsilon: float | None, *, as_json: bool
) -> int:
    from limbeck import advise as advising

    if data_set is None:
        counts = _read_counts(paths)
    else:
        counts = advising.count_labels(data_set.labels, data_set.class_names, client=target.stem)
    if epsilon is not None:
        counts = advising.add_noise(counts, epsilon)
    advising.write_counts(counts, target)
    print_paths(make_console(), {"Label counts": target})
    if as_json:
        print_json({"counts": str(target), **counts.to_dict()})
    return 0


def _read_counts(paths: Sequence[Path]) -> "LabelCounts":
    from limbeck.advise import read_counts

    return read_counts(paths)


def _advise_counts(
    counts: "LabelCounts",
    *,
    client: int | None,
    teacher_client: int | None,
    tries: int,
    has_proxy: bool,
    as_json: bool,
) -> int:
    """Advice on a transfer between two clients, and with enough of them on a federation."""
    from limbeck.advise import advise_counts, advise_federation

    wants_pair = len(counts.clients) < MIN_FEDERATED or client is not None or teacher_client is not None
    advice = federation = None
    if wants_pair:
        advice = advise_counts(
            counts,
            student=0 if client is None else client,
            teacher=1 if teacher_client is None else teacher_client,
            tries=tries,
        )
    if len(counts.clients) >= MIN_FEDERATED:
        federation = advise_federation(counts, has_proxy=has_proxy)
        _show_federation(federation)
    if advice is not None:
        _show_advice(advice)
    if as_json:
        print_json(
            {
                "transfer": None if advice is None else advice.to_dict(),
                "federation": None if federation is None else federation.to_dict(),
            }
        )
    return 0


def _find_teacher_counts(
    data_set: "DataSet",
    source: str,
    options: DataOptions,
    split: Path | None,
    teacher_client: int | None,
    counts: "LabelCounts | None",
) -> "np.ndarray | None":
    """The teacher's samples per class of the data, None where nobody says."""
    import numpy as np

    if counts is not None:
        row = (len(counts.clients) - 1) if teacher_client is None else teacher_client
        require(
            0 <= row < len(counts.clients),
            f"0 <= teacher_client < {len(counts.clients)}",
            f"teacher_client={row}",
            "Clients are counted from 0, in the order of --counts.",
        )
        told = dict(zip(counts.class_names, counts.told[row].tolist(), strict=True))
        found = np.array([told.get(name, 0) for name in data_set.class_names])
        require(
            bool(found.any()),
            "the teacher's counts are of the data's classes",
            f"{', '.join(counts.class_names)}",
            f"Name classes as the data do: {', '.join(data_set.class_names)}.",
        )
        return found
    if teacher_client is None:
        return None
    theirs = options.load(source, split=split, client=teacher_client)
    return np.bincount(theirs.labels, minlength=len(data_set.class_names))


def _make_wording(
    sources: tuple[str, str],
    *,
    own: Sequence[str],
    other: Sequence[str] | None,
    shared: Sequence[str],
    options: ModelOptions,
) -> "Wording":
    """The words of the command to run: models, data and how they are read, as they were given here."""
    from limbeck.advise import Wording

    words = {
        "--arch": options.arch,
        "--normalize": options.normalize,
        "--input-size": options.input_size,
        "--classes": options.classes,
        "--max-length": options.max_length,
    }
    both = [word for name, given in words.items() for each in given or () for word in (name, each)]
    alone = [word for name, given in words.items() for each in (given or ())[:1] for word in (name, each)]
    return Wording(
        student=sources[0],
        teacher=sources[1],
        own=(*own, *shared),
        other=("--data", "TEACHER_DATA") if other is None else (*other, *shared),
        options=tuple(both),
        alone_options=tuple(alone),
    )


def _repeat(options: dict[str, Any]) -> list[str]:
    """The options that were given, as words."""
    return [word for name, value in options.items() if value is not None for word in (name, str(value))]


def _name_both(student: str, teacher: str) -> tuple[str, str]:
    first, second = name_models([student, teacher])
    return first, second


def _show_advice(advice: "Advice") -> None:
    from limbeck.advise import page

    console = make_console()
    console.print(make_table(page.tabulate_case(advice)))
    if advice.shortlist:
        console.print(make_table(page.tabulate_shortlist(advice)))
    console.print(make_table(page.tabulate_nearest(advice.nearest)))
    for warning in advice.warnings:
        console.print(f"Warning: {warning}", markup=False, soft_wrap=True)
    for sentence in page.say_advice(advice):
        console.print(sentence, markup=False, soft_wrap=True)
    if advice.command:
        console.print(advice.command, markup=False, soft_wrap=True)


def _show_federation(advice: "FederationAdvice") -> None:
    from limbeck.advise import page

    console = make_console()
    if advice.options:
        console.print(make_table(page.tabulate_options(advice)))
    for sentence in page.say_federation(advice):
        console.print(sentence, markup=False, soft_wrap=True)
    spec = page.write_federation_spec(advice)
    if spec:
        console.print(spec, markup=False, soft_wrap=True)
