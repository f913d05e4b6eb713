"""The findings of a study as answers to the questions that it is read for, over all scenarios and in each."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import polars as pl

from limbeck.report.cases import Case, list_cases, pick_case
from limbeck.report.compute import (
    BASELINE,
    CASE,
    TUNED,
    grid_surface,
    technique_table,
    tuning_pairs,
    tuning_worth,
)
from limbeck.report.evidence import describe_effect
from limbeck.report.headline import (
    describe_baseline,
    describe_best,
    describe_forgetting,
    describe_gains,
    describe_starts,
    describe_strategies,
    describe_worth,
)
from limbeck.report.inputs import Study
from limbeck.report.rounds import rounds_to_target, summarise_rounds
from limbeck.report.skew import describe_skew
from limbeck.report.wording import (
    label_start,
    label_technique,
    text_count,
    text_interval,
    text_percent,
    text_plain,
    text_points,
    text_rounds,
    text_spread,
)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a study says to one question, in sentences with numbers."""

    question: str
    sentences: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class ScenarioNote:
    """What a study says of one scenario.

    Attributes:
        scenario: Its name in the study.
        label: Its name for a reader.
        sentences: One for each case, and one for its federated part.
    """

    scenario: str
    label: str
    sentences: tuple[str, ...]


def write_answers(study: Study) -> list[Answer]:
    """The questions that a study answers, most important first; those it cannot answer are left out."""
    answers = (
        _answer(
            "Which technique?", study, (describe_gains, describe_effect, describe_best, describe_baseline)
        ),
        _answer("Which settings?", study, (describe_settings,)),
        _answer("When does tuning matter?", study, (describe_worth, describe_skew)),
        _answer("What is forgotten?", study, (describe_forgetting,)),
        Answer(question="Does a distilled start pay?", sentences=tuple(describe_starts(study))),
        Answer(question="Which federated strategy?", sentences=tuple(describe_strategies(study))),
    )
    return [answer for answer in answers if answer.sentences]


def write_headline(study: Study) -> list[str]:
    """The sentences of all answers."""
    return [sentence for answer in write_answers(study) for sentence in answer.sentences]


def describe_settings(study: Study) -> str:
    """The best single setting for all scenarios beside the vanilla one, and what pairs of models chose."""
    surface = grid_surface(study.grid)
    if not surface.height:
        return ""
    num_cases = surface.select(*CASE).n_unique()
    settings = (
        surface.group_by("temperature", "weight", "is_vanilla", maintain_order=True)
        .agg(pl.len().alias("cases"), pl.col("gain", "validation_after").mean())
        .filter(pl.col("cases") == num_cases)
        .sort("validation_after", descending=True, maintain_order=True)
    )
    if not settings.height:
        return _describe_chosen(study)
    best = settings.row(0, named=True)
    vanilla = settings.filter("is_vanilla")["gain"]
    beside = f", against {text_points(vanilla[0])} with T = 1 and w = 0.5" if vanilla.len() else ""
    sentence = (
        f"The best single setting by validation was {_name_setting(best)}: {text_points(best['gain'])} "
        f"points on average over {text_count(num_cases, 'scenario')}{beside}."
    )
    return f"{sentence} {_describe_chosen(study)}".strip()


def note_scenarios(study: Study) -> list[ScenarioNote]:
    """What the study says of each of its scenarios, in its order."""
    cases = list_cases(study)
    federated = dict.fromkeys(study.federation["scenario"].to_list())
    scenarios = dict.fromkeys([*(case.scenario for case in cases), *federated])
    tables = {"gains": technique_table(study.results), "worth": tuning_worth(study.results)}
    tables["surface"] = grid_surface(study.grid)
    costs = summarise_rounds(rounds_to_target(study.federation, study.about["targets"]))
    owned = {scenario: [case for case in cases if case.scenario == scenario] for scenario in scenarios}
    return [
        ScenarioNote(
            scenario=scenario,
            label=study.label_scenario(scenario),
            sentences=(
                *(_note_case(case, tables, is_named=len(owned[scenario]) > 1) for case in owned[scenario]),
                *_note_rounds(study, costs.filter(pl.col("scenario") == scenario)),
            ),
        )
        for scenario in scenarios
    ]


def _answer(question: str, study: Study, describe_fns: Sequence[Callable[[Study], str]]) -> Answer:
    sentences = (describe(study) for describe in describe_fns)
    return Answer(question=question, sentences=tuple(filter(None, sentences)))


def _describe_chosen(study: Study) -> str:
    pairs = tuning_pairs(study.results)
    if not pairs.height:
        return ""
    ranges = [
        " to ".join(
            dict.fromkeys(
                text_plain(pairs[name].quantile(share, interpolation="nearest")) for share in (0.25, 0.75)
            )
        )
        for name in ("temperature", "weight")
    ]
    return (
        f"Chosen for each of {text_count(pairs.height, 'pair')} of models, the middle half has "
        f"T = {ranges[0]} and w = {ranges[1]}."
    )


def _name_setting(row: dict) -> str:
    return f"T = {text_plain(row['temperature'])}, w = {text_plain(row['weight'])}"


def _note_case(case: Case, tables: dict[str, pl.DataFrame], *, is_named: bool) -> str:
    clauses = (
        _note_gains(pick_case(tables["gains"], case)),
        _note_worth(pick_case(tables["worth"], case)),
        _note_surface(pick_case(tables["surface"], case)),
    )
    told = "; ".join(filter(None, clauses))
    return f"{case.label}: {told}." if is_named else f"{told[:1].upper()}{told[1:]}."


def _note_gains(gains: pl.DataFrame) -> str:
    if not gains.height:
        return ""
    best = gains.sort("gain_mean", descending=True, maintain_order=True).row(0, named=True)
    others = [
        f"{label_technique(row['technique'])} {text_points(row['gain_mean'])}"
        for row in gains.iter_rows(named=True)
        if row["technique"] in (TUNED, BASELINE) and row["technique"] != best["technique"]
    ]
    beside = f" ({', '.join(others)})" if others else ""
    return (
        f"{label_technique(best['technique'])} gained most, "
        f"{text_spread(best['gain_mean'], best['gain_sd'])} points{beside}"
    )


def _note_worth(worth: pl.DataFrame) -> str:
    if not worth.height:
        return ""
    row = worth.row(0, named=True)
    interval = "" if row["worth_low"] is None else f" ({text_interval(row['worth_low'], row['worth_high'])})"
    return f"tuning was worth {text_points(row['worth_mean'])} points{interval}"


def _note_surface(surface: pl.DataFrame) -> str:
    if not surface.height:
        return ""
    best = surface.row(by_predicate=pl.col("is_best"), named=True)
    vanilla = surface.filter("is_vanilla")["gain"]
    beside = f", vanilla {text_points(vanilla[0])}" if vanilla.len() else ""
    return f"best setting {_name_setting(best)} with {text_points(best['gain'])}{beside}"


def _note_rounds(study: Study, costs: pl.DataFrame) -> list[str]:
    """The start and strategy that took the fewest rounds to the highest target that any start always met."""
    met = costs.filter(pl.col("reached") == pl.col("seeds"))
    if not met.height:
        return []
    target = met["target"].max()
    best = met.filter(pl.col("target") == target).sort("mean_rounds", maintain_order=True).row(0, named=True)
    strategy = (
        f" with {study.label_strategy(best['federated_strategy'])}" if len(study.strategies) > 1 else ""
    )
    return [
        f"Federated: {label_start(best['start'])}{strategy} reached {text_percent(best['target'], 0)} first, "
        f"after {text_rounds(best['mean_rounds'])} rounds on average."
    ]
