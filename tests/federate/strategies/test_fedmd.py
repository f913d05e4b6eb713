"""FedMD's consensus is the mean of the logits, and clients move towards it before they train."""

from dataclasses import replace

import pytest
import torch
from tests.federate.strategies.logit_worlds import PUBLIC, make_clients, make_federation, untrained

from limbeck.core.errors import InputError
from limbeck.engine import predict_logits
from limbeck.federate.local_training import train_locally
from limbeck.federate.logit_format import pack_logits
from limbeck.federate.messages import Message, as_group
from limbeck.federate.strategies.fedmd import FEDMD, FedMDSettings, logit_distance
from limbeck.federate.strategies.public_logits import draw_public, follow_consensus
from limbeck.federate.strategies.record import Reply, ServerState

STATE = ServerState(round=0, models={})


def combine(rows, **plan):
    clients = make_clients()
    federation = make_federation(clients, **plan)
    request = Message(task="fedmd", round=1)
    replies = [
        Reply(
            party=replace(party, num_samples=count),
            request=request,
            message=replace(request, tensors=as_group("logits", pack_logits(torch.tensor(row), "float32"))),
        )
        for party, (count, row) in zip(federation.parties, rows, strict=True)
    ]
    return FEDMD.combine_fn(federation, STATE, replies, FEDMD.defaults).memory["consensus"]


ROWS = [(1, [[1.0, 0.0]]), (2, [[4.0, 3.0]]), (5, [[10.0, -3.0]])]


@pytest.mark.parametrize(
    ("plan", "expected"),
    [
        ({"weighting": "equal"}, [5.0, 0.0]),
        ({"weighting": "samples"}, [59 / 8, -9 / 8]),
        ({"aggregation": "median"}, [4.0, 0.0]),
    ],
)
def test_the_consensus_is_the_aggregate_of_the_logits(plan, expected):
    torch.testing.assert_close(combine(ROWS, **plan), torch.tensor([expected]))


def test_the_distance_is_the_mean_absolute_error():
    rows = torch.tensor([[1.0, -2.0, 4.0], [0.0, 0.0, 0.0]])
    wanted = torch.tensor([[0.0, 0.0, 1.0], [0.0, 0.0, 0.0]])
    torch.testing.assert_close(logit_distance(rows, wanted), torch.tensor([2.0, 0.0]))


def test_the_first_request_holds_no_consensus_and_the_next_one_does():
    federation = make_federation(make_clients())
    settings = FedMDSettings(public_samples=50)
    first = FEDMD.request_fn(federation, STATE, federation.parties[0], settings)
    assert first.tensors == {}
    assert first.facts["num_rows"] == 50
    later = STATE.advance(memory={"consensus": torch.zeros(50, 10)})
    second = FEDMD.request_fn(federation, later, federation.parties[0], settings)
    assert second.tensors["consensus/values"].shape == (50, 10)


def test_the_consensus_is_digested_on_the_samples_of_the_round_before():
    # What a linear map says can be learnt, but not when samples and rows do not belong together.
    clients = make_clients()
    federation, client, settings = make_federation(clients), clients[0], FedMDSettings(public_samples=80)
    ids = draw_public(len(PUBLIC), 80, seed=0, round_number=1)
    weights = torch.randn(64, 10, generator=torch.Generator().manual_seed(0)) / 4
    consensus = PUBLIC[ids].flatten(1) @ weights
    state = STATE.advance(memory={"consensus": consensus})
    request = FEDMD.request_fn(federation, state, federation.parties[0], settings)
    model = client.make_model(untrained())
    follow_consensus(client, model, request, logit_distance, epochs=30, public_samples=80)
    said = predict_logits(model, PUBLIC[ids])
    assert (said - consensus).abs().mean() < (said - consensus.roll(1, 0)).abs().mean() / 2


def test_a_client_digests_and_then_revisits_its_own_samples():
    clients = make_clients()
    federation, client = make_federation(clients), clients[0]
    state = STATE.advance(memory={"consensus": torch.randn(len(PUBLIC), 10, generator=torch.Generator())})
    request = FEDMD.request_fn(federation, state, federation.parties[0], FEDMD.defaults)
    model = client.make_model(untrained())
    follow_consensus(client, model, request, logit_distance, epochs=1, public_samples=None)
    train_locally(client, [model], request)
    answer = FEDMD.local_fn(client, request, FEDMD.defaults)
    assert torch.equal(answer.tensors["logits/values"], predict_logits(model, PUBLIC))
    assert answer.facts["accuracy"] == client.measure(model)


@pytest.mark.parametrize(
    ("wrong", "rule"),
    [({"public_samples": 0}, "public_samples >= 1"), ({"digest_epochs": 0}, "digest_epochs >= 1")],
)
def test_settings_out_of_range_are_refused(wrong, rule):
    with pytest.raises(InputError, match=rule):
        FedMDSettings(**wrong)
