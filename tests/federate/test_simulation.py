"""The simulation gives the same bits whatever its workers, and carries a thousand clients."""

from dataclasses import replace
from importlib.metadata import version

import pytest
import torch
from tests.federate.digits_world import (
    LOCAL,
    NUM_CLIENTS,
    assert_same_bits,
    build,
    load_samples,
    make_clients,
    make_recipe,
    make_server,
    run,
)

from limbeck.core.processes import can_fork
from limbeck.engine import Training
from limbeck.federate import (
    Client,
    Ledger,
    Message,
    Plan,
    Privacy,
    Recipe,
    Simulation,
    decode,
    encode,
    federate,
)
from limbeck.federate.client import OWN_MODEL, state_of
from limbeck.federate.memory import FolderMemory
from limbeck.federate.messages import as_group

VERSION = {"version": version("limbeck")}
needs_fork = pytest.mark.skipif(not can_fork(), reason="processes cannot be forked here")


@needs_fork
@pytest.mark.slow
@pytest.mark.parametrize("start", ["weight-average", "mesh"])
def test_the_number_of_workers_changes_no_bit(start):
    runs = []
    for workers in (1, 2, 3):
        ledger, recipe = Ledger(), make_recipe(start=start, rounds=2)
        courier = Simulation(make_clients(), workers=workers, forks=True)
        runs.append((run(recipe, courier, ledger=ledger)[-1], ledger))
    (first, entries), *others = runs
    for last, theirs in others:
        assert_same_bits(last.state.models["mlp"], first.state.models["mlp"])
        assert theirs.entries == entries.entries
        assert [this.accuracy for this in last.history] == [this.accuracy for this in first.history]


@needs_fork
def test_clipped_updates_of_convolutions_are_the_same_from_forked_clients():
    recipe = make_recipe(rounds=2, privacy=Privacy(clip_norm=0.05))
    clients = {index: replace(client, arch="cnn") for index, client in make_clients().items()}
    here, forked = (run(recipe, Simulation(clients, workers=workers, forks=True)) for workers in (1, 2))
    assert_same_bits(here[-1].state.models["cnn"], forked[-1].state.models["cnn"])


@needs_fork
@pytest.mark.parametrize(
    ("here", "forked", "num_here"),
    [
        (1e-9, None, 2 * NUM_CLIENTS),  # takes next to nothing
        (1.0, None, 0),  # takes long, and nobody has tried yet
        (1.0, 0.5, 0),
        (0.5, 1.0, 2 * NUM_CLIENTS),
    ],
)
def test_clients_are_forked_where_that_pays_and_has_not_been_slower(here, forked, num_here):
    asked = []

    def build_and_tell(arch):
        asked.append(arch)  # what a forked process appends is lost here
        return build(arch)

    courier = Simulation(make_clients(build_fn=build_and_tell), workers=2)
    paces = {("fedavg", False): here, ("fedavg", True): forked}
    courier.paces.update({key: pace for key, pace in paces.items() if pace is not None})
    run(make_recipe(rounds=2), courier)
    assert len(asked) == num_here


@needs_fork
def test_what_a_forked_client_has_to_remember_is_remembered_here():
    kept = []
    for workers in (1, 2):
        clients = make_clients()
        facts = {"training": LOCAL.to_dict(), "seed": 0}
        request = Message(task="pretrain", round=0, facts=facts)
        courier = Simulation(clients, workers=workers, forks=True)
        courier.carry(dict.fromkeys(clients, request), Ledger())
        kept.append([clients[index].memory.read(OWN_MODEL, before=1) for index in clients])
    for here, forked in zip(*kept, strict=True):
        assert_same_bits(here, forked)


@needs_fork
def test_a_forked_client_that_fails_says_why():
    clients = make_clients()
    clients[1] = replace(clients[1], arch="cnn")
    facts = {"training": LOCAL.to_dict(), "seed": 0, "privacy": None, "settings": {}}
    request = Message(task="fedavg", round=1, tensors=as_group("model", state_of(build("mlp"))), facts=facts)
    courier = Simulation(clients, workers=2, forks=True)
    replies = courier.carry(dict.fromkeys(clients, request), Ledger())
    assert [reply.task for reply in replies.values()] == ["fedavg", "failed", "fedavg", "fedavg"]
    assert "weights must fit the model" in replies[1].facts["reason"]


def test_clients_with_a_folder_come_to_the_same_as_those_in_memory(tmp_path):
    clients = {
        index: replace(client, memory=FolderMemory(tmp_path / str(index)))
        for index, client in make_clients().items()
    }
    recipe = make_recipe(start="weight-average", rounds=1)
    ours, theirs = run(recipe, Simulation(clients))[-1], run(recipe)[-1]
    assert_same_bits(ours.state.models["mlp"], theirs.state.models["mlp"])


def test_replies_come_in_the_order_of_the_requests_and_each_is_told():
    told = []
    courier = Simulation(make_clients(), after_reply=lambda: told.append(1))
    hello = Message(task="hello", round=0, facts={**VERSION, "is_private": False})
    assert list(courier.carry({2: hello, 0: hello}, Ledger())) == [2, 0]
    assert len(told) == 2


def test_every_message_is_in_the_ledger_with_its_encoded_length():
    ledger, hello = Ledger(), Message(task="hello", round=0, facts={**VERSION, "is_private": True})
    replies = Simulation(make_clients()).carry(dict.fromkeys((0, 1), hello), ledger)
    assert [(entry.client, entry.direction, entry.message_bytes) for entry in ledger.entries] == [
        (0, "down", len(encode(hello))),
        (1, "down", len(encode(hello))),
        (0, "up", len(encode(replies[0]))),
        (1, "up", len(encode(replies[1]))),
    ]


class Encoded(Simulation):
    """A simulation whose messages travel as bytes, as they do over a network."""

    def carry(self, requests, ledger):
        arrived = {index: decode(encode(request)) for index, request in requests.items()}
        return {index: decode(encode(reply)) for index, reply in super().carry(arrived, ledger).items()}


@pytest.mark.parametrize("start", ["best-client", "chain", "mesh"])
def test_messages_that_travel_as_bytes_come_to_the_same(start):
    recipe, ours, theirs = make_recipe(start=start, rounds=1), Ledger(), Ledger()
    sent = run(recipe, Encoded(make_clients()), ledger=ours)[-1]
    direct = run(recipe, ledger=theirs)[-1]
    assert_same_bits(sent.state.models["mlp"], direct.state.models["mlp"])
    assert ours.entries == theirs.entries


def test_threads_are_as_many_afterwards_as_before():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        run(make_recipe(rounds=1))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_a_thousand_clients_of_whom_a_tenth_is_asked():
    inputs, labels = (torch.cat(parts) for parts in zip(*load_samples(), strict=True))
    clients = {
        index: Client(
            index=index,
            inputs=inputs[index : index + 2],
            labels=labels[index : index + 2],
            arch="mlp",
            build_fn=build,
            num_classes=10,
        )
        for index in range(1000)
    }
    ledger = Ledger()
    recipe = Recipe(plan=Plan(rounds=2, local=Training(epochs=1, batch_size=2), participation=0.1))
    last = list(federate(recipe, make_server(), Simulation(clients), num_clients=1000, ledger=ledger))[-1]
    assert [len(this.participants) for this in last.history] == [0, 100, 100]
    assert len(ledger.entries) == 2 * 1000 + 2 * 2 * 100
    assert last.history[-1].accuracy > last.history[0].accuracy
