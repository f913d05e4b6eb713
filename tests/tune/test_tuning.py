"""A search tries what it says, chooses on validation, and goes on where it stopped."""

import json
import math
from dataclasses import replace

import numpy as np
import optuna
import pytest
from hypothesis import given, settings
from hypothesis.extra.numpy import arrays

import limbeck
from limbeck import partition
from limbeck.core.errors import InputError
from limbeck.core.fingerprint import hash_state
from limbeck.engine import accuracy, predict
from limbeck.partition import carve_out
from limbeck.tune import compare_paired, tune
from limbeck.tune.search import plan_rungs

SPACE = {"temperature": (1, 4), "weight": (0.1, 0.9)}
# What a measurement might choose otherwise from one process to the next.
LAYOUT = {"precision": "float32", "memory_format": "as-is", "threads": 1}


def run(pair, digits, folder, **options):
    student, teacher = pair
    given_options = {"space": SPACE, "epochs": 1, "progress": False, "folder": folder, **LAYOUT, **options}
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
            *pair, digits, technique="kd", **one.settings, epochs=1, baseline=False, progress=False, **LAYOUT
        ).record.attempt
        assert alone.change.accuracy_after == one.accuracy_after
        assert alone.validation[alone.kept_epoch] == one.validation


def test_defaults_and_finetune_run_beside_it(tuned, pair, digits):
    default = limbeck.transfer(*pair, digits, technique="kd", epochs=1, progress=False, **LAYOUT).record
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
    assert calls == [1, 2, 3, 4, 4]
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
    assert calls == [2, 3, 4]
    assert len(tuned.trials) == 4


def test_a_trial_whose_process_died_is_tried_again(pair, digits, tmp_path):
    def stop(trials):
        if len(trials) == 2:
            raise StopError

    with pytest.raises(StopError):
        run(pair, digits, tmp_path, after_trial=stop)
    storage = f"sqlite:///{tmp_path / 'tuning.sqlite'}"
    (name,) = optuna.get_all_study_names(storage)
    study = optuna.load_study(storage=storage, study_name=name)
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
        ({"num_trials": 3}, "`grid` tries every point"),
        ({"driver": "tpe", "num_trials": 0}, "num_trials >= 1"),
        ({"validation_share": 2}, "validation_share"),
        ({"workers": 0}, "workers >= 1"),
        ({"workers": 2, "threads": 2}, "a worker has one thread"),
        ({"objective": "lokal"}, "Did you mean `local`"),
        ({"objective": "federated"}, "other clients' samples"),
        ({"augmentation": "flop"}, "Did you mean `flip`"),
        ({"driver": "halving", "technique": "dp-kd-sequential", "space": None}, "between the epochs of one"),
    ],
)
def test_wrong_options_are_named(pair, digits, tmp_path, options, rule):
    with pytest.raises(InputError, match=rule):
        run(pair, digits, tmp_path, **options)


@pytest.mark.parametrize("driver", ["grid", "tpe", "halving"])
def test_the_number_of_workers_changes_no_bit(pair, digits, tmp_path, driver):
    options = {"driver": driver, "num_trials": 4, "epochs": 2}
    found = [run(pair, digits, tmp_path / str(workers), workers=workers, **options) for workers in (1, 2)]
    for one, other in zip(*(tuned.trials for tuned in found), strict=True):
        assert replace(one, seconds=0.0) == replace(other, seconds=0.0)
    assert len({hash_state(tuned.outcome.student.state_dict()) for tuned in found}) == 1


def test_rungs_by_hand():
    # 36 students do 1 epoch, 9 of them 1 more, 3 of these 3 more: 54 passes instead of 180.
    assert plan_rungs(36, 5) == [(36, 1), (9, 2), (3, 5)]
    assert plan_rungs(4, 1) == [(4, 1)]
    assert plan_rungs(1, 20) == [(1, 1), (1, 2), (1, 5), (1, 20)]


