"""Advice in words, as a terminal shows it."""

from collections.abc import Sequence

from limbeck.advise.features import FEATURES
from limbeck.advise.measured import check_margin
from limbeck.advise.record import Advice, Expectation, FederationAdvice, Neighbour
from limbeck.report.tables import Table
from limbeck.report.wording import (
    ABSENT,
    label_start,
    text_count,
    text_interval,
    text_percent,
    text_points,
)


def say_advice(advice: Advice) -> list[str]:
    """The sentences above and below the tables: what was found, how sure it is, and how to check it."""
    if not advice.has_evidence:
        return [
            f"No evidence: the nearest measured case is {advice.distance:.1f} deviations away, and beyond "
            f"{advice.reach:.1f} nothing is known. Search the settings of this pair with `limbeck tune`."
        ]
    near = text_count(advice.num_cases, "measured case")
    if not advice.shortlist:
        return [f"Leave the student as it is: in the {near} near this one, no setting was worth it."]
    first = advice.shortlist[0]
    sentences = [
        f"Try {first.setting.label}. Over the {near} near this one, the nearer the more, it changed the "
        f"accuracy on all classes by {_say_gain(first)} after the check; before it, it made "
        f"{text_percent(first.risk, 0)} of the students worse.",
        _say_check(advice),
    ]
    return [*sentences, _say_unchecked(advice)]


def say_federation(advice: FederationAdvice) -> list[str]:
    """How to federate, in sentences."""
    best = advice.best
    if best is None:
        return [
            f"No evidence on federations like this one: the nearest measured one is {advice.distance:.1f} "
            f"deviations away, and beyond {advice.reach:.1f} nothing is known."
        ]
    support = text_count(best.num_federations, "measured federation")
    words = f"Start from {label_start(best.start)} and federate by {best.strategy}: "
    words += f"in {support} near this one it took {_say_rounds(best.rounds_share)} than FedAvg from scratch"
    if best.low is not None and best.high is not None:
        words += (
            f" (95 % interval: {text_percent(best.low, 0)} to {text_percent(best.high, 0)} of its rounds)"
        )
    if best.naive_share is not None:
        words += f", and {_say_rounds(best.naive_share)} than from the best naive warm start"
    return [f"{words}.", f"Nearest: {'; '.join(advice.nearest)}."]


def write_federation_spec(advice: FederationAdvice) -> str:
    """The lines of a federate spec that follow the advice, empty where there is none."""
    best = advice.best
    if best is None:
        return ""
    name, *settings = best.strategy.split()
    lines = [f"start: {best.start}", f"strategy: {name}"]
    if settings:
        pairs = ", ".join(setting.replace("=", ": ", 1) for setting in settings)
        lines.append(f"settings: {{{pairs}}}")
    return "\n".join(lines)


def tabulate_case(advice: Advice) -> Table:
    """What is known of the case."""
    rows = [
        (FEATURES[name].label, _write_value(name, value), "yes" if name in advice.based_on else "no")
        for name, value in advice.features.items()
    ]
    return Table(
        name="case", caption="The case", columns=("", "value", "compared"), rows=tuple(rows), num_labels=1
    )


def tabulate_shortlist(advice: Advice) -> Table:
    """What to try, and what each did in near cases."""
    rows = [
        (
            each.setting.label,
            text_points(each.gain),
            text_interval(each.low, each.high),
            text_percent(each.risk, 0),
            f"{each.num_cases:,} ({each.num_transfers:,})",
        )
        for each in advice.shortlist
    ]
    return Table(
        name="shortlist",
        caption="To try, in this order: gain after the check in near cases, in points",
        columns=("setting", "gain", "95 % interval", "made worse before the check", "cases (transfers)"),
        rows=tuple(rows),
        num_labels=1,
    )


def tabulate_nearest(neighbours: Sequence[Neighbour]) -> Table:
    """The nearest measured cases."""
    rows = [
        (
            f"{each.label}, {each.data}, {each.teacher_arch} → {each.student_arch}",
            f"{each.distance:.2f}",
            text_points(each.gain),
        )
        for each in neighbours
    ]
    return Table(
        name="nearest",
        caption="Nearest measured cases",
        columns=("case", "distance", "gain of the first setting"),
        rows=tuple(rows),
        num_labels=1,
    )


def tabulate_options(advice: FederationAdvice, *, most: int = 5) -> Table:
    """The best ways to federate, the fewest rounds first."""
    rows = [
        (
            f"{label_start(each.start)}, {each.strategy}",
            text_percent(each.rounds_share, 0),
            ABSENT if each.naive_share is None else text_percent(each.naive_share, 0),
            f"{each.num_federations:,}",
        )
        for each in advice.options[:most]
    ]
    return Table(
        name="options",
        caption="Rounds to target in near federations",
        columns=("start and strategy", "of scratch's rounds", "of the best naive start's", "measured"),
        rows=tuple(rows),
        num_labels=1,
    )


def _say_gain(expectation: Expectation) -> str:
    words = f"{text_points(expectation.gain)} points"
    if expectation.low is None or expectation.high is None:
        return words
    return f"{words} (95 % interval {text_interval(expectation.low, expectation.high)})"


def _say_check(advice: Advice) -> str:
    margin = text_points(float(check_margin(advice.num_validation)))
    others = len(advice.shortlist) - 1
    tries = f", or the best of it and the {text_count(others, 'other setting')} listed" if others else ""
    return (
        f"Check it: keep the new student{tries}, only if its accuracy on held-out samples of all classes "
        f"rises by {margin} points or more (of {advice.num_validation:,} samples; 0.14 / sqrt(n) of n). "
        "Else keep the old one."
    )


def _say_unchecked(advice: Advice) -> str:
    unchecked = advice.unchecked
    if unchecked is None or unchecked.setting.place is None:
        return "Without such samples, leave the student as it is: no setting near here was safe enough."
    return (
        f"Without such samples, use {unchecked.setting.label}: {_say_gain(unchecked)}, "
        f"worse in {text_percent(unchecked.risk, 0)} of near transfers."
    )


def _say_rounds(share: float) -> str:
    change = round(100 * (share - 1))
    if change == 0:
        return "as many rounds, no fewer"
    return f"{abs(change)} % {'fewer' if change < 0 else 'more'} rounds"


def _write_value(name: str, value: float) -> str:
    return text_percent(value) if FEATURES[name].is_share else f"{value:.2f}"
