"""The page that compares two studies: a single file that opens offline."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import polars as pl

from limbeck.core.errors import enumerate_words
from limbeck.core.files import write_text
from limbeck.report.canvas import new_figure
from limbeck.report.compute import TUNED
from limbeck.report.draw import draw_means
from limbeck.report.draw_evidence import draw_effects
from limbeck.report.embed import render
from limbeck.report.headline import Tile
from limbeck.report.palette import START_MARKS, pick_mark
from limbeck.report.pictures import Picture, key_starts, place_figure
from limbeck.report.rounds import STRATEGY, federated_curves
from limbeck.report.two_studies import (
    FEDERATION,
    TwoStudies,
    match_rounds,
    read_two_studies,
)
from limbeck.report.two_studies_tables import (
    name_unmatched,
    tabulate_both_rounds,
    tabulate_changes,
    tabulate_ends,
    tabulate_gains,
    tabulate_technique_differences,
    tabulate_unmatched,
)
from limbeck.report.wording import (
    TECHNIQUE_LABELS,
    label_start,
    label_technique,
    order_known,
    text_count,
    text_interval,
    text_points,
    text_rounds,
)


def build_two_studies_page(first: Path, second: Path, path: Path) -> Path:
    """Write the comparison of two studies as one page.

    Args:
        first: Folder of the study that is compared with, as for `build`.
        second: Folder of the other.
        path: The file to write; its folder is made when missing.

    Returns:
        The page's path. It holds everything it shows and asks for nothing from elsewhere.

    Raises:
        InputError: When a file is missing or damaged, or the studies have nothing in common.
        RunError: When the page cannot be written.
    """
    shown = describe_two_studies(read_two_studies(first, second))
    write_text(Path(path), render("two-studies.html.j2", **shown))
    return Path(path)


def describe_two_studies(two: TwoStudies) -> dict[str, Any]:
    """Everything the template of two studies shows."""
    first, second = two.names
    has_transfers, has_federations = two.transfers.height > 0, two.federations.height > 0
    return {
        "first": first,
        "second": second,
        "byline": f"{text_count(two.transfers.height, 'transfer')} and "
        f"{text_count(two.federations.height, 'federation')} that both ran",
        "scenarios_to_pick": [
            (scenario, two.first.label_scenario(scenario)) for scenario in _list_scenarios(two)
        ],
        "warnings": warn_of_differences(two),
        "tiles": tile_two_studies(two),
        "sentences": describe_differences(two),
        "effects": tabulate_technique_differences(two) if has_transfers else None,
        "effects_picture": picture_differences(two) if has_transfers else None,
        "gains": tabulate_gains(two) if has_transfers else None,
        "start_keys": [replace(key, dash="solid") for key in key_starts(two.federations)],
        "curves": picture_both_curves(two),
        "ends": tabulate_ends(two) if has_federations else None,
        "rounds": tabulate_both_rounds(two),
        "alone": tabulate_unmatched(two),
        "changes": tabulate_changes(two),
    }


def warn_of_differences(two: TwoStudies) -> list[str]:
    """What makes a comparison less than one of like with like."""
    warnings = []
    if two.first.about["data"]["fingerprint"] != two.second.about["data"]["fingerprint"]:
        warnings.append("The studies ran on different data: every difference may be that of the data.")
    pairs = [*two.transfers["is_same_split"].to_list(), *two.federations["is_same_split"].to_list()]
    others = pairs.count(False)
    if others:
        warnings.append(
            f"{others:,} of {len(pairs):,} matched runs had other splits behind the same scenario and seed: "
            "their differences hold that of the samples too."
        )
    return warnings


def tile_two_studies(two: TwoStudies) -> list[Tile]:
    """Up to three numbers that sum the comparison up."""
    tiles = []
    effects = {row["technique"]: row for row in two.effects.iter_rows(named=True)}
    if effects:
        chosen = TUNED if TUNED in effects else next(iter(effects))
        meaning = f"mean gain of {label_technique(chosen)} in {two.names[1]} against {two.names[0]}"
        tiles.append(Tile(value=text_points(effects[chosen]["effect"]), unit="points", meaning=meaning))
    if two.federations.height:
        difference = float(two.federations["accuracy_difference"].to_numpy().mean())
        meaning = f"federated accuracy in {two.names[1]} against {two.names[0]}, after the same rounds"
        tiles.append(Tile(value=text_points(difference), unit="points", meaning=meaning))
    matched = two.transfers.height + two.federations.height
    return [*tiles, Tile(value=f"{matched:,}", unit="", meaning="transfers and federations that both ran")]


def describe_differences(two: TwoStudies) -> list[str]:
    """What the second study found otherwise than the first, most important first."""
    sentences = [*_describe_effects(two), *_describe_federations(two)]
    alone = [
        f"{name} has {enumerate_words(parts)}"
        for name, place in zip(two.names, (1, 2), strict=True)
        if (parts := [_count_alone(row, place) for row in name_unmatched(two) if row[1 + place]])
    ]
    return [*sentences, *([f"Alone, {'; '.join(alone)}."] if alone else [])]


def picture_differences(two: TwoStudies) -> Picture:
    """The difference of each technique's gain, with its interval."""
    effects = two.effects
    described = ", ".join(
        f"{label_technique(technique)} {text_points(effect)}"
        for technique, effect in effects.select("technique", "effect").iter_rows()
    )
    return place_figure(
        draw_effects(effects, axis="difference of gains"),
        name="effects",
        kind="effects",
        heading=f"{two.names[1]} against {two.names[0]}, on the same transfers",
        note=f"the line at zero is {two.names[0]}, whiskers are 95 % intervals",
        alt=f"Difference of gains in points: {described}.",
    )


