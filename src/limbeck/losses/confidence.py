"""How much each of several teachers is to be believed on each sample.

References:
    Zhang et al. 2022, "Confidence-Aware Multi-Teacher Knowledge Distillation" (CA-MKD),
    https://arxiv.org/abs/2201.00007, equations 3 and 4.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from limbeck.core.errors import require
from limbeck.losses.supervised import cross_entropy


def teacher_weights(
    list_of_teacher_logits: Sequence[Float[Tensor, "batch classes"]], labels: Int[Tensor, " batch"]
) -> Float[Tensor, "teachers batch"]:
    """The weight of each teacher on each sample, v_k = (1 - exp(CE_k) / sum_j exp(CE_j)) / (K - 1).

    A teacher that gives the label more probability weighs more. Laws: the weights of a sample sum to 1; equal
    teachers weigh 1 / K; no teacher weighs more than 1 / (K - 1). One teacher alone weighs 1, where the
    formula is undefined.

    Args:
        list_of_teacher_logits: One tensor per teacher, K >= 1; gradients flow.
        labels: Class of each sample.

    Returns:
        Weights in [0, 1], in float32 or better.

    Raises:
        InputError: Without a teacher.
    """
    num_teachers = len(list_of_teacher_logits)
    require(num_teachers >= 1, "teachers >= 1", f"teachers={num_teachers}", "Give the logits of a teacher.")
    losses = torch.stack([cross_entropy(logits, labels) for logits in list_of_teacher_logits])
    if num_teachers == 1:
        return torch.ones_like(losses)
    return (1 - losses.softmax(dim=0)) / (num_teachers - 1)
