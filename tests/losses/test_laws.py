"""What must hold for every input."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.losses import reference
from tests.losses.draws import BATCH, CLASSES, class_ids, finite, laws, logits, temperatures, weights

from limbeck.core.errors import InputError
from limbeck.losses import cross_entropy, distillation, kd, mean_probabilities, mutual, select_targets


@laws
@given(z_s=logits, z_t=logits, temperature=temperatures)
def test_kd_equals_the_reference(z_s, z_t, temperature):
    ours = kd(torch.from_numpy(z_s), torch.from_numpy(z_t), temperature=temperature).numpy()
    np.testing.assert_allclose(ours, reference.kd(z_s, z_t, temperature), rtol=1e-9, atol=1e-9)


@laws
@given(z=logits, y=class_ids)
def test_cross_entropy_equals_the_reference(z, y):
    ours = cross_entropy(torch.from_numpy(z), torch.from_numpy(y)).numpy()
    np.testing.assert_allclose(ours, reference.cross_entropy(z, y), rtol=1e-9, atol=1e-12)


@laws
@given(z_a=logits, z_b=logits, z_c=logits, y=class_ids)
def test_mutual_learning_of_three_equals_the_reference(z_a, z_b, z_c, y):
    ours = mutual([torch.from_numpy(z) for z in (z_a, z_b, z_c)], torch.from_numpy(y))
    for value, expected in zip(ours, reference.mutual([z_a, z_b, z_c], y), strict=True):
        np.testing.assert_allclose(value.numpy(), expected, rtol=1e-9, atol=1e-9)


@laws
@given(z_t=logits, z_0=logits, y=class_ids, is_supervised=st.booleans())
def test_selection_equals_the_reference(z_t, z_0, y, is_supervised):
    ours, taken = select_targets(
        torch.from_numpy(z_t), torch.from_numpy(z_0), torch.from_numpy(y) if is_supervised else None
    )
    expected, expected_taken = reference.select(z_t, z_0, y if is_supervised else None)
    scores = reference.softmax(z_t), reference.softmax(z_0)
    is_close = np.isclose(*(p[np.arange(BATCH), y] if is_supervised else p.max(axis=1) for p in scores))
    np.testing.assert_array_equal(taken.numpy()[~is_close], expected_taken[~is_close])
    np.testing.assert_array_equal(ours.numpy()[~is_close], expected[~is_close])


@laws
@given(z_s=logits, z_a=logits, z_b=logits, temperature=temperatures)
def test_mean_of_probabilities_equals_the_reference(z_s, z_a, z_b, temperature):
    target = mean_probabilities(torch.from_numpy(np.stack([z_a, z_b])), temperature=temperature)
    ours = kd(torch.from_numpy(z_s), target, temperature=temperature).numpy()
    expected = reference.mean_probabilities_kd(z_s, np.stack([z_a, z_b]), temperature)
    np.testing.assert_allclose(ours, expected, rtol=1e-8, atol=1e-8)


@laws
@given(z=logits, temperature=temperatures, shift=finite)
def test_kd_is_zero_where_logits_differ_by_a_constant(z, temperature, shift):
    value = kd(torch.from_numpy(z), torch.from_numpy(z + shift), temperature=temperature)
    assert value.abs().max() < 1e-9


@laws
@given(z_s=logits, z_t=logits)
def test_kd_tends_to_the_squared_distance_of_centred_logits_as_temperature_grows(z_s, z_t):
    centred_s, centred_t = (z - z.mean(axis=1, keepdims=True) for z in (z_s, z_t))
    limit = ((centred_s - centred_t) ** 2).sum(axis=1) / (2 * CLASSES)
    value = kd(torch.from_numpy(z_s), torch.from_numpy(z_t), temperature=1e5).numpy()
    np.testing.assert_allclose(value, limit, rtol=5e-3, atol=1e-4)


@laws
@given(z_s=logits, z_t=logits, y=class_ids, temperature=temperatures, weight=weights)
def test_the_blend_is_linear_in_the_weight(z_s, z_t, y, temperature, weight):
    student, teacher, labels = map(torch.from_numpy, (z_s, z_t, y))
    ends = [distillation(student, teacher, labels, temperature=temperature, weight=w) for w in (0, 1)]
    value = distillation(student, teacher, labels, temperature=temperature, weight=weight)
    torch.testing.assert_close(value, (1 - weight) * ends[0] + weight * ends[1])


@laws
@given(z_s=logits, z_t=logits, order=st.permutations(range(BATCH)))
def test_every_loss_treats_samples_alone(z_s, z_t, order):
    whole = kd(torch.from_numpy(z_s), torch.from_numpy(z_t), temperature=3)
    permuted = kd(torch.from_numpy(z_s[order]), torch.from_numpy(z_t[order]), temperature=3)
    torch.testing.assert_close(permuted, whole[order], rtol=1e-12, atol=1e-12)


def test_ties_stay_with_the_student(initial_logits, labels):
    for given_labels in (labels, None):
        _, from_teacher = select_targets(initial_logits.clone(), initial_logits, given_labels)
        assert not from_teacher.any()


def test_among_stacked_teachers_the_first_of_equals_is_taken(teacher_logits, initial_logits, labels):
    shifted = teacher_logits + 2.0
    selected, from_teacher = select_targets(torch.stack([teacher_logits, shifted]), initial_logits, labels)
    assert from_teacher.tolist() == [True, True, False]
    assert torch.equal(selected[:2], teacher_logits[:2])


def test_one_teacher_keeps_its_logits(teacher_logits):
    assert torch.equal(mean_probabilities(teacher_logits[None], temperature=3), teacher_logits)


def test_gradients_of_kd_are_right(student_logits, teacher_logits):
    student = student_logits.requires_grad_()
    assert torch.autograd.gradcheck(lambda z: kd(z, teacher_logits, temperature=3), (student,))


def test_gradients_of_the_blend_are_right(student_logits, teacher_logits, labels):
    student = student_logits.requires_grad_()
    assert torch.autograd.gradcheck(
        lambda z: distillation(z, teacher_logits, labels, temperature=2, weight=0.3), (student,)
    )


def test_in_mutual_learning_peers_are_constants(student_logits, teacher_logits, labels):
    student, teacher = student_logits.requires_grad_(), teacher_logits.requires_grad_()
    of_student, _ = mutual([student, teacher], labels)
    of_student.sum().backward()
    assert student.grad.abs().sum() > 0
    assert teacher.grad is None


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_extreme_half_precision_logits_stay_finite(dtype):
    student = torch.tensor([[3e4, -3e4, 0.0]], dtype=dtype, requires_grad=True)
    teacher = torch.tensor([[-3e4, 3e4, 0.0]], dtype=dtype)
    labels = torch.tensor([1])
    for loss in (
        kd(student, teacher, temperature=1),
        distillation(student, teacher, labels, temperature=4, weight=0.5),
        mutual([student, teacher], labels)[0],
    ):
        student.grad = None
        loss.sum().backward()
        assert torch.isfinite(loss).all()
        assert torch.isfinite(student.grad).all()


@pytest.mark.parametrize(
    ("temperature", "weight", "rule"),
    [(0, 0.5, "temperature > 0"), (-1, 0.5, "temperature > 0"), (1, 1.5, "weight")],
)
def test_settings_out_of_range_name_the_rule(
    student_logits, teacher_logits, labels, temperature, weight, rule
):
    with pytest.raises(InputError, match=rule):
        distillation(student_logits, teacher_logits, labels, temperature=temperature, weight=weight)


def test_without_labels_only_the_teacher_can_count(student_logits, teacher_logits):
    with pytest.raises(InputError, match="weight == 1 without labels"):
        distillation(student_logits, teacher_logits, None, temperature=1, weight=0.5)


def test_mutual_learning_needs_a_peer(student_logits, labels):
    with pytest.raises(InputError, match="at least 2 models"):
        mutual([student_logits], labels)
