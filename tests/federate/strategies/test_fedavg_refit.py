"""fedavg-refit: it trains as FedAvg does, and serves what it received with scikit-learn's last layer."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.federate.couriers import Meddler, fail
from tests.federate.digits_world import (
    LOCAL,
    assert_same_bits,
    load_samples,
    make_client,
    make_clients,
    make_recipe,
    make_server,
    run,
)
from tests.federate.discriminants import HEAD, load, predict_pooled, solve_pooled, without_head

from limbeck.core.errors import InputError
from limbeck.engine import predict
from limbeck.federate import Ledger, Privacy, Simulation, federate
from limbeck.federate.keeping import keep, recall
from limbeck.federate.strategies.fedavg_refit import RefitSettings

SHRINKAGE = 0.05


def refit(courier=None, **changes):
    return run(make_recipe(strategy="fedavg-refit", **changes), courier)


def test_training_goes_on_from_the_average_that_fedavg_makes_bit_for_bit():
    ours, fedavg = refit(rounds=3, seed=2), run(make_recipe(rounds=3, seed=2))
    for mine, theirs in zip(ours[1:], fedavg[1:], strict=True):
        assert_same_bits(mine.state.memory, theirs.state.models["mlp"])


def test_what_was_received_is_served_with_the_last_layer_of_the_pooled_samples():
    standings, inputs = refit(rounds=2), load_samples()[-1][0]
    clients = list(make_clients().values())
    received = [standings[0].state.models["mlp"], standings[1].state.memory]
    for before, standing in zip(received, standings[1:], strict=True):
        served = standing.state.models["mlp"]
        assert_same_bits(without_head(served), without_head(before))
        expected = predict_pooled(before, clients, inputs, shrinkage=SHRINKAGE)
        np.testing.assert_array_equal(predict(load(served), inputs), expected)


def test_the_layer_keeps_the_norm_of_the_one_it_replaces():
    first, last = refit(rounds=1, settings={"shrinkage": 0.3})
    clients = list(make_clients().values())
    before, served = first.state.models["mlp"], last.state.models["mlp"]
    weight, bias = solve_pooled(before, clients, shrinkage=0.3)
    scale = float(before[HEAD[0]].norm()) / np.linalg.norm(weight)
    np.testing.assert_allclose(served[HEAD[0]].numpy(), weight * scale, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(served[HEAD[1]].numpy(), bias * scale, rtol=1e-4, atol=1e-6)


def test_only_samples_of_clients_whose_replies_count_are_in_the_layer():
    meddler = Meddler(Simulation(make_clients()), damage={1: fail("it was cut off")})
    first, last = refit(meddler, rounds=1)
    heard = [client for index, client in make_clients().items() if index != 1]
    inputs = load_samples()[-1][0]
    expected = predict_pooled(first.state.models["mlp"], heard, inputs, shrinkage=SHRINKAGE)
    np.testing.assert_array_equal(predict(load(last.state.models["mlp"]), inputs), expected)


def test_what_is_served_is_what_is_measured_and_kept_as_the_best():
    last = refit(rounds=2)[-1]
    inputs, labels = load_samples()[-1]
    best = predict(load(last.best_models["mlp"]), inputs)
    assert (best == labels.numpy()).mean() == max(this.accuracy for this in last.history)
    assert last.history[1].accuracy > 0.9 > last.history[0].accuracy


def test_a_client_with_many_samples_is_not_taken_for_an_absurd_one():
    inputs, labels = load_samples()[1]
    many = replace(make_client(1), inputs=inputs.repeat(60, 1, 1, 1), labels=labels.repeat(60))
    local = replace(LOCAL, batch_size=2048)
    last = refit(Simulation({**make_clients(), 1: many}), rounds=1, local=local)[-1]
    assert not last.history[-1].rejected
    assert last.history[-1].participants == (0, 1, 2, 3)


def test_a_client_without_samples_of_most_classes_takes_part():
    clients = make_clients()
    inputs, labels = load_samples()[1]
    clients[1] = replace(clients[1], inputs=inputs[labels < 2], labels=labels[labels < 2])
    first, last = refit(Simulation(clients), rounds=1)
    tests = load_samples()[-1][0]
    expected = predict_pooled(first.state.models["mlp"], list(clients.values()), tests, shrinkage=SHRINKAGE)
    np.testing.assert_array_equal(predict(load(last.state.models["mlp"]), tests), expected)


def test_a_reply_without_its_statistics_is_rejected():
    def damage(reply):
        kept = {name: value for name, value in reply.tensors.items() if name != "statistics/sums"}
        return replace(reply, tensors=kept)

    last = refit(Meddler(Simulation(make_clients()), damage={0: damage}), rounds=1)[-1]
    assert last.history[-1].rejected == {0: "it lacks `statistics/sums`"}


def test_a_run_that_was_kept_goes_on_to_the_same_result(tmp_path):
    whole = refit(rounds=3, participation=0.5)
    keep(tmp_path, whole[2], Ledger(), spec_hash="same")
    recalled = recall(tmp_path, spec_hash="same").standing
    recipe = make_recipe(strategy="fedavg-refit", rounds=3, participation=0.5)
    resumed = run(recipe, standing=recalled)[-1]
    assert_same_bits(resumed.state.memory, whole[-1].state.memory)
    assert_same_bits(resumed.state.models["mlp"], whole[-1].state.models["mlp"])


def test_a_model_without_such_a_layer_is_refused_before_a_round():
    def build_headless(arch):
        del arch
        return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10, bias=False))

    rounds = federate(
        make_recipe(strategy="fedavg-refit", rounds=1),
        make_server(build_fn=build_headless),
        Simulation(make_clients(build_fn=build_headless)),
        num_clients=4,
        ledger=Ledger(),
    )
    with pytest.raises(InputError, match="one output per class and a bias"):
        list(rounds)


def test_private_clients_are_refused():
    with pytest.raises(InputError, match=r"all that a client of `fedavg-refit` sends.*Leave `privacy` out"):
        refit(privacy=Privacy(clip_norm=1.0))


@pytest.mark.parametrize("shrinkage", [0.0, 1.1, -1.0])
def test_a_setting_out_of_range_names_the_rule(shrinkage):
    with pytest.raises(InputError, match="0 < shrinkage <= 1"):
        RefitSettings(shrinkage=shrinkage)
