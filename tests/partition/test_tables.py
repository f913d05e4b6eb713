"""Count tables: apportionment, exact rounding, filling up, and the draw of samples."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limbeck.partition.labels import count_classes
from limbeck.partition.tables import (
    apportion,
    assign_samples,
    complete_rounding,
    divide_evenly,
    draw_log_weights,
    softmax_where,
    top_up,
)

counts_ = st.lists(st.integers(1, 40), min_size=1, max_size=8).map(np.array)


def test_apportionment_gives_odd_units_to_the_largest_remainders():
    # 10 * (0.55, 0.26, 0.19) = 5.5, 2.6, 1.9: floors 5, 2, 1, and two units for remainders 0.9 and 0.6.
    assert apportion(np.array([10]), np.array([[0.55, 0.26, 0.19]])).tolist() == [[5, 3, 2]]


def test_apportionment_is_row_by_row_and_gives_nothing_to_zero_weights():
    table = apportion(np.array([3, 0, 7]), np.array([[1.0, 0, 0], [1, 1, 1], [0, 2, 2]]))
    assert table.tolist() == [[3, 0, 0], [0, 0, 0], [0, 4, 3]]


@settings(deadline=None, max_examples=100)
@given(counts_, st.data())
def test_exact_rounding_keeps_both_margins_and_stays_within_one(counts, data):
    total = int(counts.sum())
    num_rows = data.draw(st.integers(1, 6))
    cuts = sorted(data.draw(st.lists(st.integers(0, total), min_size=num_rows - 1, max_size=num_rows - 1)))
    sizes = np.diff([0, *cuts, total])
    floors = sizes[:, None] * counts // total
    table = complete_rounding(floors, sizes, counts, rng=np.random.default_rng(0))
    assert table.sum(axis=0).tolist() == counts.tolist()
    assert table.sum(axis=1).tolist() == sizes.tolist()
    assert np.abs(table - np.outer(sizes, counts) / total).max() <= 1


@settings(deadline=None, max_examples=100)
@given(counts_, st.integers(1, 6))
def test_division_between_everyone_is_even_in_cells_and_sums(counts, num_clients):
    table = divide_evenly(counts, np.ones((num_clients, len(counts)), dtype=bool))
    assert table.sum(axis=0).tolist() == counts.tolist()
    assert np.ptp(table, axis=0).max() <= 1
    assert np.ptp(table.sum(axis=1)) <= 1


def test_filling_up_takes_from_the_largest_class_of_the_largest_client():
    table = np.array([[9, 2], [0, 0], [3, 4]])
    assert top_up(table, min_samples=2).tolist() == [[7, 2], [2, 0], [3, 4]]
    assert table.tolist() == [[9, 2], [0, 0], [3, 4]]


@settings(deadline=None, max_examples=100)
@given(st.lists(st.lists(st.integers(0, 9), min_size=3, max_size=3), min_size=1, max_size=6), st.data())
def test_filling_up_reaches_the_minimum_and_keeps_the_class_totals(rows, data):
    table = np.array(rows)
    min_samples = data.draw(st.integers(0, table.sum() // len(table)))
    filled = top_up(table, min_samples=min_samples)
    sizes = table.sum(axis=1)
    assert (filled >= 0).all()
    assert filled.sum(axis=1).min() >= min_samples
    assert (filled.sum(axis=0) == table.sum(axis=0)).all()
    assert (filled.sum(axis=1)[sizes >= min_samples] <= sizes[sizes >= min_samples]).all()


def test_assignment_draws_exactly_the_table():
    labels = np.array([4, 1, 4, 1, 1, 4, 9])
    classes = count_classes(labels, num_clients=2)
    table = np.array([[1, 2, 0], [1, 0, 1]])
    first, second = assign_samples(classes, table, rng=np.random.default_rng(0))
    assert sorted(labels[first]) == [1, 4, 4]
    assert sorted(labels[second]) == [1, 9]


@pytest.mark.parametrize("alpha", [1e-6, 0.01, 1.0, 1e6])
def test_log_weights_are_finite_where_the_weights_vanish(alpha):
    log_weights = draw_log_weights((50, 20), alpha=alpha, rng=np.random.default_rng(0))
    assert np.isfinite(log_weights).all()


def test_log_weights_have_the_mean_of_the_logarithm_of_a_gamma():
    # E log Gamma(1) = -0.5772 (Euler) and E log Gamma(1/2) = -0.5772 - 2 log 2 = -1.9635.
    for alpha, mean in ((1.0, -0.5772), (0.5, -1.9635)):
        log_weights = draw_log_weights((300, 300), alpha=alpha, rng=np.random.default_rng(0))
        assert log_weights.mean() == pytest.approx(mean, abs=0.03)


def test_softmax_ignores_closed_columns():
    weights = softmax_where(np.array([[1000.0, 0.0, np.log(0.5)]]), np.array([False, True, True]))
    assert weights.tolist() == [[0.0, 1.0, pytest.approx(0.5)]]
