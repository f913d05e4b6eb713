"""Samples: inputs and their integer labels."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from limbeck.core.errors import count, require
from limbeck.data.inputs import Inputs, count_samples, describe_kind, move_inputs, take_samples
from limbeck.data.kinds import as_rows

INTEGER_TYPES = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)


@dataclass(frozen=True, kw_only=True, eq=False)
class Samples:
    """Inputs with one label each; possibly none at all, because a client may hold nothing.

    Attributes:
        inputs: uint8 images [n, channels, height, width], float32 [n, ...], or one of the other kinds of
            `limbeck.data.Inputs`: texts, tokens, images in a file, or a view.
        labels: int64 [n], each >= 0; other integer types are widened when the record is built.

    Raises:
        InputError: When a type, a shape, a length or a label breaks these rules.
    """

    inputs: Inputs
    labels: Tensor

    def __post_init__(self) -> None:
        if isinstance(self.inputs, Tensor):
            check_inputs(self.inputs)
        check_labels(self.labels, num_inputs=count_samples(self.inputs))
        object.__setattr__(self, "labels", self.labels.long())

    def __repr__(self) -> str:
        return f"Samples({count(len(self), 'sample')} of {describe_kind(self.inputs)})"

    def __len__(self) -> int:
        return len(self.labels)

    def subset(self, ids: Sequence[int] | np.ndarray | Tensor) -> "Samples":
        """The samples at `ids`, in that order; an id may come up more than once.

        Args:
            ids: Integers in [0, n), one dimension.

        Raises:
            InputError: When `ids` are not integers, not one-dimensional or out of range.
        """
        rows = as_rows(ids, num_samples=len(self))
        labels = self.labels.index_select(0, rows.to(self.labels.device))
        return Samples(inputs=take_samples(self.inputs, rows), labels=labels)

    def to(self, device: torch.device | str) -> "Samples":
        """The same samples on another device; images in a file and texts stay where they are."""
        return Samples(inputs=move_inputs(self.inputs, device), labels=self.labels.to(device))


def check_inputs(inputs: Tensor) -> None:
    """Raise `InputError` unless `inputs` are uint8 images or float32 with at least one feature axis."""
    require(
        inputs.dtype in (torch.uint8, torch.float32),
        "inputs are uint8 or float32",
        f"dtype={inputs.dtype}",
        "Convert images to uint8 in 0..255 and anything else to float32.",
    )
    shape = tuple(inputs.shape)
    fits = inputs.ndim == 4 if inputs.dtype == torch.uint8 else inputs.ndim >= 2
    require(
        fits and 0 not in shape[1:],
        "uint8 inputs are [n, channels, height, width], float32 inputs [n, features, ...]",
        f"dtype={inputs.dtype} with shape={shape}",
        "Add the missing axis, or convert to float32 where the inputs are not images.",
    )


def check_labels(labels: Tensor, *, num_inputs: int) -> None:
    """Raise `InputError` unless `labels` are one integer >= 0 per input."""
    require(
        labels.dtype in INTEGER_TYPES,
        "labels are integers",
        f"dtype={labels.dtype}",
        "Number the classes 0, 1, 2 and so on.",
    )
    require(
        tuple(labels.shape) == (num_inputs,),
        "there is one label per input",
        f"{num_inputs} inputs and labels of shape {tuple(labels.shape)}",
        "Pass inputs and labels of the same samples.",
    )
    smallest = int(labels.min()) if num_inputs else 0
    require(
        smallest >= 0,
        "labels >= 0",
        f"label {smallest}",
        "Leave out samples without a label, often marked -1.",
    )
