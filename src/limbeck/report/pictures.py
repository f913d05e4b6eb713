"""The figures of the page, each in its place: with its heading, note, height and legend."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go
import polars as pl
from markupsafe import Markup

from limbeck.report import draw
from limbeck.report.cases import Case, list_cases, name_cases, pick_case
from limbeck.report.compute import (
    CASE,
    average_by_seed,
    class_changes,
    grid_surface,
    student_rows,
    technique_table,
    tuning_worth,
)
from limbeck.report.embed import embed_figure
from limbeck.report.inputs import Study
from limbeck.report.palette import START_MARKS, pick_class_colours, pick_mark, pick_marks_in_order
from limbeck.report.rounds import SCRATCH, federated_curves
from limbeck.report.wording import label_start


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A figure in its place on the page: its element's id, kind, heading, height and JSON."""

    id: str
    kind: str
    heading: str
    note: str
    height: int
    json: Markup


@dataclass(frozen=True, kw_only=True)
class Key:
    """One entry of a legend."""

    label: str
    colour: str
    dash: str = "solid"


@dataclass(frozen=True, kw_only=True)
class View:
    """A choice of curves: those of one strategy or of one start, its `kind`."""

    kind: str
    name: str
    label: str


def picture_partitions(study: Study) -> list[Picture]:
    """The partition of each scenario's first seed."""
    first = {}
    for entry in study.about["scenarios"]:
        first.setdefault((entry["part"], entry["scenario"]), entry)
    names = study.about["data"]["class_names"]
    return [
        place_figure(
            draw.draw_partition(
                entry["partition"]["histogram"], names, "", roles=_find_roles(study.results, entry)
            ),
            name=f"partition-{number}",
            kind="partition",
            heading=entry["label"],
            note=f"{entry['num_clients']} clients, seed {entry['seed']}",
        )
        for number, entry in enumerate(first.values())
    ]


def picture_techniques(study: Study, cases: Sequence[Case]) -> list[Picture]:
    """The gains of each case by technique, all on the same axis."""
    by_seed, table = average_by_seed(study.results), technique_table(study.results)
    limits = _gain_limits(by_seed, table)
    return [
        place_figure(
            draw.draw_techniques(pick_case(by_seed, case), pick_case(table, case), limits=limits),
            name=f"techniques-{number}",
            kind="techniques",
            heading=case.label,
            note=_teacher_note(pick_case(table, case)),
        )
        for number, case in enumerate(cases)
        if pick_case(table, case).height
    ]


def picture_worth(study: Study) -> Picture:
    """What tuning was worth in every case, as bars with intervals."""
    worth, names = tuning_worth(study.results), name_cases(list_cases(study))
    labels = [names[key] for key in worth.select(*CASE).iter_rows()]
    figure = draw.draw_tuning_worth(worth, labels)
    return place_figure(figure, name="worth", kind="worth", heading="", note="", keeps_legend=True)


def picture_surfaces(study: Study, cases: Sequence[Case]) -> list[Picture]:
    """The response surface of each case."""
    surface = grid_surface(study.grid)
    return [
        place_figure(
            draw.draw_surface(rows),
            name=f"surface-{number}",
            kind="surface",
            heading=case.label,
            note=_best_note(rows),
        )
        for number, case in enumerate(cases)
        if (rows := pick_case(surface, case)).height
    ]


def picture_class_changes(study: Study, cases: Sequence[Case]) -> list[Picture]:
    """The change of each class's accuracy in each case."""
    changes = class_changes(study.results)
    names = study.about["data"]["class_names"]
    return [
        place_figure(
            draw.draw_class_changes(rows, names),
            name=f"classes-{number}",
            kind="classes",
            heading=case.label,
            note="",
        )
        for number, case in enumerate(cases)
        if (rows := pick_case(changes, case)).height
    ]


def picture_curves(study: Study) -> list[Picture]:
    """The federated curves of each scenario and architecture, all on the same accuracy axis."""
    curves = federated_curves(study.federation)
    if not curves.height:
        return []
    limits = _accuracy_limits(curves, study.about["targets"])
    has_archs = curves["arch"].n_unique() > 1
    pairs = list(curves.select("scenario", "arch").unique(maintain_order=True).iter_rows())
    return [
        place_figure(
            draw.draw_federated(
                curves.filter((pl.col("scenario") == scenario) & (pl.col("arch") == arch)),
                targets=study.about["targets"],
                limits=limits,
                strategies=name_strategies(study),
            ),
            name=f"federated-{number}",
            kind="federated",
            heading=study.label_scenario(scenario) + (f", {arch}" if has_archs else ""),
            note="",
        )
        for number, (scenario, arch) in enumerate(pairs)
    ]


