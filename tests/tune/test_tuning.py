"""A search tries what it says, chooses on validation, and goes on where it stopped."""

import json
import math

import numpy as np
import optuna
import pytest
from hypothesis import given, settings
from hypothesis.extra.numpy import arrays

import limbeck
from limbeck.core.errors import InputError
from limbeck.core.fingerprint import hash_state
from limbeck.tune import compare_paired, tune

SPACE = {"temperature": (1, 4), "weight": (0.1, 0.9)}


def run(pair, digits, folder, **options):
    student, teacher = pair
    given_options = {"space": SPACE, "epochs": 1, "progress": False, "folder": folder, **options}
    return tune(student, teacher, digits, **given_options)


@pytest.fixture(scope="module")
def tuned(pair, digits, tmp_path_factory):
    return run(pair, digits, tmp_path_factory.mktemp("tune"))


def test_a_grid_tries_every_point_once(tuned):
    tried = sorted((one.settings["temperature"], one.settings["weight"]) for one in tuned.trials)
    assert tried == [(1, 0.1), (1, 0.9), (4, 0.1), (4, 0.9)]


def test_the_best_on_validation_is_chosen_and_the_first_of_equals(tuned):
    best = max(tuned.trials, key=lambda one: one.validation)
    assert tuned.settings == best.settings
    attempt = tuned.record.attempt
    assert attempt.validation[attempt.kept_epoch] == best.validation
    assert attempt.change.accuracy_after == best.accuracy_after


def test_every_trial_is_the_transfer_of_its_settings(tuned, pair, digits):
    for one in tuned.trials:
        alone = limbeck.transfer(
            *pair, digits, technique="kd", **one.settings, epochs=1, baseline=False, progress=False
        ).record.attempt
        assert alone.change.accuracy_after == one.accuracy_after
        assert alone.validation[alone.kept_epoch] == one.validation


def test_defaults_and_finetune_run_beside_it(tuned, pair, digits):
    default = limbeck.transfer(*pair, digits, technique="kd", epochs=1, progress=False).record
    assert tuned.default.accuracy_after == default.attempt.change.accuracy_after
    assert tuned.record.baseline.change == default.baseline.change


def test_its_worth_is_the_difference_on_the_test_part(tuned):
    difference = tuned.record.attempt.change.accuracy_after - tuned.default.accuracy_after
    assert tuned.worth.mean == pytest.approx(difference)
    assert tuned.worth.low <= tuned.worth.mean <= tuned.worth.high


def test_importances_are_shares_of_each_setting(tuned):
    assert set(tuned.importance) <= set(SPACE)
    assert not tuned.importance or sum(tuned.importance.values()) == pytest.approx(1)


def test_the_record_turns_into_json(tuned):
    content = json.loads(json.dumps(tuned.to_dict()))
    assert len(content["trials"]) == 4
    assert content["technique"] == "kd"
    assert content["default"]["settings"] == {"temperature": 1, "weight": 0.5}


def test_the_same_call_again_tries_nothing_and_gives_the_same_student(tuned, pair, digits, tmp_path):
    calls = []
    first = run(pair, digits, tmp_path, after_trial=lambda trials: calls.append(len(trials)))
    assert calls == [1, 2, 3, 4]
    again = run(pair, digits, tmp_path, after_trial=lambda trials: calls.append(len(trials)))
    assert calls == [1, 2, 3, 4]
    assert again.trials == first.trials
    states = [hash_state(one.outcome.student.state_dict()) for one in (tuned, first, again)]
    assert len(set(states)) == 1


class StopError(Exception):
    """What interrupts a search."""


@pytest.mark.parametrize("driver", ["grid", "tpe"])
def test_an_interrupted_search_goes_on_where_it_stopped(pair, digits, tmp_path, driver):
    def stop(trials):
        if len(trials) == 2:
            raise StopError

    options = {"driver": driver, "num_trials": 4}
    with pytest.raises(StopError):
        run(pair, digits, tmp_path, after_trial=stop, **options)
    calls = []
    tuned = run(pair, digits, tmp_path, after_trial=lambda trials: calls.append(len(trials)), **options)
    assert calls == [3, 4]
    assert len(tuned.trials) == 4


