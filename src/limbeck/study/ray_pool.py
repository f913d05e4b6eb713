"""Workers on a Ray cluster. The only file that imports Ray.

A worker is an actor with one thread; what it is given and what it answers is JSON. The study's folder lies on
a disk that every node sees under the same path: the data set and the models are read and written there.

``python -m limbeck.study.ray_pool ADDRESS`` connects and ends, which is how a cluster is tried before use:
Ray's own connecting has no limit.
"""

import contextlib
import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from limbeck.core.errors import InputError, RunError, describe_error
from limbeck.study.plan import Run
from limbeck.study.pool import (
    LOG_FILE,
    MAX_LOST_IN_A_ROW,
    POLL_SECONDS,
    RUN_LIMIT_SECONDS,
    Done,
    WorkOrder,
)
from limbeck.study.worker import make_workbench, serve

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
try:
    import ray
    from ray.exceptions import RayActorError, RayError
except ImportError as error:
    raise InputError(
        "Workers on a Ray cluster need the package `ray`, which is not installed. "
        "Run `pip install 'limbeck[ray]'`."
    ) from error

CONNECT_LIMIT_SECONDS = 60
START_LIMIT_SECONDS = 180


class Actor:
    """A worker: an actor that keeps a workbench and does one run after another."""

    def __init__(self, order: str) -> None:
        """Make the workbench.

        Args:
            order: A `WorkOrder` as JSON.
        """
        content = json.loads(order)
        self._log = Path(content["folder"]) / LOG_FILE
        self._bench = make_workbench(content)

    def is_ready(self) -> bool:
        """True, once the workbench is made."""
        return True

    def do(self, run: str) -> str:
        """Do a run; the run and the answer are JSON."""
        with self._log.open("a", encoding="utf-8") as log:
            return json.dumps(serve(json.loads(run), self._bench, log=log), allow_nan=False)


@dataclass
class _Worker:
    actor: Any
    answer: Any
    started: float
    is_ready: bool = False
    run: Run | None = None


