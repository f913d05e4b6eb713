"""What a client does about a message: it does as asked, or says why it cannot."""

from importlib.metadata import version

import pytest
import torch
from tests.federate.digits_world import LOCAL, PRETRAIN, build, make_client

from limbeck.federate import Message
from limbeck.federate.client import OWN_MODEL, state_of
from limbeck.federate.messages import as_group
from limbeck.federate.site import HELLO, remember, reply_to

FACTS = {"training": LOCAL.to_dict(), "seed": 0, "privacy": None, "logit_format": "float32", "settings": {}}


def fedavg_request(**changes):
    facts = {**FACTS, **changes}
    return Message(task="fedavg", round=2, tensors=as_group("model", state_of(build("mlp"))), facts=facts)


def test_a_client_introduces_itself():
    client = make_client(0, labels=torch.tensor([1, 1, 3]))
    reply, kept = reply_to(
        client, Message(task=HELLO, round=0, facts={"version": version("limbeck"), "is_private": False})
    )
    assert reply.facts == {
        "arch": "mlp",
        "num_samples": 3,
        "class_counts": [0, 2, 0, 1, 0, 0, 0, 0, 0, 0],
    }
    assert (reply.task, dict(kept)) == (HELLO, {"ensemble": {}})


def test_a_private_client_keeps_its_class_counts_to_itself():
    reply, _ = reply_to(
        make_client(0),
        Message(task=HELLO, round=0, facts={"version": version("limbeck"), "is_private": True}),
    )
    assert reply.facts.keys() == {"arch", "num_samples"}


def test_a_client_answers_a_round_with_what_it_was_sent_and_its_loss():
    request = fedavg_request()
    reply, kept = reply_to(make_client(0), request)
    assert (reply.task, reply.round) == ("fedavg", 2)
    assert reply.tensors.keys() == request.tensors.keys()
    assert reply.facts.keys() == {"loss"}
    assert not kept


def test_a_client_with_held_out_samples_says_how_good_the_received_model_is():
    client = make_client(0)
    held_out = (client.inputs[:20], client.labels[:20])
    reply, _ = reply_to(make_client(0, held_out=held_out), fedavg_request())
    with torch.no_grad():
        predictions = build("mlp")(held_out[0]).argmax(1)
    assert reply.facts["accuracy"] == pytest.approx(float((predictions == held_out[1]).float().mean()))


@pytest.mark.parametrize(
    ("changes", "request_", "reason"),
    [
        (
            {},
            Message(task="fedavgg", round=2),
            "does not know the task `fedavgg`. Install the server's version",
        ),
        ({"labels": torch.zeros(0, dtype=torch.int64), "inputs": torch.zeros(0, 1, 8, 8)}, None, "1 sample"),
        ({"arch": "cnn"}, None, "weights must fit the model they are for"),
        ({}, Message(task="upload", round=2), "the client has a model of its own"),
        ({}, fedavg_request(settings={"mu": 1}), "Unknown setting of `fedavg`"),
        ({}, fedavg_request(training={**LOCAL.to_dict(), "lr": 1e20}), "must stay finite"),
    ],
)
def test_a_client_that_cannot_says_why(changes, request_, reason):
    reply, kept = reply_to(make_client(0, **changes), request_ or fedavg_request())
    assert (reply.task, reply.round) == ("failed", 2)
    assert reason in reply.facts["reason"]
    assert not reply.tensors
    assert not kept


def test_only_what_is_to_be_remembered_is():
    client = make_client(0)
    request = Message(task="pretrain", round=0, facts={"training": PRETRAIN.to_dict(), "seed": 0})
    reply, kept = reply_to(client, request)
    assert client.memory.read(OWN_MODEL, before=1) is None
    remember(client, kept, round_number=reply.round)
    assert client.memory.read(OWN_MODEL, before=1) is not None
