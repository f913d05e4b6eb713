"""`client-dirichlet` and `mixed`: each client draws its own label mix."""

import numpy as np
import pytest

from limbeck.core.errors import InputError
from limbeck.partition import client_dirichlet, mixed
from limbeck.partition.client_mixes import fill_mixes, ration


def histogram(indices, labels):
    return np.array([np.bincount(labels[ids], minlength=labels.max() + 1) for ids in indices])


def test_mixes_have_the_moments_of_a_dirichlet_while_classes_last():
    labels = np.tile(np.arange(10), 10_000)
    split = client_dirichlet(labels, num_clients=300, seed=0, alpha=0.5, sizes=[100] * 300)
    mixes = histogram(split, labels) / 100
    # The mean is 1 / classes; E sum_c q_c^2 = (alpha + 1) / (classes * alpha + 1) = 1.5 / 6.
    assert mixes.mean(axis=0) == pytest.approx(np.full(10, 0.1), abs=0.03)
    assert (mixes**2).sum(axis=1).mean() == pytest.approx(0.25, abs=0.025)


def test_the_prior_is_even_whatever_the_class_sizes():
    labels = np.repeat([0, 1], [9000, 1000])
    split = client_dirichlet(labels, num_clients=100, seed=0, alpha=1.0, sizes=[5] * 100)
    assert histogram(split, labels).sum(axis=0) / 500 == pytest.approx([0.5, 0.5], abs=0.1)


def test_sizes_are_equal_by_default_and_exact_when_given():
    labels = np.random.default_rng(0).integers(0, 5, 103)
    by_default = client_dirichlet(labels, num_clients=10, seed=0, alpha=0.1)
    given = client_dirichlet(labels, num_clients=3, seed=0, alpha=0.1, sizes=[50, 7, 1])
    assert [len(ids) for ids in by_default] == [11] * 3 + [10] * 7
    assert [len(ids) for ids in given] == [50, 7, 1]


def test_a_class_that_runs_out_is_rationed_and_the_mix_renormalised():
    # Both clients want class 0 only, then classes 1 and 2 at 2 : 1. Class 0 has 6 samples for 12 + 6 asked.
    log_mixes = np.log(np.array([[1.0, 2e-9, 1e-9], [1.0, 2e-9, 1e-9]]))
    table = fill_mixes(np.array([6, 100, 100]), np.array([13, 5]), log_mixes)
    # Shares of 6 by 13 : 5 are 4.33 and 1.67, so 4 and 2; the missing 9 and 3 divide 2 : 1.
    assert table.tolist() == [[4, 6, 3], [2, 2, 1]]


def test_a_ration_never_exceeds_what_was_asked_for():
    granted = ration(np.array([[1, 0, 5], [9, 0, 5], [0, 0, 0]]), np.array([4, 0, 10]))
    assert granted.tolist() == [[0, 0, 5], [4, 0, 5], [0, 0, 0]]


def test_every_sample_is_used_even_under_extreme_skew():
    labels = np.repeat([0, 1, 2], [970, 20, 10])
    split = client_dirichlet(labels, num_clients=20, seed=0, alpha=1e-6)
    assert histogram(split, labels).sum(axis=0).tolist() == [970, 20, 10]


def test_a_small_alpha_leaves_most_clients_with_few_classes():
    labels = np.tile(np.arange(10), 1000)
    narrow = histogram(client_dirichlet(labels, num_clients=10, seed=0, alpha=0.01, sizes=[50] * 10), labels)
    wide = histogram(client_dirichlet(labels, num_clients=10, seed=0, alpha=100.0, sizes=[50] * 10), labels)
    assert (narrow > 0).sum(axis=1).mean() < 2
    assert (wide > 0).all()


@pytest.mark.parametrize(
    ("sizes", "rule"),
    [
        ([5, 6], r"sum\(sizes\) <= number of samples"),
        ([5], r"len\(sizes\) = num_clients"),
        ([5, 0], "sizes is a list of whole numbers >= 1"),
        ([5, 1.5], "sizes is a list of whole numbers >= 1"),
        (5, "sizes is a list of whole numbers >= 1"),
    ],
)
def test_wrong_sizes_are_refused(sizes, rule):
    with pytest.raises(InputError, match=rule):
        client_dirichlet(np.zeros(10, dtype=int), num_clients=2, seed=0, alpha=1.0, sizes=sizes)


def test_mixed_skews_labels_and_sizes():
    labels = np.tile(np.arange(10), 1000)
    skewed = histogram(mixed(labels, num_clients=10, seed=0, alpha=0.1, quantity_alpha=0.3), labels)
    even = histogram(mixed(labels, num_clients=10, seed=0, alpha=1e6, quantity_alpha=1e6), labels)
    assert np.abs(even - 100).max() <= 5
    assert np.ptp(skewed.sum(axis=1)) > 1000
    assert (skewed == 0).sum() > 20


@pytest.mark.parametrize("name", ["alpha", "quantity_alpha"])
def test_mixed_refuses_either_alpha_of_zero(name):
    with pytest.raises(InputError, match=f"`{name} > 0`"):
        mixed([0, 1], num_clients=1, seed=0, **({"alpha": 1.0, "quantity_alpha": 1.0} | {name: 0.0}))
