"""What a model says about samples, and the numbers that follow from it."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from limbeck.data import Inputs, count_samples, load_batch
from limbeck.engine.layout import Precision, autocast

# On a CPU the activations of 128 samples stay in its caches: a ResNet-56 takes half the time it takes with
# 1,024. A GPU wants more at once.
EVALUATION_BATCH = {"cpu": 128, "cuda": 1024}


def device_of(model: nn.Module) -> torch.device:
    """Where a model's weights lie; the CPU for a model without any."""
    parameter = next(model.parameters(), None)
    return torch.device("cpu") if parameter is None else parameter.device


def count_batches(num_samples: int, device: torch.device) -> int:
    """In how many batches so many samples are evaluated on a device."""
    return math.ceil(num_samples / EVALUATION_BATCH[device.type])


@torch.inference_mode()
def predict_logits(
    model: nn.Module,
    inputs: Inputs,
    *,
    precision: Precision = "float32",
    after_batch: Callable[[], None] = lambda: None,
) -> Tensor:
    """The logits of every sample, [samples, classes] in float32, the model in evaluation mode.

    Args:
        model: Anything that returns logits; its mode is restored afterwards.
        inputs: What the model takes; larger than memory, they are read batch by batch.
        precision: Of the forward pass.
        after_batch: Called after every batch of `EVALUATION_BATCH` samples.
    """
    was_training, device = model.training, device_of(model)
    model.eval()
    said = []
    for batch in _in_order(inputs, device):
        with autocast(precision, device):
            said.append(model(batch).float())
        after_batch()
    model.train(was_training)
    return torch.cat(said)


def _in_order(inputs: Inputs, device: torch.device) -> Iterator[Tensor | dict[str, Tensor]]:
    size = EVALUATION_BATCH[device.type]
    if isinstance(inputs, Tensor):  # parts of the same memory, where any other kind has to be gathered
        return (batch.to(device) for batch in inputs.split(size))
    ids = torch.arange(count_samples(inputs)).split(size)
    return (load_batch(inputs, batch, device) for batch in ids)


def predict(model: nn.Module, inputs: Inputs) -> np.ndarray:
    """The class with the largest logit for every sample, int64 [samples]."""
    return predict_logits(model, inputs).argmax(dim=-1).cpu().numpy()


def accuracy(predictions: np.ndarray, labels: np.ndarray) -> float:
    """The share of samples whose prediction is the label, in [0, 1]."""
    return float(np.mean(predictions == labels))


def class_accuracy(predictions: np.ndarray, labels: np.ndarray, *, num_classes: int) -> list[float | None]:
    """Per class the accuracy on its samples, None for a class without samples."""
    sizes = np.bincount(labels, minlength=num_classes)
    correct = np.bincount(labels[predictions == labels], minlength=num_classes)
    return [float(hits / size) if size else None for hits, size in zip(correct, sizes, strict=True)]


def tells_better_than_chance(
    predictions: np.ndarray, labels: np.ndarray, *, num_classes: int
) -> list[bool | None]:
    """Per class whether its samples are recognised more often than by guessing, None without samples."""
    per_class = class_accuracy(predictions, labels, num_classes=num_classes)
    return [None if value is None else value > 1 / num_classes for value in per_class]


@dataclass(frozen=True, kw_only=True)
class Change:
    """What a transfer did to a student, measured on the same samples before and after.

    Attributes:
        accuracy_before: Accuracy of the student it started from, in [0, 1].
        accuracy_after: Accuracy of the student it made.
        gain: Accuracy after minus before.
        forgetting: Accuracy lost on the classes the student knew; see `measure_change`.
        positive_flips: Samples that only the student after gets right.
        negative_flips: Samples that only the student before got right.
        class_accuracy_before: Per class, None for a class without samples.
        class_accuracy_after: Per class, None for a class without samples.
    """

    accuracy_before: float
    accuracy_after: float
    gain: float
    forgetting: float
    positive_flips: int
    negative_flips: int
    class_accuracy_before: list[float | None]
    class_accuracy_after: list[float | None]


def measure_change(
    before: np.ndarray,
    after: np.ndarray,
    labels: np.ndarray,
    *,
    known_classes: Sequence[int],
    num_classes: int,
) -> Change:
    """Compare two students' predictions on the same samples.

    Forgetting is the sum over the known classes of max(0, accuracy before - after), weighted by the classes'
    samples: a class that got better does not hide one that got worse. Law: gain equals (positive flips -
    negative flips) / samples.

    Args:
        before: Predicted class per sample before the transfer.
        after: The same after it.
        labels: True class per sample.
        known_classes: The classes in the student's own data.
        num_classes: Number of classes.
    """
    class_before = class_accuracy(before, labels, num_classes=num_classes)
    class_after = class_accuracy(after, labels, num_classes=num_classes)
    sizes = np.bincount(labels, minlength=num_classes)
    losses = {
        known: max(0.0, class_before[known] - class_after[known])  # pyright: ignore[reportOperatorIssue]
        for known in known_classes
        if sizes[known]
    }
    num_known = sum(int(sizes[known]) for known in losses)
    lost = sum(loss * int(sizes[known]) for known, loss in losses.items())
    return Change(
        accuracy_before=accuracy(before, labels),
        accuracy_after=accuracy(after, labels),
        gain=accuracy(after, labels) - accuracy(before, labels),
        forgetting=lost / num_known if num_known else 0.0,
        positive_flips=int(np.sum((after == labels) & (before != labels))),
        negative_flips=int(np.sum((after != labels) & (before == labels))),
        class_accuracy_before=class_before,
        class_accuracy_after=class_after,
    )
