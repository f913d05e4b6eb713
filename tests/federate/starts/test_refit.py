"""The starts `refit` and `mesh-refit`: scikit-learn's last layer on the pooled features of the clients."""

from dataclasses import replace

import numpy as np
import pytest
from tests.federate.digits_world import NUM_CLIENTS, assert_same_bits, build, consolidate, load_samples, score
from tests.federate.discriminants import HEAD, load, predict_pooled, without_head
from tests.federate.starts.own_models import forget_start, train_own_models

from limbeck.core.errors import InputError
from limbeck.engine import predict
from limbeck.federate import Ledger, Plan, Privacy
from limbeck.federate.class_statistics import SHRINKAGE
from limbeck.federate.client import OWN_MODEL, state_of
from limbeck.federate.starts import get_start
from limbeck.federate.starts.refit import refit

BEFORE = {"refit": "weight-average", "mesh-refit": "mesh"}
every_refit = pytest.mark.parametrize("name", BEFORE)


@pytest.fixture(scope="module")
def trained():
    return train_own_models()


def make(name, clients, ledger=None):
    consolidation = consolidate(forget_start(clients), Ledger() if ledger is None else ledger)
    return get_start(name).make_fn(consolidation)["mlp"]


@every_refit
def test_its_predictions_are_those_of_scikit_learn_on_the_pooled_features(trained, name):
    clients, inputs = trained[0], load_samples()[-1][0]
    ours, before = make(name, clients), make(BEFORE[name], clients)
    assert_same_bits(without_head(ours), without_head(before))
    expected = predict_pooled(before, list(clients.values()), inputs, shrinkage=SHRINKAGE)
    np.testing.assert_array_equal(predict(load(ours), inputs), expected)
    assert score(load(ours)) > 0.8


@every_refit
def test_the_layer_keeps_its_norm(trained, name):
    ours, before = (make(one, trained[0])[HEAD[0]].norm() for one in (name, BEFORE[name]))
    assert float(ours) == pytest.approx(float(before), rel=1e-5)


@every_refit
def test_it_repeats_bit_for_bit_and_changes_no_own_model(trained, name):
    clients, own = trained
    assert_same_bits(make(name, clients), make(name, clients))
    for index, client in clients.items():
        assert_same_bits(client.memory.read(OWN_MODEL, before=1), own[index])


@every_refit
def test_it_asks_every_client_once_more(trained, name):
    counts = {}
    for one in (name, BEFORE[name]):
        ledger = Ledger()
        make(one, trained[0], ledger)
        counts[one] = len(ledger.entries)
    assert counts[name] == counts[BEFORE[name]] + 2 * NUM_CLIENTS


def test_each_architecture_is_refitted_from_its_own_clients(trained):
    clients = forget_start(trained[0])
    for index in (0, 2):
        clients[index] = replace(clients[index], arch="cnn")
    models = {arch: state_of(build(arch)) for arch in ("cnn", "mlp")}
    ours = refit(consolidate(clients, Ledger()), models)
    inputs = load_samples()[-1][0]
    expected = predict_pooled(models["mlp"], [clients[1], clients[3]], inputs, shrinkage=SHRINKAGE)
    np.testing.assert_array_equal(predict(load(ours["mlp"]), inputs), expected)
    assert ours.keys() == models.keys()


def test_a_class_that_no_client_has_is_never_chosen(trained):
    clients = {}
    for index, client in forget_start(trained[0]).items():
        kept = client.labels != 3
        clients[index] = replace(client, inputs=client.inputs[kept], labels=client.labels[kept])
    ours = refit(consolidate(clients, Ledger()), {"mlp": state_of(build("mlp"))})["mlp"]
    predicted = set(predict(load(ours), load_samples()[-1][0]).tolist())
    assert predicted == set(range(10)) - {3}


@every_refit
def test_private_clients_are_refused(trained, name):
    federation = consolidate(forget_start(trained[0]), Ledger()).federation
    plan = Plan(rounds=0, local=federation.plan.local, privacy=Privacy(clip_norm=1.0))
    with pytest.raises(InputError, match=r"`privacy`.*Use `scratch`, or leave `privacy` out"):
        get_start(name).check(replace(federation, plan=plan))
