"""nkd: the label's probability, and the others scaled to sum to 1."""

import numpy as np
import pytest
import torch
from hypothesis import given
from tests.losses import reference
from tests.losses.draws import CLASSES, class_ids, coefficients, laws, logits, temperatures

from limbeck.losses import nkd


@laws
@given(z_s=logits, z_t=logits, y=class_ids, gamma=coefficients, temperature=temperatures)
def test_nkd_equals_the_reference(z_s, z_t, y, gamma, temperature):
    ours = nkd(*map(torch.from_numpy, (z_s, z_t, y)), gamma=gamma, temperature=temperature).numpy()
    np.testing.assert_allclose(ours, reference.nkd(z_s, z_t, y, gamma, temperature), rtol=1e-9, atol=1e-9)


@laws
@given(z_s=logits, z_t=logits, y=class_ids, gamma=coefficients)
def test_nkd_is_linear_in_gamma(z_s, z_t, y, gamma):
    ends = [nkd(*map(torch.from_numpy, (z_s, z_t, y)), gamma=end, temperature=2) for end in (0, 1)]
    value = nkd(*map(torch.from_numpy, (z_s, z_t, y)), gamma=gamma, temperature=2)
    torch.testing.assert_close(value, (1 - gamma) * ends[0] + gamma * ends[1], rtol=1e-7, atol=1e-7)


@laws
@given(z_s=logits, z_t=logits, y=class_ids)
def test_above_the_teachers_entropy_the_others_tend_to_a_squared_distance_as_temperature_grows(z_s, z_t, y):
    teacher, labels = torch.from_numpy(z_t), torch.from_numpy(y)
    of_student, of_teacher = (
        nkd(z, teacher, labels, gamma=1, temperature=1e3) - nkd(z, teacher, labels, gamma=0, temperature=1e3)
        for z in (torch.from_numpy(z_s), teacher)
    )
    difference = reference.others(z_s, y) - reference.others(z_t, y)
    limit = ((difference - difference.mean(axis=1, keepdims=True)) ** 2).sum(axis=1) / (2 * (CLASSES - 1))
    np.testing.assert_allclose((of_student - of_teacher).numpy(), limit, rtol=0.05, atol=1e-4)


@laws
@given(z=logits, y=class_ids)
def test_where_student_and_teacher_agree_the_others_pull_nowhere(z, y):
    student, teacher, labels = torch.from_numpy(z).requires_grad_(), torch.from_numpy(z), torch.from_numpy(y)
    whole = nkd(student, teacher, labels, gamma=1, temperature=2)
    (whole - nkd(student, teacher, labels, gamma=0, temperature=2)).sum().backward()
    assert student.grad.abs().max() < 1e-12


@pytest.mark.parametrize("lead", [50.0, 5e3])
def test_nothing_of_the_label_is_left_among_the_others(lead):
    student = torch.tensor([[lead, 1.0, 2.0]], dtype=torch.float64)
    teacher = torch.tensor([[lead, 3.0, 3.0]], dtype=torch.float64)
    labels = torch.tensor([0])
    # By hand: q_t = (1/2, 1/2), q_s = (1, e) / (1 + e), so the cross-entropy is log(1 + e) - 1/2.
    value = nkd(student, teacher, labels, gamma=1, temperature=1)
    assert value.item() == pytest.approx(np.log(1 + np.e) - 0.5, abs=1e-12)
