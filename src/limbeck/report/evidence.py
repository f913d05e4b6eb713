"""How sure a study's comparisons are: effects on the same pairs of models, and the paper's two figures."""

import polars as pl

from limbeck.report.compute import BASELINE, TUNED
from limbeck.report.inputs import Study
from limbeck.report.statistics import Estimate, headline_figures
from limbeck.report.tables import Table
from limbeck.report.wording import (
    ABSENT,
    label_technique,
    text_count,
    text_interval,
    text_percent,
    text_points,
    text_signed,
)


def describe_effect(study: Study) -> str:
    """How much more than finetuning tuned KD gained on the same pairs of models, with its interval."""
    rows = {row["technique"]: row for row in study.effects.iter_rows(named=True)}
    row = rows.get(TUNED)
    if row is None or row["low"] is None:
        return ""
    return (
        f"On the same {text_count(row['transfers'], 'pair')} of models tuned KD gained "
        f"{text_points(row['effect'])} points more than finetuning (95 % interval "
        f"{text_interval(row['low'], row['high'])}), and more in {text_percent(row['better'], 0)} of them."
    )


def tabulate_effects(study: Study) -> Table:
    """Every technique's gain minus that of finetuning on the same pairs of models, with its interval."""
    return Table(
        name="effects",
        caption=f"Gain minus that of {label_technique(BASELINE)} on the same pairs of models, over all "
        "scenarios, in percentage points. Intervals resample whole splits, whose transfers share models.",
        columns=("Technique", "Pairs", "Splits", "Effect", "95 % interval", "Better in"),
        rows=text_effects(study.effects),
    )


def text_effects(effects: pl.DataFrame) -> tuple[tuple[str, ...], ...]:
    """The rows of `effect_table` for a reader."""
    return tuple(
        (
            label_technique(row["technique"]),
            f"{row['transfers']:,}",
            f"{row['groups']:,}",
            text_points(row["effect"]),
            text_interval(row["low"], row["high"]),
            text_percent(row["better"], 0),
        )
        for row in effects.iter_rows(named=True)
    )


def tabulate_headline(study: Study) -> Table:
    """What tuning added to the gain of the best untuned technique, beside the published figures."""
    rows = [
        (
            "uniform" if figure.is_iid else "all others",
            f"{figure.points.num_transfers:,}",
            text_points(figure.tuned_gain),
            text_points(figure.untuned_gain),
            text_points(figure.points.value),
            text_interval(figure.points.low, figure.points.high),
            *_percent_texts(figure.percent),
            text_signed(figure.paper_percent, 0),
        )
        for figure in headline_figures(study.results)
    ]
    return Table(
        name="headline",
        caption="What tuning added to the gain of the best untuned technique, by kind of split: in "
        "percentage points and in percent of the summed untuned gain, beside arXiv 2402.14922.",
        columns=(
            "Splits",
            "Pairs",
            "Tuned KD",
            "Untuned",
            "Worth",
            "95 % interval",
            "Relative, %",
            "95 % interval of that",
            "Published, %",
        ),
        rows=tuple(rows),
    )


def _percent_texts(percent: Estimate | None) -> tuple[str, str]:
    if percent is None:
        return ABSENT, ABSENT
    if percent.low is None:
        return text_signed(percent.value, 0), ABSENT
    return (
        text_signed(percent.value, 0),
        f"{text_signed(percent.low, 0)} to {text_signed(percent.high, 0)}",
    )
