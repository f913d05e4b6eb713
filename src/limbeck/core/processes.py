"""Work spread over forked processes that share the memory of the one that starts them.

A fork sees everything its parent had in memory, without a copy as long as nobody writes to it: samples,
models and targets are shared by all. Answers come back as JSON over pipes; nothing is pickled. A process has
one thread, because a fork does not inherit its parent's pool of threads; many students then train at once,
each on a core of its own, and none waits for another.
"""

import contextlib
import json
import multiprocessing
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any, TypeVar

import torch

from limbeck.core.errors import InputError, RunError

T = TypeVar("T")
DoFn = Callable[[T, Callable[[int], None]], Any]
"""(task, a function that is told how many more steps are done) to an answer that JSON can express."""

MAX_ATTEMPTS = 2
REPORT_SECONDS = 0.5
POLL_SECONDS = 1.0
CLOSE_SECONDS = 5.0


def can_fork() -> bool:
    """Whether forked processes can compute here: on Linux, without a GPU.

    Elsewhere system libraries do not survive a fork; with a GPU, PyTorch's backward passes do not.
    """
    return sys.platform == "linux" and not torch.cuda.is_available()


def run_forked(
    tasks: Sequence[T],
    do_fn: DoFn[T],
    *,
    num_workers: int,
    after_steps: Callable[[int], None] = lambda _: None,
) -> Iterator[tuple[int, Any]]:
    """Do tasks in forked processes and yield (place of the task, its answer) as each ends.

    A task whose process dies is tried once more. Leaving the iteration ends all processes at once.

    Args:
        tasks: What to do.
        do_fn: Does one, with one thread.
        num_workers: Processes at a time, at least 1.
        after_steps: Told now and then how many steps have been done since.

    Raises:
        InputError: When a task raises it.
        RunError: When a task raises it or anything else, or its process died twice.
    """
    waiting, attempts = list(range(len(tasks))), [0] * len(tasks)
    workers: list[_Worker] = []
    try:
        while waiting or any(worker.place is not None for worker in workers):
            while waiting and (idle := _find_idle(workers, num_workers, tasks, do_fn)) is not None:
                place = waiting.pop(0)
                attempts[place] += 1
                idle.give(place)
            for worker in _find_ready(workers):
                message = worker.read()
                if message is not None and "steps" in message:
                    after_steps(message["steps"])
                    continue
                place, worker.place = worker.place, None
                assert place is not None
                if message is not None:
                    yield place, _unwrap(message)
                    continue
                workers.remove(worker)
                worker.close()
                if attempts[place] >= MAX_ATTEMPTS:
                    raise RunError(
                        f"a worker process must live until its task is done, but it ended with "
                        f"{worker.describe_end()} twice. Where memory ran out, use fewer workers."
                    )
                waiting.insert(0, place)
    finally:
        for worker in workers:
            worker.process.kill()
            worker.close()


@dataclass
class _Worker:
    """A process, and the place of the task in its hands."""

    process: Any
    pipe: Any
    place: int | None = None

    def give(self, place: int) -> None:
        self.place = place
        with contextlib.suppress(OSError):  # it is gone, which reading tells
            self.pipe.send_bytes(json.dumps(place).encode())

    def read(self) -> dict[str, Any] | None:
        """The next message, None when the process is gone."""
        try:
            return json.loads(self.pipe.recv_bytes())
        except (EOFError, OSError):
            return None

    def close(self) -> None:
        self.process.join(CLOSE_SECONDS)
        self.pipe.close()

    def describe_end(self) -> str:
        code = self.process.exitcode or 0
        return f"signal {-code}" if code < 0 else f"status {code}"


def _find_ready(workers: Sequence[_Worker]) -> list[_Worker]:
    busy = [worker for worker in workers if worker.place is not None]
    ready = wait([worker.pipe for worker in busy], timeout=POLL_SECONDS)
    return [worker for worker in busy if worker.pipe in ready]


def _find_idle(
    workers: list[_Worker], num_workers: int, tasks: Sequence[T], do_fn: DoFn[T]
) -> _Worker | None:
    """A worker without a task, started where there may be one more; None when all are busy."""
    idle = next((worker for worker in workers if worker.place is None), None)
    if idle is None and len(workers) < num_workers:
        idle = _start(tasks, do_fn)
        workers.append(idle)
    return idle


def _start(tasks: Sequence[T], do_fn: DoFn[T]) -> _Worker:
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(tasks, do_fn, ours, theirs), daemon=True)
    with warnings.catch_warnings():
        # Python warns of threads at a fork; PyTorch's idle ones are left behind, and the fork uses none.
        warnings.simplefilter("ignore", DeprecationWarning)
        process.start()
    theirs.close()
    return _Worker(process=process, pipe=ours)


def _work(tasks: Sequence[T], do_fn: DoFn[T], ours: Connection, theirs: Connection) -> None:
    ours.close()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears it too, and ends this process
    torch.set_num_threads(1)
    report = _Report(theirs)
    with contextlib.suppress(EOFError, OSError):  # the parent is gone, and nobody waits
        while True:
            task = tasks[json.loads(theirs.recv_bytes())]
            message = _do(task, do_fn, report)
            report.flush()
            theirs.send_bytes(json.dumps(message).encode())


def _do(task: T, do_fn: DoFn[T], report: "_Report") -> dict[str, Any]:
    try:
        return {"answer": do_fn(task, report.add)}
    except InputError as error:
        return {"input_error": str(error)}
    except RunError as error:
        return {"run_error": str(error)}
    except Exception:
        return {"run_error": f"a worker process failed.\n{traceback.format_exc()}"}


class _Report:
    """Tells the parent of steps now and then, so that telling costs nothing."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._steps = 0
        self._last = time.monotonic()

    def add(self, steps: int) -> None:
        self._steps += steps
        if time.monotonic() - self._last >= REPORT_SECONDS:
            self.flush()

    def flush(self) -> None:
        if self._steps:
            self._pipe.send_bytes(json.dumps({"steps": self._steps}).encode())
        self._steps, self._last = 0, time.monotonic()


def _unwrap(message: dict[str, Any]) -> Any:
    if "input_error" in message:
        raise InputError(message["input_error"])
    if "run_error" in message:
        raise RunError(message["run_error"])
    return message["answer"]
