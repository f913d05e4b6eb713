"""What a study found: tables (no plotting), figures, one self-contained page and its summary as Markdown."""

from limbeck.report.compute import (
    class_changes,
    forgetting_table,
    grid_surface,
    technique_table,
    tuning_pairs,
    tuning_worth,
)
from limbeck.report.draw import draw_partition, write_figure_html
from limbeck.report.markdown import summary_markdown
from limbeck.report.page import build
from limbeck.report.rounds import federated_curves, rounds_saved, rounds_to_target, summarise_rounds

__all__ = [
    "build",
    "class_changes",
    "draw_partition",
    "federated_curves",
    "forgetting_table",
    "grid_surface",
    "rounds_saved",
    "rounds_to_target",
    "summarise_rounds",
    "summary_markdown",
    "technique_table",
    "tuning_pairs",
    "tuning_worth",
    "write_figure_html",
]
