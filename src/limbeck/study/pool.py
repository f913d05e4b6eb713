"""Workers that do runs: what every pool of them can, and the pool of local processes.

Local workers are separate programs that talk JSON over pipes: nothing is pickled, the caller's own `__main__`
is not imported again, and a worker that dies takes only the run in its hands with it.
"""

import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, Protocol, Self

from limbeck.core.errors import RunError
from limbeck.study.plan import Run

RUN_LIMIT_SECONDS = 3600
MAX_LOST_IN_A_ROW = 4
POLL_SECONDS = 1.0
CLOSE_SECONDS = 5
LOG_FILE = "workers.log"


@dataclass(frozen=True, kw_only=True)
class WorkOrder:
    """What a worker needs to know before its first run.

    Attributes:
        spec: The study's spec as JSON.
        data: Path of the data set written for workers.
        folder: The study's folder.
        device: Name of the device.
    """

    spec: dict[str, Any]
    data: str
    folder: str
    device: str


@dataclass(frozen=True, kw_only=True)
class Done:
    """The end of a run: its result, or the reason why there is none.

    Attributes:
        run: The run.
        result: What it gave, None when it failed.
        error: Why it failed, None when it did not.
        is_lost: Whether its worker ended under it, so that it may be tried again.
        is_elsewhere: Whether another study on the same store did it.
    """

    run: Run
    result: dict[str, Any] | None = None
    error: str | None = None
    is_lost: bool = False
    is_elsewhere: bool = False


class Pool(Protocol):
    """Workers of one thread each. Use as a context manager: leaving it ends them at once."""

    @property
    def num_workers(self) -> int:
        """How many runs are done at a time, at most; known once the pool is entered."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *exception: object) -> None: ...

    def count_idle(self) -> int:
        """How many runs could be given now."""
        ...

    def give(self, run: Run) -> None:
        """Let an idle worker do a run."""
        ...

    def collect(self) -> Iterator[Done]:
        """The runs that have ended, waiting at most `POLL_SECONDS` for one.

        Raises:
            RunError: When workers cannot be kept.
        """
        ...


@dataclass
class _Worker:
    process: subprocess.Popen[bytes]
    reader: threading.Thread | None = None
    run: Run | None = None
    started: float = 0.0


class LocalPool:
    """A `Pool` of processes on this machine, started when they are needed."""

    def __init__(self, order: WorkOrder, num_workers: int) -> None:
        self.num_workers = num_workers
        self._order = order
        self._answers: queue.Queue[tuple[_Worker, bytes]] = queue.Queue()
        self._workers: list[_Worker] = []
        self._lost_in_a_row = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        for worker in self._workers:
            worker.process.kill()
        for worker in self._workers:
            _close(worker)

    def count_idle(self) -> int:
        """How many runs could be given now."""
        return self.num_workers - len(self._busy())

    def give(self, run: Run) -> None:
        """Let an idle worker do a run."""
        worker = self._idle_worker()
        worker.run, worker.started = run, time.monotonic()
        with contextlib.suppress(BrokenPipeError):  # its end is noticed by the reader
            _write_line(worker.process, asdict(run))

    def collect(self) -> Iterator[Done]:
        """The runs that have ended, waiting at most `POLL_SECONDS` for one.

        Raises:
            RunError: When one worker after another ends.
        """
        self._end_overdue()
        try:
            worker, line = self._answers.get(timeout=POLL_SECONDS)
        except queue.Empty:
            return
        run, worker.run = worker.run, None
        if not line.endswith(b"\n"):
            yield from self._bury(worker, run)
            return
        assert run is not None
        self._lost_in_a_row = 0
        answer = json.loads(line)
        yield Done(run=run, result=answer.get("result"), error=answer.get("error"))

    def _busy(self) -> list[_Worker]:
        return [worker for worker in self._workers if worker.run is not None]

    def _idle_worker(self) -> _Worker:
        idle = next((worker for worker in self._workers if worker.run is None), None)
        return idle or self._start_worker()

    def _start_worker(self) -> _Worker:
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        with (Path(self._order.folder) / LOG_FILE).open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "limbeck.study.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=environment,
                start_new_session=True,  # an interrupt at the terminal is the study's to handle
            )
        worker = _Worker(process)
        self._workers.append(worker)
        assert process.stdout is not None
        worker.reader = threading.Thread(target=self._read, args=(worker, process.stdout), daemon=True)
        worker.reader.start()
        with contextlib.suppress(BrokenPipeError):
            _write_line(process, asdict(self._order))
        return worker

    def _read(self, worker: _Worker, stream: IO[bytes]) -> None:
        with stream:
            for line in stream:
                self._answers.put((worker, line))
        self._answers.put((worker, b""))

    def _bury(self, worker: _Worker, run: Run | None) -> Iterator[Done]:
        """Forget a worker that ended; the run in its hands, if any, is lost."""
        self._workers.remove(worker)
        status = _close(worker)
        self._lost_in_a_row += 1
        if self._lost_in_a_row >= MAX_LOST_IN_A_ROW:
            raise RunError(
                f"workers must stay alive, but {MAX_LOST_IN_A_ROW} in a row ended, the last with status "
                f"{status}. See `{Path(self._order.folder) / LOG_FILE}`; start the study again to go on."
            )
        if run is not None:
            yield Done(run=run, error=_explain_loss(status), is_lost=True)

    def _end_overdue(self) -> None:
        for worker in self._busy():
            if time.monotonic() - worker.started > RUN_LIMIT_SECONDS:
                worker.process.kill()


def _explain_loss(status: int | None) -> str:
    return (
        f"its worker ended with status {status}; a negative number is the signal that ended it, "
        "-9 often means too little memory"
    )


def _close(worker: _Worker) -> int | None:
    """Wait for a worker that has been told to end, close its pipes and return its status, if it has one."""
    assert worker.process.stdin is not None
    with contextlib.suppress(BrokenPipeError):
        worker.process.stdin.close()
    with contextlib.suppress(subprocess.TimeoutExpired):
        worker.process.wait(CLOSE_SECONDS)
    if worker.reader is not None:
        worker.reader.join(CLOSE_SECONDS)
    return worker.process.returncode


def _write_line(process: subprocess.Popen[bytes], content: dict[str, Any]) -> None:
    assert process.stdin is not None
    process.stdin.write(json.dumps(content).encode() + b"\n")
    process.stdin.flush()
