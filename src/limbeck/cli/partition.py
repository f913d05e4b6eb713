"""`limbeck partition`: split a data set, describe and draw the split, save the index map."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
import yaml
from rich.table import Table

from limbeck.cli.output import explain_interrupt, make_console, print_json, print_paths
from limbeck.core.errors import InputError

if TYPE_CHECKING:
    from limbeck.partition import Description

MAP_FILE = "partition.json"
PICTURE_FILE = "partition.html"


def partition(
    source: Annotated[str, typer.Argument(help="A data set's name or path, such as digits.")],
    strategy: Annotated[str, typer.Option(help="How to split, such as uniform or dirichlet.")],
    num_clients: Annotated[int, typer.Option(help="Number of clients.")],
    param: Annotated[
        list[str] | None, typer.Option(help="A parameter of the strategy, such as alpha=0.5; repeatable.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the split.")] = 0,
    data_dir: Annotated[Path | None, typer.Option(help="Folder with a copy of the named data set.")] = None,
    out: Annotated[Path, typer.Option(help="Folder for the map and its picture.")] = Path(
        "limbeck-partition"
    ),
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
) -> int:
    """Split a data set between clients, draw the split and save the index map with its hash."""
    from limbeck import data as data_sets
    from limbeck import partition as partitions
    from limbeck import report

    parameters = parse_parameters(param or [])
    partitions.check_parameters(strategy, parameters)
    data_set = data_sets.load(source, data_dir=data_dir)
    made = partitions.split(data_set.labels, strategy, num_clients=num_clients, seed=seed, **parameters)
    description = partitions.describe(made, data_set.labels, num_classes=data_set.num_classes)
    figure = report.draw_partition(description.histogram.tolist(), data_set.class_names, description.title)
    with explain_interrupt(out):
        partitions.save(made, out / MAP_FILE, data_fingerprint=data_set.fingerprint)
        report.write_figure_html(figure, out / PICTURE_FILE)
    console = make_console()
    console.print(_make_table(description))
    console.print(f"Hash: {made.hash}")
    print_paths(console, {"Map": out / MAP_FILE, "Picture": out / PICTURE_FILE})
    if as_json:
        print_json(
            {
                "map": str(out / MAP_FILE),
                "picture": str(out / PICTURE_FILE),
                "hash": made.hash,
                "data_fingerprint": data_set.fingerprint,
                **description.to_dict(),
            }
        )
    return 0


def parse_parameters(words: list[str]) -> dict[str, Any]:
    """``["alpha=0.5", "balance=false"]`` as a mapping with typed values.

    Raises:
        InputError: When a word is not NAME=VALUE.
    """
    parameters = {}
    for word in words:
        name, equals, text = word.partition("=")
        try:
            parameters[name.strip().replace("-", "_")] = yaml.safe_load(text)
        except yaml.YAMLError:
            equals = ""
        if not equals:
            raise InputError(f"`--param` takes NAME=VALUE, but got `{word}`. Write for example alpha=0.5.")
    return parameters


def _make_table(description: "Description") -> Table:
    table = Table(title=description.title, title_justify="left")
    for heading in ("client", "samples", "classes", "effective classes", "mean divergence"):
        table.add_column(heading, justify="right")
    for client, size in enumerate(description.sizes):
        others = [value for other, value in enumerate(description.divergence[client]) if other != client]
        table.add_row(
            str(client),
            str(int(size)),
            str(len(description.classes_held[client])),
            f"{description.effective_classes[client]:.1f}",
            f"{sum(others) / len(others):.3f}" if others else "-",
        )
    return table
