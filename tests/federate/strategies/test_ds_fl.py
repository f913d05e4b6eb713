"""DS-FL averages probabilities, sharpens them or not, and teaches the server's models with them."""

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.federate.strategies.logit_worlds import (
    PUBLIC,
    build,
    make_clients,
    make_federation,
    run,
    untrained,
)

from limbeck.core.errors import InputError
from limbeck.engine import predict_logits
from limbeck.federate.client import fill
from limbeck.federate.logit_format import pack_logits
from limbeck.federate.messages import Message, as_group
from limbeck.federate.strategies.ds_fl import DS_FL, DSFLSettings, average_probabilities, sharpen
from limbeck.federate.strategies.record import Reply, ServerState


def make_replies(federation, rows):
    request = Message(task="ds-fl", round=1)
    return [
        Reply(
            party=party,
            request=request,
            message=replace(request, tensors=as_group("logits", pack_logits(row, "float32"))),
        )
        for party, row in zip(federation.parties, rows, strict=True)
    ]


ROWS = [torch.tensor([[0.8, 0.2]]), torch.tensor([[0.5, 0.5]]), torch.tensor([[0.5, 0.5]])]


def test_simple_averaging_is_the_mean_of_the_probabilities():
    federation = make_federation(make_clients(), weighting="equal")
    mean = average_probabilities(federation, make_replies(federation, ROWS), DSFLSettings(averaging="sa"))
    torch.testing.assert_close(mean, torch.tensor([[0.6, 0.4]]))


def test_entropy_reduction_is_the_softmax_of_the_mean_probabilities_over_t():
    # Means 0.6 and 0.4 at T = 0.1: e^6 / (e^6 + e^4) = 1 / (1 + e^-2) = 0.880797.
    federation = make_federation(make_clients(), weighting="equal")
    sharpened = average_probabilities(federation, make_replies(federation, ROWS), DSFLSettings())
    expected = 1 / (1 + math.exp(-2))
    torch.testing.assert_close(sharpened, torch.tensor([[expected, 1 - expected]]))
    assert round(expected, 6) == 0.880797


@settings(deadline=None)
@given(st.lists(st.floats(0.01, 1), min_size=2, max_size=6), st.floats(0.01, 0.1))
def test_sharpening_keeps_the_order_and_a_lower_temperature_is_sharper(values, temperature):
    row = torch.tensor([values], dtype=torch.float64)
    row = row / row.sum()
    once, more = sharpen(row, temperature=temperature), sharpen(row, temperature=temperature / 2)
    torch.testing.assert_close(once.sum(), torch.tensor(1.0, dtype=torch.float64))
    differences, sharpened = row[0, :, None] - row[0], once[0, :, None] - once[0]
    assert (differences * sharpened >= 0).all()
    assert more.max() >= once.max() - 1e-12


def test_the_server_learns_what_the_clients_say():
    federation = make_federation(make_clients())
    said = torch.zeros(len(PUBLIC), 10)
    said[:, 7] = 1
    state = ServerState(round=0, models={"narrow": untrained()})
    after = DS_FL.combine_fn(
        federation, state, make_replies(federation, [said] * 3), DSFLSettings(distil_epochs=5)
    )
    assert (predict_logits(fill(build("narrow"), after.models["narrow"]), PUBLIC).argmax(dim=1) == 7).all()
    assert after.memory["consensus"].shape == (len(PUBLIC), 10)
    assert after.round == 1


def test_the_servers_models_learn_on_subsets_and_in_every_architecture():
    options = {"public_samples": 100, "distil_epochs": 3}
    standing = run("ds-fl", make_clients(("narrow", "wide", "wide")), settings=options, rounds=4)[-1]
    assert set(standing.state.models) == {"narrow", "wide"}
    assert standing.state.memory["consensus"].shape == (100, 10)
    assert standing.history[-1].accuracy > standing.history[0].accuracy + 0.4


@pytest.mark.parametrize(
    ("wrong", "rule"),
    [
        ({"averaging": "mean"}, "averaging"),
        ({"temperature": 0.0}, "temperature > 0"),
        ({"public_samples": 0}, "public_samples >= 1"),
        ({"distil_epochs": 0}, "distil_epochs >= 1"),
    ],
)
def test_settings_out_of_range_are_refused(wrong, rule):
    with pytest.raises(InputError, match=rule):
        DSFLSettings(**wrong)
