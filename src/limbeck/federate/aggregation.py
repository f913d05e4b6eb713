"""Clients' weights become one model's, by the mean or by rules that a few bad clients cannot move far.

References:
    Mean: McMahan et al. 2017, https://arxiv.org/abs/1602.05629, algorithm 1.
    Coordinate-wise median and trimmed mean: Yin et al. 2018, https://arxiv.org/abs/1803.01498, definitions 1
    and 2.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from limbeck.core.errors import require
from limbeck.federate.messages import State
from limbeck.federate.plan import Plan
from limbeck.models.averaging import weighted_average


def aggregate(states: Sequence[State], shares: Sequence[float], plan: Plan) -> dict[str, Tensor]:
    """One state made of several.

    Laws: of equal states it is that state; the order of the states does not matter to median and trimmed
    mean, and fewer than half of them, respectively than `plan.trim` of them, cannot move these beyond the
    others'.

    Args:
        states: One per client, with the same names and shapes.
        shares: How much each counts for the mean; the other rules count all alike.
        plan: Says the rule.

    Raises:
        InputError: When there is no state, or names or shapes differ.
    """
    if plan.aggregation == "mean":
        return weighted_average(states, shares)
    _require_alike(states)
    middle = (len(states) - 1) // 2
    cut = middle if plan.aggregation == "median" else _count_cut(plan.trim, len(states), middle)
    return {name: _central_mean([state[name] for state in states], cut) for name in states[0]}


def _count_cut(trim: float, num_states: int, most: int) -> int:
    """How many are cut off at each end: the share, rounded down, but one at least where any is wanted."""
    return min(max(int(trim * num_states), 1 if trim > 0 else 0), most)


def _require_alike(states: Sequence[State]) -> None:
    shapes = [{name: tuple(tensor.shape) for name, tensor in state.items()} for state in states]
    require(
        len(states) > 0 and all(shape == shapes[0] for shape in shapes),
        "there are states, and all have the same names and shapes",
        f"{len(states)} of them",
        "Aggregate models of one architecture only.",
    )


def _central_mean(tensors: Sequence[Tensor], cut: int) -> Tensor:
    """Per coordinate the mean of what is left without the `cut` smallest and largest values."""
    stacked = torch.stack(list(tensors))
    if not stacked.is_floating_point():
        return stacked.amax(dim=0)
    ordered = stacked.sort(dim=0).values
    return ordered[cut : len(tensors) - cut].mean(dim=0, dtype=torch.float64).to(stacked.dtype)
