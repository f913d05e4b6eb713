"""The loss that needs no teacher."""

import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor


def cross_entropy(
    logits: Float[Tensor, "batch classes"], labels: Int[Tensor, " batch"]
) -> Float[Tensor, " batch"]:
    """Cross-entropy of each sample, -log softmax(z)[y], in nats.

    Law: the same for logits shifted by a constant.

    Args:
        logits: Any float type; computed in float32 or better. Gradients flow.
        labels: Class of each sample.

    Returns:
        One number per sample, at least 0.
    """
    return F.cross_entropy(at_least_float32(logits), labels, reduction="none")


def at_least_float32(logits: Tensor) -> Tensor:
    """Logits in float32, or as they are when they are wider: half precision overflows in exponentials."""
    return logits if logits.element_size() >= 4 else logits.float()
