"""A federation in one process: clients answer one after another, or several at a time in forked processes.

There is no process per client, and nothing is serialised but to know its length. A client trains with one
thread either way, so the number of workers changes no bit of the result.
"""

import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch

from limbeck.core.device import count_cores
from limbeck.core.processes import can_fork, run_forked
from limbeck.engine.layout import use_threads
from limbeck.federate.client import Client
from limbeck.federate.messages import Entry, Ledger, Message, State, decode, encode
from limbeck.federate.site import remember, reply_to

# Forked processes pay from about as many samples trained on in one exchange (`benchmarks.federation`).
FORK_SAMPLES = 4_000

Answered = tuple[int, Message, Mapping[str, State]]
"""The client, its reply, and what it has to remember."""


@dataclass(frozen=True)
class Simulation:
    """Carries messages to clients in this process.

    Attributes:
        clients: By index.
        workers: Clients at a time; None for one per core on a CPU and one on a GPU.
        after_reply: Called after every reply.
    """

    clients: Mapping[int, Client]
    workers: int | None = None
    after_reply: Callable[[], None] = field(default=lambda: None)

    def carry(self, requests: Mapping[int, Message], ledger: Ledger) -> Mapping[int, Message]:
        """Let each client answer its request; see `limbeck.federate.server.Courier`."""
        distinct = {id(request): request for request in requests.values()}
        lengths = {key: len(encode(request)) for key, request in distinct.items()}
        for index, request in requests.items():
            length = lengths[id(request)]
            ledger.entries.append(
                Entry(round=request.round, client=index, direction="down", message_bytes=length)
            )
        replies: dict[int, Message] = {}
        for index, reply, kept in self._ask(requests):
            remember(self.clients[index], kept, round_number=reply.round)
            replies[index] = reply
            self.after_reply()
        for index in requests:
            reply = replies[index]
            ledger.note(encode(reply), round_number=reply.round, client=index, direction="up")
        return {index: replies[index] for index in requests}

    def _ask(self, requests: Mapping[int, Message]) -> Iterator[Answered]:
        workers = self._count_workers(requests)
        if workers > 1:
            yield from _ask_forked(self.clients, requests, num_workers=workers)
            return
        with use_threads(1, torch.device("cpu")):
            for index, request in requests.items():
                yield (index, *reply_to(self.clients[index], request))

    def _count_workers(self, requests: Mapping[int, Message]) -> int:
        """How many processes pay for these requests."""
        if not can_fork():
            return 1
        work = sum(_count_samples(self.clients[index], request) for index, request in requests.items())
        if work < FORK_SAMPLES:
            return 1
        return min(self.workers or count_cores(), len(requests))


def _count_samples(client: Client, request: Message) -> int:
    """Samples a client trains on for a request."""
    training = request.facts.get("training") or request.facts.get("distillation", {}).get("training")
    return 0 if training is None else training["epochs"] * len(client)


def _ask_forked(
    clients: Mapping[int, Client], requests: Mapping[int, Message], *, num_workers: int
) -> Iterator[Answered]:
    """Clients with most samples first, each in a forked process; replies come back through files."""
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
