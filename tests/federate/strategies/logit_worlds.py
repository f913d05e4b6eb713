"""A small federation on digits with a public set, for strategies that share logits."""

import copy
from dataclasses import replace

import torch
from torch import nn

from limbeck import data, partition
from limbeck.engine import Training, accuracy, predict
from limbeck.federate.client import Client, state_of
from limbeck.federate.federation import Federation, Party
from limbeck.federate.memory import RamMemory
from limbeck.federate.messages import Ledger
from limbeck.federate.plan import Plan
from limbeck.federate.run import Recipe, Server, federate
from limbeck.federate.server import Standing
from limbeck.federate.simulation import Simulation

NUM_CLASSES, NUM_PUBLIC, NUM_CLIENTS = 10, 200, 3
LOCAL = Training(epochs=1, batch_size=32, lr=0.1)
WIDTHS = {"narrow": 16, "wide": 32}


def build(arch: str) -> nn.Module:
    """A new copy of the untrained model of an architecture."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(len(arch))
        width = WIDTHS[arch]
        return nn.Sequential(nn.Flatten(), nn.Linear(64, width), nn.ReLU(), nn.Linear(width, NUM_CLASSES))


def load_digits() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Training and test samples, normalised."""
    digits = data.load("digits")
    normalization = data.measure_normalization(digits.train)
    return (
        data.normalize(digits.train.inputs, normalization),
        digits.train.labels,
        data.normalize(digits.test.inputs, normalization),
        digits.test.labels,
    )


INPUTS, LABELS, TEST_INPUTS, TEST_LABELS = load_digits()
PUBLIC = INPUTS[:NUM_PUBLIC]


def score(model: nn.Module) -> float:
    """Accuracy on the test samples."""
    return accuracy(predict(model, TEST_INPUTS), TEST_LABELS.numpy())


def make_clients(
    archs: tuple[str, ...] = ("narrow",) * NUM_CLIENTS, *, alpha: float = 1.0
) -> dict[int, Client]:
    """One client per architecture named, with samples of their own beside the public ones."""
    labels = LABELS[NUM_PUBLIC:]
    split = partition.split(labels, "dirichlet", num_clients=len(archs), seed=0, alpha=alpha)
    return {
        index: Client(
            index=index,
            inputs=INPUTS[NUM_PUBLIC:][ids],
            labels=labels[ids],
            arch=arch,
            build_fn=build,
            num_classes=NUM_CLASSES,
            held_out=(TEST_INPUTS, TEST_LABELS),
            proxy=PUBLIC,
        )
        for index, (arch, ids) in enumerate(zip(archs, split.indices, strict=True))
    }


def make_parties(clients: dict[int, Client]) -> tuple[Party, ...]:
    """What the server knows of clients."""
    return tuple(
        Party(
            index=index,
            arch=client.arch,
            num_samples=len(client),
            class_counts=tuple(client.class_counts),
        )
        for index, client in clients.items()
    )


def make_federation(clients: dict[int, Client], **plan: object) -> Federation:
    """A server's federation of clients."""
    return Federation(
        plan=Plan(**{"rounds": 1, "local": LOCAL, **plan}),
        parties=make_parties(clients),
        build_fn=build,
        validation_fn=score,
        test_fn=score,
        proxy=PUBLIC,
    )


def run(
    strategy: str,
    clients: dict[int, Client],
    *,
    settings: dict[str, object] | None = None,
    ledger: Ledger | None = None,
    validation_fn=score,
    **plan: object,
) -> list[Standing]:
    """A run with clients that remember nothing yet; where it stands after each round."""
    fresh = {index: replace(client, memory=RamMemory()) for index, client in clients.items()}
    recipe = Recipe(
        plan=Plan(**{"rounds": 2, "local": LOCAL, **plan}), strategy=strategy, settings=settings or {}
    )
    server = Server(build_fn=build, validation_fn=validation_fn, test_fn=score, proxy=PUBLIC)
    ledger = Ledger() if ledger is None else ledger
    return list(federate(recipe, server, Simulation(fresh), num_clients=len(fresh), ledger=ledger))


def untrained(arch: str = "narrow") -> dict[str, torch.Tensor]:
    """The weights of the common untrained model."""
    return state_of(copy.deepcopy(build(arch)))
