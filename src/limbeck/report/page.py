"""The report: one page that opens offline and says what a study found, with every number's run id."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from limbeck.core.files import write_text
from limbeck.report.answers import note_scenarios, write_answers
from limbeck.report.budget import describe_budget, tabulate_budget
from limbeck.report.cases import list_cases
from limbeck.report.costs import tabulate_federation_costs, tabulate_transfer_costs
from limbeck.report.embed import render
from limbeck.report.evidence import tabulate_effects, tabulate_headline
from limbeck.report.headline import write_tiles
from limbeck.report.inputs import Study, list_strategies, read_study
from limbeck.report.pictures import (
    key_classes,
    key_starts,
    key_strategies,
    list_views,
    picture_class_changes,
    picture_curves,
    picture_effects,
    picture_flips,
    picture_partitions,
    picture_skew,
    picture_surfaces,
    picture_techniques,
    picture_worth,
)
from limbeck.report.rounds import NAIVE_STARTS, SCRATCH
from limbeck.report.tables import (
    Table,
    tabulate_details,
    tabulate_forgetting,
    tabulate_rounds,
    tabulate_savings,
    tabulate_techniques,
    tabulate_worth,
)
from limbeck.report.traces import trace_federation, trace_grid, trace_transfers
from limbeck.report.wording import label_start, text_moment, text_seconds

REPORT_FILE = "report.html"


@dataclass(frozen=True, kw_only=True)
class Trace:
    """The tables of all runs of one scenario."""

    scenario: str
    label: str
    num_rows: int
    tables: tuple[Table, ...]


def build(folder: Path) -> Path:
    """Write ``report.html`` into a study's folder.

    Args:
        folder: Holds ``study.json``, ``results.parquet``, ``grid.parquet`` and ``federation.parquet``.

    Returns:
        The page's path. It holds everything it shows and asks for nothing from elsewhere.

    Raises:
        InputError: When one of the files is missing or damaged.
        RunError: When the page cannot be written.
    """
    study = read_study(Path(folder))
    path = Path(folder) / REPORT_FILE
    write_text(path, render("report.html.j2", **describe_page(study)))
    return path


def describe_page(study: Study) -> dict[str, Any]:
    """Everything the page's template shows."""
    cases, worth = list_cases(study), tabulate_worth(study)
    has_results, has_federation = study.results.height > 0, study.federation.height > 0
    return {
        "about": study.about,
        "finished": text_moment(str(study.about["finished"])),
        "facts": describe_facts(study.about),
        "scenarios": describe_scenarios(study.about),
        "spec": yaml.safe_dump(study.about["spec"], sort_keys=False, allow_unicode=True, width=100),
        "answers": write_answers(study),
        "notes": (notes := note_scenarios(study)),
        "scenarios_to_pick": [(note.scenario, note.label) for note in notes],
        "tiles": write_tiles(study),
        "num_seeds": len({entry["seed"] for entry in study.about["scenarios"]}),
        "partitions": picture_partitions(study),
        "class_keys": key_classes(study.about["data"]["class_names"]),
        "effects": tabulate_effects(study) if has_results else None,
        "effects_picture": picture_effects(study) if has_results else None,
        "techniques": tabulate_techniques(study) if has_results else None,
        "technique_pictures": picture_techniques(study, cases),
        "details": tabulate_details(study) if has_results else None,
        "worth": worth if worth.rows else None,
        "worth_picture": picture_worth(study) if worth.rows else None,
        "skew_picture": picture_skew(study) if worth.rows else None,
        "headline": tabulate_headline(study) if worth.rows else None,
        "surfaces": picture_surfaces(study, cases),
        "forgetting": tabulate_forgetting(study) if has_results else None,
        "class_pictures": picture_class_changes(study, cases),
        "flip_pictures": picture_flips(study, cases),
        "curves": picture_curves(study),
        "start_keys": key_starts(study.federation),
        "starts": [
            (label_start(entry["start"]), entry["summary"])
            for entry in study.about.get("starts", [])
            if entry["start"] not in (SCRATCH, *NAIVE_STARTS)
        ],
        "strategy_keys": key_strategies(study),
        "views": list_views(study),
        "strategies": list_strategies(study.about) if len(study.strategies) > 1 else [],
        "stops_at_target": bool((study.about["spec"].get("federated") or {}).get("stop_at_target")),
        "savings": tabulate_savings(study) if len(study.strategies) > 1 else None,
        "goals": [tabulate_rounds(study, target) for target in study.about["targets"]]
        if has_federation
        else [],
        "transfer_costs": tabulate_transfer_costs(study) if has_results else None,
        "federation_costs": tabulate_federation_costs(study) if has_federation else None,
        "left_out": describe_budget(study.about),
        "shares": tabulate_budget(study),
        "traces": trace_runs(study),
    }


