"""The weights of many models become one model's.

References:
    McMahan et al. 2017, "Communication-Efficient Learning of Deep Networks from Decentralized Data",
    https://arxiv.org/abs/1602.05629, algorithm 1.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from limbeck.core.errors import require


def weighted_average(states: Sequence[Mapping[str, Tensor]], shares: Sequence[float]) -> dict[str, Tensor]:
    """The mean of every floating-point tensor, weighted by `shares`; counters take the largest value.

    The sum is made in float64 in the order given, so the result does not depend on chance. Law: the average
    of equal states is that state.

    Args:
        states: One per model, with the same names and shapes.
        shares: Weight of each, such as its client's number of samples; scaled to sum to 1.

    Returns:
        The averaged state, each tensor in its own type.

    Raises:
        InputError: When there is no state, or names or shapes differ.
    """
    require(len(states) > 0, "at least one state to average", "none", "Give a model or more.")
    require(
        len(shares) == len(states) and min(shares) >= 0 and sum(shares) > 0,
        "one share per state, none negative, not all 0",
        f"shares={list(shares)}",
        "Use the clients' numbers of samples.",
    )
    shapes = [{name: tuple(tensor.shape) for name, tensor in state.items()} for state in states]
    require(
        all(shape == shapes[0] for shape in shapes),
        "all states have the same names and shapes",
        f"{len({str(shape) for shape in shapes})} different ones",
        "Average models of one architecture only.",
    )
    fractions = [share / sum(shares) for share in shares]
    return {name: _average([state[name] for state in states], fractions) for name in states[0]}


def _average(tensors: list[Tensor], fractions: list[float]) -> Tensor:
    first = tensors[0]
    if not first.is_floating_point():
        return torch.stack(tensors).amax(dim=0)
    total = torch.zeros_like(first, dtype=torch.float64)
    for tensor, fraction in zip(tensors, fractions, strict=True):
        total.add_(tensor, alpha=fraction)
    return total.to(first.dtype)
