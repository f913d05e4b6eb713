"""A small federation in float64, and local training without the engine, to check strategies against."""

import copy
from collections import OrderedDict
from dataclasses import replace
from functools import partial

import torch
import torch.nn.functional as F
from torch import nn

from limbeck.core.seeds import derive_seed
from limbeck.engine import Training
from limbeck.federate import Ledger, Plan, Simulation
from limbeck.federate.client import Client, state_of
from limbeck.federate.federation import Federation, Party
from limbeck.federate.server import begin, run_rounds
from limbeck.federate.strategies import get_strategy, make_strategy_settings

SIZES = (24, 40, 16)
CLASSES, FEATURES = 4, 6
TRAINING = Training(epochs=2, batch_size=8, lr=0.1, momentum=0.0, schedule="constant")
PLAN = Plan(rounds=2, local=TRAINING, seed=5)


def build(arch, dtype=torch.float64):
    """The common untrained model: `normed` has buffers, `plain` has none."""
    generator = torch.Generator().manual_seed(3)
    middle = nn.BatchNorm1d(5) if arch == "normed" else nn.Identity()
    layers = (nn.Linear(FEATURES, 5), middle, nn.Tanh(), nn.Linear(5, CLASSES))
    model = nn.Sequential(OrderedDict(zip(("first", "middle", "bend", "last"), layers, strict=True))).to(
        dtype
    )
    with torch.no_grad():
        for weight in model.parameters():
            weight.copy_(torch.randn(weight.shape, generator=generator) * 0.5)
    return model


def make_clients(archs=("normed", "normed", "normed"), dtype=torch.float64):
    """Clients by index whose classes and samples differ."""
    generator = torch.Generator().manual_seed(11)
    clients = {}
    for index, (size, arch) in enumerate(zip(SIZES, archs, strict=True)):
        labels = (torch.randint(0, CLASSES - 1, (size,), generator=generator) + index) % CLASSES
        noise = torch.randn(size, FEATURES, generator=generator, dtype=torch.float64)
        inputs = (noise + F.one_hot(labels, FEATURES) * 2).to(dtype)
        clients[index] = Client(
            index=index,
            inputs=inputs,
            labels=labels,
            arch=arch,
            build_fn=partial(build, dtype=dtype),
            num_classes=CLASSES,
            held_out=(inputs[:8], labels[:8]),
        )
    return clients


def make_federation(clients, plan=PLAN):
    parties = tuple(
        Party(index=index, arch=client.arch, num_samples=len(client)) for index, client in clients.items()
    )
    return Federation(
        plan=plan,
        parties=parties,
        build_fn=clients[0].build_fn,
        validation_fn=lambda _: 0.0,
        test_fn=lambda _: 0.0,
    )


def run(name, clients=None, *, plan=PLAN, standing=None, ledger=None, **settings):
    """Where a run in the simulation, from untrained models, stands before its first round and after each."""
    clients = make_clients() if clients is None else clients
    federation, strategy = make_federation(clients, plan), get_strategy(name)
    if standing is None:
        models = {arch: state_of(federation.build_fn(arch)) for arch in federation.archs}
        standing = begin(federation, models, start_bytes=0, start_seconds=0.0)
    rounds = run_rounds(
        federation,
        standing,
        Simulation(clients, workers=1),
        strategy=strategy,
        settings=make_strategy_settings(strategy, settings),
        ledger=Ledger() if ledger is None else ledger,
    )
    return [standing, *rounds]


def run_model(name, clients=None, **changes):
    """The one shared model after the last round."""
    (model,) = run(name, clients, **changes)[-1].state.models.values()
    return model


def with_rounds(rounds, **changes):
    return replace(PLAN, rounds=rounds, **changes)


def train_plainly(models, client, round_number, *, loss_fn=None, adjust_fn=lambda: None, plan=PLAN):
    """Local training in place: every model on the same batches, with an optimiser and a loss of its own."""
    training = plan.local
    optimizers = [
        torch.optim.SGD(model.parameters(), lr=training.lr, momentum=training.momentum) for model in models
    ]
    seed = derive_seed(plan.seed, "local", round_number, client.index)
    for epoch in range(training.epochs):
        generator = torch.Generator().manual_seed(derive_seed(seed, "batches", epoch))
        for ids in torch.randperm(len(client), generator=generator).split(training.batch_size):
            for model in models:
                model.train().zero_grad()
            logits = [model(client.inputs[ids]) for model in models]
            if loss_fn is None:
                losses = [F.cross_entropy(own, client.labels[ids]) for own in logits]
            else:
                losses = loss_fn(logits, ids)
            for loss in losses:
                loss.backward()
            adjust_fn()
            for optimizer in optimizers:
                optimizer.step()


def load(state, arch="normed"):
    model = build(arch)
    model.load_state_dict(state)
    return model


def average_plainly(states, sizes=SIZES):
    """Float tensors weighted by samples; of counters the largest."""
    total = sum(sizes)
    return {
        name: sum(state[name] * (size / total) for state, size in zip(states, sizes, strict=True))
        if value.is_floating_point()
        else max(state[name] for state in states)
        for name, value in states[0].items()
    }


def train_all_plainly(state, round_number, *, make_loss_fn=None, plan=PLAN):
    """What FedAvg's server gets from every client; `make_loss_fn` takes the model received and the client."""
    states = []
    for client in make_clients().values():
        local = load(state)
        loss_fn = None if make_loss_fn is None else make_loss_fn(copy.deepcopy(local).eval(), client)
        train_plainly([local], client, round_number, loss_fn=loss_fn, plan=plan)
        states.append(local.state_dict())
    return states


def assert_close(ours, theirs, tolerance=1e-10):
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        torch.testing.assert_close(value, theirs[name], rtol=tolerance, atol=tolerance)


def assert_equal(ours, theirs):
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())
