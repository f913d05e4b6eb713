"""Strategies in which each client draws its own mix of labels: `client-dirichlet` and `mixed`.

References: Hsu et al., "Measuring the Effects of Non-Identical Data Distribution for Federated Visual
Classification" (2019), section 3; called inner Dirichlet in Acar et al., "Federated Learning Based on Dynamic
Regularization" (ICLR 2021). Deviation: all clients are served at once, and a class that is asked for more
than it holds is rationed in proportion, so no client pays for being late and nothing is drawn again.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from limbeck.core.errors import require
from limbeck.partition.checks import check_alpha, check_one_per_client, check_sizes
from limbeck.partition.labels import ClassCounts, count_classes, strategy_rng
from limbeck.partition.same_mix import draw_sizes
from limbeck.partition.tables import apportion, assign_samples, draw_log_weights, softmax_where


def client_dirichlet(
    labels: ArrayLike, *, num_clients: int, seed: int, alpha: float, sizes: Sequence[int] | None = None
) -> list[np.ndarray]:
    """Label skew at fixed sizes: each client draws its label mix ~ Dir(alpha), without replacement.

    When a class runs out, mixes are renormalised among the classes that are left. The closer the sizes come
    to using every sample, the more the mixes bend towards what there is.

    Args:
        labels: Class per sample, whole numbers >= 0, shape [samples].
        num_clients: At least 1, at most the number of samples.
        seed: Decides the mixes and which samples of a class go where.
        alpha: Above 0; 0.1 is strong skew, 100 almost none.
        sizes: Samples per client, each at least 1, together at most all samples. By default all samples,
            equal within one.

    Returns:
        One int64 index array per client, ascending; disjoint. Samples beyond the sum of `sizes` are unused.

    Raises:
        InputError: When an argument breaks its rule.
    """
    classes = count_classes(labels, num_clients=num_clients)
    check_alpha("alpha", alpha)
    checked_sizes = fix_sizes(sizes, num_clients=num_clients, num_samples=classes.num_samples)
    return fill_drawn_mixes(classes, checked_sizes, alpha=alpha, rng=strategy_rng(seed, "client-dirichlet"))


def mixed(
    labels: ArrayLike, *, num_clients: int, seed: int, alpha: float, quantity_alpha: float
) -> list[np.ndarray]:
    """Label skew and quantity skew together: label mixes ~ Dir(alpha), sizes ~ Dir(quantity_alpha) * samples.

    Args:
        labels: Class per sample, whole numbers >= 0, shape [samples].
        num_clients: At least 1, at most the number of samples.
        seed: Decides sizes, mixes and which samples of a class go where.
        alpha: Above 0; how alike the label mixes are.
        quantity_alpha: Above 0; how alike the sizes are. Every client has at least one sample.

    Returns:
        One int64 index array per client, ascending; disjoint, and every sample is used.

    Raises:
        InputError: When an argument breaks its rule.
    """
    classes = count_classes(labels, num_clients=num_clients)
    check_alpha("alpha", alpha)
    check_alpha("quantity_alpha", quantity_alpha)
    rng = strategy_rng(seed, "mixed")
    sizes = draw_sizes(classes.num_samples, num_clients=num_clients, alpha=quantity_alpha, rng=rng)
    return fill_drawn_mixes(classes, sizes, alpha=alpha, rng=rng)


def fill_drawn_mixes(
    classes: ClassCounts, sizes: np.ndarray, *, alpha: float, rng: np.random.Generator
) -> list[np.ndarray]:
    """Indices per client, `sizes[client]` many, in label mixes ~ Dir(alpha)."""
    log_mixes = draw_log_weights((len(sizes), classes.num_classes), alpha=alpha, rng=rng)
    return assign_samples(classes, fill_mixes(classes.counts, sizes, log_mixes), rng=rng)


def fill_mixes(counts: np.ndarray, sizes: np.ndarray, log_mixes: np.ndarray) -> np.ndarray:
    """Samples per client and class that follow the mixes as far as the classes last.

    Each round, every client asks for its missing samples by its mix among the classes that are left. A round
    in which nothing is asked for too much is the last; any other empties a class, so there are at most as
    many rounds as classes.

    Args:
        counts: Samples per class, shape [classes].
        sizes: Samples per client, shape [clients]; together at most all samples.
        log_mixes: Logarithms of the mixes up to a constant per client, shape [clients, classes].

    Returns:
        An int64 table of shape [clients, classes] whose rows sum to `sizes`.
    """
    table = np.zeros(log_mixes.shape, dtype=np.int64)
    for _ in range(len(counts)):
        left = counts - table.sum(axis=0)
        missing = sizes - table.sum(axis=1)
        if not missing.any():
            break
        table += ration(apportion(missing, softmax_where(log_mixes, left > 0)), left)
    return table


def ration(asked: np.ndarray, left: np.ndarray) -> np.ndarray:
    """What each client gets of what it asked for: all, or a proportional part of a class that lasts for less.

    Args:
        asked: Shape [clients, classes].
        left: Shape [classes].

    Returns:
        An int64 table of shape [clients, classes], nowhere above `asked`, with column sums at most `left`.
    """
    granted = asked.copy()
    is_short = asked.sum(axis=0) > left
    granted[:, is_short] = apportion(left[is_short], asked[:, is_short].T).T
    return granted


def fix_sizes(sizes: Sequence[int] | None, *, num_clients: int, num_samples: int) -> np.ndarray:
    """Samples per client, shape [clients]: as given, or equal within one.

    Raises:
        InputError: When they do not fit the clients or the samples.
    """
    if sizes is None:
        return apportion(np.array([num_samples]), np.ones((1, num_clients)))[0]
    checked = check_sizes("sizes", sizes)
    check_one_per_client("sizes", checked, num_clients)
    require(
        sum(checked) <= num_samples,
        "sum(sizes) <= number of samples",
        f"sum(sizes)={sum(checked)}, {num_samples} samples",
        "Use smaller sizes or more data.",
    )
    return np.array(checked, dtype=np.int64)
