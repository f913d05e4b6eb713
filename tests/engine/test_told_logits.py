"""Teachers that were asked before and are not here: what they said serves as well as asking them."""

import pytest
import torch

from limbeck.core.errors import InputError
from limbeck.core.fingerprint import hash_state
from limbeck.engine import Case, Training, apply_technique, predict_logits
from limbeck.techniques import get_technique

TRAINING = Training(epochs=2, batch_size=32, lr=0.02)


@pytest.fixture
def teachers(make_model):
    return [make_model("mlp", seed) for seed in (1, 2)]


def make_cases(digits, student, teachers):
    """The same case with its teachers at hand, and with nothing but what they said."""
    inputs, labels = digits
    said = torch.stack([predict_logits(teacher, inputs) for teacher in teachers])
    at_hand = Case(student=student, teachers=teachers, inputs=inputs, labels=labels)
    return at_hand, Case(student=student, teachers=[], inputs=inputs, labels=labels, told=said)


def distil(case, name, training=TRAINING):
    technique = get_technique(name)
    return apply_technique(
        case, technique=technique, settings=technique.defaults, training=training, seed=3
    ).student


@pytest.mark.parametrize("name", ["kd", "kd-mean-logits", "kd-coverage", "dkd", "dp-kd"])
def test_what_teachers_said_teaches_as_they_do(digits, make_model, teachers, name):
    at_hand, told = make_cases(digits, make_model("mlp", 0), teachers)
    ours, theirs = (distil(case, name) for case in (told, at_hand))
    assert hash_state(ours.state_dict()) == hash_state(theirs.state_dict())


def test_as_many_teachers_are_counted_as_were_asked(digits, make_model, teachers):
    at_hand, told = make_cases(digits, make_model("mlp", 0), teachers)
    assert (at_hand.num_teachers, told.num_teachers) == (2, 2)
    assert torch.equal(told.teacher_logits, at_hand.teacher_logits)
    assert torch.equal(told.known_classes, at_hand.known_classes)


def test_samples_the_teachers_did_not_see_are_refused(digits, make_model, teachers):
    _, told = make_cases(digits, make_model("cnn", 0), teachers)
    with pytest.raises(InputError, match=r"`samples are as the teachers saw them`.*augmentation=flip"):
        told.view("flip", epoch=0, seed=0)
    assert told.view("none", epoch=0, seed=0) is told


def test_a_transfer_with_augmentation_needs_the_teachers_at_hand(digits, make_model, teachers):
    _, told = make_cases(digits, make_model("cnn", 0), teachers)
    augmented = Training(epochs=1, batch_size=32, augmentation="flip")
    with pytest.raises(InputError, match="have the teachers at hand"):
        distil(told, "kd", augmented)
