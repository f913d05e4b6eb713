"""The grid and the choice among its points."""

import pytest

from limbeck.core.errors import InputError
from limbeck.techniques import Settings
from limbeck.tune import choose_best, grid_points


def test_the_grid_holds_every_pair_once_in_order():
    points = grid_points([1, 4], [0.1, 0.5])
    assert points == [
        Settings(temperature=1, weight=0.1),
        Settings(temperature=4, weight=0.1),
        Settings(temperature=1, weight=0.5),
        Settings(temperature=4, weight=0.5),
    ]


@pytest.mark.parametrize(
    ("temperatures", "weights", "rule"),
    [
        ([], [0.5], "at least one"),
        ([1], [], "at least one"),
        ([1, 1], [0.5], "twice"),
        ([0], [0.5], "temperature > 0"),
        ([1], [1.1], "weight <= 1"),
    ],
)
def test_a_wrong_grid_names_the_rule(temperatures, weights, rule):
    with pytest.raises(InputError, match=rule):
        grid_points(temperatures, weights)


def test_the_largest_score_wins_and_the_first_of_equals():
    assert choose_best({"a": 0.1, "b": 0.3, "c": 0.3}) == "b"


def test_nothing_to_choose_from_is_an_error():
    with pytest.raises(InputError, match="at least one candidate"):
        choose_best({})
