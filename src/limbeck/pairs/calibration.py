"""How far a model's confidence is from how often it is right."""

import numpy as np

NUM_BINS = 15


def measure_calibration(confidences: np.ndarray, is_right: np.ndarray, *, num_bins: int = NUM_BINS) -> float:
    """The expected calibration error: mean over samples of |accuracy - confidence| of the sample's bin.

    Law: 0 for a model whose confidence in every bin is its accuracy there; at most 1.

    Args:
        confidences: Largest probability per sample, in [0, 1].
        is_right: Whether the sample's prediction is its label.
        num_bins: Bins of equal width.

    References:
        Guo et al. 2017, "On Calibration of Modern Neural Networks", https://arxiv.org/abs/1706.04599, eq. 3.
    """
    # The bins are open on the left, as in the paper.
    bins = np.clip(np.ceil(confidences * num_bins).astype(int) - 1, 0, num_bins - 1)
    surplus = np.bincount(bins, weights=is_right.astype(float) - confidences, minlength=num_bins)
    return float(np.abs(surplus).sum() / max(1, len(confidences)))
