"""The judge of advice, on cases whose best setting is known."""

import numpy as np
import pytest
from benchmarks.advice import apply_everywhere, find_hindsight, judge, measure
from benchmarks.advice_table import list_kinds
from tests.advise.invented import make_measured

from limbeck.advise import read_measured

DIVERGENCES = (0.0, 0.02, 0.04, 0.9, 0.92, 0.94)
GAINS = [[0, 0.10, -0.10, 0.02]] * 3 + [[0, -0.10, 0.20, 0.02]] * 3


def test_advice_that_is_right_everywhere_has_no_regret_and_its_rivals_have_what_a_hand_calculates():
    verdicts = judge(make_measured(DIVERGENCES, GAINS))["verdicts"]
    assert verdicts["advice by counts, 1 checked"]["regret"] == pytest.approx(0.0, abs=1e-6)
    assert verdicts["advice by counts, 1 checked"]["worse_transfers"] == 0.0
    # The best possible is 0.1 in three cases and 0.2 in the others, 0.15 on average.
    assert verdicts["leave alone"]["regret"] == pytest.approx(0.15)
    # The best fixed setting gains -0.1 and 0.2, hence 0.05; the check turns its losses into nothing.
    assert verdicts["best fixed, hindsight"]["regret"] == pytest.approx(0.10)
    assert verdicts["best fixed, hindsight"]["worse_cases"] == pytest.approx(0.5)
    assert verdicts["best fixed, hindsight, checked"]["regret"] == pytest.approx(0.05)
    assert verdicts["always vanilla kd on the student's data"]["regret"] == pytest.approx(0.15)
    assert verdicts["advice by counts, 1 checked"]["regret_removed"] == pytest.approx(1.0)


def test_a_case_counts_once_however_many_seeds_it_has():
    measured = make_measured(
        (0.0, 0.0, 0.9), [[0, 0.2], [0, 0.0], [0, 0.4]], scenarios=["a", "a", "b"], seeds=[0, 1, 0]
    )
    verdict = measure(measured, [[1], [1], [1]], checks=False)
    assert verdict.gain == pytest.approx((0.1 + 0.4) / 2)
    assert verdict.regret == pytest.approx(0.0)


def test_hindsight_picks_what_gains_most_over_cases_with_nothing_where_it_was_not_tried():
    measured = make_measured((0.0, 0.9), [[0, 0.3, 0.1], [0, np.nan, 0.1]])
    assert apply_everywhere(measured, 1) == [[1], []]
    assert find_hindsight(measured) == 1


def test_the_table_says_how_wide_to_look_for_every_kind_of_question():
    measured = read_measured()
    kinds = {",".join(names) for names in list_kinds(measured).values()}
    assert kinds == set(measured.about["tuning"])
