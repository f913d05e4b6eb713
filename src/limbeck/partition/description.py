"""What a split looks like: sizes, label histograms, and how far the clients are apart."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from limbeck.core.errors import require
from limbeck.partition.labels import check_labels
from limbeck.partition.record import Partition


@dataclass(frozen=True, kw_only=True, eq=False)
class Description:
    """A split in numbers.

    Attributes:
        title: Strategy, parameters, clients and seed in words.
        partition_hash: The hash of the index arrays described.
        sizes: Samples per client, int64 of shape [clients].
        histogram: Samples per client and class, int64 of shape [clients, classes].
        classes_held: The classes each client holds, ascending.
        divergence: Pairwise Jensen-Shannon divergence of the label mixes in bits, in [0, 1], float64 of shape
            [clients, clients]; 0 for equal mixes, 1 for mixes without a common class.
        effective_classes: exp(entropy of the label mix), from 1 to the number of classes, float64 of shape
            [clients].
        num_unused: Samples that no client holds.
    """

    title: str
    partition_hash: str
    sizes: np.ndarray
    histogram: np.ndarray
    classes_held: tuple[tuple[int, ...], ...]
    divergence: np.ndarray
    effective_classes: np.ndarray
    num_unused: int

    def to_dict(self) -> dict[str, Any]:
        """The description in plain types that JSON can express."""
        return {
            "title": self.title,
            "partition_hash": self.partition_hash,
            "sizes": self.sizes.tolist(),
            "histogram": self.histogram.tolist(),
            "classes_held": [list(class_ids) for class_ids in self.classes_held],
            "divergence": self.divergence.tolist(),
            "effective_classes": self.effective_classes.tolist(),
            "num_unused": self.num_unused,
        }


def describe(partition: Partition, labels: ArrayLike, *, num_classes: int) -> Description:
    """A split in numbers.

    Args:
        partition: The split.
        labels: The labels it was made from, shape [samples].
        num_classes: Number of classes, above every label.

    Raises:
        InputError: When a label is not below `num_classes`, an index is not below the number of labels, or a
            client is empty.
    """
    checked = check_labels(labels)
    check_fit(partition, checked, num_classes=num_classes)
    histogram = count_labels(partition, checked, num_classes=num_classes)
    sizes = histogram.sum(axis=1)
    mixes = histogram / sizes[:, None]
    return Description(
        title=partition.title,
        partition_hash=partition.hash,
        sizes=sizes,
        histogram=histogram,
        classes_held=tuple(tuple(np.flatnonzero(row).tolist()) for row in histogram),
        divergence=js_divergence(mixes),
        effective_classes=np.exp(entropy(mixes)),
        num_unused=count_unused(partition, num_samples=len(checked)),
    )


def check_fit(partition: Partition, labels: np.ndarray, *, num_classes: int) -> None:
    """Nothing, when the split belongs to labels like these.

    Raises:
        InputError: When a label is not below `num_classes`, an index is not below the number of labels, or a
            client is empty.
    """
    largest_label = int(labels.max(initial=-1))
    require(
        largest_label < num_classes,
        "labels < num_classes",
        f"a label of {largest_label}, num_classes={num_classes}",
        "Pass the number of classes of the data set.",
    )
    smallest_size = min(len(ids) for ids in partition)
    remedy = "Pass the labels that the split was made from."
    require(smallest_size > 0, "every client has a sample", "an empty client", "Split the data again.")
    largest_id = max(int(ids.max()) for ids in partition)
    fits = largest_id < len(labels)
    require(fits, "indices < number of labels", f"index {largest_id}, {len(labels)} labels", remedy)


def count_labels(partition: Partition, labels: np.ndarray, *, num_classes: int) -> np.ndarray:
    """Samples per client and class, int64 of shape [clients, classes]."""
    return np.stack([np.bincount(labels[ids], minlength=num_classes) for ids in partition])


def count_unused(partition: Partition, *, num_samples: int) -> int:
    """How many samples no client holds."""
    is_used = np.zeros(num_samples, dtype=bool)
    is_used[np.concatenate(partition.indices)] = True
    return int(num_samples - is_used.sum())


def entropy(mixes: np.ndarray) -> np.ndarray:
    """H(p) = -sum p log p in nats along the last axis, with 0 log 0 = 0.

    Args:
        mixes: Label mixes that sum to 1, shape [..., classes].

    Returns:
        Float64 of shape [...].
    """
    logs = np.log(mixes, out=np.zeros_like(mixes), where=mixes > 0)
    return np.maximum(-(mixes * logs).sum(axis=-1), 0.0)


def js_divergence(mixes: np.ndarray) -> np.ndarray:
    """JS(p, q) = H((p + q) / 2) - (H(p) + H(q)) / 2 in bits, for every pair of clients.

    Symmetric, 0 for equal mixes, 1 for mixes without a common class.

    Args:
        mixes: Label mixes that sum to 1, shape [clients, classes].

    Returns:
        Float64 of shape [clients, clients], in [0, 1].

    References:
        Lin, "Divergence Measures Based on the Shannon Entropy" (1991), equation 4.1.
    """
    own = entropy(mixes)
    # Row by row: all pairs at once would need clients^2 * classes numbers.
    rows = [entropy((mix + mixes) / 2) - (own[client] + own) / 2 for client, mix in enumerate(mixes)]
    divergence = np.clip(np.stack(rows) / np.log(2), 0.0, 1.0)
    np.fill_diagonal(divergence, 0.0)
    return divergence


def mean_between_clients(divergence: np.ndarray) -> float:
    """The mean of [clients, clients] values over pairs of different clients, 0 for a single client."""
    num_pairs = len(divergence) * (len(divergence) - 1)
    return float(divergence.sum() / num_pairs) if num_pairs else 0.0
