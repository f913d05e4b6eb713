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


def weighted_probabilities(
    teacher_logits: Float[Tensor, "teachers batch classes"],
    weights: Float[Tensor, "teachers batch"],
    *,
    temperature: float,
) -> Float[Tensor, "batch classes"]:
    """The logits whose softened probabilities are a weighted mean, T log sum_k v_k softmax(z_k / T).

    Laws: equal weights give `mean_probabilities`; the whole weight on one teacher gives its logits up to a
    shift of each row.

    Args:
        teacher_logits: Stacked logits; gradients flow.
        weights: v_k of each sample, at least 0 and summing to 1 over the teachers; no gradients flow.
        temperature: T > 0, the temperature the result will be softened with.

    Returns:
        Logits in float32 or better.
    """
    log_probabilities = (at_least_float32(teacher_logits) / temperature).log_softmax(dim=-1)
    log_weights = at_least_float32(weights.detach()).log()
    return temperature * (log_probabilities + log_weights[..., None]).logsumexp(dim=0)


def mean_logits(
    teacher_logits: Float[Tensor, "teachers batch classes"],
) -> Float[Tensor, "batch classes"]:
    """The mean of the teachers' logits: the geometric mean of their probabilities, scaled to sum to 1.

    Laws: shifting one teacher's row shifts the mean's row; the same target at every temperature.

    Args:
        teacher_logits: Stacked logits; gradients flow.

    Returns:
        Logits in float32 or better.
    """
    return at_least_float32(teacher_logits).mean(dim=0)
