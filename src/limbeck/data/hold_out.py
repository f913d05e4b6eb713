"""A fixed stratified hold-out, for sources that come without a test part."""

import numpy as np

from limbeck.core.errors import require
from limbeck.core.seeds import numpy_rng
from limbeck.data.samples import Samples

# Part of what a source is: the same file is split the same way in every study.
HOLD_OUT_SEED = 0
HOLD_OUT_SHARE = 0.2


def hold_out(samples: Samples, *, num_test: int | None = None) -> tuple[Samples, Samples]:
    """The samples split into (training, test), each class in proportion; always the same split.

    Args:
        samples: At least 2.
        num_test: How many to hold out; a fifth when left out.

    Returns:
        Both parts, in the order of the samples.

    Raises:
        InputError: When one of the parts would be empty.
    """
    if num_test is None:
        num_test = max(1, round(HOLD_OUT_SHARE * len(samples)))
    require(
        0 < num_test < len(samples),
        "a hold-out leaves both parts some samples",
        f"{num_test} of {len(samples)} samples held out",
        "Give more samples, or a test part of its own.",
    )
    is_test = mark_hold_out(samples.labels.cpu().numpy(), num_test=num_test)
    return samples.subset(np.flatnonzero(~is_test)), samples.subset(np.flatnonzero(is_test))


def mark_hold_out(labels: np.ndarray, *, num_test: int) -> np.ndarray:
    """Which samples are held out, bool [n]: exactly `num_test`, each class within one of its share."""
    _, classes, counts = np.unique(labels, return_inverse=True, return_counts=True)
    shuffled = numpy_rng(HOLD_OUT_SEED, "data", "hold-out").permutation(len(labels))
    grouped = shuffled[np.argsort(classes[shuffled], kind="stable")]
    rank_in_class = np.arange(len(labels)) - np.repeat(np.cumsum(counts) - counts, counts)
    is_test = np.zeros(len(labels), dtype=bool)
    is_test[grouped] = rank_in_class < np.repeat(share_out(counts, total=num_test), counts)
    return is_test


def share_out(counts: np.ndarray, *, total: int) -> np.ndarray:
    """`total` divided in proportion to `counts`, by largest remainder (ties: the first), int64."""
    shares, remainders = np.divmod(counts * total, counts.sum())
    largest = np.argsort(-remainders, kind="stable")[: total - shares.sum()]
    shares[largest] += 1
    return shares