def test_a_trial_whose_process_died_is_tried_again(pair, digits, tmp_path):
    def stop(trials):
        if len(trials) == 2:
            raise StopError

    with pytest.raises(StopError):
        run(pair, digits, tmp_path, after_trial=stop)
    storage = f"sqlite:///{tmp_path / 'tuning.sqlite'}"
    (name,) = optuna.get_all_study_names(storage)
    sampler = optuna.samplers.GridSampler({key: list(values) for key, values in SPACE.items()}, seed=1)
    study = optuna.load_study(storage=storage, study_name=name, sampler=sampler)
    study.ask()  # left running, as by kill -9
    tried = {tuple(one.settings.values()) for one in run(pair, digits, tmp_path).trials}
    assert tried == {(1, 0.1), (1, 0.9), (4, 0.1), (4, 0.9)}


def test_a_damaged_database_is_one_sentence(pair, digits, tmp_path):
    (tmp_path / "tuning.sqlite").write_bytes(b"this is no database " * 100)
    with pytest.raises(InputError, match="must be a database of trials, but it is damaged"):
        run(pair, digits, tmp_path)


def test_other_conditions_are_another_search(pair, digits, tmp_path):
    run(pair, digits, tmp_path)
    calls = []
    run(pair, digits, tmp_path, lr=0.001, after_trial=lambda trials: calls.append(len(trials)))
    assert calls == [1, 2, 3, 4]


def test_tpe_tries_as_many_points_as_asked(pair, digits, tmp_path):
    tuned = run(pair, digits, tmp_path, technique="dkd", space=None, driver="tpe", num_trials=3)
    assert len(tuned.trials) == 3
    assert set(tuned.settings) == {"temperature", "weight", "alpha", "beta"}


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({"technique": "finetune", "space": None}, "has settings to search"),
        ({"technique": "dml", "space": None}, "has settings to search"),
        ({"space": {"temprature": (1,)}}, "Did you mean `temperature`"),
        ({"space": {"temperature": ()}}, "one value or more"),
        ({"space": {"temperature": (1, 1)}}, "none twice"),
        ({"space": {"temperature": (0,)}}, "temperature > 0"),
        ({"driver": "gird"}, "Did you mean `grid`"),
        ({"num_trials": 3}, "a grid tries every point"),
        ({"driver": "tpe", "num_trials": 0}, "num_trials >= 1"),
        ({"validation_share": 2}, "validation_share"),
    ],
)
def test_wrong_options_are_named(pair, digits, tmp_path, options, rule):
    with pytest.raises(InputError, match=rule):
        run(pair, digits, tmp_path, **options)


def test_a_difference_of_paired_shares_by_hand():
    # Of 100 samples 9 are right with the first alone and 4 with the second alone.
    first, second = np.zeros(100, dtype=bool), np.zeros(100, dtype=bool)
    first[:9], second[50:54] = True, True
    worth = compare_paired(first, second)
    assert worth.mean == pytest.approx(0.05)
    half = 1.959964 * math.sqrt(13 - 25 / 100) / 100
    assert (worth.low, worth.high) == (pytest.approx(0.05 - half), pytest.approx(0.05 + half))


@settings(deadline=None, max_examples=50)
@given(first=arrays(np.bool_, 40), second=arrays(np.bool_, 40))
def test_swapping_turns_the_sign_around(first, second):
    one, other = compare_paired(first, second), compare_paired(second, first)
    assert one.mean == pytest.approx(-other.mean)
    assert one.low == pytest.approx(-other.high)


def test_equal_students_differ_by_nothing():
    right = np.array([True, False, True])
    assert compare_paired(right, right).high == 0
