"""A comparison and a transfer small enough to be counted by hand."""

from typing import Any

from limbeck.engine import Change
from limbeck.pairs import Attempt, Comparison, Standing, TransferRecord

CLASS_NAMES = ("cat", "dog", "owl")


def make_comparison(**changes: Any) -> Comparison:
    """Ten samples: cat 3 both, 1 only B, 2 only A; dog 1 both, 3 only B; owl has none."""
    values: dict[str, Any] = {
        "first": Standing(
            name="A",
            accuracy=0.6,
            class_accuracy=(5 / 6, 1 / 4, None),
            confidence=0.75,
            calibration_error=0.15,
        ),
        "second": Standing(
            name="B",
            accuracy=0.8,
            class_accuracy=(4 / 6, 1.0, None),
            confidence=0.85,
            calibration_error=0.05,
        ),
        "class_names": CLASS_NAMES,
        "class_samples": (6, 4, 0),
        "num_samples": 10,
        "agreement": 0.5,
        "both_right": 4,
        "both_wrong": 0,
        "positive_flips": 4,
        "negative_flips": 2,
        "class_positive_flips": (1, 3, 0),
        "class_negative_flips": (2, 0, 0),
        "complementary_share": 0.4,
        "warnings": ("B has no class owl: <none> of its samples count.",),
    }
    return Comparison(**{**values, **changes})


def make_wide_comparison(num_classes: int) -> Comparison:
    """Class i has 100 samples, of which only B gets i right and only A none."""
    counts = tuple(range(num_classes))
    total = 100 * num_classes
    base = make_comparison()
    return make_comparison(
        first=Standing(
            name=base.first.name,
            accuracy=0.0,
            class_accuracy=(0.0,) * num_classes,
            confidence=0.5,
            calibration_error=0.5,
        ),
        second=Standing(
            name=base.second.name,
            accuracy=sum(counts) / total,
            class_accuracy=tuple(count / 100 for count in counts),
            confidence=0.5,
            calibration_error=0.1,
        ),
        class_names=tuple(f"a class with a long name {index}" for index in counts),
        class_samples=(100,) * num_classes,
        num_samples=total,
        both_right=0,
        both_wrong=total - sum(counts),
        positive_flips=sum(counts),
        negative_flips=0,
        class_positive_flips=counts,
        class_negative_flips=(0,) * num_classes,
        complementary_share=sum(counts) / total,
    )


def make_attempt(technique: str = "dkd", **changes: Any) -> Attempt:
    """From 60 % to 70 %: 12 samples of 100 newly right, 2 newly wrong; the second of three epochs is kept."""
    values: dict[str, Any] = {
        "technique": technique,
        "settings": {"temperature": 4.0, "weight": 0.5, "beta": 8.0},
        "change": make_change(),
        "class_forgetting": (0.0, 0.05, None),
        "validation": (0.61, 0.65, 0.72, 0.7),
        "kept_epoch": 2,
        "losses": (1.0, 0.8, 0.7),
        "share_from_teacher": None,
        "seconds": 12.34,
        "diverged_in_epoch": None,
    }
    return Attempt(**{**values, **changes})


def make_change(**changes: Any) -> Change:
    values: dict[str, Any] = {
        "accuracy_before": 0.6,
        "accuracy_after": 0.7,
        "gain": 0.1,
        "forgetting": 0.02,
        "positive_flips": 12,
        "negative_flips": 2,
        "class_accuracy_before": [0.5, 0.8, None],
        "class_accuracy_after": [0.7, 0.75, None],
    }
    return Change(**{**values, **changes})


def make_baseline(after: float = 0.62, positive: int = 3, negative: int = 1) -> Attempt:
    """Finetune from 60 % to `after`."""
    change = make_change(
        accuracy_after=after,
        gain=after - 0.6,
        forgetting=0.01,
        positive_flips=positive,
        negative_flips=negative,
    )
    return make_attempt("finetune", settings={}, change=change, kept_epoch=1, seconds=3.21)


def make_record(**changes: Any) -> TransferRecord:
    values: dict[str, Any] = {
        "attempt": make_attempt(),
        "baseline": make_baseline(),
        "teachers": (make_comparison().second,),
        "class_names": CLASS_NAMES,
        "measured_on": "test",
        "keep": "best",
        "num_train": 900,
        "num_validation": 100,
        "num_measured": 100,
        "training": {"epochs": 3, "batch_size": 64, "optimizer": "sgd", "lr": 0.01},
        "seed": 7,
        "data": "pets",
        "data_fingerprint": "0123456789abcdef",
        "device": "cpu (2 cores)",
        "warnings": ("The student has no class owl: <5> samples are left out.",),
    }
    return TransferRecord(**{**values, **changes})
