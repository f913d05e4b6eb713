"""Four clients and a server on the embedded digits: small enough to run in a test, real enough to learn."""

import copy
from functools import cache

import torch

from limbeck import data, models, partition
from limbeck.engine import Training, accuracy, predict
from limbeck.federate import Client, Distillation, Ledger, Plan, Recipe, Server, Simulation, federate
from limbeck.federate.federation import Federation
from limbeck.federate.run import make_ask, meet
from limbeck.federate.starts import Consolidation

NUM_CLIENTS = 4
SHARES = [0.1, 0.4, 0.3, 0.2]
LOCAL = Training(epochs=1, batch_size=32, lr=0.05, schedule="constant")
PRETRAIN = Training(epochs=3, batch_size=32)
DISTILLATION = Distillation(training=Training(epochs=1, batch_size=32, lr=0.02))


@cache
def load_samples():
    """Inputs and labels of each client and of the test set."""
    digits = data.load("digits")
    normalization = data.measure_normalization(digits.train)
    split = partition.split(digits.labels, "quantity", num_clients=NUM_CLIENTS, seed=0, shares=SHARES)
    parts = [*(digits.subset(ids) for ids in split.indices), digits.test]
    return [(data.normalize(part.inputs, normalization), part.labels) for part in parts]


@cache
def build_once(arch):
    return models.build(arch, input_shape=(1, 8, 8), num_classes=10, seed=0)


def build(arch):
    """The common untrained model."""
    return copy.deepcopy(build_once(arch))


def score(model):
    """Accuracy on the test set."""
    inputs, labels = load_samples()[-1]
    return accuracy(predict(model, inputs), labels.numpy())


def make_client(index, **changes):
    """A client that remembers nothing yet."""
    inputs, labels = load_samples()[index]
    facts = {"index": index, "inputs": inputs, "labels": labels, "arch": "mlp", "build_fn": build}
    return Client(**{**facts, "num_classes": 10, **changes})


def make_clients(**changes):
    """All clients, by index."""
    return {index: make_client(index, **changes) for index in range(NUM_CLIENTS)}


def make_server(**changes):
    """A server that chooses on the test set, which is enough for a test."""
    return Server(**{"build_fn": build, "validation_fn": score, "test_fn": score, **changes})


def make_recipe(*, start="scratch", **changes):
    """FedAvg for two rounds, with changes to recipe and plan by name."""
    own = {name: changes.pop(name) for name in ("strategy", "settings", "distillation") if name in changes}
    plan = Plan(**{"rounds": 2, "local": LOCAL, **changes})
    return Recipe(**{"plan": plan, "start": start, "distillation": DISTILLATION, "pretrain": PRETRAIN, **own})


def run(recipe, courier=None, *, ledger=None, num_clients=NUM_CLIENTS, **more):
    """Where a run stands before the first round and after each."""
    courier = Simulation(make_clients()) if courier is None else courier
    ledger = Ledger() if ledger is None else ledger
    return list(federate(recipe, make_server(), courier, num_clients=num_clients, ledger=ledger, **more))


def consolidate(clients, ledger, *, distillation=DISTILLATION, **changes):
    """What a start is made with, its clients already introduced and left out of the ledger."""
    courier = Simulation(clients)
    parties = meet(make_ask(courier, Ledger()), num_clients=len(clients), is_private=False, terms={})
    federation = Federation(
        plan=Plan(rounds=0, local=LOCAL),
        parties=parties,
        build_fn=build,
        validation_fn=score,
        test_fn=score,
    )
    return Consolidation(
        federation=federation, ask=make_ask(courier, ledger), distillation=distillation, **changes
    )


def assert_same_bits(ours, theirs):
    """Two states have the same names and bits."""
    assert ours.keys() == theirs.keys()
    for name, tensor in ours.items():
        assert tensor.dtype == theirs[name].dtype
        assert torch.equal(tensor, theirs[name]), name
