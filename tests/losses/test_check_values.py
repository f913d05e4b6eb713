"""Every check value of the definitions, to all the digits they are given with."""

import pytest
import torch

from limbeck.losses import (
    cross_entropy,
    dist,
    distillation,
    dkd,
    kd,
    mean_logits,
    mean_probabilities,
    mutual,
    nkd,
    select_targets,
    standardize,
    teacher_weights,
    weighted_probabilities,
)

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


@pytest.mark.parametrize(
    ("alpha", "beta", "expected"), [(1, 0, 0.095619), (0, 1, 0.259124), (1, 8, 2.168611)]
)
def test_dkd_has_its_check_values(student_logits, teacher_logits, labels, alpha, beta, expected):
    value = dkd(student_logits, teacher_logits, labels, alpha=alpha, beta=beta, temperature=4)
    assert value.mean().item() == pytest.approx(expected, abs=DIGITS)


@pytest.mark.parametrize(
    ("beta", "gamma", "temperature", "expected"),
    [(1, 0, 1, 0.049877), (0, 1, 1, 0.184201), (1, 1, 1, 0.234078), (1, 1, 4, 4.430957)],
)
def test_dist_has_its_check_values(student_logits, teacher_logits, beta, gamma, temperature, expected):
    value = dist(student_logits, teacher_logits, beta=beta, gamma=gamma, temperature=temperature)
    assert value.item() == pytest.approx(expected, abs=DIGITS)


def test_nkd_has_its_check_values(student_logits, teacher_logits, labels):
    of_label, total = (
        nkd(student_logits, teacher_logits, labels, gamma=gamma, temperature=1).mean().item()
        for gamma in (0, 1.5)
    )
    assert of_label == pytest.approx(0.368491, abs=DIGITS)
    assert total - of_label == pytest.approx(1.233879, abs=DIGITS)
    assert total == pytest.approx(1.602371, abs=DIGITS)


def test_kd_of_standardized_logits_has_its_check_value(student_logits, teacher_logits):
    value = kd(standardize(student_logits), standardize(teacher_logits), temperature=2)
    assert value.mean().item() == pytest.approx(0.116176, abs=DIGITS)


def test_mean_of_logits_of_two_teachers_has_its_check_value(student_logits, teacher_logits, initial_logits):
    target = mean_logits(torch.stack([teacher_logits, initial_logits]))
    assert kd(student_logits, target, temperature=4).mean().item() == pytest.approx(0.107111, abs=DIGITS)


def test_mean_of_the_losses_of_two_teachers_has_its_check_value(
    student_logits, teacher_logits, initial_logits
):
    losses = [kd(student_logits, target, temperature=4) for target in (teacher_logits, initial_logits)]
    assert torch.stack(losses).mean().item() == pytest.approx(0.186903, abs=DIGITS)


def test_weights_by_confidence_have_their_check_values(teacher_logits, initial_logits, labels):
    weights = teacher_weights([teacher_logits, initial_logits], labels)
    expected = [[0.522131, 0.598804, 0.331317], [0.477869, 0.401196, 0.668683]]
    torch.testing.assert_close(weights, torch.tensor(expected, dtype=torch.float64), rtol=0, atol=DIGITS)


def test_the_gradient_of_the_weighted_mean_is_that_of_the_weighted_losses(
    student_logits, teacher_logits, initial_logits, labels
):
    stacked, student = torch.stack([teacher_logits, initial_logits]), student_logits.requires_grad_()
    weights = teacher_weights(list(stacked), labels)
    of_losses = sum(w * kd(student, z, temperature=4) for w, z in zip(weights, stacked, strict=True))
    of_mean = kd(student, weighted_probabilities(stacked, weights, temperature=4), temperature=4)
    gradients = [torch.autograd.grad(loss.sum(), student)[0] for loss in (of_losses, of_mean)]
    torch.testing.assert_close(*gradients)
