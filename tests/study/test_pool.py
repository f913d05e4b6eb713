"""The pool of workers: order, and workers that cannot live."""

import pytest

from limbeck.core.errors import RunError
from limbeck.study import Run
from limbeck.study.pool import MAX_LOST_IN_A_ROW, Pool, WorkOrder


@pytest.mark.slow
def test_workers_that_cannot_start_end_the_study_and_point_to_their_log(tmp_path):
    order = WorkOrder(spec={}, data=str(tmp_path / "absent"), folder=str(tmp_path), device="cpu")
    runs = [Run(id=f"{i:016d}", kind="pretrain", config={}, needs=(), cost=1.0) for i in range(10)]
    with (
        Pool(order, 2) as pool,
        pytest.raises(RunError, match=f"{MAX_LOST_IN_A_ROW} in a row ended") as caught,
    ):
        list(pool.do(runs, finished=()))
    assert str(tmp_path / "workers.log") in str(caught.value)
    assert "Traceback" in (tmp_path / "workers.log").read_text()


def test_nothing_to_do_starts_no_worker(tmp_path):
    order = WorkOrder(spec={}, data="", folder=str(tmp_path), device="cpu")
    with Pool(order, 2) as pool:
        assert list(pool.do([], finished=())) == []
    assert not (tmp_path / "workers.log").exists()
