"""Leaving scenarios out, on cases whose best setting is known."""

import numpy as np
import pytest
from tests.advise.invented import make_measured

from limbeck.advise.folds import (
    choose_bandwidth,
    list_folds,
    measure_reach,
    recommend_held_out,
    take_best,
)
from limbeck.advise.measured import check_margin

# Where the mixes are close the first setting helps, where they are far apart the second.
DIVERGENCES = (0.0, 0.02, 0.04, 0.9, 0.92, 0.94)
GAINS = [[0, 0.1, -0.1]] * 3 + [[0, -0.1, 0.1]] * 3


def test_every_case_of_a_scenario_is_left_out_together():
    measured = make_measured((0.0, 0.1, 0.9), [[0, 0.1]] * 3, scenarios=["a", "a", "b"], seeds=[0, 1, 0])
    folds = [(name, others.tolist(), own.tolist()) for name, others, own in list_folds(measured)]
    assert folds == [("a", [2], [0, 1]), ("b", [0, 1], [2])]


def test_a_held_out_case_is_told_what_helped_in_cases_like_it():
    measured = make_measured(DIVERGENCES, GAINS)
    for scenario, others, own in list_folds(measured):
        picks = recommend_held_out(measured.take(others), measured.take(own), ("divergence",), 0.3, size=1)
        assert picks.shortlists == [[1 if DIVERGENCES[own[0]] < 0.5 else 2]], scenario


def test_only_what_was_tried_in_a_case_is_recommended_there():
    measured = make_measured(DIVERGENCES, GAINS)
    held_out = make_measured((0.0,), [[0, np.nan, 0.1]])
    picks = recommend_held_out(measured, held_out, ("divergence",), 0.3, size=2)
    assert picks.shortlists == [[2]]


def test_the_narrow_neighbourhood_wins_where_near_cases_agree_and_far_ones_do_not():
    # Most cases are far: in a wide neighbourhood their setting outvotes that of the near ones.
    divergences = (0.0, 0.01, *np.linspace(0.8, 1.0, 8).tolist())
    gains = [[0, 0.1, -0.1]] * 2 + [[0, -0.1, 0.1]] * 8
    assert choose_bandwidth(make_measured(divergences, gains), ("divergence",), size=1) <= 0.5


def test_the_best_by_validation_is_kept_and_only_if_it_passes():
    measured = make_measured(
        (0.0, 0.5, 0.9),
        [[0, 0.1, 0.2], [0, -0.3, -0.1], [0, 0.1, 0.2]],
        validation_gains=[[0, 0.3, 0.1], [0, -0.1, -0.2], [0, 0.1, 0.2]],
    )
    # The first keeps what validation prefers, the second nothing, the third has nothing to try.
    assert take_best(measured, [[1, 2], [1, 2], []]) == pytest.approx([0.1, 0.0, 0.0])


def test_a_rise_below_the_margin_does_not_pass():
    margin = float(check_margin(10_000))
    assert margin == pytest.approx(0.0014)
    measured = make_measured(
        (0.0, 0.5), [[0, 0.1], [0, 0.1]], validation_gains=[[0, margin * 0.9], [0, margin * 1.1]]
    )
    assert measured.checked_gains[:, 1] == pytest.approx([0.0, 0.1])


def test_reach_is_the_usual_distance_to_the_nearest_other_scenario():
    # One feature with deviation 1: distances to the nearest are 1, 1 and 2 standard deviations apart.
    measured = make_measured((0.0, 1.0, 3.0), [[0, 0.1]] * 3)
    deviation = np.std([0.0, 1.0, 3.0])
    expected = np.quantile([1 / deviation, 1 / deviation, 2 / deviation], 0.95)
    assert measure_reach(measured, ("divergence",)) == pytest.approx(expected)
