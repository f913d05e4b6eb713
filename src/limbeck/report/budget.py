"""What a budget left out of a study."""

from collections.abc import Mapping
from typing import Any

from limbeck.report.inputs import Study
from limbeck.report.tables import Table
from limbeck.report.wording import text_percent, text_seconds

AXES = {
    "scenario": "scenario",
    "seed": "seed",
    "start": "start",
    "federated_strategy": "strategy",
    "transfer_set": "transfer set",
    "student_arch/teacher_arch": "architectures",
}


def describe_budget(about: Mapping[str, Any]) -> str:
    """The budget and how many runs it left out, in a sentence; empty without a budget or where all fitted.

    Args:
        about: The content of ``study.json``.
    """
    budget = about.get("budget")
    if not budget or not budget["runs_left_out"]:
        return ""
    total = budget["runs"] + budget["runs_left_out"]
    return (
        f"A budget of {text_seconds(budget['seconds'])} took {budget['runs']:,} of {total:,} runs and left "
        f"{budget['runs_left_out']:,} out; all together would take about "
        f"{text_seconds(budget['estimated_seconds_of_all'])}."
    )


def tabulate_budget(study: Study) -> Table:
    """What the budget kept and left out of each part, by axis and value; no rows without a budget."""
    shares = (study.about.get("budget") or {"shares": []})["shares"]
    rows = [
        (
            f"{share['part']}, {AXES.get(share['axis'], share['axis'])}",
            _label(study, share),
            f"{share['kept']:,}",
            f"{share['left_out']:,}",
            text_percent(share["kept"] / (share["kept"] + share["left_out"]), 0),
        )
        for share in shares
    ]
    return Table(
        name="left-out",
        caption="Cells that the budget kept and left out: a cell is one pair of models with all techniques, "
        "or one start of one strategy, of one scenario and seed.",
        columns=("Axis", "Value", "Kept", "Left out", "Kept, share"),
        rows=tuple(sorted(rows, key=lambda row: list(dict.fromkeys(row[0] for row in rows)).index(row[0]))),
        num_labels=2,
        is_grouped=True,
    )


def _label(study: Study, share: Mapping[str, Any]) -> str:
    value = str(share["value"])
    if share["axis"] == "scenario":
        return study.label_scenario(value)
    return study.label_strategy(value) if share["axis"] == "federated_strategy" else value
