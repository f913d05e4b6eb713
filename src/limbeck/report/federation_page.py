"""The page of one federation: a single file that opens offline."""

from pathlib import Path
from typing import Any

from limbeck.core.files import write_text
from limbeck.report.draw_federation import CURVE_MARKS, OWN, WAYS, draw_federation, list_curves
from limbeck.report.embed import render
from limbeck.report.federation import (
    FederationRun,
    describe_federation,
    list_federation_facts,
    read_federation,
    tabulate_federation,
    tile_federation,
)
from limbeck.report.page import REPORT_FILE
from limbeck.report.pictures import Key, place_figure
from limbeck.report.wording import label_start, text_count


def build_federation_page(folder: Path) -> Path:
    """Write ``report.html`` into the folder of a federation.

    Args:
        folder: What `limbeck federate` left: ``spec.yaml``, ``rounds.parquet`` and ``ledger.parquet``.

    Returns:
        The page's path. It holds everything it shows and asks for nothing from elsewhere.

    Raises:
        InputError: When one of the files is missing or damaged.
        RunError: When the page cannot be written.
    """
    path = Path(folder) / REPORT_FILE
    write_text(path, render("federation.html.j2", **describe_federation_page(read_federation(Path(folder)))))
    return path


def describe_federation_page(run: FederationRun) -> dict[str, Any]:
    """Everything the template of a federation shows."""
    spec, figures = run.spec, draw_federation(run)
    return {
        "title": spec.name,
        "byline": f"{spec.data.source} · {text_count(spec.num_clients, 'client')} · "
        f"{label_start(spec.start)}, then {run.strategy.title} · "
        f"{run.last['round']:,} of {text_count(spec.rounds, 'round')} · seed {spec.seed}",
        "tiles": tile_federation(run),
        "sentences": describe_federation(run),
        "has_global_model": run.strategy.has_global_model,
        "has_own": OWN in list_curves(run),
        "has_target": spec.target is not None,
        "has_archs": len(set(spec.archs)) > 1,
        "curve_keys": [
            Key(label=name, colour=CURVE_MARKS[name].colour, dash=CURVE_MARKS[name].dash)
            for name in list_curves(run)
        ],
        "curves": place_figure(figures["curves"], name="curves", kind="federated", heading="Accuracy"),
        "byte_keys": [Key(label=name, colour=colour) for name, colour in WAYS.values()],
        "bytes": place_figure(figures["bytes"], name="bytes", kind="bytes", heading="Bytes by round"),
        "rounds": tabulate_federation(run),
        "facts": list_federation_facts(run),
        "spec": run.spec_text,
    }
