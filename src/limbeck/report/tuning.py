"""A search of settings in words and tables: the best ones, what tuning was worth, and every trial."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from limbeck.report.headline import Tile
from limbeck.report.tables import Table
from limbeck.report.transfer import describe_transfer, list_facts, tile_transfer
from limbeck.report.wording import (
    ABSENT,
    label_technique,
    text_count,
    text_interval,
    text_percent,
    text_plain,
    text_points,
    text_seconds,
)

if TYPE_CHECKING:
    from limbeck.engine import Change
    from limbeck.pairs import Attempt
    from limbeck.tune import Tried, Tuned

DRIVER_LABELS = {
    "grid": "every point of the grid",
    "tpe": "TPE, which learns from earlier trials",
    "halving": "successive halving, which trains only the best further",
}
OUTCOME_COLUMNS = ("After", "Gain", "Forgetting", "Newly right", "Newly wrong", "Kept epoch", "Time")


def describe_tuning(tuned: "Tuned") -> list[str]:
    """What was found, most important first: the best settings, their worth, and the transfer they make."""
    return [
        describe_best(tuned),
        describe_worth(tuned),
        *_describe_selection(tuned),
        *describe_transfer(tuned.record),
    ]


def describe_best(tuned: "Tuned") -> str:
    """The chosen settings, and their accuracy on the validation samples beside that of the defaults."""
    best = text_percent(_best_validation(tuned))
    samples = text_count(tuned.record.num_validation, "validation sample")
    found = f"Of {text_count(len(tuned.trials), 'trial')}, {text_settings(tuned.settings)} did best"
    if tuned.settings == tuned.default.settings:
        return f"{found}, which are the defaults: {best} on {samples}."
    return (
        f"{found}: {best} on {samples}, where the defaults ({text_settings(tuned.default.settings)}) have "
        f"{text_percent(tuned.default.validation)}."
    )


def describe_worth(tuned: "Tuned") -> str:
    """What tuning was worth against the defaults, and whether chance could explain it."""
    worth = tuned.worth
    if tuned.settings == tuned.default.settings:
        return "Tuning was worth nothing against the defaults, because it chose them."
    sentence = (
        f"Tuning was worth {text_points(worth.mean)} points against the defaults "
        f"(95 % interval {text_interval(worth.low, worth.high)})"
    )
    if worth.low > 0:
        return f"{sentence}."
    if worth.high < 0:
        return f"{sentence}: on these samples the defaults are better."
    samples = text_count(tuned.record.num_measured, "sample")
    return f"{sentence}; the interval holds 0, so on {samples} chance could explain it."


def _describe_selection(tuned: "Tuned") -> list[str]:
    if tuned.record.measured_on == "test":
        return []
    return ["The settings were chosen on the samples that measure them, so their worth is flattered."]


def tile_tuning(tuned: "Tuned") -> list[Tile]:
    """The worth of tuning, then the numbers of the transfer with the best settings."""
    worth = tuned.worth
    meaning = f"worth of tuning, 95 % interval {text_interval(worth.low, worth.high)}"
    return [
        Tile(value=text_points(worth.mean), unit="points", meaning=meaning),
        *tile_transfer(tuned.record)[:-1],
    ]


def tabulate_tuned(tuned: "Tuned") -> Table:
    """The best settings, the defaults and finetune side by side."""
    record = tuned.record
    label, before = label_technique(record.attempt.technique), record.attempt.change.accuracy_before
    rows = [
        _row_of_attempt(f"tuned {label}", record.attempt),
        (f"default {label}", text_percent(before), *_text_outcome(tuned.default)),
    ]
    if record.baseline is not None:
        rows.append(_row_of_attempt(label_technique(record.baseline.technique), record.baseline))
    return Table(
        name="techniques",
        caption=f"The same student on the same {record.num_measured:,} {record.measured_on} samples; "
        "gain and forgetting in percentage points.",
        columns=("Technique", "Before", *OUTCOME_COLUMNS),
        rows=tuple(rows),
    )


def _row_of_attempt(label: str, attempt: "Attempt") -> tuple[str, ...]:
    change = attempt.change
    return (
        label,
        text_percent(change.accuracy_before),
        *_text_change(change),
        str(attempt.kept_epoch),
        text_seconds(attempt.seconds),
    )


def _text_outcome(tried: "Tried") -> tuple[str, ...]:
    """The cells below `OUTCOME_COLUMNS`."""
    return (*_text_change(tried), str(tried.kept_epoch), text_seconds(tried.seconds))


def _text_change(measured: "Change | Tried") -> tuple[str, ...]:
    """Accuracy after, gain, forgetting and flips."""
    if measured.gain is None or measured.forgetting is None:
        return (ABSENT,) * 5
    return (
        text_percent(measured.accuracy_after),
        text_points(measured.gain),
        text_points(measured.forgetting).removeprefix("+"),
        f"{measured.positive_flips:,}",
        f"{measured.negative_flips:,}",
    )


def tabulate_settings(tuned: "Tuned") -> Table:
    """Per setting that was searched: the best value, the default, what was tried, and how much it matters."""
    names = list_searched(tuned.trials)
    return Table(
        name="settings",
        caption="Importance is a setting's share of the variance of the validation accuracy.",
        columns=("Setting", "Tried", "Best", "Default", "Importance"),
        rows=tuple(
            (
                name,
                ", ".join(map(text_plain, list_values(tuned.trials, name))),
                text_plain(tuned.settings[name]),
                text_plain(tuned.default.settings.get(name)),
                text_percent(tuned.importance.get(name)),
            )
            for name in names
        ),
        num_labels=2,
    )


def tabulate_trials(tuned: "Tuned") -> Table:
    """Every trial, the best first; of equal ones that which was tried first, as the choice has it."""
    names = list(tuned.default.settings)
    ranked = rank_trials(tuned.trials)
    return Table(
        name="trials",
        caption="Every trial, the best on the validation samples first. All other accuracies are on "
        f"{tuned.record.measured_on} samples and decided nothing.",
        columns=("Trial", *names, "Epochs", "Validation", *OUTCOME_COLUMNS),
        rows=tuple(
            (
                str(number),
                *_text_values(tried, names),
                str(tried.epochs),
                text_percent(tried.validation),
                *_text_outcome(tried),
            )
            for number, tried in ranked
        ),
        strong=frozenset({(0, 2 + len(names))}),
    )


def tabulate_leaders(trials: "Sequence[Tried]", *, limit: int) -> Table:
    """The best trials so far with their settings, validation accuracy and time, at most `limit`."""
    names = list(trials[0].settings) if trials else []
    return Table(
        name="leaders",
        caption="The best so far on the validation samples.",
        columns=("Trial", *names, "Validation", "Time"),
        rows=tuple(
            (
                str(number),
                *_text_values(tried, names),
                text_percent(tried.validation),
                text_seconds(tried.seconds),
            )
            for number, tried in rank_trials(trials)[:limit]
        ),
    )


def rank_trials(trials: "Sequence[Tried]") -> "list[tuple[int, Tried]]":
    """The trials with their numbers from 1, the best first, equals in their order.

    Those trained longest come first, since only they compete; among them the highest validation accuracy.
    """
    return sorted(
        enumerate(trials, start=1), key=lambda item: (-_reach(item[1], trials), -item[1].validation)
    )


def _reach(tried: "Tried", trials: "Sequence[Tried]") -> int:
    """Epochs of a trial; one that was measured has them all, even if it diverged early."""
    return tried.epochs if tried.accuracy_after is None else max(other.epochs for other in trials)


def list_searched(trials: "Sequence[Tried]") -> list[str]:
    """The settings that had more than one value, in the technique's order."""
    names = trials[0].settings if trials else ()
    return [name for name in names if len(list_values(trials, name)) > 1]


