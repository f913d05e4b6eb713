"""Students of one setup: one by one, as a stack, and as many as memory holds."""

import pytest

from limbeck.core.processes import can_fork
from limbeck.engine import Wishes
from limbeck.pairs.setup import Options, set_up
from limbeck.techniques import get_technique, make_settings
from limbeck.tune import sweep as sweeps
from limbeck.tune.sweep import Sweep, Task

KD = get_technique("kd")
TASKS = [Task(technique=KD, settings=make_settings(KD, {"temperature": t})) for t in (1, 2, 4)]


@pytest.fixture(scope="module")
def setup(pair, digits):
    student, teacher = pair
    options = Options(
        epochs=2,
        batch_size=64,
        optimizer="sgd",
        lr=0.003,
        weight_decay=0.0,
        wishes=Wishes(precision="float32", memory_format="as-is", threads=1),
        augmentation="none",
        validation_share=0.1,
        objective="local",
        clients=(),
        keep="best",
        transfer_set=None,
        class_map={},
        taught_classes=None,
        seed=0,
        device="cpu",
        cache=False,
        progress=False,
        teacher_names=None,
    )
    return set_up(student, [teacher], digits, options)


def test_a_stack_comes_to_what_single_students_come_to(setup, tmp_path):
    single = Sweep(setup, tmp_path / "single", workers=1)
    stacked = Sweep(setup, tmp_path / "stacked", workers=1, stack=2)
    ones = dict(single.advance(TASKS, 2))
    assert [place for place, _ in stacked.advance(TASKS, 1)] == [0, 1, 2]
    many = dict(stacked.advance(TASKS, 2))
    assert set(ones) == set(many) == {0, 1, 2}
    num_judging = setup.ready.num_judging
    for place, one in ones.items():
        assert many[place].scores == pytest.approx(one.scores, abs=2.5 / num_judging)
        assert many[place].attempt.losses == pytest.approx(one.attempt.losses, rel=1e-3)


def test_what_is_done_is_read_and_not_trained_again(setup, tmp_path):
    sweep, steps = Sweep(setup, tmp_path, workers=1), []
    first = dict(sweep.advance(TASKS[:1], 2, after_steps=steps.append))
    again = dict(sweep.advance(TASKS[:1], 2, after_steps=steps.append))
    assert first == again
    assert sum(steps) == sweep.count_steps(TASKS[:1], epochs=2)
    sweep.forget(TASKS[0])
    assert sweep.read(TASKS[0]) is None


@pytest.mark.skipif(not can_fork(), reason="processes cannot be forked here")
def test_where_memory_is_short_fewer_train_at_a_time_and_it_is_said(setup, tmp_path, monkeypatch):
    monkeypatch.setattr(sweeps, "RESERVE_BYTES", 2**60)
    sweep = Sweep(setup, tmp_path, workers=2)
    assert {place for place, _ in sweep.advance(TASKS, 1)} == {0, 1, 2}
    (warning,) = sweep.warnings
    assert warning.startswith("Memory holds 1 student of 2 at a time")
