"""`limbeck compare`: what one model knows that another does not, before any transfer."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from limbeck.cli.models import (
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
    NormalizeOption,
    TextColumnOption,
    load_models,
    name_models,
    read_class_map,
)
from limbeck.cli.output import make_console, print_json
from limbeck.cli.tables import make_table

if TYPE_CHECKING:
    from limbeck.pairs import Comparison

DEFAULT_PAGE = Path("limbeck-compare/report.html")
MAX_CLASSES_SHOWN = 25
MODEL = "a folder with card.json or config.json, or a file of weights with --arch"


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
    device: DeviceOption = "auto",
    out: Annotated[Path, typer.Option(help="The page to write, or a folder for it.")] = DEFAULT_PAGE,
    as_json: JsonOption = False,
) -> int:
    """Say what B knows that A does not, on the test part of a data set.

    Options that belong to a model are given once for both, or twice: for A, then for B. A class map takes
    the models' class names to the data's.
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
        device=device,
    )
    page = out if out.suffix == DEFAULT_PAGE.suffix else out / DEFAULT_PAGE.name
    report.build_comparison_page(comparison, page)
    _show(comparison, page)
    if as_json:
        print_json({**comparison.to_dict(), "report": str(page)})
    return 0


def _show(comparison: "Comparison", page: Path) -> None:
    from limbeck.report.comparison import tabulate_classes, tabulate_parts, tabulate_standings

    console = make_console()
    console.print(make_table(tabulate_standings(comparison)))
    console.print(make_table(tabulate_parts(comparison)))
    console.print(make_table(tabulate_classes(comparison, most=MAX_CLASSES_SHOWN)))
    for warning in comparison.warnings:
        console.print(f"Warning: {warning}", markup=False, soft_wrap=True)
    console.print(f"Report: {page}", markup=False, soft_wrap=True)
