"""The pool of local workers: those that cannot live, and none before there is something to do."""

import importlib
import sys

import pytest

from limbeck.core.errors import InputError, RunError
from limbeck.study import Run
from limbeck.study.pool import MAX_LOST_IN_A_ROW, LocalPool, WorkOrder


@pytest.mark.slow
def test_workers_that_cannot_start_end_the_study_and_point_to_their_log(tmp_path):
    order = WorkOrder(spec={}, data=str(tmp_path / "absent"), folder=str(tmp_path), device="cpu")
    run = Run(id="a" * 16, kind="pretrain", config={}, needs=(), cost=1.0)
    lost = []

    def try_for_ever(pool):
        while True:
            while pool.count_idle():
                pool.give(run)
            lost.extend(pool.collect())

    with (
        LocalPool(order, 2) as pool,
        pytest.raises(RunError, match=f"{MAX_LOST_IN_A_ROW} in a row ended") as caught,
    ):
        try_for_ever(pool)
    assert len(lost) == MAX_LOST_IN_A_ROW - 1
    assert all(end.is_lost and "ended with status 1" in end.error for end in lost)
    assert str(tmp_path / "workers.log") in str(caught.value)
    assert "Traceback" in (tmp_path / "workers.log").read_text()


def test_a_pool_with_nothing_to_do_starts_no_worker(tmp_path):
    order = WorkOrder(spec={}, data="", folder=str(tmp_path), device="cpu")
    with LocalPool(order, 2) as pool:
        assert pool.count_idle() == 2
    assert not (tmp_path / "workers.log").exists()


def test_without_ray_the_command_that_installs_it_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.delitem(sys.modules, "limbeck.study.ray_pool", raising=False)
    with pytest.raises(InputError, match=r"pip install 'limbeck\[ray\]'"):
        importlib.import_module("limbeck.study.ray_pool")
