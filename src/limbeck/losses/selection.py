"""Choosing, sample by sample, whether the teacher or the student's own past is the target.

References:
    Roth et al. 2023, "Fantastic Gains and Where to Find Them", https://arxiv.org/abs/2310.17653,
    section 4 (data partitioning, DP).
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from limbeck.losses.supervised import at_least_float32


def select_targets(
    teacher_logits: Float[Tensor, "batch classes"] | Float[Tensor, "teachers batch classes"],
    initial_student_logits: Float[Tensor, "batch classes"],
    labels: Int[Tensor, " batch"] | None = None,
) -> tuple[Float[Tensor, "batch classes"], Bool[Tensor, " batch"]]:
    """The target logits of each sample, taken whole from a teacher or from the frozen initial student.

    The model with the largest score is taken: with labels p[y], without them max p, both at temperature 1.
    Ties stay with the initial student, then with the first teacher. Law: a shift of any row of logits
    changes no choice.

    Args:
        teacher_logits: z_t of the frozen teacher, or of several stacked.
        initial_student_logits: z_0 of the frozen copy of the student before the transfer.
        labels: Class of each sample, or None for the unsupervised choice.

    Returns:
        The selected logits, and True where they are a teacher's.
    """
    teachers = teacher_logits if teacher_logits.ndim == 3 else teacher_logits[None]
    candidates = torch.cat([initial_student_logits[None], teachers])
    chosen = _scores(candidates, labels).argmax(dim=0)
    samples = torch.arange(candidates.shape[1], device=candidates.device)
    return candidates[chosen, samples], chosen > 0


def _scores(logits: Tensor, labels: Tensor | None) -> Tensor:
    probabilities = at_least_float32(logits).softmax(dim=-1)
    if labels is None:
        return probabilities.amax(dim=-1)
    index = labels.expand(len(logits), -1)[..., None]
    return probabilities.gather(-1, index).squeeze(-1)
