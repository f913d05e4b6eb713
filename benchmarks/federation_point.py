"""The times of one run of a federation in a fresh process: ``python -m benchmarks.federation_point JSON``.

Importing PyTorch, and what it imports with its first optimiser, is not counted; importing what runs the
federation is.
"""

import importlib
import json
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from benchmarks.federation_world import World

PLAIN, LIMBECK, FLOWER = "plain loop", "limbeck", "flower"


def main() -> None:
    """Run what the command line asks for, and print its times as the last line."""
    print(json.dumps(measure_point(**json.loads(sys.argv[1]))))


def measure_point(*, way: str, case: str, num_clients: int, rounds: int, path: str) -> dict[str, Any]:
    """Seconds of importing and of every round, the first of which includes the start, and the last accuracy.

    Args:
        way: `PLAIN`, `LIMBECK` or `FLOWER`.
        case: See `federation_world`.
        num_clients: How many clients.
        rounds: Communication rounds.
        path: The samples.
    """
    if case == "mlp":
        torch.set_num_threads(1)  # so small a model is slower with more
    torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    import_seconds = _time_import("limbeck.federate") if way == LIMBECK else 0.0
    from benchmarks.federation_world import read_world

    if way == FLOWER:
        import_seconds = _time_import("benchmarks.flower_federation")
    file = Path(path)
    world = read_world(case, file, num_clients=num_clients)
    times, accuracies = [time.perf_counter()], []

    def after_round(accuracy: float) -> None:
        times.append(time.perf_counter())
        accuracies.append(accuracy)

    if way == FLOWER:
        from benchmarks.flower_federation import run_on_flower

        run_on_flower(case, file, num_clients=num_clients, rounds=rounds, after_round=after_round)
    elif way == LIMBECK:
        run_limbeck(world, case, rounds=rounds, after_round=after_round)
    else:
        _run_loop(world, rounds=rounds, after_round=after_round)
    seconds = [later - earlier for earlier, later in pairwise(times)]
    return {"import_seconds": import_seconds, "round_seconds": seconds, "accuracy": accuracies[-1]}


def run_limbeck(world: "World", arch: str, *, rounds: int, after_round: Callable[[float], None]) -> None:
    """FedAvg in limbeck's simulation; the server chooses on one half of its samples and tests on the other.

    Args:
        world: Samples and model.
        arch: Architecture of the clients.
        rounds: Communication rounds.
        after_round: Told the test accuracy after each round.
    """
    from benchmarks.federation_world import BATCH_SIZE, LR, MOMENTUM, NUM_CLASSES
    from limbeck.engine import Training, accuracy, predict
    from limbeck.federate import Client, Ledger, Plan, Recipe, Server, Simulation, federate

    def score(half: slice) -> Callable[[torch.nn.Module], float]:
        inputs, labels = world.test[0][half], world.test[1][half].numpy()
        return lambda model: accuracy(predict(model, inputs), labels)

    clients = {
        index: Client(
            index=index,
            inputs=inputs,
            labels=labels,
            arch=arch,
            build_fn=lambda _: world.build(),
            num_classes=NUM_CLASSES,
        )
        for index, (inputs, labels) in enumerate(world.train)
    }
    middle = len(world.test[1]) // 2
    server = Server(
        build_fn=lambda _: world.build(),
        validation_fn=score(slice(None, middle)),
        test_fn=score(slice(middle, None)),
    )
    local = Training(epochs=1, batch_size=BATCH_SIZE, lr=LR, momentum=MOMENTUM, schedule="constant")
    recipe = Recipe(plan=Plan(rounds=rounds, local=local))
    courier = Simulation(clients)
    for standing in federate(recipe, server, courier, num_clients=len(clients), ledger=Ledger()):
        if standing.state.round > 0:
            after_round(standing.history[-1].accuracy)


def _run_loop(world: "World", *, rounds: int, after_round: Callable[[float], None]) -> None:
    """The plain loop."""
    from benchmarks.federation_world import BATCH_SIZE, LR, MOMENTUM
    from benchmarks.plain_federation import run_plainly

    accuracies = run_plainly(
        world.build(),
        world.train,
        world.test,
        rounds=rounds,
        batch_size=BATCH_SIZE,
        lr=LR,
        momentum=MOMENTUM,
    )
    for accuracy in accuracies:
        after_round(accuracy)


def _time_import(module: str) -> float:
    started = time.perf_counter()
    importlib.import_module(module)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
