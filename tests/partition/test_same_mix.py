"""`uniform` and `quantity`: the same label mix at equal and at unequal sizes."""

import numpy as np
import pytest

from limbeck.core.errors import InputError
from limbeck.partition import quantity, uniform

# 7 + 30 + 13 + 50 = 100 samples, in no order.
LABELS = np.random.default_rng(1).permutation(np.repeat([0, 1, 2, 3], [7, 30, 13, 50]))


def histogram(indices, labels=LABELS):
    return np.array([np.bincount(labels[ids], minlength=labels.max() + 1) for ids in indices])


def test_uniform_gives_equal_sizes_and_mixes_within_one_sample():
    table = histogram(uniform(LABELS, num_clients=6, seed=0))
    assert np.ptp(table.sum(axis=1)) <= 1
    assert np.ptp(table, axis=0).max() <= 1


def test_uniform_is_exact_where_the_numbers_divide():
    labels = np.repeat([0, 1], [6, 9])
    assert histogram(uniform(labels, num_clients=3, seed=0), labels).tolist() == [[2, 3]] * 3


def test_uniform_shuffles_within_a_class():
    labels = np.zeros(1000, dtype=np.int64)
    first = uniform(labels, num_clients=2, seed=0)[0]
    # 500 of 1000 at random have a mean index near 499.5, with a standard error of about 9.1.
    assert abs(first.mean() - 499.5) < 46
    assert not np.array_equal(first, np.arange(500))
    assert len(np.unique(np.diff(first))) > 2


def test_stated_shares_give_those_sizes_and_the_same_mix():
    shares = [0.5, 0.3, 0.15, 0.05]
    table = histogram(quantity(LABELS, num_clients=4, seed=0, shares=shares))
    assert table.sum(axis=1).tolist() == [50, 30, 15, 5]
    exact = np.outer([50, 30, 15, 5], [7, 30, 13, 50]) / 100
    assert np.abs(table - exact).max() < 1


def test_drawn_sizes_keep_the_mix_within_one_sample():
    for seed in range(20):
        table = histogram(quantity(LABELS, num_clients=8, seed=seed, alpha=0.3))
        exact = np.outer(table.sum(axis=1), [7, 30, 13, 50]) / 100
        assert np.abs(table - exact).max() <= 1


def test_drawn_sizes_have_the_second_moment_of_a_dirichlet():
    # E sum_k s_k^2 = (alpha + 1) / (clients * alpha + 1) = 1.5 / 3.5 for alpha = 0.5 and 5 clients.
    labels = np.zeros(2000, dtype=np.int64)
    squares = [
        sum((len(ids) / 2000) ** 2 for ids in quantity(labels, num_clients=5, seed=seed, alpha=0.5))
        for seed in range(400)
    ]
    assert np.mean(squares) == pytest.approx(1.5 / 3.5, abs=0.03)


def test_a_large_alpha_gives_nearly_equal_sizes():
    sizes = [len(ids) for ids in quantity(np.zeros(1000, dtype=int), num_clients=10, seed=0, alpha=1e6)]
    assert min(sizes) >= 98
    assert max(sizes) <= 102


@pytest.mark.parametrize(
    ("given", "rule"),
    [
        ({}, "exactly one of alpha and shares is given"),
        ({"alpha": 1.0, "shares": [0.5, 0.5]}, "exactly one of alpha and shares is given"),
        ({"alpha": 0}, "alpha > 0"),
        ({"alpha": float("inf")}, "alpha is a finite number"),
        ({"shares": [0.5, 0.4]}, r"sum\(shares\) = 1` must hold, but got sum\(shares\)=0.9"),
        ({"shares": [1.5, -0.5]}, "each of shares > 0"),
        ({"shares": [1.0]}, r"len\(shares\) = num_clients"),
        ({"shares": "half"}, "shares is a list of numbers"),
        ({"shares": [0.999, 0.001]}, "every share is worth at least one sample"),
    ],
)
def test_wrong_sizes_are_refused(given, rule):
    with pytest.raises(InputError, match=rule):
        quantity(LABELS, num_clients=2, seed=0, **given)
