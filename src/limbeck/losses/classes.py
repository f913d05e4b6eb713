"""The label's class apart from all others."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from limbeck.core.errors import require


def label_logits(
    logits: Float[Tensor, "batch classes"], labels: Int[Tensor, " batch"]
) -> Float[Tensor, " batch"]:
    """The logit of each sample's label, z[y]; gradients flow."""
    return logits.gather(-1, labels[:, None]).squeeze(-1)


def other_logits(
    logits: Float[Tensor, "batch classes"], labels: Int[Tensor, " batch"]
) -> Float[Tensor, "batch others"]:
    """The logits of all classes but each sample's label, in their order.

    The label is left out, not pushed down by a large number: whatever its logit, nothing of it is left in a
    softmax over the others.

    Args:
        logits: Gradients flow to all but the label's.
        labels: Class of each sample.

    Returns:
        One column fewer than `logits`.

    Raises:
        InputError: With a single class.
    """
    num_classes = logits.shape[-1]
    require(num_classes >= 2, "classes >= 2", f"classes={num_classes}", "Give one column per class.")
    positions = torch.arange(num_classes - 1, device=logits.device)
    return logits.gather(-1, positions + (positions >= labels[:, None]))
