"""Pulling a student's softened output towards a target's.

References:
    Hinton, Vinyals, Dean 2015, "Distilling the Knowledge in a Neural Network",
    https://arxiv.org/abs/1503.02531, section 2.
"""

import math
from collections.abc import Callable

import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from limbeck.core.errors import require
from limbeck.losses.supervised import at_least_float32, cross_entropy


def kd(
    student_logits: Float[Tensor, "batch classes"],
    teacher_logits: Float[Tensor, "batch classes"],
    *,
    temperature: float,
) -> Float[Tensor, " batch"]:
    """The softened divergence of each sample, T^2 KL(softmax(z_t / T) || softmax(z_s / T)), in nats.

    T^2 keeps the size of the gradient comparable between temperatures. Law: as T grows the value tends to
    ``|(z_s - mean z_s) - (z_t - mean z_t)|^2 / (2 C)``.

    Args:
        student_logits: z_s; gradients flow.
        teacher_logits: z_t; gradients flow unless the caller detached it.
        temperature: T > 0.

    Returns:
        One number per sample, at least 0 and 0 where the logits differ by a constant.
    """
    student = F.log_softmax(at_least_float32(student_logits) / temperature, dim=-1)
    teacher = F.log_softmax(at_least_float32(teacher_logits) / temperature, dim=-1)
    divergence = F.kl_div(student, teacher, reduction="none", log_target=True).sum(dim=-1)
    return temperature**2 * divergence


def distillation(
    student_logits: Float[Tensor, "batch classes"],
    target_logits: Float[Tensor, "batch classes"],
    labels: Int[Tensor, " batch"] | None,
    *,
    temperature: float,
    weight: float,
) -> Float[Tensor, " batch"]:
    """The blend of labels and target of each sample: (1 - w) CE(z_s, y) + w T^2 KL(p_t^T || p_s^T).

    Law: linear in w between cross-entropy (w = 0) and `kd` (w = 1).

    Args:
        student_logits: z_s; gradients flow.
        target_logits: z_t; gradients flow unless the caller detached it.
        labels: Class of each sample; may be None when w = 1.
        temperature: T > 0.
        weight: w in [0, 1].

    Returns:
        One number per sample, at least 0, in nats.

    Raises:
        InputError: When T or w is out of range, or labels are missing while w < 1.
    """
    check_settings(temperature=temperature, weight=weight)
    return blend(
        student_logits,
        labels,
        lambda: kd(student_logits, target_logits, temperature=temperature),
        weight=weight,
    )


def blend(
    student_logits: Float[Tensor, "batch classes"],
    labels: Int[Tensor, " batch"] | None,
    pull_fn: Callable[[], Tensor],
    *,
    weight: float,
) -> Float[Tensor, " batch"]:
    """The blend of the labels and any pull: (1 - w) CE(z_s, y) + w pull; neither is computed where it is 0.

    Args:
        student_logits: z_s; gradients flow.
        labels: Class of each sample; may be None when w = 1.
        pull_fn: Gives one number per sample, or one for the batch.
        weight: w in [0, 1].

    Returns:
        One number per sample.

    Raises:
        InputError: When labels are missing while w < 1.
    """
    if weight == 1:
        return pull_fn().expand(len(student_logits))
    require(
        labels is not None,
        "weight == 1 without labels",
        f"weight={weight}",
        "Use weight 1 on unlabelled samples, or give labels.",
    )
    assert labels is not None
    supervised = cross_entropy(student_logits, labels)
    return supervised if weight == 0 else (1 - weight) * supervised + weight * pull_fn()


def check_settings(*, temperature: float, weight: float) -> None:
    """Check the two settings of distillation.

    Raises:
        InputError: When T <= 0 or w is outside [0, 1].
    """
    require(
        0 < temperature < math.inf,
        "temperature > 0",
        f"temperature={temperature}",
        "Usual values are between 1 and 16.",
    )
    require(
        0 <= weight <= 1,
        "0 <= weight <= 1",
        f"weight={weight}",
        "0 is labels alone, 1 is the teacher alone.",
    )
