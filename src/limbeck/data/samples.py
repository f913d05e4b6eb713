"""Samples: inputs and their integer labels, held in memory on one device."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from limbeck.core.errors import require

INTEGER_TYPES = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)


@dataclass(frozen=True, kw_only=True, eq=False)
class Samples:
    """Inputs with one label each; possibly none at all, because a client may hold nothing.

    Attributes:
        inputs: uint8 images [n, channels, height, width] or float32 [n, ...].
        labels: int64 [n], each >= 0; other integer types are widened when the record is built.

    Raises:
        InputError: When a type, a shape, a length or a label breaks these rules.
    """

    inputs: Tensor
    labels: Tensor

    def __post_init__(self) -> None:
        check_inputs(self.inputs)
        check_labels(self.labels, num_inputs=len(self.inputs))
        object.__setattr__(self, "labels", self.labels.long())

    def __len__(self) -> int:
        return len(self.labels)

    def subset(self, ids: Sequence[int] | np.ndarray | Tensor) -> "Samples":
        """The samples at `ids`, in that order; an id may come up more than once.

        Args:
            ids: Integers in [0, n), one dimension.

        Raises:
            InputError: When `ids` are not integers, not one-dimensional or out of range.
        """
        rows = as_rows(ids, num_samples=len(self)).to(self.labels.device)
        return Samples(inputs=self.inputs.index_select(0, rows), labels=self.labels.index_select(0, rows))

    def to(self, device: torch.device | str) -> "Samples":
        """The same samples on another device."""
        return Samples(inputs=self.inputs.to(device), labels=self.labels.to(device))


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


def as_rows(ids: Sequence[int] | np.ndarray | Tensor, *, num_samples: int) -> Tensor:
    """`ids` as an int64 tensor [k], checked to lie in [0, num_samples)."""
    # Copied from NumPy, whose arrays may be read-only or reversed, which torch does not take.
    array = ids.cpu().numpy() if isinstance(ids, Tensor) else np.asarray(ids)
    require(
        array.ndim == 1 and (array.dtype.kind in "iu" or array.size == 0),
        "ids are integers in one dimension",
        f"dtype={array.dtype} with shape={array.shape}",
        "Turn a mask into ids with numpy.flatnonzero.",
    )
    lowest, highest = (int(array.min()), int(array.max())) if array.size else (0, -1)
    require(
        lowest >= 0 and highest < num_samples,
        "0 <= id < number of samples",
        f"ids from {lowest} to {highest} for {num_samples} samples",
        "Use ids of this data set's own partition.",
    )
    return torch.from_numpy(array.astype(np.int64))
