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
    forgetting_table,
    grid_surface,
    student_rows,
    technique_table,
    tuning_worth,
)
from limbeck.report.draw_evidence import draw_effects, draw_flips, draw_worth_by_skew
from limbeck.report.embed import embed_figure
from limbeck.report.inputs import Study
from limbeck.report.palette import START_MARKS, pick_class_colours, pick_mark, pick_marks_in_order
from limbeck.report.rounds import SCRATCH, STRATEGY, federated_curves
from limbeck.report.skew import describe_skew, worth_by_skew
from limbeck.report.wording import label_start, label_technique, text_percent, text_points


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A figure in its place on the page.

    Attributes:
        id: Its element's id.
        kind: What it shows, in one word.
        heading: What stands above it.
        note: What stands beside the heading.
        alt: The same in words, for who cannot see it.
        scenario: The scenario it belongs to, by which the page shows and hides it; empty for none.
        height: In pixels.
        figure: What is drawn.
        keeps_legend: Whether the figure has a legend of its own; otherwise the page has one for all.
    """

    id: str
    kind: str
    heading: str
    note: str
    alt: str
    scenario: str
    height: int
    figure: go.Figure
    keeps_legend: bool

    @property
    def json(self) -> Markup:
        """The figure as JSON for a script element."""
        return embed_figure(self.figure, shows_legend=self.keeps_legend)


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
            note=f"{entry['part']} part, {entry['num_clients']} clients, seed {entry['seed']}",
            alt=f"Samples of each class by client in {entry['label']}: mean divergence "
            f"{entry['partition']['mean_divergence']:.3f}.",
            scenario=entry["scenario"],
        )
        for number, entry in enumerate(first.values())
    ]


def picture_techniques(study: Study, cases: Sequence[Case]) -> list[Picture]:
    """The gains of each case by technique, all on the same axis."""
    by_seed, table = average_by_seed(study.results), technique_table(study.results)
    limits = _gain_limits(by_seed, table)
    return [
        place_figure(
            draw.draw_techniques(pick_case(by_seed, case), rows, limits=limits),
            name=f"techniques-{number}",
            kind="techniques",
            heading=case.label,
            note=_teacher_note(rows),
            alt=f"Gain in points by technique in {case.label}: {_list_by_technique(rows, 'gain_mean')}.",
            scenario=case.scenario,
        )
        for number, case in enumerate(cases)
        if (rows := pick_case(table, case)).height
    ]


def picture_worth(study: Study) -> Picture:
    """What tuning was worth in every case, as bars with intervals."""
    worth, names = tuning_worth(study.results), name_cases(list_cases(study))
    labels = [names[key] for key in worth.select(*CASE).iter_rows()]
    figure = draw.draw_tuning_worth(worth, labels)
    alt = "What tuning was worth in each scenario, with intervals; the table below has the numbers."
    return place_figure(figure, name="worth", kind="worth", heading="", alt=alt, keeps_legend=True)


def picture_skew(study: Study) -> Picture | None:
    """What tuning was worth over the divergence between the clients; None where no split is described."""
    worth, names = worth_by_skew(study), name_cases(list_cases(study))
    if not worth.height:
        return None
    labels = [names[key] for key in worth.select(*CASE).iter_rows()]
    return place_figure(
        draw_worth_by_skew(worth, labels),
        name="skew",
        kind="skew",
        heading="Worth of tuning over skew",
        alt=f"What tuning was worth over the divergence between clients. {describe_skew(study)}".strip(),
        keeps_legend=True,
    )


def picture_effects(study: Study) -> Picture | None:
    """Every technique's effect against finetuning; None where that was not run."""
    effects = study.effects
    if not effects.height:
        return None
    return place_figure(
        draw_effects(effects, axis="gain minus finetune's"),
        name="effects",
        kind="effects",
        heading="Against finetuning, on the same pairs of models",
        note="all scenarios; the line at zero is finetuning, whiskers are 95 % intervals",
        alt=f"Gain minus that of finetuning, in points: {_list_by_technique(effects, 'effect')}.",
    )


