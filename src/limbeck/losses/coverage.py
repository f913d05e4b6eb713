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
    """`share_mean` in which every teacher that knows a class counts for it alike.

    Law: the same as `mean_probabilities` where every teacher knows every class.

    Args:
        teacher_logits: Stacked logits; gradients flow where a teacher is heard.
        known_classes: True where the teacher was trained on the class.
        temperature: T > 0, the temperature the result will be softened with.

    Returns:
        Logits in float32 or better.
    """
    return share_mean(teacher_logits, known_classes.to(teacher_logits.dtype), temperature=temperature)


def share_mean(
    teacher_logits: Float[Tensor, "teachers batch classes"],
    shares: Float[Tensor, "teachers classes"],
    *,
    temperature: float,
) -> Float[Tensor, "batch classes"]:
    """The logits whose softened probability of class c is the mean over teachers by their shares of c.

    With p_k = softmax(z_k / T) and s_kc the share of teacher k in class c, scaled to sum to 1 over the
    teachers, the row is T log of the sum of s_kc p_k[c] over k; softening it scales these means to sum to 1.
    A class in which no teacher has a share is judged by all. Law: between two classes, only the teachers with
    a share in one of them have a say on which is likelier.

    Weighing whole samples by the label would need labels, and would still take a teacher's word on classes it
    never saw. Weighing class by class needs none and does not.

    Args:
        teacher_logits: Stacked logits; gradients flow where a teacher is heard.
        shares: At least 0, such as the number of samples of the class a teacher was trained on.
        temperature: T > 0, the temperature the result will be softened with.

    Returns:
        Logits in float32 or better.
    """
    shares = at_least_float32(shares)
    totals = shares.sum(dim=0)
    scaled = shares.where(totals > 0, 1.0)
    scaled = scaled / scaled.sum(dim=0)
    log_probabilities = (at_least_float32(teacher_logits) / temperature).log_softmax(dim=-1)
    heard = log_probabilities.masked_fill((scaled == 0)[:, None], -math.inf)
    return temperature * (heard + scaled.clamp_min(1e-30).log()[:, None]).logsumexp(dim=0)
