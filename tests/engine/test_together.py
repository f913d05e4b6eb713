"""Students in one stack get what they get one by one."""

import pytest
import torch
from torch import nn

from limbeck.core.errors import DivergedError, InputError
from limbeck.engine import (
    Case,
    Training,
    advance_together,
    begin_transfer,
    count_stack_bytes,
    is_stack_faster,
)
from limbeck.techniques import get_technique, make_settings

POINTS = [(1, 0.1), (4, 0.5), (8, 0.9)]


def begin(case, training, points=POINTS, technique="kd"):
    chosen = get_technique(technique)
    return [
        begin_transfer(
            case,
            technique=chosen,
            settings=make_settings(chosen, {"temperature": temperature, "weight": weight}),
            training=training,
            seed=5,
        ).course
        for temperature, weight in points
    ]


@pytest.fixture
def case(digits, make_model):
    inputs, labels = digits
    return Case(
        student=make_model("resnet8", 0), teachers=[make_model("mlp", 1)], inputs=inputs, labels=labels
    )


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("technique", ["kd", "dp-kd", "dkd", "dist"])
def test_a_stack_equals_one_by_one(case, optimizer, technique):
    training = Training(epochs=2, batch_size=64, optimizer=optimizer, lr=0.002, weight_decay=1e-4)
    alone, stacked = begin(case, training, technique=technique), begin(case, training, technique=technique)
    for course in alone:
        course.advance(2)
    assert advance_together(stacked, 2) == [None] * 3
    for one, other in zip(alone, stacked, strict=True):
        torch.testing.assert_close(torch.tensor(other.losses), torch.tensor(one.losses), rtol=2e-3, atol=2e-3)
        for name, value in one.models[0].state_dict().items():
            torch.testing.assert_close(
                other.models[0].state_dict()[name], value, rtol=5e-2, atol=5e-3, msg=name
            )


def test_one_step_of_a_stack_equals_one_by_one_closely(case):
    training = Training(epochs=1, batch_size=len(case.inputs), lr=0.01)
    alone, stacked = begin(case, training), begin(case, training)
    for course in alone:
        course.advance(1)
    advance_together(stacked, 1)
    for one, other in zip(alone, stacked, strict=True):
        for name, value in one.models[0].state_dict().items():
            torch.testing.assert_close(
                other.models[0].state_dict()[name], value, rtol=1e-4, atol=1e-5, msg=name
            )


def test_a_stack_can_stop_and_its_students_go_on_alone(case):
    training = Training(epochs=2, batch_size=64, lr=0.002)
    whole, parts = begin(case, training), begin(case, training)
    advance_together(whole, 2)
    advance_together(parts, 1)
    for course in parts:
        course.advance(2)
    for one, other in zip(whole, parts, strict=True):
        torch.testing.assert_close(torch.tensor(other.losses), torch.tensor(one.losses), rtol=2e-3, atol=2e-3)


def test_one_that_diverges_leaves_the_stack_and_the_others_go_on(case):
    training = Training(epochs=3, batch_size=64, lr=0.002)
    courses = begin(case, training)
    fn = courses[1].loss_fn
    courses[1].loss_fn = lambda *arguments: [fn(*arguments)[0] * (1e9 if arguments[2] else 1)]
    ends = advance_together(courses, 3)
    assert [type(end) for end in ends] == [type(None), DivergedError, type(None)]
    assert [course.epoch for course in courses] == [3, 1, 3]
    alone = begin(case, training)
    alone[0].advance(3)
    torch.testing.assert_close(
        torch.tensor(courses[0].losses), torch.tensor(alone[0].losses), rtol=2e-3, atol=2e-3
    )


def test_the_same_dropout_is_drawn_for_all(digits):
    inputs, labels = digits
    torch.manual_seed(0)
    student = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.Dropout(0.5), nn.ReLU(), nn.Linear(32, 10))
    case = Case(student=student, teachers=[student], inputs=inputs, labels=labels)
    training = Training(epochs=1, batch_size=64, lr=0.01)
    alone, stacked = begin(case, training), begin(case, training)
    for course in alone:
        course.advance(1)
    advance_together(stacked, 1)
    for one, other in zip(alone, stacked, strict=True):
        torch.testing.assert_close(torch.tensor(other.losses), torch.tensor(one.losses), rtol=1e-4, atol=1e-4)


def test_epochs_are_told_with_the_place_of_each(case):
    seen = []
    advance_together(
        begin(case, Training(epochs=2, batch_size=128, lr=0.002)),
        2,
        after_epoch=lambda place, models: seen.append((place, len(models))),
    )
    assert seen == [(0, 1), (1, 1), (2, 1)] * 2


def test_courses_that_do_not_fit_are_an_error(case):
    first, second = Training(epochs=1, lr=0.01), Training(epochs=1, lr=0.02)
    with pytest.raises(InputError, match="Train them one after another"):
        advance_together([*begin(case, first)[:1], *begin(case, second)[:1]], 1)


def test_a_layer_that_cannot_be_stacked_is_not_faster(digits):
    class Asking(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(64, 10)

        def forward(self, x):
            x = self.linear(x.flatten(1))
            return x if float(x.sum()) > 0 else x * 1

    inputs, labels = digits
    case = Case(student=Asking(), teachers=[Asking()], inputs=inputs, labels=labels)
    assert not is_stack_faster(begin(case, Training(epochs=1)))


def test_the_bytes_of_a_student_are_six_times_its_weights_and_what_backward_needs_twice():
    model = nn.Sequential(nn.Linear(100, 50, bias=False), nn.ReLU(), nn.Linear(50, 10, bias=False))
    batch = torch.zeros(32, 100)
    weights = 4 * (100 * 50 + 50 * 10)
    activations = 4 * 32 * (100 + 50)  # the input and the hidden values, which ReLU and the next layer share
    assert count_stack_bytes(model, batch) == 6 * weights + 2 * activations
