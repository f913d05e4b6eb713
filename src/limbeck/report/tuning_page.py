"""The page of one search of settings: a single file that opens offline."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import plotly.graph_objects as go

from limbeck.core.errors import enumerate_words
from limbeck.core.files import write_text
from limbeck.report.draw_tuning import SURFACE, draw_tuning
from limbeck.report.embed import render
from limbeck.report.pair_pages import describe_transfer_page
from limbeck.report.pictures import Picture, place_figure
from limbeck.report.tuning import (
    describe_tuning,
    list_searched,
    list_tuning_facts,
    tabulate_settings,
    tabulate_trials,
    tabulate_tuned,
    tile_tuning,
)
from limbeck.report.wording import label_technique, text_count

if TYPE_CHECKING:
    from limbeck.models import Card
    from limbeck.tune import Tuned


def build_tuning_page(
    tuned: "Tuned", path: Path, *, card: "Card | None" = None, weights: Path | None = None
) -> Path:
    """Write a search of settings as one page.

    Args:
        tuned: What `limbeck.tune` returned.
        path: The file to write; its folder is made when missing.
        card: The new student's card, to say also how it is built and what its inputs are.
        weights: The new student's weights as safetensors, to say how they are loaded; None to leave that out.

    Returns:
        The page's path. It holds everything it shows and asks for nothing from elsewhere.

    Raises:
        RunError: When the page cannot be written.
    """
    write_text(Path(path), render("tuning.html.j2", **describe_tuning_page(tuned, weights, card)))
    return Path(path)


def describe_tuning_page(
    tuned: "Tuned", weights: Path | None = None, card: "Card | None" = None
) -> dict[str, Any]:
    """Everything the template shows: what that of a transfer does for the best settings, and the search."""
    record, figures = tuned.record, draw_tuning(tuned)
    importance = figures.pop("importance", None)
    shown = describe_transfer_page(record, weights, card)
    return {
        **shown,
        "title": f"Tuned {label_technique(record.attempt.technique)} on {record.data}",
        "byline": f"{text_count(len(tuned.trials), 'trial')} · {shown['byline']}",
        "tiles": tile_tuning(tuned),
        "sentences": describe_tuning(tuned),
        "attempts": tabulate_tuned(tuned),
        "facts": list_tuning_facts(tuned),
        "settings": tabulate_settings(tuned),
        "trials": tabulate_trials(tuned),
        "has_surface": "surface" in figures,
        "response_pictures": [_place_response(tuned, figure, name) for name, figure in figures.items()],
        "importance_picture": importance and _place_importance(importance),
    }


def _place_response(tuned: "Tuned", figure: go.Figure, name: str) -> Picture:
    place = f"setting-{name}"
    if name != "surface":
        heading = f"Validation accuracy over {name}"
        return place_figure(figure, name=place, kind="setting", heading=heading)
    others = [other for other in list_searched(tuned.trials) if other not in SURFACE]
    note = f"the best over {enumerate_words(others)} in each cell" if others else ""
    heading = "Validation accuracy over temperature and weight"
    return place_figure(figure, name=place, kind="surface", heading=heading, note=note)


def _place_importance(figure: go.Figure) -> Picture:
    note = "share of the variance of the validation accuracy (fANOVA)"
    return place_figure(figure, name="importance", kind="importance", heading="Importance", note=note)
