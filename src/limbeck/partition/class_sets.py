"""Strategies that deal out whole classes: `classes`, `disjoint` and `overlapping`.

A client either holds a class or does not; the samples of a class are divided between its holders, equal
within one.

References: `classes` is "#C=k" in Li et al., "Federated Learning on Non-IID Data Silos" (ICDE 2022).
Deviation: each class has the same number of holders, within one, so that no class is lost.
"""

import math

import numpy as np
from numpy.typing import ArrayLike

from limbeck.core.errors import require
from limbeck.partition.checks import check_count, check_count_or_zero, check_every_class_held, check_flag
from limbeck.partition.labels import ClassCounts, count_classes, strategy_rng
from limbeck.partition.tables import assign_samples, divide_evenly

ADVICE_WITHOUT_OVERLAP = "Use the strategy `disjoint`, whose groups may differ in size, or set overlap=True."


def classes(
    labels: ArrayLike, *, num_clients: int, seed: int, classes_per_client: int, overlap: bool = True
) -> list[np.ndarray]:
    """Each client holds `classes_per_client` classes, each class has equally many holders (within one).

    Args:
        labels: Class per sample, whole numbers >= 0, shape [samples].
        num_clients: At least 1, at most the number of samples.
        seed: Decides who holds which classes and which of their samples.
        classes_per_client: At least 1, at most the number of classes.
        overlap: Whether several clients may hold the same class. Without overlap every class has exactly one
            holder, which needs num_clients * classes_per_client = number of classes.

    Returns:
        One int64 index array per client, ascending; disjoint, and every sample is used.

    Raises:
        InputError: When an argument breaks its rule, a class would be held by nobody (the message names it),
            or a class has fewer samples than holders.
    """
    counted = count_classes(labels, num_clients=num_clients)
    check_count("classes_per_client", classes_per_client)
    require(
        classes_per_client <= counted.num_classes,
        "classes_per_client <= number of classes",
        f"classes_per_client={classes_per_client}, {counted.num_classes} classes",
        "Use fewer classes per client.",
    )
    if not check_flag("overlap", overlap):
        check_without_overlap(num_clients, classes_per_client, num_classes=counted.num_classes)
    rng = strategy_rng(seed, "classes")
    holders = deal_classes(
        num_clients, num_classes=counted.num_classes, classes_per_client=classes_per_client, rng=rng
    )
    remedy = advise_more_classes(holders) if overlap else ADVICE_WITHOUT_OVERLAP
    check_every_class_held(holders, counted.class_ids, remedy=remedy)
    return divide_between_holders(counted, holders, rng=rng)


def disjoint(labels: ArrayLike, *, num_clients: int, seed: int) -> list[np.ndarray]:
    """The classes in as many groups as clients, equal within one class; no class has two holders.

    Args:
        labels: Class per sample, whole numbers >= 0, shape [samples].
        num_clients: At least 1, at most the number of classes.
        seed: Decides who holds which classes.

    Returns:
        One int64 index array per client, ascending; disjoint, and every sample is used.

    Raises:
        InputError: When an argument breaks its rule.
    """
    counted = count_classes(labels, num_clients=num_clients)
    rng = strategy_rng(seed, "disjoint")
    return divide_between_holders(
        counted, group_classes(counted, num_clients, num_shared=0, rng=rng), rng=rng
    )


def overlapping(
    labels: ArrayLike, *, num_clients: int, seed: int, num_shared_classes: int
) -> list[np.ndarray]:
    """Some classes held by all clients, the others dealt out in disjoint groups, equal within one class.

    10 classes, 2 clients and 4 shared classes give 4 + 3 = 7 classes to each client.

    Args:
        labels: Class per sample, whole numbers >= 0, shape [samples].
        num_clients: At least 1, at most the number of samples.
        seed: Decides which classes are shared, who holds the others and which of the shared samples.
        num_shared_classes: Between 0 (as `disjoint`) and the number of classes. Below `num_clients` classes
            left over, some clients hold shared classes only.

    Returns:
        One int64 index array per client, ascending; disjoint in samples, and every sample is used.

    Raises:
        InputError: When an argument breaks its rule, a client would hold no class, or a shared class has
            fewer samples than clients.
    """
    counted = count_classes(labels, num_clients=num_clients)
    check_count_or_zero("num_shared_classes", num_shared_classes)
    require(
        num_shared_classes <= counted.num_classes,
        "num_shared_classes <= number of classes",
        f"num_shared_classes={num_shared_classes}, {counted.num_classes} classes",
        "Use fewer shared classes.",
    )
    rng = strategy_rng(seed, "overlapping")
    holders = group_classes(counted, num_clients, num_shared=num_shared_classes, rng=rng)
    return divide_between_holders(counted, holders, rng=rng)


