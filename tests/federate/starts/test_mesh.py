"""Mesh: every client teaches the average what all, weighed by class, say about its samples."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.federate.digits_world import DISTILLATION, NUM_CLIENTS, assert_same_bits, build, consolidate
from tests.federate.starts.own_models import forget_start, train_own_models

from limbeck.core.seeds import derive_seed
from limbeck.engine import Case, apply_technique
from limbeck.federate import Ledger
from limbeck.federate.client import state_of
from limbeck.federate.starts import get_start
from limbeck.federate.starts.mesh import gather_ensembles
from limbeck.federate.starts.tasks import recall_ensemble
from limbeck.models import weighted_average


@pytest.fixture(scope="module")
def trained():
    return train_own_models()


def load(state):
    model = build("mlp")
    model.load_state_dict(state)
    return model


def softmax(logits):
    grown = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return grown / grown.sum(axis=-1, keepdims=True)


def ensemble_probabilities(own, clients, inputs, temperature):
    """Per class the mean of the models' softened probabilities by their shares of its samples, in float64."""
    with torch.no_grad():
        said = {index: load(state)(inputs).double().numpy() / temperature for index, state in own.items()}
    counts = {index: np.bincount(clients[index].labels.numpy(), minlength=10) for index in own}
    total = sum(counts.values())
    mixed = sum(softmax(said[index]) * (counts[index] / total) for index in own)
    return mixed / mixed.sum(axis=-1, keepdims=True)


def test_a_client_keeps_what_the_ensemble_says_about_its_samples(trained):
    clients, own = forget_start(trained[0]), trained[1]
    consolidation = consolidate(clients, Ledger())
    gather_ensembles(consolidation.federation, consolidation.ask, own, temperature=2.0)
    for client in clients.values():
        expected = ensemble_probabilities(own, clients, client.inputs, 2.0)
        ours = softmax(recall_ensemble(client).double().numpy() / 2.0)
        np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-6)


def test_a_client_without_an_ensemble_recalls_none(trained):
    assert recall_ensemble(forget_start(trained[0])[0]) is None


@pytest.mark.parametrize("passes", [1, 2])
def test_each_pass_distils_the_average_at_every_client_and_averages(trained, passes):
    clients, own = forget_start(trained[0]), trained[1]
    consolidation = consolidate(clients, Ledger(), distillation=replace(DISTILLATION, visits=passes))
    made = get_start("mesh").make_fn(consolidation)["mlp"]
    sizes = [len(client) for client in clients.values()]
    expected = weighted_average(list(own.values()), sizes)
    for visit in range(passes):
        states = [teach(client, expected, visit=visit) for client in clients.values()]
        expected = weighted_average(states, sizes)
    assert_same_bits(made, expected)


def teach(client, student, *, visit):
    case = Case(
        student=load(student),
        teachers=[],
        inputs=client.inputs,
        labels=client.labels,
        told=recall_ensemble(client)[None],
    )
    taught = apply_technique(
        case,
        technique=DISTILLATION.get_technique(),
        settings=DISTILLATION.settings,
        training=DISTILLATION.training,
        seed=derive_seed(0, "consolidate", client.index, visit),
    )
    return state_of(taught.student)


def test_models_go_round_once_however_many_passes_are_made(trained):
    sizes = {}
    for passes in (1, 3):
        ledger = Ledger()
        consolidation = consolidate(
            forget_start(trained[0]), ledger, distillation=replace(DISTILLATION, visits=passes)
        )
        get_start("mesh").make_fn(consolidation)
        sizes[passes] = len(ledger.entries)
    assert sizes == {1: 3 * 2 * NUM_CLIENTS, 3: 5 * 2 * NUM_CLIENTS}
