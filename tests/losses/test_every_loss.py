"""What every loss that pulls a student to a teacher keeps, one by one."""

import numpy as np
import pytest
import torch
from hypothesis import given
from tests.losses.draws import class_ids, finite, laws, logits, orders

from limbeck.core.errors import InputError
from limbeck.losses import bidirectional, dist, dkd, kd, nkd, standardize

PULLS = {
    "kd": lambda z_s, z_t, y: kd(z_s, z_t, temperature=3),
    "dkd": lambda z_s, z_t, y: dkd(z_s, z_t, y, alpha=1, beta=8, temperature=4),
    "nkd": lambda z_s, z_t, y: nkd(z_s, z_t, y, gamma=1.5, temperature=2),
    "dist": lambda z_s, z_t, y: dist(z_s, z_t, beta=2, gamma=1, temperature=2),
    "standardized kd": lambda z_s, z_t, y: kd(standardize(z_s), standardize(z_t), temperature=2),
    "standardized dkd": lambda z_s, z_t, y: dkd(
        standardize(z_s), standardize(z_t), y, alpha=1, beta=2, temperature=2
    ),
    "bidirectional": lambda z_s, z_t, y: bidirectional(z_s, z_t, y)[0],
}
WITHOUT_DIST = [name for name in PULLS if name != "dist"]
ZERO_AT_EQUALITY = ["kd", "dkd", "dist", "standardized kd", "standardized dkd"]
every_pull = pytest.mark.parametrize("name", PULLS)
steep = logits.map(lambda z: z / 4 + np.linspace(-1, 1, z.shape[1]) * np.arange(1, len(z) + 1)[:, None])


@pytest.mark.parametrize("name", ZERO_AT_EQUALITY)
@laws
@given(z=steep, y=class_ids, shift=finite)
def test_the_pull_is_zero_where_logits_differ_by_a_constant(name, z, y, shift):
    value = PULLS[name](torch.from_numpy(z + shift), torch.from_numpy(z), torch.from_numpy(y))
    assert value.abs().max() < 1e-8


@every_pull
@laws
@given(z_s=steep, z_t=steep, y=class_ids, shift=finite)
def test_a_shift_of_every_row_changes_nothing(name, z_s, z_t, y, shift):
    student, teacher, labels = map(torch.from_numpy, (z_s, z_t, y))
    shifts = shift * torch.arange(1, len(y) + 1, dtype=torch.float64)[:, None]
    torch.testing.assert_close(
        PULLS[name](student + shifts, teacher - 2 * shifts, labels),
        PULLS[name](student, teacher, labels),
        rtol=1e-7,
        atol=1e-8,
    )


@pytest.mark.parametrize("name", WITHOUT_DIST)
@laws
@given(z_s=logits, z_t=logits, y=class_ids, order=orders)
def test_samples_are_treated_alone(name, z_s, z_t, y, order):
    whole = PULLS[name](*map(torch.from_numpy, (z_s, z_t, y)))
    permuted = PULLS[name](*map(torch.from_numpy, (z_s[order], z_t[order], y[order])))
    assert whole.shape == (len(y),)
    torch.testing.assert_close(permuted, whole[order], rtol=1e-10, atol=1e-10)


@every_pull
def test_gradients_are_right(name, student_logits, teacher_logits, labels):
    student, teacher = student_logits.requires_grad_(), teacher_logits
    assert torch.autograd.gradcheck(lambda z: PULLS[name](z, teacher, labels), (student,))


@pytest.mark.parametrize("name", [name for name in PULLS if name != "bidirectional"])
def test_gradients_flow_to_the_teacher_unless_detached(name, student_logits, teacher_logits, labels):
    teacher = teacher_logits.requires_grad_()
    assert torch.autograd.gradcheck(lambda z: PULLS[name](student_logits, z, labels), (teacher,))


@every_pull
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_extreme_half_precision_logits_stay_finite(name, dtype):
    rows = [[3e4, -3e4, 0.0], [-3e4, -3e4, 3e4], [0.0, 0.0, 0.0], [3e4, 3e4, 3e4]]
    student = torch.tensor(rows, dtype=dtype, requires_grad=True)
    teacher = torch.tensor([rows[1], rows[0], rows[0], rows[2]], dtype=dtype, requires_grad=True)
    loss = PULLS[name](student, teacher, torch.tensor([1, 0, 2, 0]))
    loss.sum().backward()
    assert loss.dtype == torch.float32
    assert torch.isfinite(loss).all()
    assert torch.isfinite(student.grad).all()
    assert teacher.grad is None or torch.isfinite(teacher.grad).all()


@pytest.mark.parametrize("name", ["dkd", "nkd", "standardized kd"])
def test_one_class_alone_is_refused(name):
    one = torch.zeros(2, 1)
    with pytest.raises(InputError, match=r"`classes >= 2` must hold, but got classes=1\."):
        PULLS[name](one, one, torch.zeros(2, dtype=torch.int64))
