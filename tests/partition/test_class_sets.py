"""`classes`, `disjoint` and `overlapping`: who holds which whole classes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limbeck.core.errors import InputError
from limbeck.partition import classes, disjoint, overlapping

LABELS = np.tile(np.arange(10), 60)


def histogram(indices, labels=LABELS):
    return np.array([np.bincount(labels[ids], minlength=labels.max() + 1) for ids in indices])


@settings(deadline=None, max_examples=100)
@given(st.integers(1, 20), st.integers(1, 10), st.integers(0, 1000))
def test_each_client_holds_k_classes_and_holders_are_even(num_clients, classes_per_client, seed):
    if num_clients * classes_per_client < 10:
        return
    split = classes(LABELS, num_clients=num_clients, seed=seed, classes_per_client=classes_per_client)
    holders = histogram(split) > 0
    assert (holders.sum(axis=1) == classes_per_client).all()
    assert np.ptp(holders.sum(axis=0)) <= 1
    assert holders.any(axis=0).all()


def test_the_samples_of_a_class_are_divided_evenly_between_its_holders():
    table = histogram(classes(LABELS, num_clients=10, seed=0, classes_per_client=2))
    assert sorted(np.unique(table)) == [0, 30]


def test_clients_differ_in_their_pairs_of_classes():
    pairs = {
        tuple(np.flatnonzero(row))
        for row in histogram(classes(LABELS, num_clients=20, seed=0, classes_per_client=2))
    }
    assert len(pairs) > 5


def test_without_overlap_each_class_has_one_holder():
    table = histogram(classes(LABELS, num_clients=5, seed=0, classes_per_client=2, overlap=False))
    assert ((table > 0).sum(axis=0) == 1).all()
    assert ((table > 0).sum(axis=1) == 2).all()


def test_classes_that_nobody_holds_are_named():
    with pytest.raises(
        InputError,
        match=r"got class [^4] held by nobody among 2 clients. "
        r"Use at least 3 clients or 5 classes per client, because 2 \* 4 < 9.",
    ):
        classes(LABELS[LABELS != 4], num_clients=2, seed=0, classes_per_client=4)


def test_a_long_list_of_unheld_classes_is_cut():
    with pytest.raises(InputError, match=r"classes (\d+, ){9}\d+ and 89 more held by nobody"):
        classes(np.arange(100), num_clients=1, seed=0, classes_per_client=1)


def test_without_overlap_unheld_classes_are_named_with_a_fitting_remedy():
    with pytest.raises(InputError, match=r"got class \d held by nobody.*Use the strategy `disjoint`"):
        classes(LABELS, num_clients=3, seed=0, classes_per_client=3, overlap=False)


@pytest.mark.parametrize(
    ("arguments", "rule"),
    [
        ({"classes_per_client": 11}, "classes_per_client <= number of classes"),
        ({"classes_per_client": 0}, "classes_per_client >= 1"),
        ({"classes_per_client": 2.5}, "classes_per_client is a whole number"),
        (
            {"classes_per_client": 3, "overlap": False},
            r"num_clients \* classes_per_client <= number of classes",
        ),
        ({"classes_per_client": 2, "overlap": "no"}, "overlap is true or false"),
    ],
)
def test_wrong_class_numbers_are_refused(arguments, rule):
    with pytest.raises(InputError, match=rule):
        classes(LABELS, num_clients=5, seed=0, **arguments)


def test_a_class_too_small_for_its_holders_is_named():
    labels = np.array([0, 0, 0, 0, 7, 7])
    with pytest.raises(InputError, match="class 7 with 2 samples for 4 clients"):
        classes(labels, num_clients=4, seed=0, classes_per_client=2)


def test_disjoint_deals_out_every_class_once():
    table = histogram(disjoint(LABELS, num_clients=4, seed=0))
    assert sorted((table > 0).sum(axis=1)) == [2, 2, 3, 3]
    assert ((table > 0).sum(axis=0) == 1).all()
    assert (table.sum(axis=0) == 60).all()


def test_disjoint_needs_a_class_per_client():
    with pytest.raises(InputError, match="num_clients <= number of classes"):
        disjoint(LABELS, num_clients=11, seed=0)


def test_four_shared_classes_of_ten_give_two_clients_seven_each():
    table = histogram(overlapping(LABELS, num_clients=2, seed=0, num_shared_classes=4))
    holders = table > 0
    shared = holders.all(axis=0)
    assert holders.sum(axis=1).tolist() == [7, 7]
    assert shared.sum() == 4
    assert (table[:, shared] == 30).all()
    assert (table[:, ~shared].max(axis=0) == 60).all()


def test_all_classes_may_be_shared():
    table = histogram(overlapping(LABELS, num_clients=3, seed=0, num_shared_classes=10))
    assert (table == 20).all()


def test_more_clients_than_classes_of_their_own_hold_shared_classes_only():
    holders = histogram(overlapping(LABELS, num_clients=4, seed=0, num_shared_classes=8)) > 0
    assert sorted(holders.sum(axis=1)) == [8, 8, 9, 9]


@pytest.mark.parametrize(
    ("num_clients", "num_shared", "rule"),
    [
        (2, 11, "num_shared_classes <= number of classes"),
        (2, -1, "num_shared_classes >= 0"),
        (11, 0, "num_clients <= number of classes when no class is shared"),
        (61, 1, "every class has a sample for each client that holds it"),
    ],
)
def test_wrong_shared_classes_are_refused(num_clients, num_shared, rule):
    with pytest.raises(InputError, match=rule):
        overlapping(LABELS, num_clients=num_clients, seed=0, num_shared_classes=num_shared)
