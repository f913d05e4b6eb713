"""ntd: a student pulled to a teacher in all classes but the label's."""

import numpy as np
import pytest
import torch
from hypothesis import given
from tests.losses import reference
from tests.losses.draws import class_ids, finite, laws, logits, orders, temperatures

from limbeck.core.errors import InputError
from limbeck.losses import dkd, kd, ntd


@laws
@given(z_s=logits, z_t=logits, y=class_ids, temperature=temperatures)
def test_ntd_equals_the_reference(z_s, z_t, y, temperature):
    q_s, q_t = (reference.softmax(reference.others(z, y), temperature) for z in (z_s, z_t))
    expected = temperature**2 * (q_t * np.log(q_t / q_s)).sum(axis=1)
    ours = ntd(*map(torch.from_numpy, (z_s, z_t, y)), temperature=temperature).numpy()
    np.testing.assert_allclose(ours, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("lead", [50.0, 5e3])
@pytest.mark.parametrize("temperature", [1, 2])
def test_ntd_has_the_value_found_by_hand_whatever_the_labels_logit(lead, temperature):
    student = torch.tensor([[1.0, lead, 1.0 + temperature]], dtype=torch.float64)
    teacher = torch.tensor([[3.0, -lead, 3.0]], dtype=torch.float64)
    value = ntd(student, teacher, torch.tensor([1]), temperature=temperature)
    # By hand: q_t = (1/2, 1/2), q_s = (1, e) / (1 + e), so KL is log(1 + e) - 1/2 - log 2.
    assert value.item() == pytest.approx(temperature**2 * 0.12011450695827752, abs=1e-12)


@laws
@given(z_s=logits, z_t=logits, y=class_ids, temperature=temperatures)
def test_ntd_is_the_part_of_dkd_among_the_others(z_s, z_t, y, temperature):
    student, teacher, labels = map(torch.from_numpy, (z_s, z_t, y))
    torch.testing.assert_close(
        ntd(student, teacher, labels, temperature=temperature),
        dkd(student, teacher, labels, alpha=0, beta=1, temperature=temperature),
        rtol=1e-12,
        atol=1e-12,
    )


@laws
@given(z=logits, y=class_ids, shift=finite, temperature=temperatures)
def test_ntd_is_zero_where_logits_differ_by_a_constant(z, y, shift, temperature):
    value = ntd(
        torch.from_numpy(z + shift), torch.from_numpy(z), torch.from_numpy(y), temperature=temperature
    )
    assert value.abs().max() < 1e-9


@laws
@given(z_s=logits, z_t=logits, y=class_ids, order=orders)
def test_samples_are_treated_alone(z_s, z_t, y, order):
    whole = ntd(*map(torch.from_numpy, (z_s, z_t, y)), temperature=2)
    permuted = ntd(*map(torch.from_numpy, (z_s[order], z_t[order], y[order])), temperature=2)
    torch.testing.assert_close(permuted, whole[order], rtol=1e-12, atol=1e-12)


@laws
@given(z_s=logits, z_t=logits, y=class_ids)
def test_as_temperature_grows_ntd_tends_to_a_squared_distance(z_s, z_t, y):
    difference = reference.others(z_s, y) - reference.others(z_t, y)
    centred = difference - difference.mean(axis=1, keepdims=True)
    value = ntd(*map(torch.from_numpy, (z_s, z_t, y)), temperature=1e5).numpy()
    np.testing.assert_allclose(
        value, (centred**2).sum(axis=1) / (2 * difference.shape[1]), rtol=5e-3, atol=1e-4
    )


def test_of_two_classes_nothing_is_left_to_pull():
    student, teacher = torch.tensor([[4.0, -1.0]]), torch.tensor([[0.0, 2.0]])
    assert ntd(student, teacher, torch.tensor([1]), temperature=1).tolist() == [0.0]
    assert kd(student, teacher, temperature=1).item() > 1


def test_gradients_are_right_and_none_reaches_the_label(student_logits, teacher_logits, labels):
    student, teacher = student_logits.requires_grad_(), teacher_logits.requires_grad_()
    assert torch.autograd.gradcheck(lambda s, t: ntd(s, t, labels, temperature=3), (student, teacher))
    ntd(student, teacher, labels, temperature=3).sum().backward()
    assert not student.grad.gather(1, labels[:, None]).any()
    assert student.grad.any()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_extreme_half_precision_logits_stay_finite(dtype):
    rows = [[3e4, -3e4, 0.0], [-3e4, -3e4, 3e4], [0.0, 0.0, 0.0], [3e4, 3e4, 3e4]]
    student = torch.tensor(rows, dtype=dtype, requires_grad=True)
    teacher = torch.tensor([rows[1], rows[0], rows[0], rows[2]], dtype=dtype, requires_grad=True)
    loss = ntd(student, teacher, torch.tensor([1, 0, 2, 0]), temperature=1)
    loss.sum().backward()
    assert loss.dtype == torch.float32
    for values in (loss, student.grad, teacher.grad):
        assert torch.isfinite(values).all()


def test_one_class_alone_is_refused():
    one = torch.zeros(2, 1)
    with pytest.raises(InputError, match=r"`classes >= 2` must hold, but got classes=1\."):
        ntd(one, one, torch.zeros(2, dtype=torch.int64), temperature=1)
