"""What a study found, in sentences that the data wrote: good news and bad news by the same rules."""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from limbeck.core.errors import enumerate_words
from limbeck.report.cases import case_key, list_cases, name_cases
from limbeck.report.compute import BASELINE, CASE, TUNED, technique_table, tuning_worth
from limbeck.report.inputs import Study
from limbeck.report.rounds import (
    NAIVE_STARTS,
    SCRATCH,
    STRATEGY,
    rounds_saved,
    rounds_to_target,
    strategies_saved,
    summarise_rounds,
)
from limbeck.report.wording import (
    label_start,
    label_technique,
    text_count,
    text_percent,
    text_points,
    text_signed,
)


@dataclass(frozen=True, kw_only=True)
class Tile:
    """One number of the headline with its unit and what it means."""

    value: str
    unit: str
    meaning: str


@dataclass(frozen=True, kw_only=True)
class Saving:
    """What was saved over all comparable scenarios, targets, strategies and starts.

    Attributes:
        percent: Rounds saved, as a percentage of the reference's rounds, both summed.
        num_better: Pairs in which it needed fewer rounds.
        num_pairs: Comparable pairs: at least one of the two reached the target in every seed.
        is_bound: Whether some pair is a bound rather than exact.
    """

    percent: float | None
    num_better: int
    num_pairs: int
    is_bound: bool


def write_tiles(study: Study) -> list[Tile]:
    """Up to four numbers that sum the study up."""
    means = _mean_by_technique(study, "gain_mean")
    tiles = [
        Tile(value=text_points(means[name]), unit="points", meaning=f"mean gain of {label_technique(name)}")
        for name in (TUNED, BASELINE)
        if name in means
    ]
    worth = tuning_worth(study.results)
    if worth.height:
        tiles.append(
            Tile(
                value=text_points(_mean(worth, "worth_mean")),
                unit="points",
                meaning="worth of tuning over the best untuned technique",
            )
        )
    return [*tiles, *_start_tile(study)]


def describe_gains(study: Study) -> str:
    """Tuned KD beside finetune: mean gains, and in how many scenarios it gained more."""
    table = technique_table(study.results)
    means = _mean_by_technique(study, "gain_mean")
    if TUNED not in means:
        return ""
    count = table.filter(pl.col("technique") == TUNED).height
    sentence = (
        f"Tuned KD changed the student's test accuracy by {text_points(means[TUNED])} points on average over "
        f"{_count_cases(count)} ({_count_seeds(study)})."
    )
    wins = _compare(table, TUNED, BASELINE)
    if not wins:
        return sentence
    return (
        f"{sentence[:-1]}; finetuning alone, with the same budget and no teacher, by "
        f"{text_points(means[BASELINE])}. Tuned KD gained more than finetuning in {sum(wins)} of {len(wins)}."
    )


def describe_best(study: Study) -> str:
    """The technique with the highest mean gain, when that is not tuned KD."""
    means = _mean_by_technique(study, "gain_mean")
    if not means:
        return ""
    best = max(means, key=lambda name: means[name])
    if best == TUNED:
        return ""
    return f"The highest mean gain was {text_points(means[best])} points, by {label_technique(best)}."


def describe_baseline(study: Study) -> str:
    """Where distillation is worth its teacher, and where it is not.

    In each scenario the distillation technique with the highest validation accuracy stands for distillation.
    """
    table = technique_table(study.results)
    baseline = {
        case_key(row): row["gain_mean"]
        for row in table.filter(pl.col("technique") == BASELINE).iter_rows(named=True)
    }
    chosen = (
        table.filter(pl.col("technique") != BASELINE)
        .sort("validation_after_mean", descending=True, nulls_last=True, maintain_order=True)
        .group_by(*CASE, maintain_order=True)
        .first()
    )
    gains = {case_key(row): row["gain_mean"] for row in chosen.iter_rows(named=True)}
    names = name_cases(list_cases(study))
    shared = [key for key in names if key in gains and key in baseline]
    if not shared:
        return ""
    lost = [names[key] for key in shared if gains[key] <= baseline[key]]
    if not lost:
        return (
            "In every scenario the distillation technique that validation would choose gained more than "
            "finetuning."
        )
    return (
        "Distillation did not beat finetuning in "
        f"{len(lost)} of {len(shared)} scenarios ({enumerate_words(lost)}): there the technique that "
        "validation would choose gained no more than continued training without a teacher."
    )


