"""Distillation in two terms: the label against all others, and the others among themselves.

References:
    Zhao et al. 2022, "Decoupled Knowledge Distillation", https://arxiv.org/abs/2203.08679, equations 5 to 7.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from limbeck.losses.classes import label_logits, other_logits
from limbeck.losses.distillation import kd
from limbeck.losses.supervised import at_least_float32


def dkd(
    student_logits: Float[Tensor, "batch classes"],
    teacher_logits: Float[Tensor, "batch classes"],
    labels: Int[Tensor, " batch"],
    *,
    alpha: float,
    beta: float,
    temperature: float,
) -> Float[Tensor, " batch"]:
    """The decoupled divergence of each sample, T^2 (alpha KL(b_t || b_s) + beta KL(q_t || q_s)), in nats.

    With p = softmax(z / T), b = (p[y], 1 - p[y]) and q is the softmax over the classes other than y. Laws:
    ``kd = T^2 (KL(b_t || b_s) + (1 - p_t[y]) KL(q_t || q_s))``; linear in alpha and in beta. With two classes
    the second term is zero, and beta has no effect.

    Args:
        student_logits: z_s; gradients flow.
        teacher_logits: z_t; gradients flow unless the caller detached it.
        labels: Class of each sample.
        alpha: Weight of the label against all others, at least 0; the paper takes 1.
        beta: Weight of the others among themselves, at least 0; the paper takes 8 for most models.
        temperature: T > 0; the paper takes 4.

    Returns:
        One number per sample, at least 0 and 0 where the logits differ by a constant.

    Raises:
        InputError: With a single class.
    """
    student, teacher = (at_least_float32(logits) / temperature for logits in (student_logits, teacher_logits))
    student_others, teacher_others = other_logits(student, labels), other_logits(teacher, labels)
    label_term = kd(
        torch.stack([label_logits(student, labels), student_others.logsumexp(dim=-1)], dim=-1),
        torch.stack([label_logits(teacher, labels), teacher_others.logsumexp(dim=-1)], dim=-1),
        temperature=1,
    )
    others_term = kd(student_others, teacher_others, temperature=1)
    return temperature**2 * (alpha * label_term + beta * others_term)
