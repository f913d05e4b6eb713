"""The `shards` strategy: samples sorted by label, cut into equal pieces, a few random pieces per client.

References: McMahan et al., "Communication-Efficient Learning of Deep Networks from Decentralized Data"
(AISTATS 2017), section 3. Deviation: samples of one class are shuffled before the cut.
"""

import numpy as np
from numpy.typing import ArrayLike

from limbeck.core.errors import require
from limbeck.partition.checks import check_count
from limbeck.partition.labels import count_classes, strategy_rng
from limbeck.partition.tables import collect_by_owner, shuffle_within_classes


def shards(labels: ArrayLike, *, num_clients: int, seed: int, shards_per_client: int) -> list[np.ndarray]:
    """Each client holds `shards_per_client` of the equal pieces (within one sample) of the sorted samples.

    A piece may lie across a class border, so a client can hold more than `shards_per_client` classes;
    `classes` keeps that number exactly.

    Args:
        labels: Class per sample, whole numbers >= 0, shape [samples].
        num_clients: At least 1, at most the number of samples.
        seed: Decides which samples of a class lie together and who gets which piece.
        shards_per_client: At least 1; num_clients * shards_per_client is at most the number of samples.

    Returns:
        One int64 index array per client, ascending; disjoint, and every sample is used.

    Raises:
        InputError: When an argument breaks its rule.
    """
    classes = count_classes(labels, num_clients=num_clients)
    num_shards = num_clients * check_count("shards_per_client", shards_per_client)
    require(
        num_shards <= classes.num_samples,
        "num_clients * shards_per_client <= number of samples",
        f"{num_clients} * {shards_per_client} > {classes.num_samples}",
        "Use fewer clients or shards per client.",
    )
    rng = strategy_rng(seed, "shards")
    shard_of_position = np.arange(classes.num_samples) * num_shards // classes.num_samples
    owner_of_shard = rng.permutation(num_shards) // shards_per_client
    sample_ids = shuffle_within_classes(classes, rng=rng)
    return collect_by_owner(sample_ids, owner_of_shard[shard_of_position], num_clients=num_clients)
