"""A federation in one process: clients answer one after another, or several at a time in forked processes.

There is no process per client, and nothing is serialised that stays in this process. Whether processes are
forked is decided by the clock; a client trains with one thread either way, so that changes no bit of the
result.
"""

import math
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch

from limbeck.core.device import count_cores
from limbeck.core.processes import can_fork, run_forked
from limbeck.engine import Training, use_threads, warm_up
from limbeck.federate.client import Client
from limbeck.federate.messages import (
    Ledger,
    Message,
    State,
    count_bytes,
    decode,
    encode,
)
from limbeck.federate.site import remember, reply_to

# Clients that take less in all are never forked. So long, and for two clients, a new task is done here first.
FORK_SECONDS = 0.2

Answered = tuple[int, Message, Mapping[str, State]]
"""The client, its reply, and what it has to remember."""


@dataclass(frozen=True)
class Simulation:
    """Carries messages to clients in this process.

    Attributes:
        clients: By index.
        workers: Clients at a time; None for one per core on a CPU and one on a GPU.
        after_reply: Called after every reply.
        forks: Whether clients answer in forked processes where these exist and there are several workers;
            None for where that is faster.
        paces: By task and whether processes were forked for it, the least seconds per sample it has taken.
    """

    clients: Mapping[int, Client]
    workers: int | None = None
    after_reply: Callable[[], None] = field(default=lambda: None)
    forks: bool | None = None
    paces: dict[tuple[str, bool], float] = field(default_factory=dict, init=False, compare=False)

    def carry(self, requests: Mapping[int, Message], ledger: Ledger) -> Mapping[int, Message]:
        """Let each client answer its request; see `limbeck.federate.server.Courier`."""
        distinct = {id(request): request for request in requests.values()}
        lengths = {key: count_bytes(request) for key, request in distinct.items()}
        for index, request in requests.items():
            length = lengths[id(request)]
            ledger.note_length(length, round_number=request.round, client=index, direction="down")
        replies: dict[int, Message] = {}
        for index, reply, kept in self._ask(requests):
            remember(self.clients[index], kept, round_number=reply.round)
            replies[index] = reply
            self.after_reply()
        for index in requests:
            reply = replies[index]
            ledger.note_length(count_bytes(reply), round_number=reply.round, client=index, direction="up")
        return {index: replies[index] for index in requests}

    def _ask(self, requests: Mapping[int, Message]) -> Iterator[Answered]:
        """A new task is done here until its pace is known, and then in the way that has been faster."""
        waiting = dict(requests)
        while waiting:
            task = next(iter(waiting.values())).task
            num_workers, asked = self._count_workers(task, waiting), dict(waiting)
            ask = self._ask_here(asked) if num_workers == 1 else self._ask_forked(asked, num_workers)
            for answered in ask:
                del waiting[answered[0]]
                yield answered

    def _ask_here(self, requests: Mapping[int, Message]) -> Iterator[Answered]:
        """Clients one after another; of a task that is new, until it is known how long it takes."""
        task = next(iter(requests.values())).task
        limit_seconds = math.inf if (task, False) in self.paces else FORK_SECONDS
        warm_up(Training(epochs=0), device=torch.device("cpu"))  # before a pace is measured
        spent_seconds = 0.0
        with use_threads(1, torch.device("cpu")):
            for place, (index, request) in enumerate(requests.items()):
                if place > 1 and spent_seconds >= limit_seconds:
                    return
                started = time.perf_counter()
                reply, kept = reply_to(self.clients[index], request)
                seconds = time.perf_counter() - started
                self._note_pace(task, seconds, len(self.clients[index]), is_forked=False)
                spent_seconds += seconds
                yield index, reply, kept

    def _ask_forked(self, requests: Mapping[int, Message], num_workers: int) -> Iterator[Answered]:
        """Clients in forked processes."""
        started = time.perf_counter()
        yield from ask_forked(self.clients, requests, num_workers=num_workers)
        seconds, task = time.perf_counter() - started, next(iter(requests.values())).task
        num_samples = sum(len(self.clients[index]) for index in requests)
        self._note_pace(task, seconds, num_samples, is_forked=True)

    def _note_pace(self, task: str, seconds: float, num_samples: int, *, is_forked: bool) -> None:
        pace, known = seconds / max(1, num_samples), self.paces.get((task, is_forked), math.inf)
        self.paces[task, is_forked] = min(pace, known)

    def _count_workers(self, task: str, waiting: Mapping[int, Message]) -> int:
        """How many processes are the fastest for clients that wait, as far as is known."""
        here, forked = (self.paces.get((task, is_forked), 0.0) for is_forked in (False, True))
        seconds = here * sum(len(self.clients[index]) for index in waiting)
        pays = seconds >= FORK_SECONDS and forked < here if self.forks is None else self.forks
        return min(self.workers or count_cores(), len(waiting)) if pays and can_fork() else 1


def ask_forked(
    clients: Mapping[int, Client], requests: Mapping[int, Message], *, num_workers: int
) -> Iterator[Answered]:
    """Clients with most samples first, each in a forked process; replies come back through files.

    Args:
        clients: By index.
        requests: Of each client that is asked.
        num_workers: Processes at a time.
    """
    indices = sorted(requests, key=lambda index: -len(clients[index]))
    with tempfile.TemporaryDirectory(prefix="limbeck-") as name:
        folder = Path(name)

        def work(index: int, report: Callable[[int], None]) -> None:
            del report
            reply, kept = reply_to(clients[index], requests[index])
            (folder / f"{index}.reply").write_bytes(encode(reply))
            for key, state in kept.items():
                (folder / f"{index}.{key}.kept").write_bytes(
                    encode(Message(task=key, round=reply.round, tensors=state))
                )

        for place, _ in run_forked(indices, work, num_workers=num_workers):
            index = indices[place]
            yield index, decode((folder / f"{index}.reply").read_bytes()), _read_kept(folder, index)


def _read_kept(folder: Path, index: int) -> dict[str, State]:
    messages = [decode(path.read_bytes()) for path in folder.glob(f"{index}.*.kept")]
    return {message.task: message.tensors for message in messages}
