"""A split as a record: the index arrays together with everything that made them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from limbeck.core.fingerprint import hash_arrays
from limbeck.partition.strategies import STRATEGIES, check_parameters, title


@dataclass(frozen=True, kw_only=True, eq=False)
class Partition:
    """How one data set is divided between clients; compare two by their `hash`.

    Attributes:
        strategy: The strategy's name.
        parameters: Its complete parameters.
        num_clients: How many clients there are.
        seed: The seed the split was drawn with.
        indices: One int64 array of sample indices per client.
    """

    strategy: str
    parameters: Mapping[str, Any]
    num_clients: int
    seed: int
    indices: tuple[np.ndarray, ...]

    @property
    def hash(self) -> str:
        """The 16 hexadecimal digits that identify the index arrays, whichever way they were made."""
        return hash_arrays(self.indices)

    @property
    def title(self) -> str:
        """The split in words, such as ``dirichlet (alpha=0.5, balance=True), 10 clients, seed 0``."""
        noun = "client" if self.num_clients == 1 else "clients"
        return f"{title(self.strategy, self.parameters)}, {self.num_clients} {noun}, seed {self.seed}"

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, client: int) -> np.ndarray:
        return self.indices[client]

    def __iter__(self) -> Iterator[np.ndarray]:
        return iter(self.indices)


def split(labels: ArrayLike, strategy: str, *, num_clients: int, seed: int, **parameters: Any) -> Partition:
    """The labels divided between clients by the named strategy.

    Args:
        labels: Class per sample, whole numbers >= 0, shape [samples].
        strategy: A name in `STRATEGIES`.
        num_clients: At least 1, at most the number of samples.
        seed: The same seed gives the same split in any process.
        parameters: What the strategy takes besides.

    Returns:
        A record with one ascending index array per client; no sample is in two of them.

    Raises:
        InputError: When the strategy is unknown or an argument breaks its rule.
    """
    complete = check_parameters(strategy, parameters)
    indices = STRATEGIES[strategy].split_fn(labels, num_clients=num_clients, seed=seed, **complete)
    return Partition(
        strategy=strategy,
        parameters=complete,
        num_clients=int(num_clients),
        seed=int(seed),
        indices=tuple(indices),
    )
