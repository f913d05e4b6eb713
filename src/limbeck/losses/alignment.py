"""A teacher whose classes are not the student's, said in the student's classes."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from limbeck.losses.supervised import at_least_float32

# A class that is ruled out has no probability left at temperatures up to 100, and yet a finite logit.
RULED_OUT = -1e4


def align_logits(
    teacher_logits: Float[Tensor, "batch teacher_classes"],
    initial_student_logits: Float[Tensor, "batch classes"] | None,
    columns: Sequence[int | None],
    labels: Int[Tensor, " batch"] | None = None,
) -> Float[Tensor, "batch classes"]:
    """The teacher's logits in the student's classes, where the two share some classes and lack others.

    Let S be the shared classes, p_t the teacher's probabilities within S and p_0 the initial student's.
    Classes that the student lacks are left out. Where the teacher lacks some of the student's,

    * with labels, a sample of a class in S gets p_t, all other classes ruled out; any other sample gets p_0,
      since the teacher cannot know it;
    * without labels, a class c in S gets p_0(S) p_t(c), and any other class p_0(c): the teacher decides
      between the classes it knows, and the student how much all of these weigh.

    Laws: the same columns in another order only permute; without labels, a class the teacher lacks keeps the
    initial student's probability.

    Args:
        teacher_logits: In the teacher's classes.
        initial_student_logits: z_0 of the frozen copy of the student before the transfer; None will do where
            the teacher lacks no class.
        columns: Per class of the student the teacher's column, None where it has none. At least
            one is shared.
        labels: Class of each sample in the student's numbers, None when the samples are unlabelled.

    Returns:
        Logits in float32 or better; the teacher's own values where it lacks no class of the student's.
    """
    shared = [index for index, column in enumerate(columns) if column is not None]
    chosen = teacher_logits[:, [column for column in columns if column is not None]]
    if len(shared) == len(columns):
        return chosen
    assert initial_student_logits is not None
    initial = at_least_float32(initial_student_logits)
    within = at_least_float32(chosen).log_softmax(dim=-1).to(initial.dtype)
    if labels is None:
        aligned = initial.clone()
        aligned[:, shared] = within + initial[:, shared].logsumexp(dim=-1, keepdim=True)
        return aligned
    alone = torch.full_like(initial, RULED_OUT)
    alone[:, shared] = within
    is_shared = torch.tensor([column is not None for column in columns], device=labels.device)[labels]
    return torch.where(is_shared[:, None], alone, initial)
