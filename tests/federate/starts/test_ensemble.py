"""The start `ensemble` teaches the weight average what the coverage-weighted ensemble says."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.federate.strategies.logit_worlds import (
    LOCAL,
    PUBLIC,
    build,
    make_clients,
    make_federation,
    score,
    untrained,
)

from limbeck.core.errors import InputError
from limbeck.engine import Training
from limbeck.federate.client import fill
from limbeck.federate.messages import Ledger
from limbeck.federate.plan import Plan
from limbeck.federate.run import Recipe, Server, federate
from limbeck.federate.simulation import Simulation
from limbeck.federate.starts import Distillation, get_start
from limbeck.federate.starts.ensemble import predict_ensemble

DISTIL = Training(epochs=10, batch_size=32, lr=0.05)


def start(name, clients, **distillation):
    recipe = Recipe(
        plan=Plan(rounds=0, local=LOCAL),
        start=name,
        strategy="feddf",
        distillation=Distillation(training=DISTIL, **distillation),
        pretrain=Training(epochs=4, batch_size=32, lr=0.1),
    )
    server = Server(build_fn=build, validation_fn=score, test_fn=score, proxy=PUBLIC)
    ledger = Ledger()
    (standing,) = federate(recipe, server, Simulation(clients), num_clients=len(clients), ledger=ledger)
    return standing, ledger


def test_it_is_better_than_the_weight_average_and_repeats_bit_for_bit():
    average, _ = start("weight-average", make_clients(alpha=0.3))
    first, _ = start("ensemble", make_clients(alpha=0.3))
    second, _ = start("ensemble", make_clients(alpha=0.3))
    assert first.history[0].accuracy > average.history[0].accuracy + 0.05
    models = first.state.models["narrow"], second.state.models["narrow"]
    assert all(torch.equal(models[0][name], models[1][name]) for name in models[0])


def test_it_costs_one_upload_per_client():
    average, _ = start("weight-average", make_clients())
    ensemble, ledger = start("ensemble", make_clients())
    assert ensemble.start_bytes == average.start_bytes
    assert sum(entry.direction == "up" and entry.message_bytes > 1_000 for entry in ledger.entries) == 3


def test_every_architecture_has_a_start():
    standing, _ = start("ensemble", make_clients(("narrow", "wide", "wide")))
    assert set(standing.state.models) == {"narrow", "wide"}
    assert all(score(fill(build(arch), state)) > 0.5 for arch, state in standing.state.models.items())


def test_the_ensemble_weighs_class_by_class_with_the_counts():
    # From the definition, in float64: the mean of softened probabilities by shares.
    counts = [(4, 0), (1, 3), (0, 1)]
    clients = make_clients()
    federation = make_federation(clients)
    padded = [one + (1,) * 8 if one else () for one in counts]
    parties = tuple(
        replace(party, class_counts=one) for party, one in zip(federation.parties, padded, strict=True)
    )
    federation = replace(federation, parties=parties)
    uploaded = {
        index: {name: value * (1 + index) for name, value in untrained().items()} for index in clients
    }
    ours = (predict_ensemble(federation, uploaded, temperature=2.0) / 2).softmax(dim=-1).numpy()
    total = np.zeros((len(PUBLIC), 10))
    shares = np.array([one or (1,) * 10 for one in padded], dtype=np.float64)
    for share, state in zip(shares / shares.sum(axis=0), uploaded.values(), strict=True):
        weights = {name: value.double().numpy() for name, value in state.items()}
        hidden = np.maximum(PUBLIC.flatten(1).double().numpy() @ weights["1.weight"].T + weights["1.bias"], 0)
        logits = (hidden @ weights["3.weight"].T + weights["3.bias"]) / 2
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        total += share * odds / odds.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(ours, total / total.sum(axis=1, keepdims=True), rtol=1e-3, atol=1e-5)


def test_it_needs_a_proxy_set():
    federation = replace(make_federation(make_clients()), proxy=None)
    with pytest.raises(InputError, match="proxy set"):
        get_start("ensemble").check(federation)


def test_another_technique_than_kd_is_refused():
    with pytest.raises(InputError, match="distils by `kd`"):
        get_start("ensemble").check_distillation(Distillation(training=DISTIL, technique="dkd"))
