"""How time and memory of a simulated federation grow with the number of clients and the size of the model.

``python -m benchmarks.federation_growth`` runs every point in a fresh process, the sizes of a series in turn:
rounds of FedAvg over random samples, one epoch at each client that takes part. Up to 100 clients all take
part; of 1,000 one in ten does. The exponent b of seconds = a n^b is fitted per series, over what a round
takes after the first.
"""

import copy
import json
import statistics
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import nn

from benchmarks.growth import PeakMemory, fit_exponent
from benchmarks.measure import REPETITIONS, describe_run, write_json
from limbeck.engine import Training
from limbeck.federate import Client, Ledger, Plan, Recipe, Server, Simulation, federate

RESULTS = Path(__file__).parent / "results"
SERIES = {
    "clients": (10, 100, 1_000),
    "parameters": (10_000, 100_000, 1_000_000, 11_000_000),
}
UNIT = {"clients": 10, "parameters": 10_000}
NUM_FEATURES, NUM_CLASSES, SAMPLES_PER_CLIENT = 64, 10, 64
MOST_ASKED = 100
ROUNDS = 6
LIMIT_SECONDS = 900


def main() -> None:
    """Measure every series, print it and write it down; with ``--point`` measure one point."""
    if "--point" in sys.argv:
        print(json.dumps(_measure_point(**json.loads(sys.argv[-1]))))
        return
    result = {
        "name": "federation_growth",
        "question": f"A round of FedAvg and memory, {SAMPLES_PER_CLIENT} samples per client, 1 epoch",
        "repetitions": REPETITIONS,
        "series": {name: _measure_series(name, sizes) for name, sizes in SERIES.items()},
        **describe_run(),
    }
    write_json(result, RESULTS)


def _measure_series(name: str, sizes: tuple[int, ...]) -> dict[str, Any]:
    points: dict[int, list[dict[str, float]]] = {size: [] for size in sizes}
    for _ in range(REPETITIONS):
        for size in sizes:
            points[size].append(_measure_apart({**UNIT, name: size}))
    seconds = {size: statistics.median(one["round_seconds"] for one in ones) for size, ones in points.items()}
    exponent = fit_exponent(seconds)
    print(f"{name}: seconds of a round grow with exponent {exponent:.2f}")
    for size, ones in points.items():
        spread = [1e3 * one["round_seconds"] for one in ones]
        peak = max(one["peak_bytes"] for one in ones) / 2**20
        print(
            f"  {size:>10,}: {1e3 * seconds[size]:9.1f} ms ({min(spread):.1f} to {max(spread):.1f}), "
            f"{peak:,.0f} MiB"
        )
    return {"unit": UNIT, "exponent": exponent, "median_seconds": seconds, "points": points}


def _measure_apart(case: dict[str, int]) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.federation_growth", "--point", json.dumps(case)]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_SECONDS, check=True)
    return json.loads(answer.stdout.splitlines()[-1])


def _measure_point(*, clients: int, parameters: int) -> dict[str, float]:
    initial = _make_model(parameters)

    def build(arch: str) -> nn.Module:
        del arch
        return copy.deepcopy(initial)

    plan = Plan(
        rounds=ROUNDS,
        local=Training(epochs=1, batch_size=32, lr=0.01),
        participation=min(1.0, MOST_ASKED / clients),
    )
    server = Server(build_fn=build, validation_fn=lambda _: 0.0, test_fn=lambda _: 0.0)
    with PeakMemory() as memory:
        courier = Simulation({index: _make_client(index, build) for index in range(clients)})
        steps = federate(Recipe(plan=plan), server, courier, num_clients=clients, ledger=Ledger())
        history = list(steps)[-1].history
    times = [later.seconds - earlier.seconds for earlier, later in pairwise(history)]
    return {"round_seconds": statistics.median(times[1:]), "peak_bytes": memory.peak_bytes}


def _make_model(parameters: int) -> nn.Module:
    """Two hidden layers as wide as comes nearest to the number of parameters."""
    torch.manual_seed(0)
    linear = NUM_FEATURES + 2 + NUM_CLASSES
    width = round((-linear + (linear**2 + 4 * parameters) ** 0.5) / 2)
    return nn.Sequential(
        nn.Linear(NUM_FEATURES, width),
        nn.ReLU(),
        nn.Linear(width, width),
        nn.ReLU(),
        nn.Linear(width, NUM_CLASSES),
    )


def _make_client(index: int, build_fn: Any) -> Client:
    rng = torch.Generator().manual_seed(index)
    return Client(
        index=index,
        inputs=torch.randn(SAMPLES_PER_CLIENT, NUM_FEATURES, generator=rng),
        labels=torch.randint(0, NUM_CLASSES, (SAMPLES_PER_CLIENT,), generator=rng),
        arch="mlp",
        build_fn=build_fn,
        num_classes=NUM_CLASSES,
    )


if __name__ == "__main__":
    main()