def key_starts(federation: pl.DataFrame) -> list[Key]:
    """The legend of the federated starts."""
    marks = {start: pick_mark(start, START_MARKS) for start in dict.fromkeys(federation["start"].to_list())}
    return [
        Key(label=label_start(start), colour=mark.colour, dash=mark.dash) for start, mark in marks.items()
    ]


def key_strategies(study: Study) -> list[Key]:
    """The legend of the federated strategies; empty when there is only one."""
    names = name_strategies(study)
    marks = pick_marks_in_order(list(names))
    keys = [Key(label=names[name], colour=mark.colour, dash=mark.dash) for name, mark in marks.items()]
    return keys if len(keys) > 1 else []


def list_views(study: Study) -> list[View]:
    """What the federated curves can show: all starts by one strategy, or all strategies from one start."""
    names = name_strategies(study)
    if len(names) < 2:
        return []
    starts = dict.fromkeys(study.federation["start"].to_list())
    by_strategy = [
        View(kind="strategy", name=name, label=f"{label}, every start") for name, label in names.items()
    ]
    return by_strategy + [
        View(kind="start", name=start, label=f"{label_start(start)}, every strategy") for start in starts
    ]


def name_strategies(study: Study) -> dict[str, str]:
    """The federated strategies of a study with their names for a reader."""
    return {strategy: study.label_strategy(strategy) for strategy in study.strategies}


def key_classes(class_names: Sequence[str]) -> list[Key]:
    """The legend of the classes; empty when there are too many to tell apart."""
    if len(class_names) > draw.MAX_LEGEND_CLASSES:
        return []
    colours = pick_class_colours(len(class_names))
    return [Key(label=str(name), colour=colour) for name, colour in zip(class_names, colours, strict=True)]


def place_figure(
    figure: go.Figure, *, name: str, kind: str, heading: str, note: str = "", keeps_legend: bool = False
) -> Picture:
    """A figure as it stands on a page; unless it keeps its legend, the page has one for all figures."""
    height = int(figure.layout.height)
    if not keeps_legend:
        figure.update_layout(showlegend=False)
    return Picture(id=name, kind=kind, heading=heading, note=note, height=height, json=embed_figure(figure))


def _find_roles(results: pl.DataFrame, entry: Mapping[str, Any]) -> dict[int, str]:
    """Which client is the student and which the teacher, when that is the same in all runs of a scenario."""
    if entry["part"] != "transfer":
        return {}
    pairs = (
        student_rows(results)
        .filter(pl.col("scenario") == entry["scenario"])
        .select("student_client", "teacher_client")
        .unique()
    )
    if pairs.height != 1:
        return {}
    student, teacher = pairs.row(0)
    return {student: "student", teacher: "teacher"}


def _gain_limits(by_seed: pl.DataFrame, table: pl.DataFrame) -> tuple[float, float] | None:
    if not by_seed.height:
        return None
    spread = table["gain_sd"].fill_null(0.0)
    values = [
        0.0,
        *by_seed["gain"].to_list(),
        *(table["gain_mean"] - spread).to_list(),
        *(table["gain_mean"] + spread).to_list(),
    ]
    low, high = 100 * min(values), 100 * max(values)
    margin = 0.06 * max(high - low, 1.0)
    return low - margin, high + margin


def _accuracy_limits(curves: pl.DataFrame, targets: Sequence[float]) -> tuple[float, float]:
    """The ends of the accuracy axis in percent: from the lowest warm start, or a bit below the targets, up.

    A start from scratch begins near chance and would press everything else together; it enters from below.
    """
    spread = curves["accuracy_sd"].fill_null(0.0)
    warm = curves.with_columns((pl.col("accuracy_mean") - spread).alias("low")).filter(
        pl.col("start") != SCRATCH
    )
    shown = warm if warm.height else curves.with_columns(pl.col("accuracy_mean").alias("low"))
    low = 100 * min([*shown["low"].to_list(), *(target - 0.1 for target in targets)])
    high = 100 * max([*(curves["accuracy_mean"] + spread).to_list(), *targets])
    return max(low - 3, 0.0), min(high + 3, 100.0)


def _teacher_note(table: pl.DataFrame) -> str:
    before, teacher = table["accuracy_before_mean"].mean(), table["teacher_accuracy_mean"].mean()
    if not isinstance(before, float) or not isinstance(teacher, float):
        return ""
    return f"student {100 * before:.1f} %, teacher {100 * teacher:.1f} % before"


def _best_note(surface: pl.DataFrame) -> str:
    best = surface.row(by_predicate=pl.col("is_best"), named=True)
    return f"best T = {best['temperature']:g}, w = {best['weight']:g}"
