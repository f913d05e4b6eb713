"""A transfer in words: what it was worth beside finetuning, its tables, and both as Markdown."""

import math
from collections.abc import Mapping
from dataclasses import fields
from itertools import starmap
from typing import TYPE_CHECKING, Any

from limbeck.report.headline import Tile
from limbeck.report.markdown import join_markdown
from limbeck.report.tables import Table
from limbeck.report.wording import (
    ABSENT,
    label_technique,
    text_count,
    text_percent,
    text_plain,
    text_points,
    text_seconds,
)

if TYPE_CHECKING:
    from limbeck.pairs import Attempt, TransferRecord

BASELINE = "finetune"


def transfer_markdown(record: "TransferRecord") -> str:
    """The findings, warnings and tables of a transfer, for copying into other documents.

    Args:
        record: What `limbeck.transfer` measured.

    Returns:
        Markdown that ends with a newline.
    """
    sentences = [*describe_transfer(record), *record.warnings]
    return join_markdown(
        sentences, [tabulate_attempts(record), tabulate_teachers(record), tabulate_changes(record)]
    )


def describe_transfer(record: "TransferRecord") -> list[str]:
    """What the transfer was worth, most important first: the gain, finetuning's beside it, what was kept."""
    return [
        describe_gain(record),
        describe_baseline(record),
        describe_kept(record),
        describe_loss(record),
        *_describe_teachers(record),
        *_describe_samples(record),
    ]


def describe_gain(record: "TransferRecord") -> str:
    """The gain of the technique, and of finetune where that ran."""
    change = record.attempt.change
    before, after = text_percent(change.accuracy_before), text_percent(change.accuracy_after)
    sentence = f"{_label(record.attempt)} left the student's accuracy at {before}"
    if change.gain != 0:
        gain = text_points(change.gain)
        sentence = (
            f"{_label(record.attempt)} changed the student's accuracy by {gain} points, "
            f"from {before} to {after}"
        )
    if record.baseline is None or record.attempt.technique == BASELINE:
        return f"{sentence}."
    return (
        f"{sentence}; finetuning alone, with the same budget and no teacher, changed it by "
        f"{text_points(record.baseline.change.gain)}."
    )


def describe_baseline(record: "TransferRecord") -> str:
    """Whether the technique beat finetune, and whether chance could explain the difference."""
    if record.attempt.technique == BASELINE:
        return "Finetuning has no teacher: whatever it gains is not a transfer."
    if record.baseline is None:
        return (
            "Finetune did not run beside it, so nobody knows how much of the gain training on without a "
            "teacher would have given."
        )
    label = _label(record.attempt)
    difference = _difference_in_samples(record)
    if difference == 0:
        return f"{label} did not beat finetune, which gained as much: this gain is not a transfer."
    points = text_points(abs(difference) / record.num_measured).removeprefix("+")
    size = f"{points} points ({abs(difference):,} of {text_count(record.num_measured, 'sample')})"
    chance = " In one run on so many samples, chance could explain it too." if _may_be_chance(record) else ""
    if difference < 0:
        return f"{label} did not beat finetune, which gained {size} more.{chance}"
    return f"{label} beat finetune by {size}: that is what it added to training on.{chance}"


def describe_kept(record: "TransferRecord") -> str:
    """Which epoch's student was kept, and why."""
    attempt, epochs = record.attempt, _count_epochs(record, record.attempt)
    came, kept = text_percent(attempt.validation[0]), text_percent(attempt.validation[attempt.kept_epoch])
    end = f" The training diverged in epoch {attempt.diverged_in_epoch}." if attempt.diverged_in_epoch else ""
    judges = text_count(record.num_validation, "validation sample")
    if record.keep == "last":
        return (
            f"The student after epoch {attempt.kept_epoch} of {epochs} was kept, the last one as asked, with "
            f"{kept} on {judges} ({came} as it came).{end}"
        )
    if attempt.kept_epoch == 0 and attempt.diverged_in_epoch is not None:
        return (
            f"The student was kept as it came: the training diverged in epoch {attempt.diverged_in_epoch} of "
            f"{epochs}, and no epoch before that was better than its {came} on {judges}."
        )
    if attempt.kept_epoch == 0:
        return (
            f"The student was kept as it came: no epoch of {epochs} was better than its {came} on {judges}."
        )
    return (
        f"The student after epoch {attempt.kept_epoch} of {epochs} was kept, because it was the best on "
        f"{judges}: {kept}, after {came} as it came.{end}"
    )


