"""The same federated averaging as a small Flower app in Flower's own simulation, two clients at a time.

`run_simulation` is the leanest way Flower has: `flwr run` packs the app and starts a superlink first. A
client trains as in the plain loop, keeps its samples in its process and uses one thread. Run by an
interpreter that has `flwr[simulation]`.
"""

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg
from flwr.simulation import run_simulation

from benchmarks.federation_world import BATCH_SIZE, LR, MOMENTUM, World, read_world
from benchmarks.plain_federation import measure, train_epoch
from limbeck.core.device import count_cores


@lru_cache
def read_once(case: str, path: Path, num_clients: int) -> World:
    """The world, read once in a process."""
    return read_world(case, path, num_clients=num_clients)


def run_on_flower(
    case: str, path: Path, *, num_clients: int, rounds: int, after_round: Callable[[float], None]
) -> None:
    """Run a federation in Flower's simulation.

    Args:
        case: See `federation_world`.
        path: The samples.
        num_clients: How many clients.
        rounds: Communication rounds.
        after_round: Told the test accuracy after each round.

    Raises:
        RuntimeError: When a client failed in a round, which Flower only logs.
    """
    replies: list[int] = []
    run_simulation(
        server_app=_make_server_app(
            read_once(case, path, num_clients),
            rounds=rounds,
            after_round=after_round,
            note_replies=replies.append,
        ),
        client_app=_make_client_app(case, path, num_clients=num_clients),
        num_supernodes=num_clients,
        backend_config={
            "client_resources": {"num_cpus": 1, "num_gpus": 0.0},
            "init_args": {"num_cpus": count_cores()},
        },
    )
    if replies != [num_clients] * rounds:
        raise RuntimeError(f"every client must reply in every round, but so many did: {replies}")


def _make_client_app(case: str, path: Path, *, num_clients: int) -> ClientApp:
    app = ClientApp()

    @app.train()
    def train(message: Message, context: Context) -> Message:
        torch.set_num_threads(1)
        world = read_once(case, path, num_clients)
        samples = world.train[int(context.node_config["partition-id"])]
        model = world.build()
        model.load_state_dict(_arrays_of(message.content).to_torch_state_dict())
        train_epoch(model, samples, batch_size=BATCH_SIZE, lr=LR, momentum=MOMENTUM)
        facts: dict[str, Any] = {"num-examples": len(samples[1])}
        content = RecordDict({"arrays": ArrayRecord(model.state_dict()), "metrics": MetricRecord(facts)})
        return Message(content=content, reply_to=message)

    return app


def _make_server_app(
    world: World,
    *,
    rounds: int,
    after_round: Callable[[float], None],
    note_replies: Callable[[int], None],
) -> ServerApp:
    app, num_clients = ServerApp(), len(world.train)

    def count_replies(contents: list[RecordDict], weighted_by: str) -> MetricRecord:
        del weighted_by
        note_replies(len(contents))
        return MetricRecord()

    def evaluate(number: int, arrays: ArrayRecord) -> MetricRecord | None:
        if number == 0:
            return None
        model = world.build()
        model.load_state_dict(arrays.to_torch_state_dict())
        after_round(measure(model, world.test))
        return None

    @app.main()
    def main(grid: Grid, context: Context) -> None:
        del context
        strategy = FedAvg(
            fraction_evaluate=0.0,
            min_train_nodes=num_clients,
            min_available_nodes=num_clients,
            train_metrics_aggr_fn=count_replies,
        )
        strategy.start(
            grid=grid,
            initial_arrays=ArrayRecord(world.build().state_dict()),
            num_rounds=rounds,
            evaluate_fn=evaluate,
        )

    return app


def _arrays_of(content: RecordDict) -> ArrayRecord:
    arrays = content["arrays"]
    assert isinstance(arrays, ArrayRecord)
    return arrays
