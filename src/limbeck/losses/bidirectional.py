"""Two models that both learn; on each sample the one that knows better teaches the other.

References:
    Bi-directional distillation, 2025, https://arxiv.org/abs/2510.22208.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from limbeck.losses.distillation import kd
from limbeck.losses.supervised import cross_entropy


def bidirectional(
    first_logits: Float[Tensor, "batch classes"],
    second_logits: Float[Tensor, "batch classes"],
    labels: Int[Tensor, " batch"],
) -> list[Float[Tensor, " batch"]]:
    """The losses of models a and b: CE_a + (1 - m) KL(p_b || p_a) and CE_b + m KL(p_a || p_b), in nats.

    m = 1 where p_a[y] > p_b[y]: there a teaches b, and elsewhere, ties included, b teaches a. The teaching
    side is detached, so one backward pass over the sum gives each model its own gradient. All is at
    temperature 1. Law: the two sum to CE_a + CE_b + m KL(p_a || p_b) + (1 - m) KL(p_b || p_a).

    Args:
        first_logits: z_a; gradients flow to the first loss alone.
        second_logits: z_b; gradients flow to the second loss alone.
        labels: Class of each sample.

    Returns:
        The two losses, one number per sample each, at least 0.
    """
    first_ce, second_ce = cross_entropy(first_logits, labels), cross_entropy(second_logits, labels)
    first_knows_better = first_ce < second_ce  # p_a[y] > p_b[y], told apart also where both round to 0
    pull_of_first = kd(first_logits, second_logits.detach(), temperature=1)
    pull_of_second = kd(second_logits, first_logits.detach(), temperature=1)
    return [
        first_ce + torch.where(first_knows_better, 0, pull_of_first),
        second_ce + torch.where(first_knows_better, pull_of_second, 0),
    ]