def picture_both_curves(two: TwoStudies) -> list[Picture]:
    """The curves of both studies in each scenario, architecture and strategy, of the runs that both have."""
    if not two.federations.height:
        return []
    curves = [_shared_curves(study.federation, two.federations) for study in (two.first, two.second)]
    groups = two.federations.select("scenario", "arch", STRATEGY).unique(maintain_order=True)
    has_archs, has_strategies = groups["arch"].n_unique() > 1, groups[STRATEGY].n_unique() > 1
    pictures = []
    for number, (scenario, arch, strategy) in enumerate(groups.iter_rows()):
        own = (pl.col("scenario") == scenario) & (pl.col("arch") == arch) & (pl.col(STRATEGY) == strategy)
        label = two.first.label_scenario(scenario)
        more = [arch] * has_archs + [two.first.label_strategy(strategy)] * has_strategies
        pictures.append(
            place_figure(
                _draw_both([rows.filter(own) for rows in curves], two.names),
                name=f"federated-{number}",
                kind="federated",
                heading=", ".join([label, *more]),
                alt=f"Test accuracy by round in {label}, both studies; the table below has the last values.",
                scenario=scenario,
            )
        )
    return pictures


def _describe_effects(two: TwoStudies) -> list[str]:
    effects = two.effects
    if not effects.height:
        return []
    techniques = order_known(effects["technique"].to_list(), tuple(TECHNIQUE_LABELS))
    rows = {row["technique"]: row for row in effects.iter_rows(named=True)}
    chosen = rows[TUNED if TUNED in rows else techniques[0]]
    interval = (
        "a single split gives no interval"
        if chosen["low"] is None
        else f"95 % interval {text_interval(chosen['low'], chosen['high'])}"
    )
    sentences = [
        f"On the {text_count(chosen['transfers'], 'transfer')} of {label_technique(chosen['technique'])} "
        f"that both ran, {two.names[1]} gained {text_points(chosen['effect'])} points against {two.names[0]} "
        f"({interval})."
    ]
    if effects["low"].null_count() == effects.height:
        return sentences
    above = [label_technique(name) for name in techniques if (rows[name]["low"] or 0) > 0]
    below = [label_technique(name) for name in techniques if (rows[name]["high"] or 0) < 0]
    found = [
        f"{side} for {enumerate_words(names)}" for side, names in (("more", above), ("less", below)) if names
    ]
    verdict = f"gained {' and '.join(found)}" if found else "differed for none"
    return [
        *sentences,
        f"Of {text_count(len(techniques), 'technique')}, by intervals that leave 0 out, "
        f"{two.names[1]} {verdict}".removesuffix(".")
        + ".",
    ]


def _describe_federations(two: TwoStudies) -> list[str]:
    if not two.federations.height:
        return []
    difference = float(two.federations["accuracy_difference"].to_numpy().mean())
    higher = two.federations.filter(pl.col("accuracy_difference") > 0).height
    sentence = (
        f"After the same rounds the federated models of {two.names[1]} differ by {text_points(difference)} "
        f"points of test accuracy on average (higher in {higher} of "
        f"{text_count(two.federations.height, 'federation')})"
    )
    rounds = match_rounds(two)
    if not rounds.height:
        return [f"{sentence}."]
    one, other = (float(rounds[name].to_numpy().mean()) for name in ("rounds_first", "rounds_second"))
    return [
        f"{sentence}, and took {text_rounds(other)} rounds to a target on average, not {text_rounds(one)}."
    ]


def _count_alone(row: Sequence[Any], place: int) -> str:
    kind, number = row[0].lower(), len(row[1 + place])
    if number > 1:
        return f"{number} {kind}"
    return f"1 {kind.removesuffix('ies')}y" if kind.endswith("ies") else f"1 {kind.removesuffix('s')}"


def _list_scenarios(two: TwoStudies) -> list[str]:
    return list(dict.fromkeys([*two.transfers["scenario"].to_list(), *two.federations["scenario"].to_list()]))


def _shared_curves(federation: pl.DataFrame, matched: pl.DataFrame) -> pl.DataFrame:
    """The curves of the runs that both studies have."""
    return federated_curves(
        federation.join(matched.select(*FEDERATION), on=list(FEDERATION), how="semi", maintain_order="left")
    )


def _draw_both(curves: Sequence[pl.DataFrame], names: Sequence[str]) -> go.Figure:
    """The mean curves of both studies: starts by colour, the second study dotted."""
    figure = new_figure("", height=330)
    for rows, name, dash in zip(curves, names, ("solid", "dot"), strict=True):
        for (start,), own in rows.group_by("start", maintain_order=True):
            mark = pick_mark(str(start), START_MARKS)
            label = f"{label_start(str(start))}, {name}"
            figure.add_trace(draw_means(own.sort("round"), label, colour=mark.colour, dash=dash))
    figure.update_xaxes(title_text="communication rounds", zeroline=False, rangemode="tozero")
    return figure.update_yaxes(title_text="test accuracy, %", zeroline=False)