def deal_classes(
    num_clients: int, *, num_classes: int, classes_per_client: int, rng: np.random.Generator
) -> np.ndarray:
    """Who holds which class, bool of shape [clients, classes]: each client takes the least held classes.

    Ties are broken at random, so at any time the numbers of holders differ by at most one.
    """
    holders = np.zeros((num_clients, num_classes), dtype=bool)
    num_holders = np.zeros(num_classes, dtype=np.int64)
    for client in range(num_clients):
        taken = np.lexsort((rng.random(num_classes), num_holders))[:classes_per_client]
        holders[client, taken] = True
        num_holders[taken] += 1
    return holders


def group_classes(
    counted: ClassCounts, num_clients: int, *, num_shared: int, rng: np.random.Generator
) -> np.ndarray:
    """Who holds which class, bool of shape [clients, classes]: all hold the shared, one each other.

    Raises:
        InputError: When nothing is shared and there are fewer classes than clients.
    """
    require(
        num_shared > 0 or num_clients <= counted.num_classes,
        "num_clients <= number of classes when no class is shared",
        f"num_clients={num_clients}, {counted.num_classes} classes",
        "Use fewer clients, or `overlapping` or `classes` so that clients share classes.",
    )
    shuffled = rng.permutation(counted.num_classes)
    holders = np.zeros((num_clients, counted.num_classes), dtype=bool)
    holders[:, shuffled[:num_shared]] = True
    own = shuffled[num_shared:]
    holders[np.arange(len(own)) % num_clients, own] = True
    return holders


def divide_between_holders(
    counted: ClassCounts, holders: np.ndarray, *, rng: np.random.Generator
) -> list[np.ndarray]:
    """Indices per client when each class is divided evenly between its holders.

    Args:
        counted: The classes of all samples.
        holders: Bool of shape [clients, classes].
        rng: Decides which samples of a class go where.

    Raises:
        InputError: When a class has fewer samples than holders.
    """
    num_holders = holders.sum(axis=0)
    scarcest = int((counted.counts - num_holders).argmin())
    require(
        bool(counted.counts[scarcest] >= num_holders[scarcest]),
        "every class has a sample for each client that holds it",
        f"class {counted.class_ids[scarcest]} with {counted.counts[scarcest]} samples "
        f"for {num_holders[scarcest]} clients",
        "Use fewer clients, fewer classes per client or shared classes, or more data.",
    )
    return assign_samples(counted, divide_evenly(counted.counts, holders), rng=rng)


def check_without_overlap(num_clients: int, classes_per_client: int, *, num_classes: int) -> None:
    """Nothing, when there are enough classes for every client to hold its own.

    Raises:
        InputError: When there are not.
    """
    require(
        num_clients * classes_per_client <= num_classes,
        "num_clients * classes_per_client <= number of classes without overlap",
        f"{num_clients} * {classes_per_client} > {num_classes}",
        "Set overlap=True, use fewer clients or classes per client, or the strategy `disjoint`.",
    )


def advise_more_classes(holders: np.ndarray) -> str:
    """The remedy for classes that nobody holds: how many clients or classes per client it would take."""
    num_clients, num_classes = holders.shape
    classes_per_client = int(holders[0].sum())
    clients_needed = math.ceil(num_classes / classes_per_client)
    classes_needed = math.ceil(num_classes / num_clients)
    return (
        f"Use at least {clients_needed} clients or {classes_needed} classes per client, "
        f"because {num_clients} * {classes_per_client} < {num_classes}."
    )
