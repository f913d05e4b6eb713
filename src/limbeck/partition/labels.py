"""Labels as every strategy reads them: checked once, with each class counted."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from limbeck.core.errors import require
from limbeck.core.seeds import numpy_rng
from limbeck.partition.checks import check_count, is_whole_number


@dataclass(frozen=True, kw_only=True, eq=False)
class ClassCounts:
    """The classes that occur among the labels.

    Attributes:
        class_ids: The classes in ascending order, shape [classes].
        columns: For each sample the position of its class in `class_ids`, shape [samples].
        counts: Samples of each class, shape [classes]; none is 0.
    """

    class_ids: np.ndarray
    columns: np.ndarray
    counts: np.ndarray

    @property
    def num_classes(self) -> int:
        """How many classes occur."""
        return len(self.class_ids)

    @property
    def num_samples(self) -> int:
        """How many samples there are."""
        return len(self.columns)


def check_labels(labels: ArrayLike) -> np.ndarray:
    """The labels as int64, shape [samples].

    Raises:
        InputError: When they are not a 1-D list of whole numbers >= 0.
    """
    array = np.asarray(labels)
    remedy = "Pass one class number per sample, counted from 0."
    require(array.ndim == 1, "labels have one axis", f"shape={array.shape}", remedy)
    is_integer = array.dtype.kind in "iu" or array.size == 0
    require(is_integer, "labels are whole numbers", f"dtype={array.dtype}", remedy)
    smallest = array.min(initial=0)
    require(bool(smallest >= 0), "labels >= 0", f"a label of {smallest}", remedy)
    return array.astype(np.int64)


def count_classes(labels: ArrayLike, *, num_clients: int) -> ClassCounts:
    """The classes among the labels, for a split between `num_clients`.

    Raises:
        InputError: When the labels are not whole numbers >= 0, there is no client, or fewer samples than
            clients.
    """
    checked = check_labels(labels)
    check_count("num_clients", num_clients)
    require(
        num_clients <= len(checked),
        "num_clients <= number of samples",
        f"num_clients={num_clients}, {len(checked)} samples",
        "Use fewer clients or more data.",
    )
    class_ids, columns, counts = np.unique(checked, return_inverse=True, return_counts=True)
    return ClassCounts(class_ids=class_ids, columns=columns, counts=counts)


def strategy_rng(seed: int, strategy: str) -> np.random.Generator:
    """The generator of one strategy, which depends on nothing but the seed and the strategy's name.

    Raises:
        InputError: When the seed is not a whole number.
    """
    require(
        is_whole_number(seed), "seed is a whole number", f"seed={seed!r}", "Use a whole number such as 0."
    )
    return numpy_rng(seed, "partition", strategy)