def describe_facts(about: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What was run, as pairs of a name and its value."""
    data, runs, hardware = about["data"], about["runs"], about["hardware"]
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    memory = f", {hardware['memory_gib']:.0f} GiB" if hardware.get("memory_gib") is not None else ""
    facts = [
        ("Data", f"{data['name']}, {len(data['class_names'])} classes"),
        (
            "Samples",
            f"{data['num_train']:,} train, {data['num_validation']:,} validation, {data['num_test']:,} test"
            + (f", {data['num_proxy']:,} proxy" if data.get("num_proxy") else ""),
        ),
        ("Seeds", ", ".join(str(seed) for seed in sorted({entry["seed"] for entry in about["scenarios"]}))),
        ("Data fingerprint", str(data["fingerprint"])),
        ("Study hash", str(about["spec_hash"])),
        (
            "Runs",
            f"{runs['total']:,} in all: {runs['done']:,} done, {runs['skipped']:,} kept from before, "
            f"{runs['failed']:,} failed",
        ),
        (
            "Time",
            f"{text_seconds(about['elapsed_seconds'])} elapsed with {about['workers']} workers, "
            f"{text_seconds(about['seconds'])} of computing",
        ),
        ("Started", text_moment(str(about["started"]))),
        ("Finished", text_moment(str(about["finished"]))),
        ("Hardware", f"{hardware['cpu']}, {hardware['cores']} cores{memory}, {hardware['device']}"),
        ("Versions", versions),
        ("Commit", str(about["commit"] or "not known")),
    ]
    return [(name, value) for name, value in facts if value]


def describe_scenarios(about: Mapping[str, Any]) -> Table:
    """The partitions of the study: one row per scenario and seed."""
    entries = {
        (entry["scenario"], entry["seed"], entry["partition"]["hash"]): entry for entry in about["scenarios"]
    }
    parts: dict[tuple[Any, ...], list[str]] = {}
    for entry in about["scenarios"]:
        key = (entry["scenario"], entry["seed"], entry["partition"]["hash"])
        parts.setdefault(key, []).append(str(entry.get("part", "transfer")))
    rows = [
        (
            entry["label"],
            " and ".join(dict.fromkeys(parts[key])),
            str(entry["seed"]),
            str(entry["num_clients"]),
            _text_range(entry["partition"]["sizes"]),
            f"{entry['partition']['mean_divergence']:.3f}",
            str(entry["partition"]["hash"]),
        )
        for key, entry in entries.items()
    ]
    return Table(
        name="partitions",
        caption="How each scenario and seed divided the training samples between the clients.",
        columns=("Scenario", "Part", "Seed", "Clients", "Samples per client", "Mean divergence", "Hash"),
        rows=tuple(rows),
        num_labels=2,
        is_grouped=True,
        scenarios=tuple(key[0] for key in entries),
    )


def trace_runs(study: Study) -> list[Trace]:
    """All rows of the study by scenario, with their run ids."""
    scenarios = dict.fromkeys(
        [
            *study.results["scenario"].to_list(),
            *study.grid["scenario"].to_list(),
            *study.federation["scenario"].to_list(),
        ]
    )
    traces = []
    for scenario in scenarios:
        candidates = (
            trace_transfers(study, scenario),
            trace_grid(study, scenario),
            trace_federation(study, scenario),
        )
        tables = tuple(table for table in candidates if table.rows)
        traces.append(
            Trace(
                scenario=scenario,
                label=study.label_scenario(scenario),
                num_rows=sum(len(table.rows) for table in tables),
                tables=tables,
            )
        )
    return traces


def _text_range(sizes: Sequence[int]) -> str:
    return f"{min(sizes, default=0):,} to {max(sizes, default=0):,}"
