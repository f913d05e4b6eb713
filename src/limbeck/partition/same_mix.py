"""Strategies in which every client holds the same mix of labels: `uniform` and `quantity`.

References: IID and quantity skew in Li et al., "Federated Learning on Non-IID Data Silos" (ICDE 2022).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from limbeck.core.errors import require
from limbeck.partition.checks import check_alpha, check_one_per_client, check_shares
from limbeck.partition.labels import count_classes, strategy_rng
from limbeck.partition.tables import (
    apportion,
    assign_samples,
    complete_rounding,
    divide_evenly,
    draw_log_weights,
    softmax_where,
    top_up,
)


def uniform(labels: ArrayLike, *, num_clients: int, seed: int) -> list[np.ndarray]:
    """Equal sizes and equal label mixes: sizes, and counts of each class, differ by at most one sample.

    Args:
        labels: Class per sample, whole numbers >= 0, shape [samples].
        num_clients: At least 1, at most the number of samples.
        seed: Decides which samples of a class go to which client.

    Returns:
        One int64 index array per client, ascending; disjoint, and every sample is used.

    Raises:
        InputError: When an argument breaks its rule.
    """
    classes = count_classes(labels, num_clients=num_clients)
    everyone = np.ones((num_clients, classes.num_classes), dtype=bool)
    table = divide_evenly(classes.counts, everyone)
    return assign_samples(classes, table, rng=strategy_rng(seed, "uniform"))


def quantity(
    labels: ArrayLike,
    *,
    num_clients: int,
    seed: int,
    alpha: float | None = None,
    shares: Sequence[float] | None = None,
) -> list[np.ndarray]:
    """Unequal sizes and equal label mixes: sizes ~ Dir(alpha) * samples, or as `shares` say.

    A client of size s holds s * n_c / n samples of class c, within one sample. A client whose drawn share is
    worth no sample gets one from the largest client.

    Args:
        labels: Class per sample, whole numbers >= 0, shape [samples].
        num_clients: At least 1, at most the number of samples.
        seed: Decides the drawn sizes and which samples go to which client.
        alpha: Above 0; small is very unequal. Exactly one of `alpha` and `shares` is given.
        shares: One positive share per client, summing to 1.

    Returns:
        One int64 index array per client, ascending; disjoint, and every sample is used.

    Raises:
        InputError: When an argument breaks its rule, or a given share is worth no sample.
    """
    check_one_given(alpha=alpha, shares=shares)
    classes = count_classes(labels, num_clients=num_clients)
    rng = strategy_rng(seed, "quantity")
    if shares is None:
        sizes = draw_sizes(
            classes.num_samples, num_clients=num_clients, alpha=check_alpha("alpha", alpha), rng=rng
        )
    else:
        sizes = sizes_from_shares(classes.num_samples, shares, num_clients=num_clients)
    floors = sizes[:, None] * classes.counts // classes.num_samples
    table = complete_rounding(floors, sizes, classes.counts, rng=rng)
    return assign_samples(classes, table, rng=rng)


def check_one_given(*, alpha: object, shares: object) -> None:
    """Nothing, when exactly one of the two is given.

    Raises:
        InputError: When both or neither are.
    """
    require(
        (alpha is None) != (shares is None),
        "exactly one of alpha and shares is given",
        f"alpha={alpha}, shares={shares}",
        "Use `alpha` for drawn sizes or `shares` for stated ones.",
    )


def draw_sizes(num_samples: int, *, num_clients: int, alpha: float, rng: np.random.Generator) -> np.ndarray:
    """Sizes ~ Dir(alpha) that sum to `num_samples`, each at least 1, shape [clients]."""
    log_weights = draw_log_weights((1, num_clients), alpha=alpha, rng=rng)
    weights = softmax_where(log_weights, np.ones(num_clients, dtype=bool))
    sizes = apportion(np.array([num_samples]), weights)
    return top_up(sizes.T, min_samples=1)[:, 0]


def sizes_from_shares(num_samples: int, shares: Sequence[float], *, num_clients: int) -> np.ndarray:
    """Sizes in proportion to `shares` that sum to `num_samples`, shape [clients].

    Raises:
        InputError: When the shares do not fit the clients, do not sum to 1, or one is worth no sample.
    """
    checked = check_shares("shares", shares)
    check_one_per_client("shares", checked, num_clients)
    sizes = apportion(np.array([num_samples]), np.array([checked]))[0]
    smallest = int(sizes.argmin())
    require(
        bool(sizes[smallest] >= 1),
        "every share is worth at least one sample",
        f"share {checked[smallest]} of {num_samples} samples",
        "Raise the smallest share or use more data.",
    )
    return sizes
