"""Comparing two models on the same samples, before any transfer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import nn

from limbeck.core.device import pick_device
from limbeck.data import Inputs, Samples, count_samples
from limbeck.engine import (
    TargetCache,
    accuracy,
    class_accuracy,
    count_batches,
    default_target_cache,
    device_of,
    predict_cached,
)
from limbeck.models import Classifier
from limbeck.pairs.calibration import measure_calibration
from limbeck.pairs.classes import (
    check_class_map,
    count_up,
    find_columns,
    find_names,
    name_some,
    rename_classes,
)
from limbeck.pairs.preparation import (
    Probe,
    prepare_inputs,
    prepare_model,
    probe_model,
    warn_of_chance,
    warn_of_cut_texts,
)
from limbeck.pairs.progress import StepBar
from limbeck.pairs.record import Comparison, Standing
from limbeck.pairs.user_data import read_user_data


def compare(
    first: nn.Module,
    second: nn.Module,
    data: Any,
    *,
    names: tuple[str, str] = ("A", "B"),
    class_map: Mapping[str, str] | None = None,
    device: str = "auto",
    cache: bool = True,
    progress: bool = True,
) -> Comparison:
    """What the second model knows that the first does not, and the reverse, on the same labelled samples.

    Law: the four counts (both right, both wrong, either flip) sum to the number of samples, and the second's
    accuracy minus the first's is (positive flips - negative flips) / samples.

    Args:
        first: The model that would learn: any module that returns logits, or a `limbeck.models.Classifier`.
        second: The model that would teach.
        data: A data set, whose test part is used, samples, a pair (inputs, labels), a PyTorch data set, or
            the name or path of a data set.
        names: What to call the models.
        class_map: The models' class names to the data's, where they differ.
        device: `auto`, `cpu` or `cuda`.
        cache: Whether logits are kept in the user's cache folder, so that the next call need not ask again.
        progress: Whether to show progress on stderr or in the notebook.

    Raises:
        InputError: When a model does not take the samples, or its classes have no names that fit the data.
    """
    given, place = read_user_data(data), pick_device(device)
    samples = given.train if given.test is None else given.test
    classifiers = [
        prepare_model(model, place, whose=whose) for model, whose in zip((first, second), names, strict=True)
    ]
    inputs = prepare_inputs(samples.inputs, classifiers, place)
    probes = [
        probe_model(classifier, inputs, whose=whose)
        for classifier, whose in zip(classifiers, names, strict=True)
    ]
    class_names = given.class_names or _name_classes(samples, classifiers, probes)
    own_names = [
        find_names(classifier.class_names, [class_names], num_classes=probe.num_classes, whose=whose)
        for classifier, probe, whose in zip(classifiers, probes, names, strict=True)
    ]
    check_class_map(class_map or {}, others=[*own_names[0], *own_names[1]], names=class_names)
    renamed = [rename_classes(own, class_map or {}) for own in own_names]
    judge = Judge(cache=default_target_cache() if cache else None, shows_progress=progress)
    verdicts = [
        judge.hear(classifier, inputs, find_columns(own, class_names), whose=whose)
        for classifier, own, whose in zip(classifiers, renamed, names, strict=True)
    ]
    labels = samples.labels.cpu().numpy()
    warnings = [warning for probe in probes for warning in probe.warnings]
    warnings += warn_of_cut_texts(samples.inputs, classifiers, names)
    for classifier, verdict, own, whose in zip(classifiers, verdicts, renamed, names, strict=True):
        warnings += _warn_of_missing(class_names, own, labels, whose=whose)
        warnings += warn_of_chance(
            verdict.predictions, labels, find_columns(class_names, own), whose=whose, model=classifier
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


@dataclass(frozen=True, kw_only=True)
class Judge:
    """Asks models about samples.

    Attributes:
        cache: Where logits are kept, None for nowhere.
        shows_progress: Whether to show it.
    """

    cache: TargetCache | None
    shows_progress: bool

    def hear(
        self, classifier: nn.Module, inputs: Inputs, places: Sequence[int | None], *, whose: str
    ) -> Verdict:
        """The verdict of a model whose class c is class ``places[c]`` of the samples."""
        num_batches = count_batches(count_samples(inputs), device_of(classifier))
        with StepBar(f"asking {whose}", num_batches, is_shown=self.shows_progress) as bar:
            logits = predict_cached(classifier, inputs, self.cache, after_batch=bar.advance)
        confidences, classes = logits.softmax(dim=-1).max(dim=-1)
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


def _name_classes(
    samples: Samples, classifiers: Sequence[Classifier], probes: Sequence[Probe]
) -> tuple[str, ...]:
    """For samples whose labels have no names those of a model, else numbers."""
    needed = int(samples.labels.max()) + 1
    named = next((c.class_names for c in classifiers if c.class_names is not None), ())
    if len(named) >= needed:
        return named
    return count_up(max(needed, *(probe.num_classes for probe in probes)))


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
