"""Cross-entropy that knows how often each class is seen in training."""

from jaxtyping import Float, Int
from torch import Tensor

from limbeck.losses.supervised import at_least_float32, cross_entropy

LEAST_SHARE = 1e-8


def calibrated_cross_entropy(
    logits: Float[Tensor, "batch classes"],
    labels: Int[Tensor, " batch"],
    class_shares: Float[Tensor, " classes"],
) -> Float[Tensor, " batch"]:
    """The cross-entropy of each sample with log pi_c added to the logit of class c, in nats.

    A model trained with it learns what the logits would be if all classes were equally frequent; a class
    that is hardly ever seen is not pushed down by the samples of others. Laws: equal shares give
    `cross_entropy`; the scale of the shares does not matter.

    Args:
        logits: Gradients flow.
        labels: Class of each sample.
        class_shares: pi, at least 0; a class with less than `LEAST_SHARE` of all counts as having that.

    Returns:
        One number per sample in float32 or better.

    References:
        Menon et al. 2021, https://arxiv.org/abs/2007.07314, equation 10 with tau = 1; between the clients
        of a federation Zhang et al. 2022, https://arxiv.org/abs/2209.00189.
    """
    shares = at_least_float32(class_shares)
    log_shares = (shares / shares.sum()).clamp_min(LEAST_SHARE).log()
    return cross_entropy(at_least_float32(logits) + log_shares, labels)
