"""The tables of a report as text, ready for HTML and for Markdown."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

import polars as pl

from limbeck.core.errors import enumerate_words
from limbeck.report.cases import case_key, list_cases, name_cases
from limbeck.report.compute import (
    forgetting_table,
    technique_table,
    tuning_pairs,
    tuning_worth,
)
from limbeck.report.inputs import Study
from limbeck.report.rounds import (
    GOAL,
    NAIVE_STARTS,
    SCRATCH,
    STRATEGY,
    rounds_saved,
    rounds_to_target,
    summarise_rounds,
    total_savings,
)
from limbeck.report.skew import measure_skew
from limbeck.report.wording import (
    ABSENT,
    TECHNIQUE_LABELS,
    label_start,
    label_technique,
    order_known,
    text_bytes,
    text_interval,
    text_number,
    text_percent,
    text_plain,
    text_rounds,
    text_seconds,
    text_signed,
    text_spread,
)


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table of texts.

    Attributes:
        name: What its file is called, without an ending; unique on its page.
        caption: What it shows, in one sentence.
        columns: The column headings.
        rows: One tuple of texts per row, as long as `columns`.
        num_labels: How many leading columns are words rather than numbers; the first heads its row.
        strong: Cells (row, column) to emphasise.
        is_grouped: Whether rows with the same first text stand together under it.
        scenarios: The scenario of each row, by which a page shows and hides them; empty where rows belong
            to none.
    """

    name: str = "table"
    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    num_labels: int = 1
    strong: frozenset[tuple[int, int]] = frozenset()
    is_grouped: bool = False
    scenarios: tuple[str, ...] = ()

    @property
    def file_name(self) -> str:
        """The name with letters, digits, dots and dashes alone."""
        return re.sub(r"[^A-Za-z0-9.]+", "-", self.name).strip("-")

    @property
    def groups(self) -> list[tuple[str, list[tuple[int, tuple[str, ...]]]]]:
        """Each first text with its rows, which keep their place in `rows`."""
        numbered = list(enumerate(self.rows))
        return [(name, list(rows)) for name, rows in groupby(numbered, key=lambda item: item[1][0])]


def tabulate_techniques(study: Study) -> Table:
    """Gain by case (rows) and technique (columns), the highest mean emphasised."""
    table = technique_table(study.results)
    return _by_technique(
        study,
        table.with_columns(pl.col("gain_mean").alias("_merit")),
        name="techniques",
        texts_fn=lambda row: text_spread(row["gain_mean"], row["gain_sd"]),
        caption="Gain in test accuracy by scenario and technique, in percentage points "
        f"({_note_spread(study)}; the highest of a row is emphasised).",
        facts={"Student before": "accuracy_before_mean", "Teacher": "teacher_accuracy_mean"},
    )


def tabulate_forgetting(study: Study) -> Table:
    """Forgetting by case (rows) and technique (columns), the lowest mean emphasised."""
    table = forgetting_table(study.results)
    return _by_technique(
        study,
        table.with_columns((-pl.col("forgetting_mean")).alias("_merit")),
        name="forgetting",
        texts_fn=lambda row: _unsigned_spread(row, "forgetting"),
        caption="Accuracy lost on the classes the student knew, in percentage points "
        f"({_note_spread(study)}; the lowest of a row is emphasised).",
        facts={},
    )


def tabulate_details(study: Study) -> Table:
    """Accuracy before and after, gain, forgetting, flips and time of every case and technique."""
    forgetting = forgetting_table(study.results).drop(
        "seeds", "transfers", "forgetting_mean", "forgetting_sd"
    )
    table = technique_table(study.results)
    keys = ["scenario", "transfer_set", "student_arch", "teacher_arch", "technique"]
    names = name_cases(list_cases(study))
    table = table.join(forgetting, on=keys, how="left", maintain_order="left")
    rows = [
        (
            names[case_key(row)],
            label_technique(row["technique"]),
            str(row["seeds"]),
            str(row["transfers"]),
            text_percent(row["accuracy_before_mean"]),
            text_percent(row["accuracy_after_mean"]),
            _spread_of(row, "gain"),
            text_interval(row["gain_low"], row["gain_high"]),
            _unsigned_spread(row, "forgetting"),
            _unsigned_spread(row, "positive_share"),
            _unsigned_spread(row, "negative_share"),
            text_seconds(row["seconds_mean"]),
        )
        for row in table.iter_rows(named=True)
    ]
    return Table(
        name="details",
        caption="Accuracy, gain, forgetting and flips of every scenario and technique "
        "(gain, forgetting and flips in percentage points; flips as a share of the test samples).",
        columns=(
            "Scenario",
            "Technique",
            "Seeds",
            "Transfers",
            "Before",
            "After",
            "Gain",
            "95 % interval",
            "Forgetting",
            "Newly right",
            "Newly wrong",
            "Time",
        ),
        rows=tuple(rows),
        num_labels=2,
        is_grouped=True,
        scenarios=tuple(table["scenario"]),
    )