def describe_loss(record: "TransferRecord") -> str:
    """Forgetting and flips of the technique, with finetune's forgetting where that ran."""
    change = record.attempt.change
    sentence = (
        f"It forgot {_unsigned(change.forgetting)} points on the classes the student knew; "
        f"{text_count(change.positive_flips, 'sample')} became right and {change.negative_flips:,} wrong"
    )
    if record.baseline is None or record.attempt.technique == BASELINE:
        return f"{sentence}."
    return f"{sentence}. Finetune forgot {_unsigned(record.baseline.change.forgetting)} points."


def tile_transfer(record: "TransferRecord") -> list[Tile]:
    """Up to four numbers that sum the transfer up."""
    change = record.attempt.change
    label = label_technique(record.attempt.technique)
    tiles = [Tile(value=text_points(change.gain), unit="points", meaning=f"gain of {label}")]
    if record.baseline is not None:
        gain = record.baseline.change.gain
        tiles.append(
            Tile(value=text_points(gain), unit="points", meaning="gain of finetune, without a teacher")
        )
    return [
        *tiles,
        Tile(
            value=f"{100 * change.accuracy_after:.1f}",
            unit="%",
            meaning=f"accuracy after {label}, on {record.measured_on} samples",
        ),
        Tile(value=_unsigned(change.forgetting), unit="points", meaning=f"forgotten by {label}"),
    ]


def tabulate_attempts(record: "TransferRecord") -> Table:
    """The technique and finetune side by side."""
    attempts = [attempt for attempt in (record.attempt, record.baseline) if attempt is not None]
    return Table(
        name="techniques",
        caption=f"The same student on the same {record.num_measured:,} {record.measured_on} samples; "
        "gain and forgetting in percentage points.",
        columns=(
            "Technique",
            "Before",
            "After",
            "Gain",
            "Forgetting",
            "Newly right",
            "Newly wrong",
            "Kept epoch",
            "Time",
        ),
        rows=tuple(_row_of(record, attempt) for attempt in attempts),
    )


def tabulate_teachers(record: "TransferRecord") -> Table:
    """How each teacher does on the samples the student is measured on."""
    return Table(
        name="teachers",
        caption="The teachers on the same samples, in the student's classes.",
        columns=("Teacher", "Accuracy", "Mean confidence", "Calibration error"),
        rows=tuple(
            (
                teacher.name,
                text_percent(teacher.accuracy),
                text_percent(teacher.confidence),
                text_percent(teacher.calibration_error),
            )
            for teacher in record.teachers
        ),
    )


def tabulate_changes(record: "TransferRecord") -> Table:
    """Accuracy before and after and forgetting per class, in the order of the student's classes."""
    change = record.attempt.change
    columns = (
        record.class_names,
        change.class_accuracy_before,
        change.class_accuracy_after,
        record.attempt.class_forgetting,
        *([record.baseline.change.class_accuracy_after] if record.baseline else []),
    )
    label = label_technique(record.attempt.technique)
    return Table(
        name="classes",
        caption="Class by class; change and forgetting in percentage points.",
        columns=(
            "Class",
            "Before",
            f"After {label}",
            "Change",
            "Forgetting",
            *(["After finetune"] if record.baseline else []),
        ),
        rows=tuple(
            (
                name,
                text_percent(before),
                text_percent(after),
                text_points(after - before) if before is not None and after is not None else ABSENT,
                _unsigned(forgotten),
                *map(text_percent, others),
            )
            for name, before, after, forgotten, *others in zip(*columns, strict=True)
        ),
    )


