"""Several teachers, each believed about the classes it was trained on."""

import math

from jaxtyping import Bool, Float
from torch import Tensor

from limbeck.losses.supervised import at_least_float32


def coverage_mean(
    teacher_logits: Float[Tensor, "teachers batch classes"],
    known_classes: Bool[Tensor, "teachers classes"],
    *,
    temperature: float,
) -> Float[Tensor, "batch classes"]:
    """The logits whose softened probability of class c is the mean over the teachers that know c.

    With p_k = softmax(z_k / T) and K_c the teachers that know c, the row is T log of the mean over K_c of
    p_k[c]; softening it scales these means to sum to 1. A class that no teacher knows is judged by all.
    Laws: the same as `mean_probabilities` where every teacher knows every class; between two classes, only
    the teachers that know one of them have a say on which is likelier.

    Weighing whole samples by the label would need labels, and would still take a teacher's word on classes it
    never saw. Weighing class by class needs none and does not.

    Args:
        teacher_logits: Stacked logits; gradients flow where a teacher is heard.
        known_classes: True where the teacher was trained on the class.
        temperature: T > 0, the temperature the result will be softened with.

    Returns:
        Logits in float32 or better.
    """
    is_heard = known_classes | ~known_classes.any(dim=0)
    log_probabilities = (at_least_float32(teacher_logits) / temperature).log_softmax(dim=-1)
    heard = log_probabilities.masked_fill(~is_heard[:, None], -math.inf)
    num_heard = is_heard.sum(dim=0).to(heard.dtype)
    return temperature * (heard.logsumexp(dim=0) - num_heard.log())
