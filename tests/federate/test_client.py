"""A client knows its samples, its models and what it can measure."""

import numpy as np
import pytest
import torch
from tests.federate.digits_world import assert_same_bits, build, load_samples, make_client

from limbeck.core.errors import InputError
from limbeck.federate import Message
from limbeck.federate.client import AFTER_START, OWN_MODEL, Answer, fill, state_of


def test_a_client_counts_its_samples_by_class():
    client = make_client(0, labels=torch.tensor([2, 0, 2, 9]))
    assert len(client) == 4
    assert client.class_counts == [1, 0, 2, 0, 0, 0, 0, 0, 0, 1]


def test_clients_and_server_build_the_same_untrained_model():
    assert_same_bits(state_of(build("mlp")), state_of(make_client(2).build_fn("mlp")))


def test_a_model_is_made_from_weights():
    state = {name: tensor + 1 for name, tensor in state_of(build("mlp")).items()}
    assert_same_bits(state_of(make_client(0).make_model(state)), state)


def test_weights_are_contiguous_however_the_model_holds_them():
    model = build("cnn").to(memory_format=torch.channels_last)
    state = state_of(model)
    assert not all(value.is_contiguous() for value in model.state_dict().values())
    assert all(value.is_contiguous() for value in state.values())
    assert_same_bits(state, dict(model.state_dict()))


def test_weights_of_another_architecture_are_refused_in_one_sentence():
    with pytest.raises(InputError, match="weights must fit the model they are for") as caught:
        fill(build("mlp"), state_of(build("cnn")))
    assert "\n" not in str(caught.value)


def test_a_client_without_a_model_of_its_own_says_which_it_is():
    with pytest.raises(InputError, match=r"none at client 3.*let the spec pre-train"):
        make_client(3).recall_model()


def test_a_client_recalls_its_model_as_it_was_before_a_round():
    client, model = make_client(0), build("mlp")
    client.memory.write(OWN_MODEL, state_of(model), round_number=0)
    with torch.no_grad():
        next(model.parameters()).add_(1)
    client.memory.write(OWN_MODEL, state_of(model), round_number=4)
    assert_same_bits(state_of(client.recall_model(before=AFTER_START)), state_of(build("mlp")))
    assert_same_bits(state_of(client.recall_model(before=5)), state_of(model))


def test_accuracy_is_measured_on_held_out_samples_alone():
    inputs, labels = load_samples()[-1]
    client, model = make_client(0, held_out=(inputs[:50], labels[:50])), build("mlp")
    with torch.no_grad():
        expected = np.mean(model(inputs[:50]).argmax(1).numpy() == labels[:50].numpy())
    assert client.measure(model) == pytest.approx(expected)
    assert make_client(0).measure(model) is None


def test_a_state_is_a_copy():
    model = build("mlp")
    state = state_of(model)
    with torch.no_grad():
        next(model.parameters()).zero_()
    assert_same_bits(state, state_of(build("mlp")))
    assert not any(tensor.requires_grad for tensor in state.values())


def test_an_answer_repeats_task_and_round_and_keeps_what_stays():
    answer = Answer(tensors={"a": torch.ones(1)}, facts={"loss": 1.0}, kept={"own": {"b": torch.ones(1)}})
    reply = answer.as_reply(Message(task="fedavg", round=3, tensors={"c": torch.ones(2)}))
    assert (reply.task, reply.round, reply.facts, list(reply.tensors)) == ("fedavg", 3, {"loss": 1.0}, ["a"])
