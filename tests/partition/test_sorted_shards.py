"""`shards`: pieces of the label-sorted samples."""

import numpy as np
import pytest

from limbeck.core.errors import InputError
from limbeck.partition import shards


def test_shards_that_fit_the_classes_hold_one_class_each():
    labels = np.tile(np.arange(10), 100)
    for ids in shards(labels, num_clients=10, seed=0, shards_per_client=2):
        counts = np.bincount(labels[ids])
        assert len(ids) == 100
        assert set(counts[counts > 0]) <= {50, 100}


def test_shard_sizes_differ_by_at_most_one_sample():
    labels = np.random.default_rng(0).integers(0, 7, 103)
    sizes = [len(ids) for ids in shards(labels, num_clients=10, seed=0, shards_per_client=1)]
    assert sorted(sizes) == [10] * 7 + [11] * 3


def test_a_client_draws_its_shards_at_random():
    labels = np.repeat(np.arange(10), 20)
    held = [
        tuple(np.unique(labels[ids])) for ids in shards(labels, num_clients=5, seed=0, shards_per_client=2)
    ]
    assert any(second - first > 1 for first, second in held)


def test_more_shards_than_samples_are_refused():
    with pytest.raises(InputError, match=r"num_clients \* shards_per_client <= number of samples"):
        shards([0, 0, 1, 1, 2], num_clients=3, seed=0, shards_per_client=2)


def test_no_shards_are_refused():
    with pytest.raises(InputError, match="shards_per_client >= 1"):
        shards([0, 1], num_clients=1, seed=0, shards_per_client=0)
