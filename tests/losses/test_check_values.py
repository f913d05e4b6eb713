"""Every check value of the definitions, to all the digits they are given with."""

import pytest
import torch

from limbeck.losses import cross_entropy, distillation, kd, mean_probabilities, mutual, select_targets

DIGITS = 5e-7


def test_cross_entropy_has_its_check_values(student_logits, teacher_logits, labels):
    assert cross_entropy(student_logits, labels).mean().item() == pytest.approx(1.151862, abs=DIGITS)
    assert cross_entropy(teacher_logits, labels).mean().item() == pytest.approx(0.815415, abs=DIGITS)


@pytest.mark.parametrize(("temperature", "expected"), [(1, 0.119310), (2, 0.218339), (4, 0.274521)])
def test_kd_has_its_check_values(student_logits, teacher_logits, temperature, expected):
    value = kd(student_logits, teacher_logits, temperature=temperature).mean().item()
    assert value == pytest.approx(expected, abs=DIGITS)


def test_the_blend_of_labels_and_teacher_has_its_check_value(student_logits, teacher_logits, labels):
    value = distillation(student_logits, teacher_logits, labels, temperature=4, weight=0.9).mean().item()
    assert value == pytest.approx(0.362255, abs=DIGITS)


@pytest.mark.parametrize(("temperature", "expected"), [(1, 0.128310), (2, 0.171365)])
def test_supervised_selection_has_its_check_values(
    student_logits, teacher_logits, initial_logits, labels, temperature, expected
):
    target, from_teacher = select_targets(teacher_logits, initial_logits, labels)
    assert from_teacher.tolist() == [True, True, False]
    value = kd(student_logits, target, temperature=temperature).mean().item()
    assert value == pytest.approx(expected, abs=DIGITS)


@pytest.mark.parametrize(("temperature", "expected"), [(1, 0.119310), (2, 0.218339)])
def test_unsupervised_selection_has_its_check_values(
    student_logits, teacher_logits, initial_logits, temperature, expected
):
    target, from_teacher = select_targets(teacher_logits, initial_logits)
    assert from_teacher.tolist() == [True, True, True]
    value = kd(student_logits, target, temperature=temperature).mean().item()
    assert value == pytest.approx(expected, abs=DIGITS)


def test_mutual_learning_has_its_check_values(student_logits, teacher_logits, labels):
    of_student, of_teacher = mutual([student_logits, teacher_logits], labels)
    assert of_student.mean().item() == pytest.approx(1.271172, abs=DIGITS)
    assert of_teacher.mean().item() == pytest.approx(0.989773, abs=DIGITS)


def test_mean_of_probabilities_of_two_teachers_has_its_check_value(
    student_logits, teacher_logits, initial_logits
):
    target = mean_probabilities(torch.stack([teacher_logits, initial_logits]), temperature=4)
    assert kd(student_logits, target, temperature=4).mean().item() == pytest.approx(0.099988, abs=DIGITS)
