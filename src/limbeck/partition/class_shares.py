"""The `dirichlet` strategy: each class is divided between the clients in Dirichlet-drawn shares.

References: Yurochkin et al., "Bayesian Nonparametric Federated Learning of Neural Networks" (ICML 2019),
section 4; `balance=True` as in NIID-Bench (Li et al., ICDE 2022), PFLlib and FedLab, `balance=False` as in
flwr-datasets. Deviation: a client that falls below `min_samples` is filled from the largest clients instead
of drawing again.
"""

import numpy as np
from numpy.typing import ArrayLike

from limbeck.core.errors import require
from limbeck.partition.checks import check_alpha, check_count, check_flag
from limbeck.partition.labels import ClassCounts, count_classes, strategy_rng
from limbeck.partition.tables import apportion, assign_samples, draw_log_weights, softmax_where, top_up


def dirichlet(
    labels: ArrayLike,
    *,
    num_clients: int,
    seed: int,
    alpha: float,
    balance: bool = True,
    min_samples: int = 1,
) -> list[np.ndarray]:
    """Label skew: of each class, the clients get shares ~ Dir(alpha).

    The same `alpha` means different skews with and without `balance`: print both.

    Args:
        labels: Class per sample, whole numbers >= 0, shape [samples].
        num_clients: At least 1, at most the number of samples.
        seed: Decides the shares and which samples of a class go where.
        alpha: Above 0; 0.1 is strong skew, 100 almost none.
        balance: Whether clients that already hold samples / clients samples get nothing of the later classes.
        min_samples: What every client holds at least; num_clients * min_samples is at most the number of
            samples.

    Returns:
        One int64 index array per client, ascending; disjoint, and every sample is used.

    Raises:
        InputError: When an argument breaks its rule.
    """
    classes = count_classes(labels, num_clients=num_clients)
    check_alpha("alpha", alpha)
    check_min_samples(min_samples, num_clients=num_clients, num_samples=classes.num_samples)
    rng = strategy_rng(seed, "dirichlet")
    log_weights = draw_log_weights((classes.num_classes, num_clients), alpha=alpha, rng=rng)
    share_fn = share_balanced if check_flag("balance", balance) else share_plainly
    table = top_up(share_fn(classes, log_weights), min_samples=min_samples)
    return assign_samples(classes, table, rng=rng)


def share_plainly(classes: ClassCounts, log_weights: np.ndarray) -> np.ndarray:
    """Samples per client and class, shape [clients, classes], when every client takes all its shares.

    Args:
        classes: The classes of all samples.
        log_weights: Logarithms of the shares up to a constant per class, shape [classes, clients].
    """
    everyone = np.ones(log_weights.shape[1], dtype=bool)
    return apportion(classes.counts, softmax_where(log_weights, everyone)).T


def share_balanced(classes: ClassCounts, log_weights: np.ndarray) -> np.ndarray:
    """Samples per client and class, shape [clients, classes], when full clients take nothing more.

    Class after class, the shares are renormalised among the clients below samples / clients.

    Args:
        classes: The classes of all samples.
        log_weights: Logarithms of the shares up to a constant per class, shape [classes, clients].
    """
    num_classes, num_clients = log_weights.shape
    table = np.zeros((num_clients, num_classes), dtype=np.int64)
    for column, count in enumerate(classes.counts):
        is_below_fair_share = table.sum(axis=1) * num_clients < classes.num_samples
        weights = softmax_where(log_weights[[column]], is_below_fair_share)
        table[:, column] = apportion(np.array([count]), weights)[0]
    return table


def check_min_samples(min_samples: int, *, num_clients: int, num_samples: int) -> None:
    """Nothing, when there are enough samples for every client to hold `min_samples`.

    Raises:
        InputError: When there are not.
    """
    check_count("min_samples", min_samples)
    require(
        num_clients * min_samples <= num_samples,
        "num_clients * min_samples <= number of samples",
        f"{num_clients} * {min_samples} > {num_samples}",
        "Use fewer clients or a smaller min_samples.",
    )
