"""A course that stops and goes on gives what it gives in one go."""

import copy

import pytest
import torch
from safetensors.torch import load, save
from torch import nn

from limbeck.core.tensors import copy_state
from limbeck.engine import Course, Training
from limbeck.losses import cross_entropy


def make_course(model, digits, training, seed=0):
    inputs, labels = digits

    def loss_fn(logits, ids, epoch):
        del epoch
        return [cross_entropy(logits[0], labels[ids])]

    return Course([model], inputs, loss_fn, training=training, seed=seed)


def with_dropout():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.Dropout(0.5), nn.ReLU(), nn.Linear(32, 10))


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("memory_format", ["as-is", "contiguous", "channels-last"])
@pytest.mark.parametrize("arch", ["resnet8", "dropout"])
def test_stopping_and_going_on_changes_no_bit(digits, make_model, optimizer, memory_format, arch):
    training = Training(
        epochs=3, batch_size=64, lr=0.005, optimizer=optimizer, memory_format=memory_format, weight_decay=1e-4
    )
    model = with_dropout() if arch == "dropout" else make_model(arch)
    whole = make_course(copy.deepcopy(model), digits, training)
    whole.advance(3)
    first = make_course(copy.deepcopy(model), digits, training)
    first.advance(1)
    second = make_course(copy.deepcopy(model), digits, training)
    second.unpack(load(save(copy_state(first.pack()))))
    second.advance(2)
    second.advance(3)
    assert second.losses == whole.losses
    for name, value in whole.models[0].state_dict().items():
        assert torch.equal(second.models[0].state_dict()[name], value), name


def test_advancing_to_an_epoch_that_is_done_does_nothing(digits, make_model):
    course = make_course(make_model(), digits, Training(epochs=2))
    course.advance(1)
    before = course.pack()
    course.advance(1)
    assert all(torch.equal(value, before[name]) for name, value in course.pack().items())


def test_the_memory_format_is_that_of_the_weights(make_model, digits):
    for memory_format, order in (
        ("contiguous", torch.contiguous_format),
        ("channels-last", torch.channels_last),
    ):
        course = make_course(make_model("cnn"), digits, Training(epochs=1, memory_format=memory_format))
        weight = course.models[0][2].weight
        assert weight.is_contiguous(memory_format=order)


def test_threads_are_as_before_afterwards(digits, make_model):
    before = torch.get_num_threads()
    seen = []
    course = make_course(make_model(), digits, Training(epochs=1, threads=before + 1))
    fn = course.loss_fn
    course.loss_fn = lambda *arguments: [seen.append(torch.get_num_threads())] and fn(*arguments)
    course.advance(1)
    assert set(seen) == {before + 1}
    assert torch.get_num_threads() == before