def tabulate_worth(study: Study) -> Table:
    """What tuning was worth by case, against the best untuned technique and against finetune."""
    worth = tuning_worth(study.results)
    names = name_cases(list_cases(study))
    settings, divergence = _chosen_settings(study.results), measure_skew(study)
    rows = [
        (
            names[case_key(row)],
            enumerate_words([label_technique(name) for name in row["untuned_techniques"]]),
            settings[case_key(row)],
            text_number(divergence.get(row["scenario"]), 3),
            text_spread(row["tuned_gain"], None),
            text_spread(row["untuned_gain"], None),
            text_spread(row["worth_mean"], row["worth_sd"]),
            text_interval(row["worth_low"], row["worth_high"]),
            text_signed(row["relative_percent"], 0),
            text_spread(row["over_finetune_mean"], row["over_finetune_sd"]),
            text_interval(row["over_finetune_low"], row["over_finetune_high"]),
        )
        for row in worth.iter_rows(named=True)
    ]
    return Table(
        name="worth",
        caption="Gain of tuned KD minus the gain of the best untuned technique, which validation accuracy "
        f"chose, and minus finetune, in percentage points ({_note_spread(study)}; intervals need several "
        "seeds).",
        columns=(
            "Scenario",
            "Best untuned",
            "Chosen T, w",
            "Divergence",
            "Tuned KD",
            "Untuned",
            "Worth",
            "95 % interval",
            "Relative, %",
            "Over finetune",
            "95 % interval of that",
        ),
        rows=tuple(rows),
        num_labels=3,
        scenarios=tuple(worth["scenario"]),
    )


def tabulate_rounds(study: Study, target: float) -> Table:
    """Rounds, bytes and time to one target by scenario and start, without and with the start's own cost."""
    rounds = rounds_to_target(study.federation, [target])
    saved = rounds_saved(rounds)
    table = summarise_rounds(rounds).join(saved, on=list(GOAL), how="left", maintain_order="left")
    has_archs, has_strategies = table["arch"].n_unique() > 1, len(study.strategies) > 1
    rows = [
        (
            study.label_federation(row, has_archs=has_archs, has_strategies=has_strategies),
            label_start(row["start"]),
            f"{row['reached']} of {row['seeds']}",
            _text_median(row),
            *(_at_least(row) + text for text in _cost_texts(row)),
            _text_saved(row, "scratch", is_reference=row["start"] == SCRATCH),
            _text_saved(row, "naive", is_reference=row["start"] == row["naive_start"]),
        )
        for row in table.iter_rows(named=True)
    ]
    return Table(
        name=f"rounds-to-{100 * target:g}",
        caption=f"Until the global model reaches {text_percent(target, 0)} test accuracy: rounds, bytes and "
        f"time by scenario{', strategy' if has_strategies else ''} and start (means over seeds; the best "
        "naive start is marked *).",
        columns=(
            "Scenario",
            "Start",
            "Reached by seeds",
            "Median rounds",
            "Mean rounds",
            "Bytes",
            "Bytes with start",
            "Time",
            "Time with start",
            "Rounds saved vs scratch",
            "Rounds saved vs best naive",
        ),
        rows=tuple(_mark_naive(rows, table)),
        num_labels=2,
        is_grouped=True,
        scenarios=tuple(table["scenario"]),
    )


def tabulate_savings(study: Study) -> Table:
    """What each start saved in all with each strategy, and each strategy against the first."""
    table = total_savings(rounds_to_target(study.federation, study.about["targets"]))
    first = study.label_strategy(study.strategies[0]) if study.strategies else ""
    rows = [
        (
            study.label_strategy(row[STRATEGY]),
            label_start(row["start"]),
            *_saving_texts(row, "scratch", is_reference=row["start"] == SCRATCH),
            *_saving_texts(row, "naive", is_reference=False),
            *_saving_texts(row, "first", is_reference=row[STRATEGY] == study.strategies[0]),
        )
        for row in table.iter_rows(named=True)
    ]
    against = ("scratch", "best naive start", first)
    return Table(
        name="savings",
        caption="Rounds to the targets saved in all: in percent of the rounds of what is compared with, ± "
        "the standard deviation over seeds; and in how many of the scenarios and targets fewer were needed. "
        "Starts are compared within a strategy, strategies from the same start. ≈ marks a number in which "
        "some saving is only a bound, because a seed never reached its target.",
        columns=(
            "Strategy",
            "Start",
            *(column for name in against for column in (f"Saved vs {name}, %", "Fewer in")),
        ),
        rows=tuple(rows),
        num_labels=2,
        is_grouped=True,
    )


def _note_spread(study: Study) -> str:
    if study.results["seed"].n_unique() < 2:
        return "one seed: no deviation"
    return "mean ± standard deviation over seeds"


