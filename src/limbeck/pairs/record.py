"""What a comparison and a transfer say: plain records that turn into JSON."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from torch import nn

from limbeck.engine import Change


@dataclass(frozen=True, kw_only=True)
class Standing:
    """How one model does on some samples.

    Attributes:
        name: What it is called.
        accuracy: In [0, 1].
        class_accuracy: Per class, None for a class without samples.
        confidence: Mean of the largest probability.
        calibration_error: Expected calibration error in [0, 1]; see `limbeck.pairs.measure_calibration`.
    """

    name: str
    accuracy: float
    class_accuracy: tuple[float | None, ...]
    confidence: float
    calibration_error: float


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What the second model knows that the first does not, and the reverse.

    Attributes:
        first: The model that would learn.
        second: The model that would teach.
        class_names: The classes of the samples.
        class_samples: Samples of each class.
        num_samples: How many samples both judged.
        agreement: Share of samples on which both say the same class.
        both_right: Samples both get right.
        both_wrong: Samples both get wrong.
        positive_flips: Samples only the second gets right.
        negative_flips: Samples only the first gets right.
        class_positive_flips: The same per class.
        class_negative_flips: The same per class.
        complementary_share: Positive flips as a share of all samples: what a perfect transfer could add
            (Roth et al. 2023, arXiv 2310.17653, section 3).
        warnings: What a reader should know, one sentence each.
    """

    first: Standing
    second: Standing
    class_names: tuple[str, ...]
    class_samples: tuple[int, ...]
    num_samples: int
    agreement: float
    both_right: int
    both_wrong: int
    positive_flips: int
    negative_flips: int
    class_positive_flips: tuple[int, ...]
    class_negative_flips: tuple[int, ...]
    complementary_share: float
    warnings: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Every field by name, ready for JSON."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One technique tried on one student.

    Attributes:
        technique: Its name.
        settings: Its settings by name, empty when it has none.
        change: The student before and after, on the samples that decided nothing.
        class_forgetting: Per class, accuracy lost on those samples, 0 where none was lost, None for a class
            without samples.
        validation: Accuracy on the validation samples before (first) and after each epoch.
        kept_epoch: The epoch whose state the student has, 0 when it is the student as it came.
        losses: Mean loss per epoch.
        share_from_teacher: Share of samples whose target was a teacher's, None when nothing is selected.
        seconds: Wall time of the training, teachers' outputs and validation included.
        diverged_in_epoch: The epoch in which the loss stopped being finite, None when it never did.
    """

    technique: str
    settings: dict[str, float]
    change: Change
    class_forgetting: tuple[float | None, ...]
    validation: tuple[float, ...]
    kept_epoch: int
    losses: tuple[float, ...]
    share_from_teacher: float | None
    seconds: float
    diverged_in_epoch: int | None

    def to_dict(self) -> dict[str, Any]:
        """Every field by name, those of `change` among them, ready for JSON."""
        content = asdict(self)
        change = content.pop("change")
        return {**content, **change}


@dataclass(frozen=True, kw_only=True)
class TransferRecord:
    """Everything a transfer measured.

    Attributes:
        attempt: The technique asked for.
        baseline: `finetune` with the same samples, steps and rules, None when it was not run.
        teachers: How each teacher does on the same samples, in the student's classes.
        class_names: The student's classes.
        measured_on: `test` for held-out samples that decided nothing; `validation` when there were none, and
            the numbers are those the epoch was chosen by.
        keep: `best` or `last`.
        num_train: Samples learned from.
        num_validation: Samples that chose the epoch.
        num_measured: Samples the numbers are measured on.
        training: The budget and optimiser.
        seed: Seed of the batch order and the hold-out.
        data: Name of the data.
        data_fingerprint: Its fingerprint, empty for samples without one.
        device: Where it ran.
        warnings: What a reader should know, one sentence each.
    """

    attempt: Attempt
    baseline: Attempt | None
    teachers: tuple[Standing, ...]
    class_names: tuple[str, ...]
    measured_on: Literal["test", "validation"]
    keep: Literal["best", "last"]
    num_train: int
    num_validation: int
    num_measured: int
    training: dict[str, Any]
    seed: int
    data: str
    data_fingerprint: str
    device: str
    warnings: tuple[str, ...]

    @property
    def gain(self) -> float:
        """Accuracy after minus before."""
        return self.attempt.change.gain

    @property
    def forgetting(self) -> float:
        """Accuracy lost on the classes the student knew."""
        return self.attempt.change.forgetting

    def to_dict(self) -> dict[str, Any]:
        """One object for programs: the attempt's fields at the top, the baseline's below `baseline`."""
        content = {name: value for name, value in asdict(self).items() if name not in ("attempt", "baseline")}
        baseline = None if self.baseline is None else self.baseline.to_dict()
        return {**self.attempt.to_dict(), **content, "baseline": baseline}


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What `limbeck.transfer` returns.

    Attributes:
        student: The new student, of the type that was given, in evaluation mode.
        record: What was measured.
    """

    student: nn.Module
    record: TransferRecord
