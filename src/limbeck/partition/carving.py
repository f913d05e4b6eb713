"""Samples set aside before any client gets one: a validation set or an unlabelled proxy set."""

import numpy as np
from numpy.typing import ArrayLike

from limbeck.core.errors import require
from limbeck.partition.checks import check_count
from limbeck.partition.labels import count_classes, strategy_rng
from limbeck.partition.tables import apportion, assign_samples


def carve_out(labels: ArrayLike, num_samples: int, *, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The samples that remain and the `num_samples` set aside, with the label mix of the whole.

    A class of n_c of n samples gives num_samples * n_c / n, rounded by largest remainder (ties to the lower
    class). To divide the rest between clients, split ``labels[remaining]`` and read the indices through
    ``remaining``.

    Args:
        labels: Class per sample, whole numbers >= 0, shape [samples].
        num_samples: At least 1, below the number of samples.
        seed: Decides which samples of a class are set aside.

    Returns:
        Two int64 index arrays, remaining and carved, each ascending; disjoint, and together all samples.

    Raises:
        InputError: When an argument breaks its rule.
    """
    classes = count_classes(labels, num_clients=1)
    check_count("num_samples", num_samples)
    require(
        num_samples < classes.num_samples,
        "num_samples < number of labels",
        f"num_samples={num_samples}, {classes.num_samples} labels",
        "Set fewer samples aside or use more data.",
    )
    carved = apportion(np.array([num_samples]), classes.counts[None, :])
    table = np.vstack([classes.counts - carved, carved])
    remaining_ids, carved_ids = assign_samples(classes, table, rng=strategy_rng(seed, "carve-out"))
    return remaining_ids, carved_ids
