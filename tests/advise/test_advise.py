"""Advice from the table that ships with the package."""

import json

import numpy as np
import pytest
from tests.advise.invented import make_measured

from limbeck.advise import LabelCounts, advise_case, advise_counts, advise_federation, read_measured
from limbeck.advise.features import COUNT_FEATURES, FEATURES
from limbeck.advise.measured import write_measured
from limbeck.core.errors import InputError
from limbeck.federate import STARTS, STRATEGIES

MEASURED = read_measured()


def make_counts(rows):
    return LabelCounts(
        clients=tuple(f"site-{number}" for number in range(len(rows))),
        class_names=tuple(f"class {number}" for number in range(len(rows[0]))),
        counts=np.array(rows, np.int64),
    )


def test_the_shipped_table_is_whole():
    assert MEASURED.gains.shape == (MEASURED.cases.height, len(MEASURED.settings))
    assert MEASURED.settings[0].technique == "none"
    assert (MEASURED.gains[:, 0] == 0).all()
    assert all(study["spec_hash"] for study in MEASURED.about["studies"])
    assert "advice_table" in MEASURED.about["command"]
    assert MEASURED.federations.height > 0


def test_a_table_is_read_as_it_was_written(tmp_path):
    paths = tmp_path / "measured.parquet", tmp_path / "federations.parquet"
    write_measured(MEASURED, *paths)
    again = read_measured(*paths)
    assert again.settings == MEASURED.settings
    assert again.cases.equals(MEASURED.cases)
    assert np.array_equal(again.gains, MEASURED.gains, equal_nan=True)


def test_a_damaged_table_is_one_sentence(tmp_path):
    (tmp_path / "measured.parquet").write_bytes(b"PAR1")
    with pytest.raises(InputError, match="must be a whole table of measured cases"):
        read_measured(tmp_path / "measured.parquet")


def test_a_measured_case_is_its_own_nearest_and_its_settings_come_with_evidence():
    row = MEASURED.cases.row(0, named=True)
    features = {name: row[name] for name in FEATURES if row[name] is not None}
    advice = advise_case(features)
    assert advice.distance == pytest.approx(0.0, abs=1e-6)
    assert advice.nearest[0].scenario == row["scenario"]
    assert advice.num_cases >= 1
    for tried in advice.shortlist:
        assert tried.gain > 0
        assert tried.num_transfers >= tried.num_cases >= 1
        assert tried.low is None or tried.low <= tried.high
    assert advice.command.startswith("limbeck transfer --student STUDENT")


def test_where_nothing_was_measured_it_says_to_tune():
    far = dict.fromkeys(COUNT_FEATURES, 50.0)
    advice = advise_case(far)
    assert advice.distance > advice.reach
    assert advice.shortlist == ()
    assert advice.num_cases == 0
    assert advice.command.startswith("limbeck tune --student STUDENT")


def test_nothing_is_said_about_a_case_of_which_nothing_is_known():
    with pytest.raises(InputError, match="something is known of the case"):
        advise_case({})


@pytest.mark.parametrize("tries", [0, 11])
def test_the_number_of_tries_is_checked(tries):
    with pytest.raises(InputError, match="1 <= tries <= 10"):
        advise_counts(make_counts([[300] * 10, [300] * 10]), tries=tries)


def test_advice_on_counts_is_the_same_whatever_the_clients_are_called():
    rows = [[300] * 5 + [0] * 5, [0] * 5 + [300] * 5]
    advice = advise_counts(make_counts(rows))
    assert advice == advise_counts(make_counts(rows[::-1]), student=1, teacher=0)
    assert json.loads(json.dumps(advice.to_dict()))["num_cases"] == advice.num_cases


def test_a_federation_is_told_a_start_and_a_strategy_there_are():
    rows = [
        [100 if number in (place, (place + 1) % 10) else 0 for number in range(10)] for place in range(10)
    ]
    advice = advise_federation(make_counts(rows))
    assert advice.options
    for option in advice.options:
        assert option.start in STARTS
        assert option.strategy in STRATEGIES
    assert advice.options[0].rounds_share == min(option.rounds_share for option in advice.options)


def test_the_support_are_the_cases_that_carry_the_number():
    # Two cases alike and one far away, of which nothing is heard.
    evidence = make_measured((0.0, 0.1, 5.0), [[0, 0.1, 0.0], [0, 0.3, 0.0], [0, -0.5, 0.2]])
    advice = advise_case({"divergence": 0.05}, measured=evidence, size=1)
    [first] = advice.shortlist
    assert first.setting == evidence.settings[1]
    assert (advice.num_cases, first.num_cases, first.num_transfers) == (2, 2, 2)
    assert first.gain == pytest.approx(0.2, abs=0.02)
    assert (first.low, first.high) == pytest.approx((0.1, 0.3), abs=0.01)
    assert [neighbour.gain for neighbour in advice.nearest] == pytest.approx([0.1, 0.3, 0.0])
    assert "--technique kd --temperature 1 --weight 0.5" in advice.command
