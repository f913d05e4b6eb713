"""What the encoding and accounting of every message costs: FedAvg rounds with no training at all."""

from typing import Any

import torch

from benchmarks.measure import summarise, time_alternating
from limbeck import models
from limbeck.engine import Training
from limbeck.federate import Client, Ledger, run_fedavg
from limbeck.models import weighted_average

NUM_CLIENTS = 10
NUM_ROUNDS = 20


def measure() -> dict[str, Any]:
    """Time 20 rounds of 10 clients that do nothing, against averaging their weights alone."""
    torch.set_num_threads(1)
    model = models.build("cnn", input_shape=(1, 28, 28), num_classes=10, seed=0)
    inputs, labels = torch.zeros(1, 1, 28, 28), torch.zeros(1, dtype=torch.int64)
    clients = [Client(index=index, inputs=inputs, labels=labels) for index in range(NUM_CLIENTS)]
    idle = Training(epochs=0)

    def with_messages() -> None:
        rounds = run_fedavg(
            model,
            clients,
            rounds=NUM_ROUNDS,
            training=idle,
            accuracy_fn=lambda _: 0.0,
            ledger=Ledger(),
            seed=0,
        )
        list(rounds)

    def averaging_alone() -> None:
        for _ in range(NUM_ROUNDS):
            weighted_average([model.state_dict()] * NUM_CLIENTS, [1.0] * NUM_CLIENTS)

    seconds = time_alternating({"averaging alone": averaging_alone, "limbeck's rounds": with_messages})
    question = f"{NUM_ROUNDS} rounds of {NUM_CLIENTS} clients of a small CNN that do not train, one thread"
    return summarise("rounds", question, seconds, baseline="averaging alone")
