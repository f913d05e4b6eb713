"""`limbeck doctor`: what this machine offers, what has been measured on it and what is missing."""

import re
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, metadata, requires, version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from limbeck.cli.output import make_console, print_json
from limbeck.core.errors import InputError

if TYPE_CHECKING:
    from limbeck.engine import Calibrated

# What `--calibrate` measures: two networks of the zoo on images of CIFAR's size.
CALIBRATED_ARCHS = ("cnn", "resnet20")
CALIBRATED_SHAPE, CALIBRATED_BATCH = (3, 32, 32), 64


def doctor(
    data_dir: Annotated[Path | None, typer.Option(help="Also look for data sets here.")] = None,
    calibrate: Annotated[
        bool,
        typer.Option("--calibrate", help=f"Measure now how {' and '.join(CALIBRATED_ARCHS)} run fastest."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
) -> int:
    """Say what this machine offers, how models run fastest on it and what is missing."""
    from limbeck import data as data_sets
    from limbeck.core.device import pick_device
    from limbeck.engine import default_target_cache, list_calibrated
    from limbeck.report.wording import text_bytes
    from limbeck.study.machine import describe_hardware, describe_versions

    cache = default_target_cache()
    facts = {**describe_hardware(pick_device()), **describe_versions()}
    found = {name: _find_data(name, data_dir) for name in data_sets.SOURCES}
    calibrated = [*list_calibrated(), *(_calibrate_now() if calibrate else [])]
    extras = _find_extras()
    rows = [
        *facts.items(),
        *((f"extra: {name}", status) for name, status in extras.items()),
        ("cache of models' outputs", f"{cache.folder}, {text_bytes(cache.count_bytes())}"),
        *((f"data: {name}", status) for name, status in found.items()),
        *(("calibrated", describe_calibrated(choice)) for choice in calibrated),
    ]
    _show(rows)
    if as_json:
        size = {"folder": str(cache.folder), "bytes": cache.count_bytes()}
        measured = [asdict(choice) for choice in calibrated]
        content = {"machine": facts, "extras": extras, "cache": size, "data": found, "calibrated": measured}
        print_json(content)
    return 0


def describe_calibrated(choice: "Calibrated") -> str:
    """A model, how it is run here and what each candidate took."""
    times = "; ".join(f"{name}: {milliseconds:.1f} ms" for name, milliseconds in choice.milliseconds.items())
    return f"{choice.title}: {choice.layout} ({times})"


def _show(rows: Sequence[tuple[str, object]]) -> None:
    table = Table(show_header=False)
    table.add_column()
    table.add_column(overflow="fold")  # paths stay whole
    for name, value in rows:
        table.add_row(Text(name), Text(str(value)))
    make_console().print(table)


def _calibrate_now() -> "list[Calibrated]":
    import torch

    from limbeck import models
    from limbeck.core.device import pick_device
    from limbeck.engine import measure_layouts

    device = pick_device()
    batch = torch.zeros(CALIBRATED_BATCH, *CALIBRATED_SHAPE, device=device)
    built = {
        arch: models.build(arch, input_shape=CALIBRATED_SHAPE, num_classes=10, seed=0)
        for arch in CALIBRATED_ARCHS
    }
    return [measure_layouts(model.to(device), batch, name=arch) for arch, model in built.items()]


def _find_extras() -> dict[str, str]:
    """Per extra of the package the versions of its libraries, or how to install them."""
    found: dict[str, str] = {}
    for extra in sorted(metadata("limbeck").get_all("Provides-Extra") or ()):
        wanted = [
            re.split(r"[^A-Za-z0-9._-]", line, maxsplit=1)[0]
            for line in requires("limbeck") or ()
            if re.search(rf"extra == ['\"]{extra}['\"]", line)
        ]
        try:
            found[extra] = ", ".join(f"{name} {version(name)}" for name in wanted)
        except PackageNotFoundError as error:
            found[extra] = f"{error.name} is missing. Install it with `pip install 'limbeck[{extra}]'`."
    return found


def _find_data(name: str, data_dir: Path | None) -> str:
    from limbeck import data as data_sets

    try:
        data_set = data_sets.load(name, data_dir=data_dir, download=False)
    except InputError as error:
        return f"not found. {error}"
    sizes = f"{len(data_set.train)} training and {len(data_set.test)} test samples"
    return f"{sizes}, {data_set.num_classes} classes"
