"""Several teachers as one."""

import math

from jaxtyping import Float
from torch import Tensor

from limbeck.losses.supervised import at_least_float32


def mean_probabilities(
    teacher_logits: Float[Tensor, "teachers batch classes"], *, temperature: float
) -> Float[Tensor, "batch classes"]:
    """The logits whose softened probabilities are the mean of the teachers', T log mean_k softmax(z_k / T).

    Law: one teacher keeps its logits up to a shift of each row; it is returned as it is.

    Args:
        teacher_logits: Stacked logits; gradients flow.
        temperature: T > 0, the temperature the result will be softened with.

    Returns:
        Logits in float32 or better.
    """
    if len(teacher_logits) == 1:
        return teacher_logits[0]
    log_probabilities = (at_least_float32(teacher_logits) / temperature).log_softmax(dim=-1)
    return temperature * (log_probabilities.logsumexp(dim=0) - math.log(len(teacher_logits)))
