"""The pages of one comparison and of one transfer: each a single file that opens offline."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import plotly.graph_objects as go

from limbeck.core.files import write_text
from limbeck.report.comparison import (
    describe_comparison,
    tabulate_classes,
    tabulate_parts,
    tabulate_standings,
    tile_comparison,
)
from limbeck.report.draw_pairs import MAX_CLASSES, draw_comparison, draw_transfer, pair_changes, pair_classes
from limbeck.report.embed import render
from limbeck.report.loading import write_load_program
from limbeck.report.pictures import Picture, place_figure
from limbeck.report.transfer import (
    describe_transfer,
    list_facts,
    tabulate_attempts,
    tabulate_changes,
    tabulate_teachers,
    tile_transfer,
)
from limbeck.report.wording import label_technique, text_count

if TYPE_CHECKING:
    from limbeck.models import Card
    from limbeck.pairs import Comparison, TransferRecord


def build_comparison_page(comparison: "Comparison", path: Path) -> Path:
    """Write a comparison as one page.

    Args:
        comparison: What `limbeck.compare` returned.
        path: The file to write; its folder is made when missing.

    Returns:
        The page's path. It holds everything it shows and asks for nothing from elsewhere.

    Raises:
        RunError: When the page cannot be written.
    """
    write_text(Path(path), render("comparison.html.j2", **describe_comparison_page(comparison)))
    return Path(path)


def build_transfer_page(
    record: "TransferRecord", path: Path, *, weights: Path | None = None, card: "Card | None" = None
) -> Path:
    """Write a transfer as one page.

    Args:
        record: What `limbeck.transfer` measured.
        path: The file to write; its folder is made when missing.
        weights: The new student's weights as safetensors, to say how they are loaded; None to leave that out.
        card: The new student's card, to say also how it is built and what its inputs are.

    Returns:
        The page's path. It holds everything it shows and asks for nothing from elsewhere.

    Raises:
        RunError: When the page cannot be written.
    """
    write_text(Path(path), render("transfer.html.j2", **describe_transfer_page(record, weights, card)))
    return Path(path)


def describe_comparison_page(comparison: "Comparison") -> dict[str, Any]:
    """Everything the template of a comparison shows."""
    first, second = comparison.first.name, comparison.second.name
    figures = draw_comparison(comparison)
    note = _note_selection(len(pair_classes(comparison)))
    return {
        "title": f"{first} and {second}",
        "byline": f"{text_count(comparison.num_samples, 'sample')} · "
        f"{len(comparison.class_names):,} classes · before any transfer",
        "warnings": comparison.warnings,
        "tiles": tile_comparison(comparison),
        "sentences": describe_comparison(comparison),
        "parts_picture": _picture(figures["parts"], "parts", heading="Share of all samples"),
        "class_pictures": [
            _picture(figures["classes"], "classes", heading="Accuracy by class", note=note),
            _picture(figures["flips"], "flips", heading="What only one of them knows", note=note),
        ],
        "standings": tabulate_standings(comparison),
        "parts": tabulate_parts(comparison),
        "classes": tabulate_classes(comparison),
        "first": first,
        "second": second,
    }


def describe_transfer_page(
    record: "TransferRecord", weights: Path | None, card: "Card | None" = None
) -> dict[str, Any]:
    """Everything the template of a transfer shows."""
    figures = draw_transfer(record)
    label = label_technique(record.attempt.technique)
    return {
        "title": f"{label} on {record.data}",
        "byline": f"{text_count(len(record.teachers), 'teacher')} · "
        f"{text_count(record.num_train, 'sample')} to learn from · seed {record.seed} · {record.device}",
        "warnings": record.warnings,
        "tiles": tile_transfer(record),
        "sentences": describe_transfer(record),
        "attempts": tabulate_attempts(record),
        "teachers": tabulate_teachers(record),
        "validation_picture": _picture(figures["validation"], "validation", heading="Accuracy by epoch"),
        "class_picture": _picture(
            figures["classes"],
            "classes",
            heading=f"Accuracy by class, before and after {label}",
            note=_note_selection(len(pair_changes(record))),
        ),
        "classes": tabulate_changes(record),
        "facts": list_facts(record),
        "load_program": None if weights is None else write_load_program(weights, card),
    }


def _picture(figure: go.Figure, name: str, *, heading: str, note: str = "") -> Picture:
    return place_figure(
        figure,
        name=name,
        kind=name,
        heading=heading,
        note=note,
        keeps_legend=figure.layout.showlegend is not False,
    )


def _note_selection(num_classes: int) -> str:
    if num_classes <= MAX_CLASSES:
        return ""
    return f"the {MAX_CLASSES} of {num_classes:,} classes that differ most; the table has all"