def test_halving_trains_the_best_further_and_gives_them_what_the_grid_gives_them(pair, digits, tmp_path):
    options = {
        "epochs": 5,
        "space": {"temperature": (1, 2, 4, 8), "weight": (0.1, 0.5, 0.9, 1.0)},
        "lr": 0.003,
    }
    whole = run(pair, digits, tmp_path / "grid", **options)
    halved = run(pair, digits, tmp_path / "halving", driver="halving", **options)
    assert sorted(one.epochs for one in halved.trials) == [1] * 12 + [2] * 3 + [5]
    grid = {tuple(one.settings.values()): one for one in whole.trials}
    (finalist,) = (one for one in halved.trials if one.accuracy_after is not None)
    assert replace(finalist, seconds=0.0) == replace(grid[tuple(finalist.settings.values())], seconds=0.0)
    assert halved.settings == finalist.settings
    assert set(halved.importance) <= {"temperature", "weight"}


def test_an_interrupted_halving_ends_as_one_that_was_not(pair, digits, tmp_path):
    options = {"driver": "halving", "epochs": 5, "workers": 1, "lr": 0.003}
    whole = run(pair, digits, tmp_path / "whole", **options)

    def stop(trials):
        if len(trials) == 2:
            raise StopError

    with pytest.raises(StopError):
        run(pair, digits, tmp_path / "halves", after_trial=stop, **options)
    assert list((tmp_path / "halves" / "trials").rglob("*.safetensors"))
    again = run(pair, digits, tmp_path / "halves", **options)
    assert {one.epochs for one in again.trials} == {one.epochs for one in whole.trials}
    assert again.settings == whole.settings
    assert hash_state(again.outcome.student.state_dict()) == hash_state(whole.outcome.student.state_dict())
    assert not (tmp_path / "halves" / "trials").exists()


def test_a_damaged_student_under_way_is_trained_anew(pair, digits, tmp_path):
    options = {"driver": "halving", "epochs": 2, "workers": 1, "lr": 0.003}
    whole = run(pair, digits, tmp_path / "whole", **options)

    def damage(trials):
        if len(trials) == 1:
            for path in (tmp_path / "damaged" / "trials").rglob("*.safetensors"):
                path.write_bytes(b"no tensors")

    tuned = run(pair, digits, tmp_path / "damaged", after_trial=damage, **options)
    assert hash_state(tuned.outcome.student.state_dict()) == hash_state(whole.outcome.student.state_dict())


def test_the_federated_objective_is_the_mean_over_what_each_client_holds_out(pair, digits, tmp_path):
    parts = partition.dirichlet(digits.labels, num_clients=3, alpha=0.5, seed=0)
    own, *others = [digits.subset(ids) for ids in parts]
    tuned = run(pair, (own.inputs, own.labels), tmp_path, objective="federated", clients=others, epochs=1)
    local = run(pair, (own.inputs, own.labels), tmp_path, epochs=1)
    student, scores = tuned.outcome.student, []
    for samples in (own, *others):
        _, held = carve_out(samples.labels.numpy(), round(0.1 * len(samples)), seed=0)
        part = samples.subset(held)
        scores.append(accuracy(predict(student, part.inputs), part.labels.numpy()))
    attempt = tuned.record.attempt
    assert attempt.validation[attempt.kept_epoch] == pytest.approx(sum(scores) / 3)
    assert tuned.record.num_validation > local.record.num_validation


def test_the_global_objective_judges_by_half_of_the_test_part_and_measures_on_the_other(
    pair, digits, tmp_path
):
    tuned = run(pair, digits, tmp_path, objective="global")
    record = tuned.record
    assert record.num_train == len(digits.train)
    assert record.num_validation + record.num_measured == len(digits.test)
    assert abs(record.num_validation - record.num_measured) <= 1
    with pytest.raises(InputError, match="of which one half judges"):
        run(pair, (digits.train.inputs, digits.train.labels), tmp_path, objective="global")


@pytest.mark.parametrize("driver", ["grid", "halving"])
def test_teachers_see_the_images_the_student_sees(pair, digits, tmp_path, driver):
    plain, changed = (
        run(pair, digits, tmp_path, driver=driver, epochs=2, augmentation=augmentation)
        for augmentation in ("none", "crop")
    )
    assert changed.record.training["augmentation"] == "crop"
    assert [one.validation for one in plain.trials] != [one.validation for one in changed.trials]
    alone = limbeck.transfer(
        *pair,
        digits,
        **changed.settings,
        epochs=2,
        augmentation="crop",
        baseline=False,
        progress=False,
        **LAYOUT,
    )
    assert hash_state(alone.student.state_dict()) == hash_state(changed.outcome.student.state_dict())


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
