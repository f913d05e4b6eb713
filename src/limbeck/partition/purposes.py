"""Which samples serve what: validation and proxy are set aside first, the rest is split between clients."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from limbeck.core.errors import require
from limbeck.core.seeds import derive_seed
from limbeck.partition.carving import carve_out
from limbeck.partition.record import Partition, split


@dataclass(frozen=True, kw_only=True)
class Reserved:
    """Training samples by purpose, as indices into the training set; disjoint.

    Attributes:
        validation: Labelled, to choose settings on.
        proxy: Used without labels.
        rest: Left for the clients.
    """

    validation: np.ndarray
    proxy: np.ndarray
    rest: np.ndarray


def reserve(labels: np.ndarray, *, validation_samples: int, proxy_samples: int, seed: int) -> Reserved:
    """Set aside the validation and proxy samples, with the label mix of the whole.

    Args:
        labels: Class per sample.
        validation_samples: How many serve to choose settings on.
        proxy_samples: How many serve as the unlabelled proxy set.
        seed: Decides which samples are set aside.

    Raises:
        InputError: When they leave nothing for the clients.
    """
    wanted = validation_samples + proxy_samples
    require(
        wanted < len(labels),
        "data.validation_samples + data.proxy_samples < training samples",
        f"{wanted} of {len(labels)}",
        "Set aside fewer.",
    )
    rest, validation = _carve(np.arange(len(labels)), labels, validation_samples, seed, "validation")
    rest, proxy = _carve(rest, labels, proxy_samples, seed, "proxy")
    return Reserved(validation=validation, proxy=proxy, rest=rest)


def split_between_clients(
    reserved: Reserved,
    labels: np.ndarray,
    strategy: str,
    *,
    num_clients: int,
    parameters: Mapping[str, Any],
    train_samples: int | None,
    seed: int,
) -> Partition:
    """A partition of `train_samples` of the remaining samples, as indices into the training set.

    Args:
        reserved: Says which samples are left.
        labels: Class per sample of the training set.
        strategy: How to split.
        num_clients: Between how many.
        parameters: The strategy's.
        train_samples: How many to split, None for all that are left.
        seed: Decides which samples, and how they are split.

    Raises:
        InputError: When there are not that many samples, or the strategy cannot split them.
    """
    pool = reserved.rest
    if train_samples is not None:
        require(
            train_samples <= len(pool),
            "train_samples <= samples left for clients",
            f"{train_samples} of {len(pool)}",
            "Lower it, or leave it out to use all.",
        )
        _, pool = _carve(pool, labels, train_samples, seed, "clients")
    local = split(labels[pool], strategy, num_clients=num_clients, seed=seed, **parameters)
    return replace(local, indices=tuple(pool[indices] for indices in local.indices))


def _carve(
    ids: np.ndarray, labels: np.ndarray, num_samples: int, seed: int, purpose: str
) -> tuple[np.ndarray, np.ndarray]:
    if num_samples == 0:
        return ids, ids[:0]
    if num_samples == len(ids):
        return ids[:0], ids
    remaining, carved = carve_out(labels[ids], num_samples, seed=derive_seed(seed, "reserve", purpose))
    return ids[remaining], ids[carved]
