"""Numbers from predictions, by hand."""

import numpy as np
import pytest

from limbeck.engine import accuracy, class_accuracy, measure_change

LABELS = np.array([0, 0, 0, 0, 1, 1, 2, 2])
BEFORE = np.array([0, 0, 0, 1, 1, 1, 0, 0])
AFTER = np.array([0, 0, 1, 0, 1, 0, 2, 0])


def test_accuracy_is_the_share_of_right_predictions():
    assert accuracy(BEFORE, LABELS) == 5 / 8


def test_class_accuracy_is_none_for_a_class_without_samples():
    assert class_accuracy(BEFORE, LABELS, num_classes=4) == [0.75, 1.0, 0.0, None]


def test_a_change_is_measured_as_by_hand():
    change = measure_change(BEFORE, AFTER, LABELS, known_classes=[0, 1], num_classes=4)
    assert (change.accuracy_before, change.accuracy_after, change.gain) == (5 / 8, 5 / 8, 0.0)
    assert (change.positive_flips, change.negative_flips) == (2, 2)
    # Class 0 keeps 3 of 4, class 1 loses one of 2: one known sample of six is lost.
    assert change.forgetting == pytest.approx(1 / 6)
    assert change.class_accuracy_after == [0.75, 0.5, 0.5, None]


def test_a_class_that_improves_does_not_hide_one_that_got_worse():
    labels = np.array([0, 0, 1, 1])
    change = measure_change(
        np.array([0, 0, 0, 0]), np.array([1, 1, 1, 1]), labels, known_classes=[0, 1], num_classes=2
    )
    assert change.gain == 0.0
    assert change.forgetting == 0.5


def test_gain_equals_the_difference_of_flips():
    rng = np.random.default_rng(0)
    labels, before, after = rng.integers(0, 5, size=(3, 400))
    change = measure_change(before, after, labels, known_classes=range(5), num_classes=5)
    assert change.gain == pytest.approx((change.positive_flips - change.negative_flips) / 400)


def test_nothing_known_is_nothing_forgotten():
    change = measure_change(BEFORE, AFTER, LABELS, known_classes=[], num_classes=3)
    assert change.forgetting == 0.0
