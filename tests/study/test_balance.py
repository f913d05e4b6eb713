"""Any beginning of an even order is balanced."""

import itertools
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from limbeck.study.balance import order_evenly

sizes = st.lists(st.integers(1, 5), min_size=1, max_size=4)


@given(sizes)
def test_every_row_comes_once_and_the_order_is_always_the_same(sizes):
    rows = list(itertools.product(*map(range, sizes)))
    order = order_evenly(rows)
    assert sorted(order) == list(range(len(rows)))
    assert order_evenly(rows) == order


@given(sizes, st.data())
def test_in_any_beginning_the_values_of_an_axis_appear_about_equally_often(sizes, data):
    rows = list(itertools.product(*map(range, sizes)))
    length = data.draw(st.integers(1, len(rows)))
    taken = [rows[index] for index in order_evenly(rows)[:length]]
    for axis, size in enumerate(sizes):
        counts = Counter(row[axis] for row in taken)
        assert max(counts.values()) - min(counts[value] for value in range(size)) <= 2


@given(st.integers(2, 6), st.integers(2, 6))
def test_two_axes_of_a_grid_are_taken_like_a_latin_square(first, second):
    rows = list(itertools.product(range(first), range(second)))
    beginning = [rows[index] for index in order_evenly(rows)[: min(first, second)]]
    assert len({row[0] for row in beginning}) == len({row[1] for row in beginning}) == len(beginning)


def test_of_each_group_one_row_is_taken_the_one_that_balances_best():
    rows = [("a", 0), ("a", 1), ("b", 0), ("b", 1), ("c", 0), ("c", 1)]
    order = order_evenly(rows, groups=[row[0] for row in rows])
    assert [rows[index] for index in order] == [("a", 0), ("b", 1), ("c", 0)]


def test_nothing_has_an_order():
    assert order_evenly([]) == []
