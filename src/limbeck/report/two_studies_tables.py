"""The tables of two studies beside each other."""

from collections.abc import Mapping
from typing import Any

import polars as pl

from limbeck.report.cases import case_key, list_cases, name_cases
from limbeck.report.compute import CASE
from limbeck.report.evidence import text_effects
from limbeck.report.rounds import STRATEGY
from limbeck.report.tables import Table
from limbeck.report.two_studies import (
    FEDERATION,
    TwoStudies,
    list_changes,
    list_unmatched,
    match_rounds,
    sum_up_pairs,
)
from limbeck.report.wording import (
    ABSENT,
    label_start,
    label_technique,
    text_interval,
    text_number,
    text_percent,
    text_points,
    text_rounds,
    text_signed,
)

RUNS = FEDERATION[:-1]
GOAL = (*RUNS, "target")


def tabulate_technique_differences(two: TwoStudies) -> Table:
    """The difference of each technique's gain over all scenarios."""
    return Table(
        name="differences",
        caption=f"Gain in {two.names[1]} minus gain in {two.names[0]} over all matched transfers, in "
        "percentage points. Intervals resample whole splits, whose transfers share models.",
        columns=("Technique", "Pairs", "Splits", "Difference", "95 % interval", "Higher in"),
        rows=text_effects(two.effects),
    )


def tabulate_gains(two: TwoStudies) -> Table:
    """Both studies' gains and their difference by case and technique."""
    table = sum_up_pairs(two.transfers, (*CASE, "technique"), "gain")
    seconds = sum_up_pairs(two.transfers, (*CASE, "technique"), "seconds")
    ratios = [_text_ratio(row) for row in seconds.iter_rows(named=True)]
    names = name_cases(list_cases(two.first))
    rows = [
        (
            names[case_key(row)],
            label_technique(row["technique"]),
            str(row["pairs"]),
            *map(text_points, (row["first"], row["second"], row["difference_mean"])),
            text_interval(row["difference_low"], row["difference_high"]),
            ratio,
        )
        for row, ratio in zip(table.iter_rows(named=True), ratios, strict=True)
    ]
    return Table(
        name="gains",
        caption="Gain by scenario and technique in both studies, in percentage points, and the time of a "
        f"transfer in {two.names[1]} as a multiple of that in {two.names[0]}.",
        columns=(
            "Scenario",
            "Technique",
            "Pairs",
            *two.names,
            "Difference",
            "95 % interval",
            "Times as long",
        ),
        rows=tuple(rows),
        num_labels=2,
        is_grouped=True,
        scenarios=tuple(table["scenario"]),
    )


def tabulate_ends(two: TwoStudies) -> Table:
    """The global models' accuracies after the last round that both studies have."""
    table = sum_up_pairs(two.federations, RUNS, "accuracy")
    rows = [
        (
            *_name_federation(two, row),
            str(row["pairs"]),
            text_percent(row["first"]),
            text_percent(row["second"]),
            text_points(row["difference_mean"]),
            text_interval(row["difference_low"], row["difference_high"]),
        )
        for row in table.iter_rows(named=True)
    ]
    return Table(
        name="accuracies",
        caption="Test accuracy of the global model after the last round that both have; differences in "
        "percentage points.",
        columns=("Scenario", "Start", "Seeds", *two.names, "Difference", "95 % interval"),
        rows=tuple(rows),
        num_labels=2,
        is_grouped=True,
        scenarios=tuple(table["scenario"]),
    )


def tabulate_both_rounds(two: TwoStudies) -> Table:
    """Rounds to the targets that both studies have."""
    pairs = match_rounds(two)
    table = _keep_together(sum_up_pairs(pairs, GOAL, "rounds"))
    bounded = {tuple(row[name] for name in GOAL) for row in pairs.filter("is_bound").iter_rows(named=True)}
    rows = [
        (
            *_name_federation(two, row),
            text_percent(row["target"], 0),
            ("≈\N{NARROW NO-BREAK SPACE}" if tuple(row[name] for name in GOAL) in bounded else "")
            + text_rounds(row["first"]),
            text_rounds(row["second"]),
            text_signed(row["difference_mean"], 1),
            ABSENT
            if row["difference_low"] is None
            else f"{text_signed(row['difference_low'], 1)} to {text_signed(row['difference_high'], 1)}",
        )
        for row in table.iter_rows(named=True)
    ]
    return Table(
        name="rounds",
        caption="Mean rounds to each target. ≈ marks a row in which some seed never reached it.",
        columns=("Scenario", "Start", "Target", *two.names, "Difference", "95 % interval"),
        rows=tuple(rows),
        num_labels=2,
        is_grouped=True,
        scenarios=tuple(table["scenario"]),
    )


def tabulate_unmatched(two: TwoStudies) -> Table:
    """What both studies have, and what only one of them has."""
    return Table(
        name="only-in-one",
        caption="What both studies ran, and what only one did.",
        columns=("Kind", "In both", f"Only in {two.names[0]}", f"Only in {two.names[1]}"),
        rows=tuple(
            (kind, *(", ".join(values) or ABSENT for values in rest)) for kind, *rest in name_unmatched(two)
        ),
        num_labels=4,
    )


def tabulate_changes(two: TwoStudies) -> Table:
    """Every setting, version and circumstance that differs."""
    return Table(
        name="changes",
        caption="Settings of the specification, data, commit, hardware and versions that differ.",
        columns=("Setting", *two.names),
        rows=tuple((name, one or ABSENT, other or ABSENT) for name, one, other in list_changes(two)),
        num_labels=3,
    )


def name_unmatched(two: TwoStudies) -> list[tuple[str, list[str], list[str], list[str]]]:
    """`list_unmatched` with names for a reader."""
    columns = {"Techniques": label_technique, "Starts": label_start}
    labels = {
        "Scenarios": [study.label_scenario for study in (two.first, two.second)],
        "Federated strategies": [study.label_strategy for study in (two.first, two.second)],
    }
    rows = []
    for kind, shared, first, second in list_unmatched(two):
        own = labels.get(kind) or [columns.get(kind, str)] * 2
        rows.append((kind, list(map(own[0], shared)), list(map(own[0], first)), list(map(own[1], second))))
    return rows


def _keep_together(table: pl.DataFrame) -> pl.DataFrame:
    """The rows of each scenario, architecture and strategy one after another."""
    groups = table.group_by("scenario", "arch", STRATEGY, maintain_order=True)
    return pl.concat([rows for _, rows in groups]) if table.height else table


def _name_federation(two: TwoStudies, row: Mapping[str, Any]) -> tuple[str, str]:
    has_archs = two.federations["arch"].n_unique() > 1
    has_strategies = two.federations[STRATEGY].n_unique() > 1
    label = two.first.label_federation(row, has_archs=has_archs, has_strategies=has_strategies)
    return label, label_start(row["start"])


def _text_ratio(row: Mapping[str, Any]) -> str:
    return text_number(row["second"] / row["first"], 2) if row["first"] > 0 else ABSENT
