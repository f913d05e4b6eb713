"""A case in numbers: what is known of student, teacher and split before anything is transferred.

Some numbers follow from label counts alone, the others need both models. A case that is only counted is
compared with measured cases by the first kind; whoever has the models compares by both.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from limbeck.partition.description import entropy, js_divergence, mean_between_clients

Features = Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class Feature:
    """One number about a case.

    Attributes:
        label: What it is, for a reader.
        is_share: Whether it is a share, shown in percent.
        needs_models: Whether it takes the models; else label counts are enough.
    """

    label: str
    is_share: bool
    needs_models: bool


FEATURES: dict[str, Feature] = {
    "divergence": Feature(label="divergence of the label mixes, in bits", is_share=False, needs_models=False),
    "missing": Feature(
        label="teacher's samples of classes the student lacks", is_share=True, needs_models=False
    ),
    "unshared": Feature(
        label="student's samples of classes the teacher lacks", is_share=True, needs_models=False
    ),
    "student_spread": Feature(label="student's effective classes, of all", is_share=True, needs_models=False),
    "teacher_spread": Feature(label="teacher's effective classes, of all", is_share=True, needs_models=False),
    "size_ratio": Feature(
        label="teacher's samples over the student's, log2", is_share=False, needs_models=False
    ),
    "class_samples": Feature(label="student's samples per class, log10", is_share=False, needs_models=False),
    "student_accuracy": Feature(label="student's accuracy", is_share=True, needs_models=True),
    "gap": Feature(label="teacher's accuracy minus the student's", is_share=True, needs_models=True),
    "flips": Feature(label="samples only the teacher gets right", is_share=True, needs_models=True),
    "teacher_on_transfer": Feature(
        label="teacher's accuracy on the student's data", is_share=True, needs_models=True
    ),
    "agreement": Feature(label="agreement of both on the student's data", is_share=True, needs_models=True),
    "teacher_confidence": Feature(
        label="teacher's confidence on the student's data", is_share=True, needs_models=True
    ),
    "parameters_ratio": Feature(
        label="teacher's parameters over the student's, log2", is_share=False, needs_models=True
    ),
}
COUNT_FEATURES = tuple(name for name, feature in FEATURES.items() if not feature.needs_models)
MODEL_FEATURES = tuple(name for name, feature in FEATURES.items() if feature.needs_models)


def describe_counts(student: np.ndarray, teacher: np.ndarray) -> dict[str, float]:
    """The features that label counts give.

    Law: equal mixes have divergence 0, `missing` 0 and `unshared` 0; mixes without a common class 1, 1 and 1.

    Args:
        student: Samples per class, shape [classes], at least one in all.
        teacher: The same of the teacher.
    """
    counts = np.stack([student, teacher]).astype(float)
    sizes = counts.sum(axis=1)
    mixes = counts / sizes[:, None]
    # Classes that neither of both has count too: they are classes of the task.
    spreads = np.exp(entropy(mixes)) / len(student)
    return {
        "divergence": float(js_divergence(mixes)[0, 1]),
        "missing": float(mixes[1][student == 0].sum()),
        "unshared": float(mixes[0][teacher == 0].sum()),
        "student_spread": float(spreads[0]),
        "teacher_spread": float(spreads[1]),
        "size_ratio": float(np.log2(sizes[1] / sizes[0])),
        "class_samples": float(np.log10(sizes[0] / len(student))),
    }


def describe_federation(counts: np.ndarray) -> dict[str, float]:
    """The features of a federation.

    Args:
        counts: Samples per client and class, shape [clients, classes], at least one per client.

    Returns:
        ``divergence``: mean over pairs of different clients, in bits; ``coverage``: mean share of the classes
        that a client has; ``clients`` (log2) and ``class_samples`` (log10 of a client's mean samples per
        class).
    """
    num_clients, num_classes = counts.shape
    sizes = counts.sum(axis=1)
    return {
        "divergence": mean_between_clients(js_divergence(counts / sizes[:, None])),
        "coverage": float((counts > 0).mean()),
        "clients": float(np.log2(num_clients)),
        "class_samples": float(np.log10(sizes.mean() / num_classes)),
    }
