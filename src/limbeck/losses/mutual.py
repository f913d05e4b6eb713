"""Models that teach each other while all of them learn.

References:
    Zhang et al. 2018, "Deep Mutual Learning", https://arxiv.org/abs/1706.00384, equations 5 and 8.
"""

from collections.abc import Sequence

from jaxtyping import Float, Int
from torch import Tensor

from limbeck.core.errors import require
from limbeck.losses.distillation import kd
from limbeck.losses.supervised import cross_entropy


def mutual(
    list_of_logits: Sequence[Float[Tensor, "batch classes"]], labels: Int[Tensor, " batch"]
) -> list[Float[Tensor, " batch"]]:
    """The loss of each model: CE(z_k, y) + 1/(K-1) sum over l != k of KL(p_l || p_k), at temperature 1.

    Peers are constants in a model's own loss, so one backward pass over the sum gives every model exactly
    its own gradient. Law: with equal logits everywhere each loss is the cross-entropy.

    Args:
        list_of_logits: One tensor per model, K >= 2; gradients flow to the model's own logits alone.
        labels: Class of each sample.

    Returns:
        Per model, one number per sample, in nats.

    Raises:
        InputError: With fewer than two models.
    """
    num_models = len(list_of_logits)
    require(
        num_models >= 2, "at least 2 models learn together", f"{num_models}", "Add a peer, or use `finetune`."
    )
    frozen = [logits.detach() for logits in list_of_logits]
    losses = []
    for index, logits in enumerate(list_of_logits):
        pulls = [kd(logits, peer, temperature=1) for other, peer in enumerate(frozen) if other != index]
        losses.append(cross_entropy(logits, labels) + sum(pulls) / (num_models - 1))
    return losses
