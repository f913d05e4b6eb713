"""`dirichlet`: classes divided in Dirichlet-drawn shares, with and without balance."""

import numpy as np
import pytest

from limbeck.core.errors import InputError
from limbeck.partition import dirichlet
from limbeck.partition.class_shares import share_balanced, share_plainly
from limbeck.partition.labels import count_classes

MANY_CLASSES = np.repeat(np.arange(400), 200)


def histogram(indices, labels):
    return np.array([np.bincount(labels[ids], minlength=labels.max() + 1) for ids in indices])


def test_plain_shares_have_the_moments_of_a_dirichlet():
    table = histogram(dirichlet(MANY_CLASSES, num_clients=10, seed=0, alpha=0.5, balance=False), MANY_CLASSES)
    shares = table / 200
    # The mean share is 1 / clients; E sum_k p_k^2 = (alpha + 1) / (clients * alpha + 1) = 1.5 / 6.
    assert shares.mean(axis=1) == pytest.approx(np.full(10, 0.1), abs=0.03)
    assert (shares**2).sum(axis=0).mean() == pytest.approx(0.25, abs=0.02)


def test_a_large_alpha_approaches_equal_shares():
    table = histogram(dirichlet(MANY_CLASSES, num_clients=10, seed=0, alpha=1e6), MANY_CLASSES)
    assert np.abs(table - 20).max() <= 2


def test_balance_keeps_sizes_closer_together():
    labels = np.repeat(np.arange(10), 500)
    balanced, plain = (
        np.std(
            [
                [len(ids) for ids in dirichlet(labels, num_clients=10, seed=seed, alpha=0.1, balance=balance)]
                for seed in range(10)
            ]
        )
        for balance in (True, False)
    )
    assert balanced < 0.8 * plain


def share_as_published(counts, proportions, num_samples):
    """NIID-Bench, partition `noniid-labeldir`: p_k * (n_k < n / clients), renormalised, class after class."""
    num_clients = proportions.shape[1]
    expected = np.zeros((num_clients, len(counts)))
    sizes = np.zeros(num_clients)
    for k, count in enumerate(counts):
        p = np.array(
            [p * (n < num_samples / num_clients) for p, n in zip(proportions[k], sizes, strict=True)]
        )
        expected[:, k] = p / p.sum() * count
        sizes = sizes + expected[:, k]
    return expected


@pytest.mark.parametrize("seed", range(10))
def test_balanced_shares_follow_the_published_rule(seed):
    labels = np.repeat(np.arange(6), 100_000)
    classes = count_classes(labels, num_clients=5)
    proportions = np.random.default_rng(seed).dirichlet(np.full(5, 0.5), size=6)
    expected = share_as_published([100_000] * 6, proportions, 600_000)
    assert np.abs(share_balanced(classes, np.log(proportions)) - expected).max() < 10


def test_plain_shares_follow_their_weights_within_one_sample():
    classes = count_classes(np.repeat([0, 1], [10, 100]), num_clients=3)
    proportions = np.array([[0.57, 0.24, 0.19], [0.1, 0.101, 0.799]])
    table = share_plainly(classes, np.log(proportions))
    assert table.tolist() == [[6, 10], [2, 10], [2, 80]]


@pytest.mark.parametrize("balance", [True, False])
@pytest.mark.parametrize("alpha", [0.01, 1e-6, 1e-300, 5e-324])
def test_extreme_skew_between_a_hundred_clients_is_filled_up(alpha, balance):
    labels = np.tile(np.arange(10), 6000)
    split = dirichlet(labels, num_clients=100, seed=0, alpha=alpha, balance=balance, min_samples=10)
    sizes = [len(ids) for ids in split]
    assert min(sizes) == 10
    assert sum(sizes) == 60_000


def test_the_largest_possible_min_samples_makes_sizes_equal():
    labels = np.tile(np.arange(10), 100)
    sizes = [len(ids) for ids in dirichlet(labels, num_clients=10, seed=0, alpha=0.1, min_samples=100)]
    assert sizes == [100] * 10


@pytest.mark.parametrize(
    ("arguments", "rule"),
    [
        ({"alpha": 0.0}, "`alpha > 0` must hold, but got alpha=0.0"),
        ({"alpha": -0.1}, "alpha > 0.*uniform"),
        ({"alpha": float("nan")}, "alpha is a finite number"),
        ({"alpha": "0.5"}, "alpha is a finite number"),
        ({"alpha": True}, "alpha is a finite number"),
        ({"alpha": 0.5, "balance": 1}, "balance is true or false"),
        ({"alpha": 0.5, "min_samples": 0}, "min_samples >= 1"),
        ({"alpha": 0.5, "min_samples": 26}, r"num_clients \* min_samples <= number of samples"),
    ],
)
def test_wrong_settings_are_refused(arguments, rule):
    with pytest.raises(InputError, match=rule):
        dirichlet(np.tile([0, 1], 50), num_clients=4, seed=0, **arguments)
