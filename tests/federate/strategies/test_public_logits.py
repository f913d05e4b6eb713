"""Server and clients draw the same public samples, and what is said of them is checked."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.federate.strategies.logit_worlds import PUBLIC, make_clients, make_federation, run, untrained

from limbeck.core.errors import InputError
from limbeck.federate.messages import Ledger, encode
from limbeck.federate.site import reply_to
from limbeck.federate.strategies import STRATEGIES
from limbeck.federate.strategies.private_model import recall_private
from limbeck.federate.strategies.public_logits import (
    as_probabilities,
    draw_public,
    soft_cross_entropy,
)
from limbeck.federate.strategies.record import ServerState

LOGIT_STRATEGIES = ("fedmd", "ds-fl", "fd")


def ask(name, client, federation, *, state=None, settings=None):
    strategy = STRATEGIES[name]
    settings = strategy.defaults if settings is None else settings
    state = ServerState(round=0, models={"narrow": untrained()}) if state is None else state
    request = strategy.request_fn(federation, state, federation.parties[client.index], settings)
    request = replace(request, facts={**request.facts, "settings": vars(settings)})
    return request, *reply_to(client, request)


def test_public_samples_differ_by_round_and_seed_and_come_once():
    draws = [
        draw_public(50, 20, seed=seed, round_number=number).tolist()
        for seed, number in ((0, 1), (0, 2), (1, 1))
    ]
    assert draws[0] == draw_public(50, 20, seed=0, round_number=1).tolist()
    assert len({tuple(draw) for draw in draws}) == 3
    assert all(len(set(draw)) == 20 and set(draw) <= set(range(50)) for draw in draws)
    assert draw_public(4, None, seed=0, round_number=1).tolist() == [0, 1, 2, 3]


def test_more_public_samples_than_there_are_are_refused():
    with pytest.raises(InputError, match="public_samples <= proxy_samples"):
        draw_public(50, 51, seed=0, round_number=1)


@pytest.mark.parametrize("name", ["fedmd", "ds-fl"])
@pytest.mark.parametrize("proxy", [None, PUBLIC[:-1]])
def test_a_client_with_another_public_set_says_so(name, proxy):
    clients = make_clients()
    _, reply, _ = ask(name, replace(clients[0], proxy=proxy), make_federation(clients))
    assert reply.task == "failed"
    assert "the server's 200 proxy samples" in reply.facts["reason"]


@pytest.mark.parametrize("name", ["fedmd", "ds-fl"])
@pytest.mark.parametrize("proxy", [PUBLIC.flip(0), torch.cat([PUBLIC[:-1], PUBLIC[:1]])])
def test_a_client_with_as_many_other_public_samples_is_left_out_and_says_why(name, proxy):
    clients = make_clients()
    clients[1] = replace(clients[1], proxy=proxy)
    for standing in run(name, clients)[1:]:
        assert standing.history[-1].participants == (0, 2)
        assert "in the same order` must hold, but got others at client 1" in standing.history[-1].rejected[1]


@pytest.mark.parametrize("name", LOGIT_STRATEGIES)
@pytest.mark.parametrize("logit_format", ["float32", "float16", "int8"])
def test_a_reply_has_the_shapes_its_request_announces(name, logit_format):
    clients = make_clients()
    request, reply, _ = ask(name, clients[0], make_federation(clients, logit_format=logit_format))
    shapes = {key: tuple(value.shape) for key, value in reply.tensors.items()}
    assert shapes == dict(STRATEGIES[name].shapes_fn(request))


@pytest.mark.parametrize("name", LOGIT_STRATEGIES)
def test_answering_a_round_again_gives_the_same_answer(name):
    clients = make_clients()
    federation = make_federation(clients)
    first, reply, kept = ask(name, clients[0], federation)
    for key, state in kept.items():
        clients[0].memory.write(key, state, round_number=first.round)
    _, again, kept_again = ask(name, clients[0], federation)
    assert all(torch.equal(reply.tensors[key], again.tensors[key]) for key in reply.tensors)
    assert all(torch.equal(kept["private"][key], kept_again["private"][key]) for key in kept["private"])


@pytest.mark.parametrize("name", LOGIT_STRATEGIES)
@pytest.mark.parametrize("logit_format", ["float32", "int8"])
def test_it_learns_over_rounds_and_repeats_bit_for_bit(name, logit_format):
    clients = make_clients(("narrow", "wide", "narrow"))
    runs = [run(name, clients, rounds=4, logit_format=logit_format)[-1].history for _ in range(2)]
    assert runs[0][-1].accuracy > runs[0][1].accuracy + 0.1
    assert runs[0][-1].client_accuracy > runs[0][1].client_accuracy + 0.1
    assert [one.accuracy for one in runs[0]] == [one.accuracy for one in runs[1]]
    assert all(not one.rejected for one in runs[0])


def test_public_logits_in_half_precision_take_two_bytes_each():
    clients = {
        index: replace(client, proxy=PUBLIC.repeat(25, 1, 1, 1)) for index, client in make_clients().items()
    }
    ledger, federation = Ledger(), make_federation(clients, logit_format="float16")
    federation = replace(federation, proxy=PUBLIC.repeat(25, 1, 1, 1))
    _, reply, _ = ask("fedmd", clients[0], federation)
    ledger.note(encode(reply), round_number=1, client=0, direction="up")
    assert 100_000 < ledger.total_bytes() < 100_500


def test_a_client_begins_with_its_own_model_and_goes_on_with_its_private_one():
    client = make_clients()[0]
    request, *_ = ask("fd", client, make_federation({0: client}))
    later = replace(request, round=2)

    def bias(message):
        return recall_private(client, message).state_dict()["3.bias"]

    torch.testing.assert_close(bias(request), untrained()["3.bias"], rtol=0, atol=0)
    client.memory.write("own", {**untrained(), "3.bias": torch.full((10,), 2.0)}, round_number=0)
    assert bias(request)[0] == 2
    client.memory.write("private", {**untrained(), "3.bias": torch.full((10,), 3.0)}, round_number=1)
    assert bias(request)[0] == 2
    assert bias(later)[0] == 3


def test_rows_sum_to_one_again_after_rounding():
    rows = as_probabilities(torch.tensor([[0.5, 0.25, 0.5], [-0.01, 0.0, 0.2], [0.0, 0.0, 0.0]]))
    torch.testing.assert_close(rows, torch.tensor([[0.4, 0.2, 0.4], [0.0, 0.0, 1.0], [0.0, 0.0, 0.0]]))


def test_soft_cross_entropy_equals_numpy_in_float64():
    rng = np.random.default_rng(0)
    logits, wanted = rng.normal(size=(4, 3)), rng.dirichlet(np.ones(3), size=4)
    wanted[0] = [0, 1, 0]
    log_softmax = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    ours = soft_cross_entropy(torch.from_numpy(logits), torch.from_numpy(wanted))
    np.testing.assert_allclose(ours.numpy(), -(wanted * log_softmax).sum(axis=1), rtol=1e-12)


@pytest.mark.parametrize("name", LOGIT_STRATEGIES)
def test_a_client_without_samples_is_named_and_the_round_goes_on(name):
    clients = make_clients()
    empty = clients[1].inputs[:0]
    clients[1] = replace(clients[1], inputs=empty, labels=clients[1].labels[:0])
    last = run(name, clients)[-1].history[-1]
    assert last.participants == (0, 2)
    assert "at least 1 sample" in last.rejected[1]
