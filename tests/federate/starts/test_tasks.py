"""What a client does while a start is made."""

import pytest
import torch
from tests.federate.digits_world import DISTILLATION, PRETRAIN, assert_same_bits, build, make_client

from limbeck.core.seeds import derive_seed
from limbeck.engine import pretrain
from limbeck.federate import Message
from limbeck.federate.client import OWN_MODEL, state_of
from limbeck.federate.messages import as_group
from limbeck.federate.site import remember, reply_to
from limbeck.federate.starts.tasks import DISTIL, UPLOAD, receive_teachers
from limbeck.federate.starts.tasks import PRETRAIN as PRETRAIN_TASK


def do(client, task, *, tensors=None, **facts):
    reply, kept = reply_to(client, Message(task=task, round=0, tensors=tensors or {}, facts=facts))
    remember(client, kept, round_number=0)
    return reply


def pretrain_client(client):
    return do(client, PRETRAIN_TASK, training=PRETRAIN.to_dict(), seed=3)


def ask_to_distil(client, *, tensors=None, from_ensemble=False):
    return do(
        client,
        DISTIL,
        tensors=tensors,
        distillation=DISTILLATION.to_dict(),
        seed=3,
        visit=0,
        from_ensemble=from_ensemble,
    )


def test_a_client_pretrains_the_common_untrained_model_and_sends_nothing():
    client = make_client(1)
    reply = pretrain_client(client)
    assert (reply.task, dict(reply.tensors)) == (PRETRAIN_TASK, {})
    model = build("mlp")
    pretrain(model, client.inputs, client.labels, training=PRETRAIN, seed=derive_seed(3, "pretrain", 1))
    assert_same_bits(state_of(client.recall_model()), state_of(model))


def test_a_client_that_has_a_model_keeps_it():
    client, own = make_client(1), state_of(build("mlp"))
    client.memory.write(OWN_MODEL, own, round_number=0)
    pretrain_client(client)
    assert_same_bits(state_of(client.recall_model()), own)


def test_a_client_sends_its_own_model_as_it_is():
    client = make_client(0)
    pretrain_client(client)
    assert_same_bits(do(client, UPLOAD).group("model"), state_of(client.recall_model()))


def test_a_message_holds_any_number_of_teachers_in_order():
    states = [{name: tensor + n for name, tensor in state_of(build("mlp")).items()} for n in range(12)]
    tensors = {}
    for number, state in enumerate(states):
        tensors |= as_group(f"teacher.{number}", state)
    teachers = receive_teachers(make_client(0), Message(task="", round=0, tensors=tensors))
    assert len(teachers) == 12
    for teacher, state in zip(teachers, states, strict=True):
        assert_same_bits(state_of(teacher), state)


def test_distilling_leaves_the_clients_own_model_alone():
    client = make_client(0)
    pretrain_client(client)
    before = state_of(client.recall_model())
    student = as_group("student", state_of(build("mlp")))
    reply = ask_to_distil(client, tensors=student)
    assert reply.task == DISTIL
    assert not torch.equal(reply.group("model")["1.weight"], student["student/1.weight"])
    assert_same_bits(state_of(client.recall_model()), before)


@pytest.mark.parametrize(
    ("from_ensemble", "reason"), [(False, "model of its own"), (True, "keeps what the ensemble says")]
)
def test_a_client_asked_to_teach_what_it_does_not_have_says_so(from_ensemble, reason):
    student = as_group("student", state_of(build("mlp")))
    reply = ask_to_distil(make_client(0), tensors=student, from_ensemble=from_ensemble)
    assert reply.task == "failed"
    assert reason in reply.facts["reason"]