def list_facts(record: "TransferRecord") -> list[tuple[str, str]]:
    """How it was done, as pairs of a name and its value."""
    attempt, training = record.attempt, record.training
    layout = _list_layout(training)
    budget = {name: value for name, value in training.items() if name not in layout}
    settings = ", ".join(f"{name} {text_plain(value)}" for name, value in attempt.settings.items())
    share = attempt.share_from_teacher
    facts = [
        ("Technique", label_technique(attempt.technique)),
        ("Settings", settings or "none"),
        ("From the teacher", f"{text_percent(share)} of the samples" if share is not None else ""),
        ("Data", record.data),
        ("Data fingerprint", record.data_fingerprint),
        (
            "Samples",
            f"{record.num_train:,} to learn from, {record.num_validation:,} validation, "
            f"{record.num_measured:,} measured ({record.measured_on})",
        ),
        ("Training", ", ".join(starmap(_text_setting, budget.items())).replace("_", " ")),
        ("Run as", describe_layout(training)),
        ("Kept", f"the {record.keep} epoch's student"),
        ("Seed", str(record.seed)),
        ("Device", record.device),
    ]
    return [(name, value) for name, value in facts if value]


def _row_of(record: "TransferRecord", attempt: "Attempt") -> tuple[str, ...]:
    change = attempt.change
    end = f", diverged in epoch {attempt.diverged_in_epoch}" if attempt.diverged_in_epoch else ""
    return (
        label_technique(attempt.technique),
        text_percent(change.accuracy_before),
        text_percent(change.accuracy_after),
        text_points(change.gain),
        _unsigned(change.forgetting),
        f"{change.positive_flips:,}",
        f"{change.negative_flips:,}",
        f"{attempt.kept_epoch} of {_count_epochs(record, attempt)}{end}",
        text_seconds(attempt.seconds),
    )


def _count_epochs(record: "TransferRecord", attempt: "Attempt") -> int:
    """The epochs asked for, also where the training diverged; more where a technique trains several times."""
    return max(int(record.training.get("epochs", 0)), len(attempt.validation) - 1)


def _describe_teachers(record: "TransferRecord") -> list[str]:
    if not record.teachers:
        return []
    named = "; ".join(f"{teacher.name} {text_percent(teacher.accuracy)}" for teacher in record.teachers)
    return [f"Accuracy of the teachers on the same samples, in the student's classes: {named}."]


def _describe_samples(record: "TransferRecord") -> list[str]:
    if record.measured_on == "test":
        return []
    return [
        "The data have no test part, so all numbers come from the validation samples, which also chose the "
        "epoch: expect a little less on new samples."
    ]


def _difference_in_samples(record: "TransferRecord") -> int:
    """How many more samples the technique's student gets right than finetune's."""
    assert record.baseline is not None
    difference = record.attempt.change.gain - record.baseline.change.gain
    return round(difference * record.num_measured)


def _may_be_chance(record: "TransferRecord") -> bool:
    """Whether two standard deviations of pure chance reach the difference to finetune.

    The two students can only differ on samples that either flipped. With D of them, a coin for each gives a
    standard deviation of sqrt(D); D is at most the sum of all flips (McNemar 1947).
    """
    assert record.baseline is not None
    changes = (record.attempt.change, record.baseline.change)
    num_flips = sum(change.positive_flips + change.negative_flips for change in changes)
    return abs(_difference_in_samples(record)) <= 2 * math.sqrt(num_flips)


def describe_layout(training: Mapping[str, Any]) -> str:
    """How a model was run, such as ``bfloat16, channels-last, 2 threads``; nothing where it is not known.

    Args:
        training: The settings of a training by name.
    """
    from limbeck.engine import Layout

    layout = _list_layout(training)
    return str(Layout(**layout)) if layout else ""


def _list_layout(training: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a training that say how a model was run."""
    from limbeck.engine import Layout

    return {entry.name: training[entry.name] for entry in fields(Layout) if entry.name in training}


def _text_setting(name: str, value: object) -> str:
    return f"{name} {text_plain(value) if isinstance(value, float) else value}"


def _label(attempt: "Attempt") -> str:
    label = label_technique(attempt.technique)
    return label[0].upper() + label[1:]


def _unsigned(fraction: float | None) -> str:
    return text_points(fraction).removeprefix("+")