class RayPool:
    """A `Pool` of actors on a Ray cluster.

    A run whose actor or node dies is lost, and another actor is started.
    """

    def __init__(self, order: WorkOrder, address: str, *, num_workers: int | None, most: int) -> None:
        """Prepare the pool.

        Args:
            order: What every worker needs to know.
            address: ``auto``, or host and port of the cluster's head.
            num_workers: How many runs to do at a time; None for one per core or GPU of the cluster.
            most: How many runs there are.
        """
        self.num_workers = num_workers or 0
        self._order, self._address, self._most = order, address, most
        self._on_gpu = not order.device.startswith("cpu")
        self._workers: list[_Worker] = []
        self._lost_in_a_row = 0
        self._is_own = False

    def __enter__(self) -> Self:
        if not ray.is_initialized():
            _try_cluster(self._address)
            self._is_own = True
            with _explain(self._address):
                _connect(self._address)
        there = self._count_units()
        self.num_workers = min(self.num_workers or there, self._most)
        for _ in range(self.num_workers):
            self._start_worker()
        return self

    def __exit__(self, *exception: object) -> None:
        for worker in self._workers:
            with contextlib.suppress(RayError):
                ray.kill(worker.actor)
        if self._is_own:
            ray.shutdown()

    def _count_units(self) -> int:
        """How many workers the cluster has room for at a time."""
        unit = "GPU" if self._on_gpu else "CPU"
        there = int(ray.cluster_resources().get(unit, 0))
        if there == 0:
            self.__exit__()
            raise RunError(
                f"The Ray cluster at `{self._address}` must have a {unit}, but has none. Add a node with one."
            )
        return there

    def count_idle(self) -> int:
        """How many runs could be given now."""
        return sum(worker.is_ready and worker.run is None for worker in self._workers)

    def give(self, run: Run) -> None:
        """Let an idle worker do a run."""
        worker = next(worker for worker in self._workers if worker.is_ready and worker.run is None)
        worker.run, worker.started = run, time.monotonic()
        worker.answer = worker.actor.do.remote(json.dumps(asdict(run)))

    def collect(self) -> Iterator[Done]:
        """The runs that have ended, waiting at most `POLL_SECONDS` for one.

        Raises:
            RunError: When no worker starts, or one after another ends.
        """
        self._end_overdue()
        waited = {worker.answer: worker for worker in self._workers if worker.answer is not None}
        if not waited:
            time.sleep(POLL_SECONDS)
            return
        answered, _ = ray.wait(list(waited), num_returns=1, timeout=POLL_SECONDS)
        for answer in answered:
            yield from self._receive(waited[answer])

    def _start_worker(self) -> None:
        actor_class: Any = ray.remote(num_cpus=1, num_gpus=int(self._on_gpu), max_restarts=0)(Actor)
        actor = actor_class.remote(json.dumps(asdict(self._order)))
        self._workers.append(_Worker(actor, actor.is_ready.remote(), time.monotonic()))

    def _receive(self, worker: _Worker) -> Iterator[Done]:
        run, answer = worker.run, worker.answer
        worker.run = worker.answer = None
        try:
            content = str(ray.get(answer))
        except RayError as error:
            yield from self._bury(worker, run, error)
            return
        worker.is_ready = True
        if run is not None:
            self._lost_in_a_row = 0
            said = json.loads(content)
            yield Done(run=run, result=said.get("result"), error=said.get("error"))

    def _bury(self, worker: _Worker, run: Run | None, error: RayError) -> Iterator[Done]:
        """Replace a worker that ended; the run in its hands, if any, is lost."""
        self._workers.remove(worker)
        self._lost_in_a_row += 1
        reason = _find_reason(error)
        if self._lost_in_a_row >= MAX_LOST_IN_A_ROW:
            raise RunError(
                f"workers on the Ray cluster must stay alive, but {MAX_LOST_IN_A_ROW} in a row ended, the "
                f"last because: {reason}. Every node must have this limbeck and see `{self._order.folder}` "
                "under this path; start the study again to go on."
            )
        self._start_worker()
        if run is not None:
            yield Done(run=run, error=f"its worker on the Ray cluster ended: {reason}", is_lost=True)

    def _end_overdue(self) -> None:
        now = time.monotonic()
        for worker in self._workers:
            if worker.run is not None and now - worker.started > RUN_LIMIT_SECONDS:
                ray.kill(worker.actor)
        if not any(worker.is_ready for worker in self._workers):
            waited = now - max(worker.started for worker in self._workers)
            if waited > START_LIMIT_SECONDS:
                raise RunError(
                    f"The Ray cluster at `{self._address}` must start a worker within "
                    f"{START_LIMIT_SECONDS} s, but has not. See with `ray status` if other work holds it."
                )


def _find_reason(error: RayError) -> str:
    """What ended an actor, in a line: for an exception, its last line."""
    if isinstance(error, RayActorError):
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        own = [line for line in lines if "Error: " in line]
        return (own or lines or [type(error).__name__])[-1 if own else 0].rstrip(".")
    return describe_error(error)


def _connect(address: str) -> None:
    ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)


def _try_cluster(address: str) -> None:
    """Connect in a process of its own, which can be ended.

    Raises:
        RunError: When the cluster does not answer.
    """
    command = [sys.executable, "-m", "limbeck.study.ray_pool", address]
    try:
        tried = subprocess.run(
            command, capture_output=True, text=True, timeout=CONNECT_LIMIT_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise _no_answer(address, f"it does not within {CONNECT_LIMIT_SECONDS} s") from error
    if tried.returncode:
        lines = tried.stderr.strip().splitlines()
        raise _no_answer(address, lines[-1] if lines else f"trying it ended with status {tried.returncode}")


@contextlib.contextmanager
def _explain(address: str) -> Iterator[None]:
    try:
        yield
    except (ConnectionError, RuntimeError, ValueError, RayError) as error:
        raise _no_answer(address, describe_error(error)) from error


def _no_answer(address: str, reason: str) -> RunError:
    return RunError(
        f"A Ray cluster must answer at `{address}`, but: {reason.rstrip('.')}. Start one with "
        "`ray start --head`, or let this machine join one with `ray start --address=HEAD:PORT`."
    )


def main() -> None:
    """Connect to the cluster named on the command line and end."""
    _connect(sys.argv[1])
    ray.shutdown()


if __name__ == "__main__":
    main()
