"""What a client does in a round: it trains as asked, from its own seed, and sends no more than it may."""

import pytest
import torch
from tests.federate.digits_world import LOCAL, assert_same_bits, build, make_client

from limbeck.core.errors import InputError
from limbeck.federate import Message
from limbeck.federate.client import state_of
from limbeck.federate.local_training import answer_with_model, local_seed, train_locally
from limbeck.federate.messages import as_group
from limbeck.losses import cross_entropy

PRIVACY = {"clip_norm": 0.5, "noise_multiplier": 0.0, "delta": 1e-5}


def make_request(round_number=1, **facts):
    asked = {"training": LOCAL.to_dict(), "seed": 5, "privacy": None, **facts}
    return Message(
        task="fedavg", round=round_number, tensors=as_group("model", state_of(build("mlp"))), facts=asked
    )


def train(client, request, **more):
    model = build("mlp")
    train_locally(client, [model], request, **more)
    return state_of(model)


def test_a_client_trains_the_same_when_asked_again():
    first, again = (train(make_client(0), make_request()) for _ in range(2))
    assert_same_bits(first, again)


def test_rounds_and_clients_have_batch_orders_of_their_own():
    client, request = make_client(0), make_request()
    seeds = {
        local_seed(client, request),
        local_seed(make_client(1), request),
        local_seed(client, make_request(2)),
        local_seed(client, make_request(seed=6)),
    }
    assert len(seeds) == 4


def test_cross_entropy_is_what_a_client_learns_by_when_nothing_else_is_said():
    client = make_client(0)
    named = train(
        client, make_request(), loss_fn=lambda logits, ids: [cross_entropy(logits[0], client.labels[ids])]
    )
    assert_same_bits(named, train(client, make_request()))


def test_gradients_are_adjusted_before_every_step():
    client, steps, model = make_client(0), [], build("mlp")

    def freeze():
        steps.append(all(weight.grad is not None for weight in model.parameters()))
        for weight in model.parameters():
            weight.grad.zero_()

    train_locally(client, [model], make_request(), adjust_fn=freeze)
    assert steps == [True] * -(-len(client) // LOCAL.batch_size)
    assert_same_bits(state_of(model), state_of(build("mlp")))


def test_a_client_without_samples_says_so():
    empty = make_client(0, inputs=torch.zeros(0, 1, 8, 8), labels=torch.zeros(0, dtype=torch.int64))
    with pytest.raises(InputError, match="at least 1 sample"):
        train(empty, make_request())


def test_an_open_answer_holds_weights_and_what_is_said_beside_them():
    extra = {"control/x": torch.ones(2)}
    answer = answer_with_model(
        make_client(0), make_request(), group="model", model=build("mlp"), tensors=extra, facts={"loss": 1.0}
    )
    assert answer.tensors.keys() == {*as_group("model", state_of(build("mlp"))), "control/x"}
    assert answer.facts == {"loss": 1.0}


def test_a_protected_answer_is_clipped_and_says_nothing_beside_the_weights():
    model = build("mlp")
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(1)
    answer = answer_with_model(
        make_client(0), make_request(privacy=PRIVACY), group="model", model=model, facts={"loss": 1.0}
    )
    moves = [answer.tensors[f"model/{name}"] - tensor for name, tensor in state_of(build("mlp")).items()]
    norm = torch.linalg.vector_norm(torch.cat([move.double().flatten() for move in moves]))
    assert float(norm) == pytest.approx(0.5, rel=1e-4)
    assert answer.facts == {}


def test_what_cannot_be_protected_does_not_leave():
    with pytest.raises(InputError, match="`fedavg`, which also sends `control/x`"):
        answer_with_model(
            make_client(0),
            make_request(privacy=PRIVACY),
            group="model",
            model=build("mlp"),
            tensors={"control/x": torch.ones(2)},
        )
