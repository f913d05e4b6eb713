"""The yardsticks: the untrained model, the best client's, and the mean by samples."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.federate.digits_world import assert_same_bits, build, consolidate, score
from tests.federate.starts.own_models import train_own_models

from limbeck.federate import Ledger
from limbeck.federate.client import OWN_MODEL, state_of
from limbeck.federate.starts import get_start


@pytest.fixture(scope="module")
def trained():
    return train_own_models()


def make(name, clients):
    return get_start(name).make_fn(consolidate(clients, Ledger()))


def test_scratch_is_the_untrained_model_of_every_architecture(trained):
    clients = dict(trained[0])
    clients[2] = replace(clients[2], arch="cnn")
    models = make("scratch", clients)
    assert list(models) == ["mlp", "cnn"]
    for arch, state in models.items():
        assert_same_bits(state, state_of(build(arch)))


def test_the_best_client_is_that_with_the_highest_validation_accuracy(trained):
    clients, own = trained
    scores = {}
    for index, state in own.items():
        model = build("mlp")
        model.load_state_dict(state)
        scores[index] = score(model)
    best = max(scores, key=lambda index: scores[index])
    assert len(set(scores.values())) == len(scores)
    assert_same_bits(make("best-client", clients)["mlp"], own[best])


def test_the_weight_average_counts_samples(trained):
    clients, own = trained
    sizes = [len(client) for client in clients.values()]
    for name, tensor in make("weight-average", clients)["mlp"].items():
        stacked = [own[index][name].numpy().astype(np.float64) for index in clients]
        expected = np.average(stacked, axis=0, weights=sizes)
        np.testing.assert_allclose(tensor.numpy(), expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("name", ["best-client", "weight-average"])
def test_every_architecture_gets_a_model_of_its_own_clients(trained, name):
    clients, own = dict(trained[0]), trained[1]
    convolutional = state_of(build("cnn"))
    memory = type(clients[3].memory)()
    memory.write(OWN_MODEL, convolutional, round_number=0)
    clients = {0: clients[0], 1: replace(clients[3], index=1, arch="cnn", memory=memory)}
    models = make(name, clients)
    torch.testing.assert_close(models["mlp"], own[0], rtol=0, atol=1e-7)
    torch.testing.assert_close(models["cnn"], convolutional, rtol=0, atol=1e-7)
