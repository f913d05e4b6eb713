"""Pulling a student towards a teacher in all classes but the label's.

References:
    Lee et al. 2022, "Preservation of the Global Knowledge by Not-True Distillation in Federated Learning",
    https://arxiv.org/abs/2106.03097, equations 4 to 6; T^2 is in its authors' program, not in the equations.
"""

from jaxtyping import Float, Int
from torch import Tensor

from limbeck.losses.classes import other_logits
from limbeck.losses.distillation import kd


def ntd(
    student_logits: Float[Tensor, "batch classes"],
    teacher_logits: Float[Tensor, "batch classes"],
    labels: Int[Tensor, " batch"],
    *,
    temperature: float,
) -> Float[Tensor, " batch"]:
    """The divergence of each sample among the classes other than its label, T^2 KL(q_t || q_s), in nats.

    q is the softmax of z / T over the classes other than y. Laws: no logit of a label matters; it is `dkd`
    with alpha = 0 and beta = 1; with two classes it is 0.

    Args:
        student_logits: z_s; gradients flow to all but the label's.
        teacher_logits: z_t; gradients flow to all but the label's unless the caller detached it.
        labels: Class of each sample.
        temperature: T > 0; the paper takes 1.

    Returns:
        One number per sample, at least 0 and 0 where the other logits differ by a constant.

    Raises:
        InputError: With a single class.
    """
    return kd(
        other_logits(student_logits, labels), other_logits(teacher_logits, labels), temperature=temperature
    )