def picture_flips(study: Study, cases: Sequence[Case]) -> list[Picture]:
    """Who became right and who wrong in each case, all on the same axis."""
    table = forgetting_table(study.results)
    shares = [*table["positive_share_mean"].to_list(), *table["negative_share_mean"].to_list()]
    limit = 105 * max([*shares, 0.01])
    return [
        place_figure(
            draw_flips(rows, limit=limit),
            name=f"flips-{number}",
            kind="flips",
            heading=case.label,
            alt=f"Newly right samples by technique in {case.label}, in points: "
            f"{_list_by_technique(rows, 'positive_share_mean')}; newly wrong: "
            f"{_list_by_technique(rows, 'negative_share_mean')}.",
            scenario=case.scenario,
        )
        for number, case in enumerate(cases)
        if (rows := pick_case(table, case)).height
    ]


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
            alt=f"Gain over temperature and weight in {case.label}: {_describe_surface(rows)}.",
            scenario=case.scenario,
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
            alt=f"Change of each class's accuracy by technique in {case.label}: "
            f"{_describe_changes(rows, names)}.",
            scenario=case.scenario,
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
                rows,
                targets=study.about["targets"],
                limits=limits,
                strategies=name_strategies(study),
            ),
            name=f"federated-{number}",
            kind="federated",
            heading=study.label_scenario(scenario) + (f", {arch}" if has_archs else ""),
            alt=f"Test accuracy by round in {study.label_scenario(scenario)}; at the end: "
            f"{_describe_ends(study, rows)}.",
            scenario=scenario,
        )
        for number, (scenario, arch) in enumerate(pairs)
        for rows in [curves.filter((pl.col("scenario") == scenario) & (pl.col("arch") == arch))]
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
    figure: go.Figure,
    *,
    name: str,
    kind: str,
    heading: str,
    note: str = "",
    alt: str = "",
    scenario: str = "",
    keeps_legend: bool = False,
) -> Picture:
    """A figure as it stands on a page; see `Picture`."""
    return Picture(
        id=name,
        kind=kind,
        heading=heading,
        note=note,
        alt=alt or ". ".join(filter(None, (heading, note))),
        scenario=scenario,
        height=int(figure.layout.height),
        figure=figure,
        keeps_legend=keeps_legend,
    )


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
    ends = [table[name].drop_nulls().to_list() for name in ("gain_low", "gain_high")]
    values = [0.0, *by_seed["gain"].to_list(), *table["gain_mean"].to_list(), *ends[0], *ends[1]]
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


def _list_by_technique(table: pl.DataFrame, column: str) -> str:
    return ", ".join(
        f"{label_technique(technique)} {text_points(value)}"
        for technique, value in table.select("technique", column).iter_rows()
    )


def _describe_surface(surface: pl.DataFrame) -> str:
    settings = (("best", pl.col("is_best")), ("vanilla", pl.col("is_vanilla")))
    rows = [(name, row) for name, holds in settings for row in surface.filter(holds).iter_rows(named=True)]
    return ", ".join(
        f"{name} T = {row['temperature']:g}, w = {row['weight']:g} with {text_points(row['gain'])} points"
        for name, row in rows
    )


def _describe_changes(changes: pl.DataFrame, class_names: Sequence[str]) -> str:
    ordered = changes.sort("change", maintain_order=True)
    return ", ".join(
        f"{name} {text_points(row['change'])} points for {class_names[row['class_index']]} "
        f"with {label_technique(row['technique'])}"
        for name, row in (("lowest", ordered.row(0, named=True)), ("highest", ordered.row(-1, named=True)))
    )


def _describe_ends(study: Study, curves: pl.DataFrame) -> str:
    """The last accuracy from each start by the study's first strategy, which the page shows first."""
    first = study.strategies[0]
    rows = curves.filter(pl.col(STRATEGY) == first).sort("round", maintain_order=True)
    ends = rows.group_by("start", maintain_order=True).last().select("start", "accuracy_mean").iter_rows()
    named = f" by {study.label_strategy(first)}" if len(study.strategies) > 1 else ""
    return ", ".join(f"{label_start(start)} {text_percent(accuracy)}" for start, accuracy in ends) + named


def _best_note(surface: pl.DataFrame) -> str:
    best = surface.row(by_predicate=pl.col("is_best"), named=True)
    return f"solid frame: best, T = {best['temperature']:g}, w = {best['weight']:g}; dotted: vanilla"
