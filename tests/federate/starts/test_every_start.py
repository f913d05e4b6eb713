"""Every start sends what it says, repeats bit for bit, and leaves the clients' own models alone."""

import pytest
from tests.federate.digits_world import assert_same_bits, build, consolidate, score
from tests.federate.starts.own_models import forget_start, train_own_models

from limbeck.federate import Ledger, Message, encode
from limbeck.federate.class_statistics import find_head
from limbeck.federate.client import OWN_MODEL, state_of
from limbeck.federate.messages import as_group
from limbeck.federate.starts import get_start

# Per client the messages down and up, and of all clients the models in them. Of the four clients the hub is
# the largest, and the chain begins there. Mesh: a request down and a model up, 3 models down and a word up,
# the average down and a model up.
EXPECTED = {
    "scratch": {"messages": {}, "models": 0},
    "best-client": {"messages": dict.fromkeys(range(4), 2), "models": 4},
    "weight-average": {"messages": dict.fromkeys(range(4), 2), "models": 4},
    "hub": {"messages": dict.fromkeys(range(4), 2), "models": 3 + 3 + 1},
    "chain": {"messages": dict.fromkeys(range(4), 2), "models": 1 + 2 * 3},
    "mesh": {"messages": dict.fromkeys(range(4), 6), "models": 4 + 4 * 3 + 4 * 2},
    "refit": {"messages": dict.fromkeys(range(4), 4), "models": 4 + 4, "statistics": 4},
    "mesh-refit": {
        "messages": dict.fromkeys(range(4), 8),
        "models": 4 + 4 * 3 + 4 * 2 + 4,
        "statistics": 4,
    },
}


@pytest.fixture(scope="module")
def trained():
    return train_own_models()


def make(name, clients, ledger=None, **changes):
    ledger = Ledger() if ledger is None else ledger
    return get_start(name).make_fn(consolidate(forget_start(clients), ledger, **changes))["mlp"]


@pytest.mark.parametrize("name", EXPECTED)
def test_a_start_sends_the_messages_and_models_it_says(trained, name):
    ledger, expected = Ledger(), EXPECTED[name]
    make(name, trained[0], ledger)
    sent = [entry.client for entry in ledger.entries]
    assert {index: sent.count(index) for index in set(sent)} == expected["messages"]
    assert all(entry.round == 0 for entry in ledger.entries)
    model = len(encode(Message(task="", round=0, tensors=as_group("model", state_of(build("mlp"))))))
    # Beyond the models a message has little to say: tasks, settings, shares.
    features, classes = find_head(build("mlp"), 10).in_features, 10
    statistics = 8 * (features**2 + classes * features + classes)
    wanted = expected["models"] * model + expected.get("statistics", 0) * statistics
    assert wanted - 1000 <= ledger.total_bytes() <= wanted + 1000 * len(ledger.entries)


@pytest.mark.parametrize("name", EXPECTED)
def test_a_start_repeats_bit_for_bit_and_changes_no_own_model(trained, name):
    clients, own = trained
    assert_same_bits(make(name, clients), make(name, clients))
    for index, client in clients.items():
        assert_same_bits(client.memory.read(OWN_MODEL, before=1), own[index])


@pytest.mark.parametrize("name", ["best-client", "weight-average", "hub", "chain", "mesh"])
def test_a_warm_start_is_better_than_none(trained, name):
    scores = {}
    for one in ("scratch", name):
        model = build("mlp")
        model.load_state_dict(make(one, trained[0]))
        scores[one] = score(model)
    assert scores[name] > scores["scratch"] + 0.2
