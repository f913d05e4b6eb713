"""Pulling a student's probabilities to rise and fall with the teacher's, whatever their size.

References:
    Huang et al. 2022, "Knowledge Distillation from A Stronger Teacher", https://arxiv.org/abs/2205.10536,
    equations 8 to 10.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from limbeck.core.errors import require
from limbeck.losses.rows import centre_rows
from limbeck.losses.supervised import at_least_float32


def dist(
    student_logits: Float[Tensor, "batch classes"],
    teacher_logits: Float[Tensor, "batch classes"],
    *,
    beta: float,
    gamma: float,
    temperature: float,
) -> Float[Tensor, ""]:
    """The lack of correlation of a batch, T^2 (beta (1 - mean rho_row) + gamma (1 - mean rho_column)).

    rho is Pearson's correlation of softmax(z / T) of student and teacher: within a sample over its classes
    (row), and within a class over the samples of the batch (column). Laws: permuting the batch changes
    nothing; 0 where student and teacher agree and nothing is constant; linear in beta and in gamma.

    A row or column that is constant but for rounding, on either side, has no correlation: it counts as
    rho = 0 and passes no gradient. So a class that neither ever predicts adds a constant.

    Args:
        student_logits: z_s; gradients flow.
        teacher_logits: z_t; gradients flow unless the caller detached it.
        beta: Weight of the rows, at least 0.
        gamma: Weight of the columns, at least 0.
        temperature: T > 0.

    Returns:
        One number for the batch, in [0, 2 T^2 (beta + gamma)]: a column belongs to no single sample.

    Raises:
        InputError: With fewer than two samples, unless gamma = 0.
    """
    student = (at_least_float32(student_logits) / temperature).softmax(dim=-1)
    teacher = (at_least_float32(teacher_logits) / temperature).softmax(dim=-1)
    rows = beta * (1 - _correlate_rows(student, teacher).mean())
    if gamma == 0:
        return temperature**2 * rows
    num_samples = len(student)
    require(
        num_samples >= 2,
        "samples in a batch >= 2",
        f"samples={num_samples}",
        "Use larger batches, drop the last one, or set gamma to 0.",
    )
    return temperature**2 * (rows + gamma * (1 - _correlate_rows(student.T, teacher.T).mean()))


def _correlate_rows(first: Tensor, second: Tensor) -> Tensor:
    return (_standardize_rows(first) * _standardize_rows(second)).sum(dim=-1)


def _standardize_rows(rows: Tensor) -> Tensor:
    """Each row at mean 0 and length 1; zeros without gradient where it is constant but for rounding."""
    centred = centre_rows(rows)
    return torch.where(
        centred.is_constant, 0, centred.values / torch.where(centred.is_constant, 1, centred.length)
    )
