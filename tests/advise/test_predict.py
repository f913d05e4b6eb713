"""What near cases say: hand-calculated averages, shortlists and risks."""

import numpy as np
import polars as pl
import pytest

from limbeck.advise.features import describe_counts
from limbeck.advise.predict import average, fit_scale, make_shortlist, pick_unchecked, resample_mean, weigh

ALL = np.ones(3, dtype=bool)


def test_without_weights_every_transfer_counts_alike():
    values = np.array([[0.0, 0.1, np.nan], [0.0, 0.3, 0.2]])
    assert average(values, np.zeros(2)) == pytest.approx([0.0, 0.2, 0.2])


def test_a_near_transfer_counts_more():
    values = np.array([[0.0, 0.1], [0.0, 0.3]])
    # Weight 1 for the first, and the prior's 0.1 for each: (1.1 * 0.1 + 0.1 * 0.3) / 1.2.
    assert average(values, np.array([1.0, 0.0]))[1] == pytest.approx((1.1 * 0.1 + 0.1 * 0.3) / 1.2)


def test_weights_fall_with_the_distance():
    assert weigh(np.array([0.0, 0.5]), 0.5) == pytest.approx([1.0, np.exp(-0.5)])


def test_distances_are_root_mean_squares_in_standard_deviations():
    scale = fit_scale(pl.DataFrame({"a": [0.0, 2.0], "b": [1.0, 1.0]}), ("a", "b"))
    # `a` has mean 1 and deviation 1; `b` does not vary, so its deviation counts as 1.
    distances = scale.measure_distances(np.array([[2.0, 3.0]]))
    assert distances[0] == pytest.approx([np.sqrt((4 + 4) / 2), np.sqrt((0 + 4) / 2)])


def test_the_second_try_helps_where_the_first_does_not():
    checked = np.array([[0.0, 0.10, 0.09, 0.0], [0.0, 0.10, 0.09, 0.0], [0.0, 0.0, 0.0, 0.05]])
    allowed = np.ones(4, dtype=bool)
    assert make_shortlist(checked, np.ones(3), size=3, allowed=allowed) == [1, 3]


def test_leaving_the_student_alone_is_never_listed():
    assert make_shortlist(np.array([[0.0, -0.1, -0.2]]), np.ones(1), size=3, allowed=ALL) == []


def test_without_a_check_a_risky_setting_is_not_taken():
    gains = np.array([[0.0, 0.5, 0.01]] * 9 + [[0.0, -0.1, 0.01]])
    assert pick_unchecked(gains, np.ones(10), allowed=ALL) == 2
    assert pick_unchecked(gains[:, :2], np.ones(10), allowed=ALL[:2]) == 0


def test_seeds_of_a_case_are_resampled_together():
    values, weights = np.array([0.1, 0.1, 0.1, 0.3]), np.ones(4)
    assert resample_mean(values, weights, np.array([0, 0, 0, 0])) is None
    low, high = resample_mean(values, weights, np.array([0, 0, 0, 1]))
    assert (low, high) == pytest.approx((0.1, 0.3))


def test_equal_mixes_have_no_divergence_and_foreign_ones_a_bit():
    equal = describe_counts(np.array([10, 30]), np.array([5, 15]))
    assert equal["divergence"] == pytest.approx(0.0, abs=1e-9)
    assert (equal["missing"], equal["unshared"]) == (0.0, 0.0)
    assert equal["size_ratio"] == pytest.approx(-1.0)
    foreign = describe_counts(np.array([10, 0]), np.array([0, 15]))
    assert (foreign["divergence"], foreign["missing"], foreign["unshared"]) == pytest.approx((1.0, 1.0, 1.0))
