"""Comparing two models on the same samples, before any transfer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from torch import nn

from limbeck.core.device import pick_device
from limbeck.data import DataSet, Samples
from limbeck.engine import accuracy, class_accuracy, predict_logits
from limbeck.models import Classifier
from limbeck.pairs.calibration import measure_calibration
from limbeck.pairs.classes import agree_on_names, find_columns, name_some, rename_classes
from limbeck.pairs.preparation import (
    prepare_inputs,
    prepare_model,
    probe_model,
    warn_of_chance,
)
from limbeck.pairs.record import Comparison, Standing


def compare(
    first: nn.Module,
    second: nn.Module,
    data: DataSet | Samples,
    *,
    names: tuple[str, str] = ("A", "B"),
    class_map: Mapping[str, str] | None = None,
    device: str = "auto",
) -> Comparison:
    """What the second model knows that the first does not, and the reverse, on the same labelled samples.

    Law: the four counts (both right, both wrong, either flip) sum to the number of samples, and the second's
    accuracy minus the first's is (positive flips - negative flips) / samples.

    Args:
        first: The model that would learn: any module that returns logits, or a `limbeck.models.Classifier`.
        second: The model that would teach.
        data: A data set, whose test part is used, or samples.
        names: What to call the models.
        class_map: The models' class names to the data's, where they differ.
        device: `auto`, `cpu` or `cuda`.

    Raises:
        InputError: When a model does not take the samples, or its classes have no names that fit the data.
    """
    samples = data.test if isinstance(data, DataSet) else data
    place = pick_device(device)
    classifiers = [prepare_model(model, place) for model in (first, second)]
    inputs = prepare_inputs(samples.inputs, classifiers, place)
    probes = [
        probe_model(classifier, inputs, whose=whose)
        for classifier, whose in zip(classifiers, names, strict=True)
    ]
    class_names = _class_names(data, classifiers, [probe.num_classes for probe in probes])
    labels = samples.labels.cpu().numpy()
    verdicts, warnings = [], []
    for classifier, probe, whose in zip(classifiers, probes, names, strict=True):
        own_names = agree_on_names(
            classifier.class_names, class_names, num_classes=probe.num_classes, whose=whose
        )
        renamed = rename_classes(own_names, class_map or {})
        verdict = judge(classifier, inputs, find_columns(renamed, class_names))
        verdicts.append(verdict)
        warnings += [*probe.warnings, *_warn_of_missing(class_names, renamed, labels, whose=whose)]
        warnings += warn_of_chance(
            accuracy(verdict.predictions, labels), num_classes=len(class_names), whose=whose
        )
    return _compare_verdicts(verdicts, labels, names=names, class_names=class_names, warnings=warnings)


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What a model says about samples.

    Attributes:
        predictions: Class per sample in the data's numbers, -1 for a class that the data lack.
        confidences: Largest probability per sample.
    """

    predictions: np.ndarray
    confidences: np.ndarray


def judge(classifier: nn.Module, inputs: object, places: Sequence[int | None]) -> Verdict:
    """The verdict of a model whose class c is the data's class ``places[c]``."""
    probabilities = predict_logits(classifier, inputs).softmax(dim=-1)  # pyright: ignore[reportArgumentType]
    confidences, classes = probabilities.max(dim=-1)
    numbers = np.array([-1 if place is None else place for place in places])
    return Verdict(predictions=numbers[classes.cpu().numpy()], confidences=confidences.cpu().numpy())


def measure_standing(verdict: Verdict, labels: np.ndarray, *, name: str, num_classes: int) -> Standing:
    """How the model of a verdict does against the labels."""
    is_right = verdict.predictions == labels
    return Standing(
        name=name,
        accuracy=accuracy(verdict.predictions, labels),
        class_accuracy=tuple(class_accuracy(verdict.predictions, labels, num_classes=num_classes)),
        confidence=float(verdict.confidences.mean()),
        calibration_error=measure_calibration(verdict.confidences, is_right),
    )


def _class_names(
    data: DataSet | Samples, classifiers: Sequence[Classifier], nums_classes: Sequence[int]
) -> tuple[str, ...]:
    """The data's class names; of samples without any, those of a model, or numbers."""
    if isinstance(data, DataSet):
        return data.class_names
    named = next((c.class_names for c in classifiers if c.class_names is not None), None)
    highest = int(data.labels.max()) + 1 if len(data) else 0
    if named is not None and len(named) >= highest:
        return named
    return tuple(str(number) for number in range(max(highest, *nums_classes)))


def _warn_of_missing(
    class_names: Sequence[str], model_names: Sequence[str], labels: np.ndarray, *, whose: str
) -> list[str]:
    missing = [index for index, name in enumerate(class_names) if name not in set(model_names)]
    num_samples = int(np.isin(labels, missing).sum())
    if num_samples == 0:
        return []
    named = name_some([class_names[index] for index in missing])
    return [f"{whose} has no class {named}: the {num_samples} samples of it count as wrong for {whose}."]


def _compare_verdicts(
    verdicts: Sequence[Verdict],
    labels: np.ndarray,
    *,
    names: tuple[str, str],
    class_names: tuple[str, ...],
    warnings: Sequence[str],
) -> Comparison:
    first, second = (verdict.predictions for verdict in verdicts)
    first_right, second_right = first == labels, second == labels
    gained, lost = second_right & ~first_right, first_right & ~second_right
    num_classes = len(class_names)
    standings = [
        measure_standing(verdict, labels, name=name, num_classes=num_classes)
        for verdict, name in zip(verdicts, names, strict=True)
    ]
    return Comparison(
        first=standings[0],
        second=standings[1],
        class_names=class_names,
        class_samples=_count(labels, num_classes),
        num_samples=len(labels),
        agreement=float(np.mean(first == second)),
        both_right=int(np.sum(first_right & second_right)),
        both_wrong=int(np.sum(~first_right & ~second_right)),
        positive_flips=int(gained.sum()),
        negative_flips=int(lost.sum()),
        class_positive_flips=_count(labels[gained], num_classes),
        class_negative_flips=_count(labels[lost], num_classes),
        complementary_share=float(gained.mean()),
        warnings=tuple(warnings),
    )


def _count(labels: np.ndarray, num_classes: int) -> tuple[int, ...]:
    return tuple(np.bincount(labels, minlength=num_classes).tolist())
