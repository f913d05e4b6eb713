"""A data set: training and test samples, class names and the fingerprint that identifies them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from limbeck.core.errors import count, require
from limbeck.data.content_hash import hash_content
from limbeck.data.inputs import Inputs, describe_kind, input_shape
from limbeck.data.samples import Samples

# Names are invented only up to here, so that a label such as 10**12 is an error and not a full memory.
MAX_UNNAMED_CLASSES = 100_000


@dataclass(frozen=True, kw_only=True, eq=False)
class DataSet:
    """What a study learns from and is measured on; build it with `make_data_set`.

    Attributes:
        name: What results call it.
        train: The samples that are divided between clients; at least one.
        test: The held-out samples; at least one, of the same shape and type.
        class_names: One distinct name per label, at least two.
        fingerprint: 16 hexadecimal digits, equal for equal samples, labels and class names.

    Raises:
        InputError: When one of these rules is broken or a label has no class name.
    """

    name: str
    train: Samples
    test: Samples
    class_names: tuple[str, ...]
    fingerprint: str

    def __post_init__(self) -> None:
        check_class_names(self.class_names)
        check_same_kind(self.train.inputs, self.test.inputs)
        for part, samples in (("training", self.train), ("test", self.test)):
            check_known_labels(samples.labels, part=part, num_classes=self.num_classes)

    def __repr__(self) -> str:
        sizes = f"{count(len(self.train), 'training sample')} and {count(len(self.test), 'test sample')}"
        kind = describe_kind(self.train.inputs)
        return (
            f"DataSet({self.name!r}, {sizes} of {kind}, {self.num_classes} classes, "
            f"fingerprint {self.fingerprint})"
        )

    @property
    def num_classes(self) -> int:
        """The number of class names, whether or not each has a sample."""
        return len(self.class_names)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one input: (channels, height, width) for images, () for texts and tokens."""
        return input_shape(self.train.inputs)

    @property
    def labels(self) -> np.ndarray:
        """The training labels, int64 [n], on the CPU."""
        return self.train.labels.cpu().numpy()

    @property
    def missing_classes(self) -> tuple[str, ...]:
        """The names of the classes without a training sample, usually none."""
        counts = np.bincount(self.labels, minlength=self.num_classes)
        return tuple(name for name, count in zip(self.class_names, counts, strict=True) if count == 0)

    def subset(self, ids: Sequence[int] | np.ndarray | Tensor) -> Samples:
        """The training samples at `ids`; see `Samples.subset`."""
        return self.train.subset(ids)


def make_data_set(name: str, train: Samples, test: Samples, class_names: Iterable[str]) -> DataSet:
    """The data set with its fingerprint.

    Args:
        name: What results call it.
        train: The samples to learn from.
        test: The held-out samples.
        class_names: One distinct name per label, in the order of the labels.

    Returns:
        A checked data set.

    Raises:
        InputError: When a float input is NaN or infinite, or a rule of `DataSet` is broken.
    """
    names = tuple(class_names)
    for part, samples in (("training", train), ("test", test)):
        check_finite(samples.inputs, part=part)
    fingerprint = hash_content((train.inputs, train.labels, test.inputs, test.labels), names)
    return DataSet(name=name, train=train, test=test, class_names=names, fingerprint=fingerprint)


def number_classes(*parts: Samples) -> tuple[str, ...]:
    """The names ``"0"``, ``"1"``, ... up to the highest label, for sources that name no classes.

    Raises:
        InputError: When the highest label is beyond any plausible number of classes.
    """
    return name_numbers(max((int(samples.labels.max()) for samples in parts if len(samples)), default=0))


def name_numbers(highest: int) -> tuple[str, ...]:
    """The names ``"0"``, ``"1"``, ... up to `highest`; see `number_classes`."""
    require(
        highest < MAX_UNNAMED_CLASSES,
        f"labels < {MAX_UNNAMED_CLASSES} where no class names are given",
        f"label {highest}",
        "Number the classes 0, 1, 2 and so on.",
    )
    return tuple(str(label) for label in range(highest + 1))


def check_class_names(names: tuple[str, ...]) -> None:
    """Raise `InputError` unless there are at least two class names and each is there once."""
    require(
        len(names) >= 2,
        "a data set has at least 2 classes",
        f"class_names={names}",
        "Name every class, or choose data with more than one label.",
    )
    repeated = (
        sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    )
    require(not repeated, "class names are distinct", f"{repeated} more than once", "Rename one of them.")


def check_same_kind(train: Inputs, test: Inputs) -> None:
    """Raise `InputError` unless both parts hold samples of one kind, shape and type."""
    require(
        len(train) > 0 and len(test) > 0,
        "there are training and test samples",
        f"{len(train)} training and {len(test)} test samples",
        "Hold some samples out for the test.",
    )
    kinds = [describe_kind(inputs) for inputs in (train, test)]
    require(
        kinds[0] == kinds[1],
        "training and test inputs have one shape and type",
        f"{kinds[0]} and {kinds[1]}",
        "Bring both to the same shape and type.",
    )


def check_known_labels(labels: Tensor, *, part: str, num_classes: int) -> None:
    """Raise `InputError` unless every label has a class name."""
    highest = int(labels.max())
    require(
        highest < num_classes,
        "label < number of classes",
        f"the {part} label {highest} with {num_classes} classes",
        "Name every class, or renumber the labels from 0.",
    )


def check_finite(inputs: Inputs, *, part: str) -> None:
    """Raise `InputError` when a float input is NaN or infinite."""
    if not isinstance(inputs, Tensor) or not inputs.is_floating_point():
        return
    broken = torch.nonzero(~torch.isfinite(inputs).flatten(1).all(dim=1)).flatten()
    first = f", the first at {int(broken[0])}" if len(broken) else ""
    require(
        len(broken) == 0,
        "inputs are finite",
        f"NaN or infinity in {count(len(broken), f'{part} sample')}{first}",
        "Fill in or drop these samples.",
    )
