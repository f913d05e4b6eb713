"""Federated averaging in one process, with every message encoded.

References:
    McMahan et al. 2017, https://arxiv.org/abs/1602.05629, algorithm 1, all clients in every round.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from torch import nn

from limbeck.core.seeds import derive_seed
from limbeck.engine import Training
from limbeck.federate.client import Client, train_locally, with_state
from limbeck.federate.messages import Ledger, State, encode
from limbeck.models.averaging import weighted_average


@dataclass(frozen=True, kw_only=True)
class Round:
    """The global model after a communication round.

    Attributes:
        number: 0 is the starting model before any round.
        accuracy: On the global test samples, in [0, 1].
        bytes_sent: Bytes of all messages of the rounds so far.
        seconds: Time spent in the rounds so far, without the measuring of accuracy.
    """

    number: int
    accuracy: float
    bytes_sent: int
    seconds: float


def run_fedavg(
    model: nn.Module,
    clients: Sequence[Client],
    *,
    rounds: int,
    training: Training,
    accuracy_fn: Callable[[nn.Module], float],
    ledger: Ledger,
    seed: int,
) -> Iterator[Round]:
    """Run federated averaging and yield the global model's state of affairs before and after every round.

    Args:
        model: The starting model; not changed.
        clients: The parties; every one takes part in every round.
        rounds: Communication rounds.
        training: What each client does in a round.
        accuracy_fn: Accuracy of a model on the global test samples.
        ledger: Where the messages are accounted for.
        seed: Seed of the batch orders.
    """
    yield Round(number=0, accuracy=accuracy_fn(model), bytes_sent=0, seconds=0.0)
    bytes_before, seconds = ledger.total_bytes(), 0.0
    for number in range(1, rounds + 1):
        started = time.perf_counter()
        model = _run_round(model, clients, number=number, training=training, ledger=ledger, seed=seed)
        seconds += time.perf_counter() - started
        yield Round(
            number=number,
            accuracy=accuracy_fn(model),
            bytes_sent=ledger.total_bytes() - bytes_before,
            seconds=seconds,
        )


def _run_round(
    model: nn.Module, clients: Sequence[Client], *, number: int, training: Training, ledger: Ledger, seed: int
) -> nn.Module:
    message = encode(model.state_dict())
    replies: list[State] = []
    for client in clients:
        received = ledger.deliver(message, round_number=number, client=client.index, direction="down")
        local = with_state(model, received)
        train_locally(local, client, training=training, seed=derive_seed(seed, "local", number, client.index))
        replies.append(
            ledger.send(local.state_dict(), round_number=number, client=client.index, direction="up")
        )
    return with_state(model, weighted_average(replies, [len(client) for client in clients]))
