"""`limbeck doctor`: what this machine offers and what is missing."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from limbeck.cli.output import make_console, print_json
from limbeck.core.errors import InputError


def doctor(
    data_dir: Annotated[Path | None, typer.Option(help="Also look for data sets here.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
) -> int:
    """Say what this machine offers and what is missing."""
    from limbeck import data as data_sets
    from limbeck.core.device import pick_device
    from limbeck.engine import default_target_cache
    from limbeck.report.wording import text_bytes
    from limbeck.study.machine import describe_hardware, describe_versions

    cache = default_target_cache()
    facts = {**describe_hardware(pick_device()), **describe_versions()}
    found = {name: _find_data(name, data_dir) for name in data_sets.SOURCES}
    table = Table(show_header=False)
    table.add_column()
    table.add_column(overflow="fold")  # paths stay whole
    statuses = {f"data: {name}": status for name, status in found.items()}
    kept = f"{cache.folder}, {text_bytes(cache.count_bytes())}"
    for name, value in {**facts, "cache of models' outputs": kept, **statuses}.items():
        table.add_row(name, Text(str(value)))
    make_console().print(table)
    if as_json:
        size = {"folder": str(cache.folder), "bytes": cache.count_bytes()}
        print_json({"machine": facts, "cache": size, "data": found})
    return 0


def _find_data(name: str, data_dir: Path | None) -> str:
    from limbeck import data as data_sets

    try:
        data_set = data_sets.load(name, data_dir=data_dir, download=False)
    except InputError as error:
        return f"not found. {error}"
    sizes = f"{len(data_set.train)} training and {len(data_set.test)} test samples"
    return f"{sizes}, {data_set.num_classes} classes"
