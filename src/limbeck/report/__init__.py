"""What a study, comparison, transfer, search or federation found: tables, figures, one page, files."""

from limbeck.report.comparison import comparison_markdown
from limbeck.report.compute import (
    class_changes,
    forgetting_table,
    grid_surface,
    technique_table,
    tuning_pairs,
    tuning_worth,
)
from limbeck.report.draw import draw_partition, write_figure_html
from limbeck.report.draw_pairs import draw_comparison, draw_transfer
from limbeck.report.export import export_report
from limbeck.report.federation import holds_federation
from limbeck.report.federation_page import build_federation_page
from limbeck.report.markdown import summary_markdown
from limbeck.report.page import build
from limbeck.report.pair_pages import build_comparison_page, build_transfer_page
from limbeck.report.rounds import federated_curves, rounds_saved, rounds_to_target, summarise_rounds
from limbeck.report.transfer import transfer_markdown
from limbeck.report.tuning_page import build_tuning_page
from limbeck.report.two_studies_page import build_two_studies_page

__all__ = [
    "build",
    "build_comparison_page",
    "build_federation_page",
    "build_transfer_page",
    "build_tuning_page",
    "build_two_studies_page",
    "class_changes",
    "comparison_markdown",
    "draw_comparison",
    "draw_partition",
    "draw_transfer",
    "export_report",
    "federated_curves",
    "forgetting_table",
    "grid_surface",
    "holds_federation",
    "rounds_saved",
    "rounds_to_target",
    "summarise_rounds",
    "summary_markdown",
    "technique_table",
    "transfer_markdown",
    "tuning_pairs",
    "tuning_worth",
    "write_figure_html",
]
