"""Expected calibration error, by hand and by its laws."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from limbeck.pairs import measure_calibration


def test_one_bin_by_hand():
    # All in the bin (0.8, 0.8667]: accuracy 2/3, mean confidence 0.83.
    confidences = np.array([0.82, 0.83, 0.84])
    value = measure_calibration(confidences, np.array([True, True, False]))
    assert value == pytest.approx(0.83 - 2 / 3)


def test_two_bins_weigh_by_their_samples():
    # (0.5, 1]: 3 samples, accuracy 1/3, confidence 0.9. (0, 0.5]: 1 sample, right, confidence 0.5.
    value = measure_calibration(
        np.array([0.9, 0.9, 0.9, 0.5]), np.array([True, False, False, True]), num_bins=2
    )
    assert value == pytest.approx(3 / 4 * (0.9 - 1 / 3) + 1 / 4 * 0.5)


@settings(deadline=None, max_examples=100)
@given(
    confidences=arrays(np.float64, 30, elements=st.floats(0, 1)),
    is_right=arrays(np.bool_, 30),
    num_bins=st.integers(1, 20),
)
def test_it_equals_the_definition_written_as_a_loop(confidences, is_right, num_bins):
    total = 0.0
    for index in range(num_bins):
        low, high = index / num_bins, (index + 1) / num_bins
        members = [i for i, c in enumerate(confidences) if low < c <= high or (index == 0 and c == 0)]
        if members:
            gap = np.mean(is_right[members]) - np.mean(confidences[members])
            total += len(members) / len(confidences) * abs(gap)
    edges = np.arange(1, num_bins) / num_bins
    if not np.isclose(confidences[:, None], edges[None, :], rtol=0, atol=1e-12).any():
        assert measure_calibration(confidences, is_right, num_bins=num_bins) == pytest.approx(total)


def test_perfect_confidence_has_no_error():
    assert measure_calibration(np.ones(5), np.ones(5, dtype=bool)) == 0