def describe_worth(study: Study) -> str:
    """What tuning was worth over the best untuned technique, and how sure that is."""
    worth = tuning_worth(study.results)
    if not worth.height:
        return ""
    untuned = _mean(worth, "untuned_gain")
    mean = _mean(worth, "worth_mean")
    relative = f", {text_signed(100 * mean / untuned, 0)} % of its gain" if untuned > 0 else ""
    sentence = (
        f"Tuning temperature and weight was worth {text_points(mean)} points over the best untuned technique "
        f"that validation would choose{relative}"
    )
    sure = worth.drop_nulls("worth_low")
    if not sure.height:
        return f"{sentence}; with a single seed there is no interval."
    above = sure.filter(pl.col("worth_low") > 0).height
    below = sure.filter(pl.col("worth_high") < 0).height
    return (
        f"{sentence}. The 95 % interval over seeds lies above zero in {above} of {_count_cases(sure.height)}"
        f" and below zero in {below}."
    )


def describe_forgetting(study: Study) -> str:
    """How much tuned KD and finetuning forget, and which technique forgets least."""
    means = _mean_by_technique(study, "forgetting_mean")
    if len(means) < 2:
        return ""
    least = min(means, key=lambda name: means[name])
    parts = [
        f"{label_technique(name)} {100 * means[name]:.1f}"
        for name in (TUNED, BASELINE)
        if name in means and name != least
    ]
    others = f" ({enumerate_words(parts)})" if parts else ""
    return (
        f"{_sentence_case(label_technique(least))} forgot least of what the student knew: "
        f"{100 * means[least]:.1f} points{others}."
    )


def describe_starts(study: Study) -> list[str]:
    """One sentence for each start that does more: rounds saved against scratch and the best naive one."""
    rounds = rounds_to_target(study.federation, study.about["targets"])
    saved = rounds_saved(rounds)
    goal = "pair" if len(study.strategies) < 2 else "combination"
    starts = [start for start in _starts(rounds) if start != SCRATCH and start not in NAIVE_STARTS]
    return [sentence for start in starts if (sentence := _describe_start(start, rounds, saved, goal))]


def describe_strategies(study: Study) -> list[str]:
    """One sentence for each strategy but the first: rounds saved against that one from the same starts."""
    rounds = rounds_to_target(study.federation, study.about["targets"])
    saved, (first, *others) = strategies_saved(rounds), study.strategies or [""]
    reference = f"with {study.label_strategy(first)} from the same start"
    clauses = {
        strategy: _saving_clause(
            measure_saving(saved.filter(pl.col(STRATEGY) == strategy), "first"), reference, "combination"
        )
        for strategy in others
    }
    return [
        f"With {study.label_strategy(strategy)}, federated learning took {clause}."
        for strategy, clause in clauses.items()
        if clause
    ]


def measure_saving(saved: pl.DataFrame, reference: str) -> Saving:
    """What was saved in all against one reference, over the goals that can be compared.

    Args:
        saved: Rows of `rounds_saved` or `strategies_saved` of what is to be judged.
        reference: ``scratch``, ``naive`` or ``first``.
    """
    bound = pl.col(f"{reference}_bound")
    rows = saved.filter(bound.is_not_null() & (bound != "unknown"))
    total, won = _total(rows, f"{reference}_rounds"), _total(rows, f"{reference}_saved")
    return Saving(
        percent=100 * won / total if total > 0 else None,
        num_better=rows.filter(pl.col(f"{reference}_saved") > 0).height,
        num_pairs=rows.height,
        is_bound=rows.filter(bound != "exact").height > 0,
    )


def _describe_start(start: str, rounds: pl.DataFrame, saved: pl.DataFrame, goal: str) -> str:
    own = saved.filter(pl.col("start") == start)
    scratch, naive = measure_saving(own, "scratch"), measure_saving(own, "naive")
    clauses = [
        clause
        for clause in (
            _saving_clause(scratch, "from scratch", goal),
            _saving_clause(naive, "from the best naive warm start", goal),
        )
        if clause
    ]
    if not clauses:
        return ""
    left_out = own.height - max(scratch.num_pairs, naive.num_pairs)
    note = (
        f" {text_count(left_out, goal)} left out: on both sides some seed never got there."
        if left_out
        else ""
    )
    return (
        f"Starting from {label_start(start)}, federated learning took {' and '.join(clauses)}.{note}"
        f"{_naive_verdict(scratch, naive, goal)}{_cost_clause(start, rounds)}"
    )


