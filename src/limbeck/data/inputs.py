"""Inputs: what samples are made of, and the only functions that ask which of the five kinds they are.

A tensor lies in memory. `StoredImages` lie in a file, for data larger than memory. A `View` is either of them
as a model sees it in one epoch. `Texts` are strings, which a tokenizer turns into `Tokens`.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from limbeck.core.errors import InputError
from limbeck.data.kinds import StoredImages, Texts, Tokens, load_rows, take_rows
from limbeck.data.view import View

TOKENIZE = "Tokenize the texts first, with the tokenizer of the model that reads them."

Inputs = Tensor | Tokens | StoredImages | View | Texts


def count_samples(inputs: Inputs) -> int:
    """The number of samples."""
    return len(inputs)


def take_samples(inputs: Inputs, ids: Sequence[int] | np.ndarray | Tensor) -> Inputs:
    """The samples at `ids`, in that order; an id may come up more than once.

    Args:
        inputs: Any kind. Of stored images none is read.
        ids: Integers in [0, n), one dimension.

    Raises:
        InputError: When `ids` are not integers, not one-dimensional or out of range.
    """
    return take_rows(inputs, ids) if isinstance(inputs, Tensor) else inputs.take(ids)


def split_inputs(inputs: Inputs, *, first: int) -> tuple[Inputs, Inputs]:
    """The first inputs and the others; tensors share the memory, and of stored images none is read."""
    if isinstance(inputs, Tensor):
        return inputs[:first], inputs[first:]
    if isinstance(inputs, View):
        shown, others = split_inputs(inputs.inputs, first=first)
        ids = inputs.sample_ids
        return replace(inputs, inputs=shown, ids=ids[:first]), replace(inputs, inputs=others, ids=ids[first:])
    ids = np.arange(len(inputs))
    return inputs.take(ids[:first]), inputs.take(ids[first:])


def load_batch(inputs: Inputs, ids: Tensor, device: torch.device | str) -> Tensor | dict[str, Tensor]:
    """The samples at `ids` in memory on `device`, as a model takes them.

    What already lies on `device` is indexed there, without a copy of the rest and without a wait.

    Args:
        inputs: Any kind but texts.
        ids: int64 [k] in [0, n), on any device.
        device: Where the batch is wanted.

    Returns:
        A tensor [k, ...], or a dict of such tensors for `Tokens`.

    Raises:
        InputError: For `Texts`, which no model takes.
    """
    if isinstance(inputs, View):
        return inputs.load(ids, device)
    if isinstance(inputs, Tokens):
        return {name: column[ids.to(column.device)].to(device) for name, column in inputs.columns.items()}
    if isinstance(inputs, Tensor | StoredImages):
        return load_rows(inputs, ids, device)
    raise InputError(f"`a batch holds numbers` must hold, but got {len(inputs)} texts. {TOKENIZE}")


def input_shape(inputs: Inputs) -> tuple[int, ...]:
    """The shape of one sample: (channels, height, width) for images, () for texts and tokens."""
    if isinstance(inputs, Texts | Tokens):
        return ()
    return tuple(inputs.shape[1:])


def describe_kind(inputs: Inputs) -> str:
    """What one sample is, in words: equal where two data sets can stand in for each other."""
    if isinstance(inputs, Texts):
        return "texts"
    if isinstance(inputs, Tokens):
        return f"tokens ({', '.join(sorted(inputs.columns))})"
    return f"{input_shape(inputs)} {inputs.dtype}"


def move_inputs(inputs: Inputs, device: torch.device | str) -> Inputs:
    """The inputs on another device; stored images and texts stay where they are."""
    return inputs.to(device) if isinstance(inputs, Tensor | Tokens | View) else inputs


def require_tensor(inputs: Inputs) -> Tensor:
    """`inputs` where they are a tensor in memory.

    Raises:
        InputError: When they are of another kind, which a data set of a study does not have.
    """
    if isinstance(inputs, Tensor):
        return inputs
    kinds = {Texts: "texts", Tokens: "tokens", StoredImages: "images in a file", View: "images in a view"}
    raise InputError(
        f"`a study has numbers that fit in memory` must hold, but got {len(inputs)} {kinds[type(inputs)]}. "
        "A study needs data that fit in memory; use transfer or compare."
    )
