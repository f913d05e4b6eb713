"""Logits without their size, so that only their shape is compared.

References:
    Sun et al. 2024, "Logit Standardization in Knowledge Distillation", https://arxiv.org/abs/2403.01427,
    algorithm 1.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from limbeck.core.errors import require
from limbeck.losses.rows import centre_rows
from limbeck.losses.supervised import at_least_float32

SMALLEST_DEVIATION = 1e-7


def standardize(logits: Float[Tensor, "*batch classes"]) -> Float[Tensor, "*batch classes"]:
    """Each row at mean 0 and standard deviation 1, (z - mean) / (std + 1e-7), with the unbiased deviation.

    Apply it to both sides, then `kd` or `dkd` as usual. Laws: shifting a row changes nothing, and scaling it
    next to nothing. A row that is constant but for rounding becomes zeros and passes no gradient: the
    formula's would be 10^7 times the one it receives.

    Args:
        logits: Gradients flow.

    Returns:
        Logits in float32 or better.

    Raises:
        InputError: With a single class, which has no deviation.
    """
    num_classes = logits.shape[-1]
    require(num_classes >= 2, "classes >= 2", f"classes={num_classes}", "Give one column per class.")
    centred = centre_rows(at_least_float32(logits))
    deviation = centred.length / math.sqrt(num_classes - 1)
    return torch.where(centred.is_constant, 0, centred.values / (deviation + SMALLEST_DEVIATION))
