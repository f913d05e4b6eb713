"""The engine equals the plain loop, and training keeps its promises."""

import copy

import numpy as np
import pytest
import torch
from tests.engine import plain_loop

from limbeck.core.errors import InputError, RunError
from limbeck.engine import Case, Training, apply_technique, pretrain
from limbeck.engine.training import batches
from limbeck.techniques import Settings, get_technique


@pytest.mark.parametrize("arch", ["mlp", "cnn", "resnet8"])
@pytest.mark.parametrize("schedule", ["cosine", "constant"])
def test_transfer_equals_the_plain_loop(digits, make_model, arch, schedule):
    inputs, labels = digits
    student, teacher = make_model(arch, 0), make_model("mlp", 1)
    training = Training(epochs=2, batch_size=32, lr=0.02, weight_decay=1e-4, schedule=schedule)
    plain = plain_loop.plain_transfer(
        copy.deepcopy(student), teacher, inputs, labels, temperature=4, weight=0.7, training=training, seed=3
    )
    case = Case(student=student, teachers=[teacher], inputs=inputs, labels=labels)
    fast = apply_technique(
        case,
        technique=get_technique("kd"),
        settings=Settings(temperature=4, weight=0.7),
        training=training,
        seed=3,
    ).student
    for name, tensor in fast.state_dict().items():
        torch.testing.assert_close(tensor, plain.state_dict()[name], rtol=1e-4, atol=2e-5, msg=name)


def test_training_learns_real_digits(digits, make_model):
    inputs, labels = digits
    model = make_model()
    trained = pretrain(model, inputs, labels, training=Training(epochs=15, batch_size=32), seed=0)
    assert trained.steps == 15 * 10
    assert trained.losses[-1][0] < 0.1 < trained.losses[0][0]


def test_no_epoch_leaves_the_model_as_it_is(digits, make_model):
    inputs, labels = digits
    model, before = make_model(), make_model()
    pretrain(model, inputs, labels, training=Training(epochs=0), seed=0)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), before.parameters(), strict=True))


def test_batches_hold_every_sample_once_in_a_new_order_per_epoch():
    first, again, second = (list(batches(10, 4, epoch=epoch, seed=0)) for epoch in (0, 0, 1))
    assert [len(batch) for batch in first] == [4, 4, 2]
    assert sorted(torch.cat(first).tolist()) == list(range(10))
    assert torch.equal(torch.cat(first), torch.cat(again))
    assert not torch.equal(torch.cat(first), torch.cat(second))


def test_adam_is_available(digits, make_model):
    inputs, labels = digits
    trained = pretrain(
        make_model(), inputs, labels, training=Training(epochs=3, optimizer="adam", lr=1e-3), seed=0
    )
    assert trained.losses[-1][0] < trained.losses[0][0]


def test_a_diverging_run_stops_and_says_which_setting_to_lower(digits, make_model):
    inputs, labels = digits
    with pytest.raises(RunError, match="Lower `lr`"):
        pretrain(make_model(), inputs * 1e20, labels, training=Training(epochs=3, lr=1e10), seed=0)


def test_no_sample_is_an_error(digits, make_model):
    inputs, labels = digits
    with pytest.raises(InputError, match="at least 1 sample"):
        pretrain(make_model(), inputs[:0], labels[:0], training=Training(epochs=1), seed=0)


@pytest.mark.parametrize(
    "wrong", [{"epochs": -1}, {"batch_size": 0}, {"lr": 0.0}, {"momentum": 1.0}, {"weight_decay": -1.0}]
)
def test_settings_out_of_range_name_the_rule(wrong):
    with pytest.raises(InputError, match=next(iter(wrong))):
        Training(**{"epochs": 1, **wrong})


def test_global_randomness_is_left_alone(digits, make_model):
    inputs, labels = digits
    torch.manual_seed(5)
    np_state = np.random.get_state()[1].copy()  # noqa: NPY002
    expected = torch.rand(1)
    torch.manual_seed(5)
    pretrain(make_model("cnn"), inputs, labels, training=Training(epochs=1), seed=0)
    assert torch.equal(torch.rand(1), expected)
    assert np.array_equal(np.random.get_state()[1], np_state)  # noqa: NPY002
