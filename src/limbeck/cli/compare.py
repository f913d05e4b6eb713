"""`limbeck compare`: what one model knows that another does not, before any transfer."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from limbeck.cli.models import (
    MODEL,
    ArchOption,
    ClassesOption,
    ClassMapOption,
    DataDirOption,
    DataOption,
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
    TextColumnOption,
    load_models,
    name_models,
    read_class_map,
)
from limbeck.cli.output import explain_interrupt, make_console, print_json, print_paths
from limbeck.cli.tables import HEADING_WIDTH, make_table

if TYPE_CHECKING:
    from limbeck.pairs import Comparison

DEFAULT_PAGE = Path("limbeck-compare/report.html")
MAX_CLASSES_SHOWN = 25


def compare(  # noqa: PLR0913 - the command's options
    first: Annotated[str, typer.Argument(metavar="A", help=f"The model that would learn: {MODEL}.")],
    second: Annotated[str, typer.Argument(metavar="B", help="The model that would teach, likewise.")],
    *,
    data: DataOption,
    arch: ArchOption = None,
    normalize: NormalizeOption = None,
    input_size: InputSizeOption = None,
    classes: ClassesOption = None,
    max_length: MaxLengthOption = None,
    class_map: ClassMapOption = None,
    pair: MapOption = None,
    data_dir: DataDirOption = None,
    image_size: ImageSizeOption = None,
    text_column: TextColumnOption = None,
    label_column: LabelColumnOption = None,
    no_cache: NoCacheOption = False,
    device: DeviceOption = "auto",
    out: Annotated[Path, typer.Option(help="The page to write, or a folder for it.")] = DEFAULT_PAGE,
    as_json: JsonOption = False,
) -> int:
    """Say what B knows that A does not, on the test part of a data set.

    --arch, --normalize, --input-size, --classes and --max-length belong to a model: give each once for both
    models, or twice, A first; - where a model speaks for itself. A class map takes the models' class names
    to the data's.
    """
    from limbeck import pairs, report

    options = ModelOptions(
        arch=arch, normalize=normalize, input_size=input_size, classes=classes, max_length=max_length
    )
    settings, renaming = options.of_each(2), read_class_map(class_map, pair)
    data_options = DataOptions(
        data_dir=data_dir, image_size=image_size, text_column=text_column, label_column=label_column
    )
    data_set = data_options.load(data)
    first_model, second_model = load_models([first, second], settings, data_set)
    first_name, second_name = name_models([first, second])
    comparison = pairs.compare(
        first_model,
        second_model,
        data_set,
        names=(first_name, second_name),
        class_map=renaming,
        cache=not no_cache,
        device=device,
    )
    page = out if out.suffix == DEFAULT_PAGE.suffix else out / DEFAULT_PAGE.name
    with explain_interrupt(page):
        report.build_comparison_page(comparison, page)
    _show(comparison, page)
    if as_json:
        print_json({**comparison.to_dict(), "report": str(page)})
    return 0


def _show(comparison: "Comparison", page: Path) -> None:
    from limbeck.report.comparison import tabulate_classes, tabulate_parts, tabulate_standings

    console = make_console()
    shown = name_by_letters(comparison)
    if shown is not comparison:
        names = {"A": comparison.first.name, "B": comparison.second.name}
        print_paths(console, names)
    console.print(make_table(tabulate_standings(shown)))
    console.print(make_table(tabulate_parts(shown)))
    console.print(make_table(tabulate_classes(shown, most=MAX_CLASSES_SHOWN)))
    for warning in comparison.warnings:
        console.print(f"Warning: {warning}", markup=False, soft_wrap=True)
    print_paths(console, {"Report": page})


def name_by_letters(comparison: "Comparison") -> "Comparison":
    """The comparison with its models called A and B where a name is too long to head a column."""
    first, second = comparison.first, comparison.second
    if max(len(first.name), len(second.name)) <= HEADING_WIDTH:
        return comparison
    return replace(comparison, first=replace(first, name="A"), second=replace(second, name="B"))
