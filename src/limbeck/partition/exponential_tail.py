"""The `long-tail` strategy: class counts that fall exponentially from a head class to a tail class.

References: the profile of Cui et al., "Class-Balanced Loss Based on Effective Number of Samples" (CVPR 2019),
section 5.1. Deviations: the order of the classes is drawn instead of being that of the class numbers, and it
can be drawn for each client.
"""

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from limbeck.core.errors import require
from limbeck.partition.checks import check_every_class_held, check_head, check_imbalance_ratio
from limbeck.partition.labels import count_classes, strategy_rng
from limbeck.partition.tables import assign_samples, complete_rounding

ROUNDING_SLACK = 1e-9


def long_tail(
    labels: ArrayLike,
    *,
    num_clients: int,
    seed: int,
    imbalance_ratio: float,
    head: Literal["same", "client"] = "same",
) -> list[np.ndarray]:
    """Class imbalance: a client's count of its r-th class ~ imbalance_ratio^(-r / (classes - 1)), r from 0.

    All clients have the same size, the largest that the classes allow; each count is within one sample of the
    profile. What does not fit the profile is left unused.

    Args:
        labels: Class per sample, whole numbers >= 0, shape [samples].
        num_clients: At least 1, at most the number of samples.
        seed: Decides the order of the classes and which samples of a class go where.
        imbalance_ratio: Head count over tail count, at least 1.
        head: ``same``: one order of classes for all clients, so the whole is long-tailed. ``client``: each
            client has its own head class, and each class is as often a head as any other (within one); with
            equal classes and as many clients as classes less than one sample per client is left over.

    Returns:
        One int64 index array per client, ascending, equally long; disjoint.

    Raises:
        InputError: When an argument breaks its rule, a client would get no sample, or a class no client.
    """
    classes = count_classes(labels, num_clients=num_clients)
    ratio = check_imbalance_ratio("imbalance_ratio", imbalance_ratio)
    check_head("head", head)
    rng = strategy_rng(seed, "long-tail")
    rank_fn = rank_alike if head == "same" else rank_by_client
    ranks = rank_fn(num_clients, num_classes=classes.num_classes, rng=rng)
    profile = ratio ** (-ranks / max(classes.num_classes - 1, 1))
    table = fit_profile(classes.counts, profile, rng=rng)
    remedy = "Use a smaller imbalance_ratio, fewer clients or more data."
    require(
        bool(table.any()),
        "every client gets a sample",
        f"imbalance_ratio={ratio:g} with {classes.num_samples} samples for {num_clients} clients",
        remedy,
    )
    check_every_class_held(table, classes.class_ids, remedy=remedy)
    return assign_samples(classes, table, rng=rng)


def rank_alike(num_clients: int, *, num_classes: int, rng: np.random.Generator) -> np.ndarray:
    """One random order of the classes for all clients: ranks from 0 (head), shape [clients, classes]."""
    return np.tile(rng.permutation(num_classes), (num_clients, 1))


def rank_by_client(num_clients: int, *, num_classes: int, rng: np.random.Generator) -> np.ndarray:
    """An order of the classes per client: ranks from 0 (head), shape [clients, classes].

    Every block of as many clients as classes is a Latin square: each class takes each rank once.
    """
    shifts = np.arange(num_classes)[:, None]
    num_blocks = -(-num_clients // num_classes)
    blocks = [(rng.permutation(num_classes) + shifts) % num_classes for _ in range(num_blocks)]
    return np.vstack(blocks)[:num_clients]


def fit_profile(counts: np.ndarray, profile: np.ndarray, *, rng: np.random.Generator) -> np.ndarray:
    """Samples per client and class in proportion to `profile`, all clients as large as possible.

    Args:
        counts: Samples per class, shape [classes].
        profile: Positive weights with the same sum for each client, shape [clients, classes].
        rng: Breaks ties in rounding.

    Returns:
        An int64 table of shape [clients, classes], each cell within one sample of the profile.
    """
    num_clients = len(profile)
    weight_per_client = profile[0].sum()
    scale = (counts / profile.sum(axis=0)).min()
    size = int(scale * weight_per_client + ROUNDING_SLACK)
    exact = profile * (size / weight_per_client)
    # The unused samples are one more row, so that rows and columns have whole totals.
    exact = np.vstack([exact, np.maximum(counts - exact.sum(axis=0), 0.0)])
    row_totals = np.append(np.full(num_clients, size), counts.sum() - num_clients * size)
    floors = np.floor(exact + ROUNDING_SLACK).astype(np.int64)
    return complete_rounding(floors, row_totals, counts, rng=rng)[:num_clients]
