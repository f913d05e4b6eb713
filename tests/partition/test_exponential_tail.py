"""`long-tail`: class counts that fall exponentially."""

import numpy as np
import pytest

from limbeck.core.errors import InputError
from limbeck.partition import long_tail

LABELS = np.tile(np.arange(5), 1000)


def histogram(indices, labels=LABELS):
    return np.array([np.bincount(labels[ids], minlength=labels.max() + 1) for ids in indices])


def test_counts_fall_by_the_same_factor_from_class_to_class():
    # Ratio 16 over 5 classes halves each time; the head class of 1000 gives each of 5 clients 200.
    table = histogram(long_tail(LABELS, num_clients=5, seed=0, imbalance_ratio=16))
    # 200 + 100 + 50 + 25 + 12.5 = 387.5 is rounded down to 387 for every client.
    assert (table.sum(axis=1) == 387).all()
    falling = -np.sort(-table, axis=1)
    assert np.abs(falling - [200, 100, 50, 25, 12.5]).max() <= 1


def test_the_same_head_makes_the_whole_long_tailed():
    table = histogram(long_tail(LABELS, num_clients=4, seed=0, imbalance_ratio=16, head="same"))
    totals = np.sort(table.sum(axis=0))[::-1]
    assert totals == pytest.approx([1000, 500, 250, 125, 62.5], abs=3)
    assert len(set(table.argmax(axis=1))) == 1


def test_heads_of_their_own_are_dealt_evenly_and_use_nearly_everything():
    table = histogram(long_tail(LABELS, num_clients=10, seed=0, imbalance_ratio=16, head="client"))
    assert np.bincount(table.argmax(axis=1)).tolist() == [2] * 5
    assert 5000 - table.sum() < 10
    # 500 samples per client in 16 : 8 : 4 : 2 : 1.
    assert np.abs(-np.sort(-table, axis=1) - 500 * np.array([16, 8, 4, 2, 1]) / 31).max() <= 1


def test_the_order_of_the_classes_depends_on_the_seed():
    heads = {
        int(histogram(long_tail(LABELS, num_clients=2, seed=seed, imbalance_ratio=10))[0].argmax())
        for seed in range(20)
    }
    assert len(heads) > 2


def test_a_ratio_of_one_uses_every_sample():
    table = histogram(long_tail(LABELS, num_clients=5, seed=0, imbalance_ratio=1))
    assert (table == 200).all()


def test_one_class_has_no_tail():
    assert [len(ids) for ids in long_tail([7] * 6, num_clients=3, seed=0, imbalance_ratio=10)] == [2, 2, 2]


def test_a_tail_class_that_would_vanish_is_named():
    with pytest.raises(
        InputError, match=r"got class \d held by nobody among 2 clients.*smaller imbalance_ratio"
    ):
        long_tail(np.tile(np.arange(3), 10), num_clients=2, seed=0, imbalance_ratio=1e6)


def test_clients_without_a_sample_are_refused():
    with pytest.raises(InputError, match="every client gets a sample"):
        long_tail(np.repeat([0, 1], [1, 50]), num_clients=40, seed=0, imbalance_ratio=1)


@pytest.mark.parametrize(
    ("arguments", "rule"),
    [
        ({"imbalance_ratio": 0.5}, "imbalance_ratio >= 1"),
        ({"imbalance_ratio": None}, "imbalance_ratio is a finite number"),
        ({"imbalance_ratio": 2, "head": "clients"}, "head is `same` or `client`.*Did you mean `client`"),
    ],
)
def test_wrong_settings_are_refused(arguments, rule):
    with pytest.raises(InputError, match=rule):
        long_tail(LABELS, num_clients=2, seed=0, **arguments)