def list_values(trials: "Sequence[Tried]", name: str) -> list[float]:
    """The distinct values of a setting that were tried, from the lowest."""
    return sorted({tried.settings[name] for tried in trials})


def list_tuning_facts(tuned: "Tuned") -> list[tuple[str, str]]:
    """How it was searched, then how the best settings were run, as pairs of a name and its value."""
    driver = DRIVER_LABELS.get(tuned.driver, tuned.driver)
    seconds = sum(tried.seconds for tried in tuned.trials)
    early = sum(tried.accuracy_after is None for tried in tuned.trials)
    stopped = f", {early:,} of them stopped early," if early else ""
    return [
        ("Search", f"{driver}; {text_count(len(tuned.trials), 'trial')}{stopped} in {text_seconds(seconds)}"),
        *list_facts(tuned.record),
    ]


def text_settings(settings: dict[str, float]) -> str:
    """Settings in a sentence, such as ``temperature 2, weight 0.3``."""
    return ", ".join(f"{name} {text_plain(value)}" for name, value in settings.items()) or ABSENT


def _text_values(tried: "Tried", names: Sequence[str]) -> tuple[str, ...]:
    return tuple(text_plain(tried.settings.get(name)) for name in names)


def _best_validation(tuned: "Tuned") -> float:
    attempt = tuned.record.attempt
    return attempt.validation[attempt.kept_epoch]
