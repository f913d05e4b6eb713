"""Labels as sources write them, integers or names, turned into numbers and class names."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from limbeck.core.errors import enumerate_words, require
from limbeck.data.data_set import name_numbers


def number_labels(
    parts: Sequence[Sequence[int] | Sequence[str] | np.ndarray], *, class_names: Sequence[str] = ()
) -> tuple[list[Tensor], tuple[str, ...]]:
    """The labels of each part as int64, and one class name per number.

    Names are numbered in alphabetical order, or as `class_names` stand; integers are kept, and are named as
    `class_names` stand or else by their digits.

    Args:
        parts: The labels of the training part, the test part, ...; all integers or all strings.
        class_names: The names in the order of the numbers, where the source knows them.

    Raises:
        InputError: When integers and strings are mixed, a label is neither, or a name is unknown.
    """
    arrays = [np.asarray(part) for part in parts]
    kinds = {array.dtype.kind for array in arrays if array.size}
    is_text = kinds <= {"U", "T"} and bool(kinds)
    require(
        is_text or kinds <= {"i", "u"},
        "labels are all integers or all strings",
        f"types {enumerate_words(sorted({str(array.dtype) for array in arrays}))}",
        "Write every label as the number or the name of its class.",
    )
    if not is_text:
        highest = max((int(array.max()) for array in arrays if array.size), default=0)
        numbers = [torch.from_numpy(array.astype(np.int64)) for array in arrays]
        return numbers, tuple(class_names) or name_numbers(highest)
    names = tuple(class_names) or tuple(sorted({name for array in arrays for name in array.tolist()}))
    return [_number_names(array.tolist(), names) for array in arrays], names


def _number_names(labels: Sequence[str], names: Sequence[str]) -> Tensor:
    number_of = {name: number for number, name in enumerate(names)}
    unknown = sorted(set(labels) - set(number_of))
    require(
        not unknown,
        "every label is a class name",
        f"the label `{next(iter(unknown), '')}` with the classes {enumerate_words(list(names)[:10])}",
        "Correct it, or add it to the class names.",
    )
    return torch.tensor([number_of[label] for label in labels], dtype=torch.int64)