def _saving_clause(saving: Saving, reference: str, goal: str) -> str:
    if saving.num_pairs == 0 or saving.percent is None:
        return ""
    direction = "fewer" if saving.percent >= 0 else "more"
    about = "about " if saving.is_bound else ""
    percent = text_percent(abs(saving.percent) / 100, 0)
    noun = "scenario-target pair" if goal == "pair" else goal
    return (
        f"{about}{percent} {direction} rounds to its targets than {reference} "
        f"(fewer in {saving.num_better} of {text_count(saving.num_pairs, noun)})"
    )


def _naive_verdict(scratch: Saving, naive: Saving, goal: str) -> str:
    """The warning that a naive warm start does as well, when it does in more than half of the pairs."""
    if naive.num_pairs == 0 or naive.num_better >= naive.num_pairs / 2:
        return ""
    if scratch.percent is None or scratch.percent <= 0:
        return ""
    return f" In most {goal}s a naive warm start does as well or better: distillation is not what saves them."


def _cost_clause(start: str, rounds: pl.DataFrame) -> str:
    """Seconds with the start's own cost against scratch, over the runs in which both reached the target."""
    keys = ["scenario", "arch", STRATEGY, "seed", "target"]
    reached = rounds.filter(pl.col("reached"))
    pairs = reached.filter(pl.col("start") == start).join(
        reached.filter(pl.col("start") == SCRATCH).select(*keys, pl.col("seconds").alias("_scratch")), on=keys
    )
    scratch = _total(pairs, "_scratch")
    if scratch <= 0:
        return ""
    change = _total(pairs, "seconds_with_start") / scratch - 1
    return (
        f" With pre-training and making the start counted, it took {text_percent(abs(change), 0)} "
        f"{'less' if change < 0 else 'more'} computing time than scratch."
    )


def _start_tile(study: Study) -> list[Tile]:
    rounds = rounds_to_target(study.federation, study.about["targets"])
    saved = rounds_saved(rounds)
    counted = summarise_rounds(rounds)
    distilled = [start for start in _starts(counted) if start != SCRATCH and start not in NAIVE_STARTS]
    savings = {
        start: measure_saving(saved.filter(pl.col("start") == start), "scratch") for start in distilled
    }
    percents = {start: saving.percent for start, saving in savings.items() if saving.percent is not None}
    if not percents:
        return []
    best = max(percents, key=lambda start: percents[start])
    naive = measure_saving(saved.filter(pl.col("start") == best), "naive").percent
    beside = "" if naive is None else f" ({text_signed(-naive, 0)} % against the best naive start)"
    return [
        Tile(
            value=text_signed(-percents[best], 0),
            unit="%",
            meaning=f"rounds to target from {label_start(best)} against scratch{beside}",
        )
    ]


def _starts(rounds: pl.DataFrame) -> list[str]:
    return list(dict.fromkeys(rounds["start"].to_list()))


def _mean_by_technique(study: Study, column: str) -> dict[str, float]:
    table = (
        technique_table(study.results).group_by("technique", maintain_order=True).agg(pl.col(column).mean())
    )
    return {name: value for name, value in table.iter_rows() if value is not None}


def _compare(table: pl.DataFrame, first: str, second: str) -> list[bool]:
    """In each case that has both, whether the first technique's mean gain is the higher one."""
    columns = [*CASE, "gain_mean"]
    one = table.filter(pl.col("technique") == first).select(columns)
    other = table.filter(pl.col("technique") == second).select(columns)
    pairs = one.join(other, on=list(CASE), suffix="_other")
    return (pairs["gain_mean"] > pairs["gain_mean_other"]).to_list()


def _total(table: pl.DataFrame, column: str) -> float:
    return float(sum(table[column].to_list()))


def _mean(table: pl.DataFrame, column: str) -> float:
    values: Sequence[float] = table[column].to_list()
    return sum(values) / len(values)


def _count_cases(number: int) -> str:
    return text_count(number, "scenario")


def _count_seeds(study: Study) -> str:
    return text_count(study.results["seed"].n_unique(), "seed")


def _sentence_case(text: str) -> str:
    return text[:1].upper() + text[1:]
