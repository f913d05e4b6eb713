"""Which samples serve what: validation and proxy are set aside first, the rest is split between clients."""

from dataclasses import dataclass, replace

import numpy as np

from limbeck.core.errors import require
from limbeck.core.seeds import derive_seed
from limbeck.partition import Partition, carve_out, split
from limbeck.study.spec import DataPart, ScenarioPart


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


def reserve(part: DataPart, labels: np.ndarray) -> Reserved:
    """Set aside the validation and proxy samples, with the label mix of the whole.

    Raises:
        InputError: When they leave nothing for the clients.
    """
    wanted = part.validation_samples + part.proxy_samples
    require(
        wanted < len(labels),
        "data.validation_samples + data.proxy_samples < training samples",
        f"{wanted} of {len(labels)}",
        "Set aside fewer.",
    )
    rest, validation = _carve(
        np.arange(len(labels)), labels, part.validation_samples, part.seed, "validation"
    )
    rest, proxy = _carve(rest, labels, part.proxy_samples, part.seed, "proxy")
    return Reserved(validation=validation, proxy=proxy, rest=rest)


def split_between_clients(
    reserved: Reserved, labels: np.ndarray, scenario: ScenarioPart, *, train_samples: int | None, seed: int
) -> Partition:
    """The scenario's partition of `train_samples` of the remaining samples, as indices into the training set.

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
    local = split(
        labels[pool], scenario.strategy, num_clients=scenario.num_clients, seed=seed, **scenario.parameters
    )
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