def _by_technique(
    study: Study,
    table: pl.DataFrame,
    *,
    name: str,
    texts_fn: Callable[[dict], str],
    caption: str,
    facts: dict[str, str],
) -> Table:
    techniques = order_known(table["technique"].to_list(), tuple(TECHNIQUE_LABELS))
    names = name_cases(list_cases(study))
    cells = {(case_key(row), row["technique"]): row for row in table.iter_rows(named=True)}
    keys = _keys_in_order(table, names)
    rows, strong = [], set()
    for key in keys:
        found = {technique: cells[key, technique] for technique in techniques if (key, technique) in cells}
        rated = {name: row["_merit"] for name, row in found.items() if row["_merit"] is not None}
        if rated:
            best = max(rated, key=lambda technique: rated[technique])
            strong.add((len(rows), 1 + len(facts) + techniques.index(best)))
        first = next(iter(found.values()))
        texts = (texts_fn(found[technique]) if technique in found else ABSENT for technique in techniques)
        rows.append((names[key], *(text_percent(first[column]) for column in facts.values()), *texts))
    return Table(
        name=name,
        caption=caption,
        columns=("Scenario", *facts, *(_capital(label_technique(technique)) for technique in techniques)),
        rows=tuple(rows),
        strong=frozenset(strong),
        scenarios=tuple(key[0] for key in keys),
    )


def _keys_in_order(table: pl.DataFrame, names: Iterable[tuple[str, ...]]) -> list[tuple[str, ...]]:
    present = {case_key(row) for row in table.iter_rows(named=True)}
    return [key for key in names if key in present]


def _spread_of(row: dict, name: str) -> str:
    return text_spread(row[f"{name}_mean"], row[f"{name}_sd"])


def _unsigned_spread(row: dict, name: str) -> str:
    mean, sd = row[f"{name}_mean"], row[f"{name}_sd"]
    if mean is None:
        return ABSENT
    return f"{100 * mean:.1f}" if sd is None else f"{100 * mean:.1f} ± {100 * sd:.1f}"


def _chosen_settings(results: pl.DataFrame) -> dict[tuple[str, ...], str]:
    chosen: dict[tuple[str, ...], list[str]] = {}
    for row in tuning_pairs(results).iter_rows(named=True):
        text = f"{text_plain(row['temperature'])}, {text_plain(row['weight'])}"
        chosen.setdefault(case_key(row), []).append(text)
    return {key: " · ".join(dict.fromkeys(texts)) for key, texts in chosen.items()}


def _at_least(row: dict) -> str:
    return "" if row["reached"] == row["seeds"] else "≥\N{NARROW NO-BREAK SPACE}"


def _text_median(row: dict) -> str:
    if row["median_rounds"] > row["rounds_run"]:
        return f">\N{NARROW NO-BREAK SPACE}{row['rounds_run']}"
    return text_rounds(row["median_rounds"])


def _cost_texts(row: dict) -> tuple[str, ...]:
    return (
        text_rounds(row["mean_rounds"]),
        text_bytes(row["bytes"]),
        text_bytes(row["bytes_with_start"]),
        text_seconds(row["seconds"]),
        text_seconds(row["seconds_with_start"]),
    )


def _text_saved(row: dict, name: str, *, is_reference: bool) -> str:
    bound = row[f"{name}_bound"]
    if is_reference or bound is None or bound == "unknown":
        return ABSENT
    sign = {"at least": "≥\N{NARROW NO-BREAK SPACE}", "at most": "≤\N{NARROW NO-BREAK SPACE}", "exact": ""}[
        bound
    ]
    percent = row[f"{name}_saved_percent"]
    share = "" if percent is None else f" ({text_signed(percent, 0)}\N{NARROW NO-BREAK SPACE}%)"
    return f"{sign}{text_signed(row[f'{name}_saved'], 1)}{share}"


def _saving_texts(row: dict, name: str, *, is_reference: bool) -> tuple[str, str]:
    percent, sd = row[f"{name}_percent"], row[f"{name}_sd"]
    if is_reference or percent is None:
        return ABSENT, ABSENT
    bound = "≈\N{NARROW NO-BREAK SPACE}" if row[f"{name}_bounded"] else ""
    spread = "" if sd is None else f" ± {sd:.0f}"
    return f"{bound}{text_signed(percent, 0)}{spread}", f"{row[f'{name}_better']} of {row[f'{name}_goals']}"


def _mark_naive(rows: Sequence[tuple[str, ...]], table: pl.DataFrame) -> list[tuple[str, ...]]:
    stars = table.select("start", "naive_start").iter_rows()
    return [
        (row[0], f"{row[1]} *", *row[2:]) if start in NAIVE_STARTS and start == naive else row
        for row, (start, naive) in zip(rows, stars, strict=True)
    ]


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
