"""`carve_out`: samples set aside before any client gets one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limbeck import partition
from limbeck.core.errors import InputError
from limbeck.partition import carve_out


def test_classes_give_in_proportion_by_largest_remainder():
    # 7 of 20 samples: classes of 10, 6 and 4 give 3.5, 2.1 and 1.4; the sample left over goes to 3.5.
    labels = np.random.default_rng(0).permutation(np.repeat([0, 1, 2], [10, 6, 4]))
    remaining, carved = carve_out(labels, 7, seed=0)
    assert np.bincount(labels[carved]).tolist() == [4, 2, 1]
    assert np.bincount(labels[remaining]).tolist() == [6, 4, 3]


@settings(deadline=None, max_examples=100)
@given(st.lists(st.integers(0, 5), min_size=2, max_size=50), st.data())
def test_the_two_parts_are_disjoint_and_complete(labels, data):
    num_samples = data.draw(st.integers(1, len(labels) - 1))
    remaining, carved = carve_out(labels, num_samples, seed=data.draw(st.integers(0, 9)))
    assert len(carved) == num_samples
    assert sorted([*remaining, *carved]) == list(range(len(labels)))
    assert remaining.dtype == carved.dtype == np.int64
    exact = np.bincount(labels) * num_samples / len(labels)
    counts = np.bincount(np.array(labels)[carved], minlength=len(exact))
    assert np.abs(counts - exact).max() < 1


def test_the_seed_decides_which_samples():
    labels = np.zeros(100, dtype=int)
    first, again, other = (carve_out(labels, 10, seed=seed)[1] for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_the_rest_can_be_divided_between_clients():
    labels = np.tile(np.arange(4), 25)
    remaining, proxy = carve_out(labels, 20, seed=0)
    clients = [remaining[ids] for ids in partition.uniform(labels[remaining], num_clients=4, seed=0)]
    assert sorted(np.concatenate([proxy, *clients])) == list(range(100))


@pytest.mark.parametrize(
    ("num_samples", "rule"),
    [
        (0, "num_samples >= 1"),
        (4, "num_samples < number of labels"),
        (1.0, "num_samples is a whole number"),
    ],
)
def test_wrong_numbers_are_refused(num_samples, rule):
    with pytest.raises(InputError, match=rule):
        carve_out([0, 1, 1, 1], num_samples, seed=0)
