"""Distillation of the label's probability and of the others, scaled to sum to 1.

References:
    Yang et al. 2023, "From Knowledge Distillation to Self-Knowledge Distillation: A Unified Approach with
    Normalized Loss and Customized Soft Labels", https://arxiv.org/abs/2303.13005, equation 7.
"""

from jaxtyping import Float, Int
from torch import Tensor

from limbeck.losses.classes import label_logits, other_logits
from limbeck.losses.supervised import at_least_float32, cross_entropy


def nkd(
    student_logits: Float[Tensor, "batch classes"],
    teacher_logits: Float[Tensor, "batch classes"],
    labels: Int[Tensor, " batch"],
    *,
    gamma: float,
    temperature: float,
) -> Float[Tensor, " batch"]:
    """The normalised pull of each sample, -p_t[y] log p_s[y] - gamma T^2 sum over c != y of q_t log q_s.

    p is at temperature 1, q is the softmax of z / T over the classes other than y. Both terms are
    cross-entropies: at equality the value is not zero, but the gradient of the second term is. The paper adds
    the labels' cross-entropy; this does not. Law: linear in gamma. With two classes the second term is zero.

    Args:
        student_logits: z_s; gradients flow.
        teacher_logits: z_t; gradients flow unless the caller detached it.
        labels: Class of each sample.
        gamma: Weight of the classes other than the label, at least 0; the paper takes 1.5.
        temperature: T > 0, of the classes other than the label; the paper takes 1.

    Returns:
        One number per sample, at least 0, in nats.

    Raises:
        InputError: With a single class.
    """
    student, teacher = at_least_float32(student_logits), at_least_float32(teacher_logits)
    label_term = label_logits(teacher.softmax(dim=-1), labels) * cross_entropy(student, labels)
    student_others = (other_logits(student, labels) / temperature).log_softmax(dim=-1)
    teacher_others = (other_logits(teacher, labels) / temperature).softmax(dim=-1)
    others_term = -(teacher_others * student_others).sum(dim=-1)
    return label_term + gamma * temperature**2 * others_term
