"""Rows moved to mean 0, told apart from rows that have nothing but rounding to move."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

ROUNDING_STEPS = 4


class CentredRows(NamedTuple):
    """Rows minus their means.

    Attributes:
        values: At mean 0.
        length: The Euclidean length of each row, 0 at least.
        is_constant: True where the length is no more than rounding leaves of a constant row.
    """

    values: Float[Tensor, "*batch classes"]
    length: Float[Tensor, "*batch 1"]
    is_constant: Bool[Tensor, "*batch 1"]


def centre_rows(rows: Float[Tensor, "*batch classes"]) -> CentredRows:
    """Each row minus its mean; gradients flow, and are finite, to `values` and `length`."""
    centred = rows - rows.mean(dim=-1, keepdim=True)
    length = torch.linalg.vector_norm(centred, dim=-1, keepdim=True)
    limits = torch.finfo(rows.dtype)
    rounding = ROUNDING_STEPS * limits.eps * torch.linalg.vector_norm(rows.detach(), dim=-1, keepdim=True)
    smallest = limits.tiny**0.5  # the squares of anything smaller are lost
    return CentredRows(centred, length, length <= rounding + smallest)
