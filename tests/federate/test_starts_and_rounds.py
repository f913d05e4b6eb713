"""Starts send what they say they send, and a round of federated averaging equals the textbook's."""

import copy

import pytest
import torch
import torch.nn.functional as F

from limbeck import data, models, partition
from limbeck.core.errors import InputError
from limbeck.core.fingerprint import hash_state
from limbeck.core.seeds import derive_seed
from limbeck.engine import Training, accuracy, predict, pretrain
from limbeck.federate import STARTS, Client, Consolidation, Ledger, encode, make_start, run_fedavg
from limbeck.techniques import Settings, get_technique

NUM_CLIENTS = 4
SHARES = [0.1, 0.4, 0.3, 0.2]


@pytest.fixture(scope="module")
def world():
    digits = data.load("digits")
    normalization = data.measure_normalization(digits.train)
    split = partition.split(digits.labels, "quantity", num_clients=NUM_CLIENTS, seed=0, shares=SHARES)
    clients = []
    for index, ids in enumerate(split.indices):
        samples = digits.subset(ids)
        clients.append(
            Client(index=index, inputs=data.normalize(samples.inputs, normalization), labels=samples.labels)
        )
    initial = models.build("mlp", input_shape=(1, 8, 8), num_classes=10, seed=0)
    own = [copy.deepcopy(initial) for _ in clients]
    for model, client in zip(own, clients, strict=True):
        pretrain(model, client.inputs, client.labels, training=Training(epochs=3, batch_size=32), seed=0)
    test_inputs, test_labels = data.normalize(digits.test.inputs, normalization), digits.test.labels.numpy()
    return Consolidation(
        initial=initial,
        clients=clients,
        models=own,
        score_fn=lambda model: accuracy(predict(model, test_inputs), test_labels),
        technique=get_technique("kd"),
        settings=Settings(temperature=2, weight=0.5),
        training=Training(epochs=1, batch_size=32, lr=0.02),
        seed=0,
    )


EXPECTED_TRAFFIC = {
    "scratch": {"up": 0, "down": 0},
    "best-client": {"up": 4, "down": 0},
    "weight-average": {"up": 4, "down": 0},
    "hub": {"up": 4, "down": 3},
    "chain": {"up": 4, "down": 3},
}


@pytest.mark.parametrize("name", STARTS)
def test_a_start_sends_the_messages_it_says(world, name):
    ledger = Ledger()
    started = make_start(name, world, ledger)
    directions = [entry.direction for entry in ledger.entries]
    assert {way: directions.count(way) for way in ("up", "down")} == EXPECTED_TRAFFIC[name]
    assert started.bytes_sent == len(directions) * len(encode(world.initial.state_dict()))
    assert all(entry.round == 0 for entry in ledger.entries)


@pytest.mark.parametrize("name", STARTS)
def test_a_start_repeats_bit_for_bit_and_changes_no_model(world, name):
    before = [hash_state(model.state_dict()) for model in (world.initial, *world.models)]
    hashes = {hash_state(make_start(name, world, Ledger()).model.state_dict()) for _ in range(2)}
    assert len(hashes) == 1
    assert [hash_state(model.state_dict()) for model in (world.initial, *world.models)] == before


def test_scratch_is_the_initial_model_and_best_client_the_best(world):
    scratch = make_start("scratch", world, Ledger()).model
    assert hash_state(scratch.state_dict()) == hash_state(world.initial.state_dict())
    best = make_start("best-client", world, Ledger()).model
    assert world.score_fn(best) == max(world.score_fn(model) for model in world.models)


def test_the_weight_average_counts_samples(world):
    average = make_start("weight-average", world, Ledger()).model.state_dict()
    sizes = torch.tensor([float(len(client)) for client in world.clients], dtype=torch.float64)
    for name, tensor in average.items():
        stacked = torch.stack([model.state_dict()[name].double() for model in world.models])
        shaped = (sizes / sizes.sum()).reshape(-1, *[1] * tensor.ndim)
        torch.testing.assert_close(tensor.double(), (stacked * shaped).sum(0), rtol=1e-5, atol=1e-7)


def test_the_chain_visits_by_size_and_the_hub_is_the_largest_client(world):
    visits, hub = Ledger(), Ledger()
    make_start("chain", world, visits)
    make_start("hub", world, hub)
    assert [entry.client for entry in visits.entries if entry.direction == "down"] == [2, 3, 0]
    assert {entry.client for entry in hub.entries if entry.direction == "down"} == {1}


def test_an_unknown_start_is_refused(world):
    with pytest.raises(InputError, match="Did you mean `chain`"):
        make_start("chan", world, Ledger())


def test_rounds_equal_the_textbook(world):
    training = Training(epochs=1, batch_size=32, lr=0.05, schedule="constant")
    ledger = Ledger()
    seen = []

    def remember(model):
        seen.append(copy.deepcopy(model.state_dict()))
        return world.score_fn(model)

    rounds = list(
        run_fedavg(
            world.initial,
            world.clients,
            rounds=2,
            training=training,
            accuracy_fn=remember,
            ledger=ledger,
            seed=5,
        )
    )
    expected = plain_fedavg(world.initial, world.clients, rounds=2, training=training, seed=5)
    for ours, theirs in zip(seen, expected, strict=True):
        for name, tensor in ours.items():
            torch.testing.assert_close(tensor, theirs[name], rtol=1e-4, atol=1e-5)
    size = len(encode(world.initial.state_dict()))
    assert [state.bytes_sent for state in rounds] == [0, 2 * NUM_CLIENTS * size, 4 * NUM_CLIENTS * size]
    assert [state.number for state in rounds] == [0, 1, 2]
    assert rounds[2].accuracy > rounds[0].accuracy


def plain_fedavg(initial, clients, *, rounds, training, seed):
    """McMahan et al. 2017, algorithm 1, written without the engine."""
    model, states = copy.deepcopy(initial), [copy.deepcopy(initial.state_dict())]
    total = sum(len(client) for client in clients)
    for number in range(1, rounds + 1):
        sums = {name: torch.zeros_like(tensor) for name, tensor in model.state_dict().items()}
        for client in clients:
            local = copy.deepcopy(model).train()
            optimizer = torch.optim.SGD(local.parameters(), lr=training.lr, momentum=training.momentum)
            order_seed = derive_seed(derive_seed(seed, "local", number, client.index), "batches", 0)
            order = torch.randperm(len(client), generator=torch.Generator().manual_seed(order_seed))
            for ids in order.split(training.batch_size):
                optimizer.zero_grad()
                F.cross_entropy(local(client.inputs[ids]), client.labels[ids]).backward()
                optimizer.step()
            for name, tensor in local.state_dict().items():
                sums[name] += tensor * (len(client) / total)
        model.load_state_dict(sums)
        states.append(copy.deepcopy(model.state_dict()))
    return states
