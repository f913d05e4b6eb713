"""dist: correlations within samples and within classes."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from tests.losses import reference
from tests.losses.draws import BATCH, CLASSES, coefficients, laws, orders

from limbeck.core.errors import InputError
from limbeck.losses import dist

rough = np.random.default_rng(0).normal(size=(2, BATCH, CLASSES))
gentle = arrays(np.float64, (BATCH, CLASSES), elements=st.floats(-2, 2))
students, teachers = gentle.map(lambda z: z / 4 + rough[0]), gentle.map(lambda z: z / 4 + rough[1])


@laws
@given(z_s=students, z_t=teachers, beta=coefficients, gamma=coefficients, temperature=st.floats(1, 20))
def test_dist_equals_the_reference(z_s, z_t, beta, gamma, temperature):
    ours = dist(
        torch.from_numpy(z_s), torch.from_numpy(z_t), beta=beta, gamma=gamma, temperature=temperature
    ).item()
    assert ours == pytest.approx(reference.dist(z_s, z_t, beta, gamma, temperature), rel=1e-8, abs=1e-8)


@laws
@given(z_s=students, z_t=teachers, beta=coefficients, gamma=coefficients)
def test_dist_is_linear_in_beta_and_gamma(z_s, z_t, beta, gamma):
    def value(beta: float, gamma: float) -> torch.Tensor:
        return dist(torch.from_numpy(z_s), torch.from_numpy(z_t), beta=beta, gamma=gamma, temperature=2)

    torch.testing.assert_close(value(beta, gamma), beta * value(1, 0) + gamma * value(0, 1))


@laws
@given(z_s=students, z_t=teachers, order=orders)
def test_the_order_of_the_batch_does_not_matter(z_s, z_t, order):
    whole = dist(torch.from_numpy(z_s), torch.from_numpy(z_t), beta=1, gamma=1, temperature=2)
    permuted = dist(
        torch.from_numpy(z_s[order]), torch.from_numpy(z_t[order]), beta=1, gamma=1, temperature=2
    )
    torch.testing.assert_close(permuted, whole)


@laws
@given(z_s=students, z_t=teachers)
def test_as_temperature_grows_rows_correlate_as_the_logits_do(z_s, z_t):
    value = dist(torch.from_numpy(z_s), torch.from_numpy(z_t), beta=1, gamma=0, temperature=1e4).item() / 1e8
    correlations = [np.corrcoef(a, b)[0, 1] for a, b in zip(z_s, z_t, strict=True)]
    assert value == pytest.approx(1 - np.mean(correlations), abs=1e-3)


def test_a_constant_row_counts_as_uncorrelated_and_passes_no_gradient():
    student = torch.tensor([[0.0, 0.0, 0.0], [2.0, 1.0, 0.0]], requires_grad=True)
    teacher = torch.tensor([[3.0, 1.0, 2.0], [2.0, 1.0, 0.0]])
    value = dist(student, teacher, beta=1, gamma=0, temperature=1)
    value.backward()
    assert value.item() == pytest.approx(0.5, abs=1e-6)  # rho is 0 in the first row and 1 in the second
    assert not student.grad[0].any()
    assert torch.isfinite(student.grad).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("constant", [0.0, 0.1, -7.3])
@pytest.mark.parametrize("num_classes", [3, 10, 1000])
def test_rounding_does_not_make_a_constant_row_correlate(dtype, constant, num_classes):
    student = torch.full((2, num_classes), constant, dtype=dtype, requires_grad=True)
    teacher = torch.linspace(-1, 1, num_classes, dtype=dtype).expand(2, -1)
    value = dist(student, teacher, beta=1, gamma=1, temperature=3)
    value.backward()
    assert value.item() == pytest.approx(2 * 9)
    assert not student.grad.any()


def test_a_class_that_is_never_predicted_adds_a_constant():
    z = [[1.0, 0.0, -1e6], [0.0, 3.0, -1e6], [2.0, 1.0, -1e6]]
    student = torch.tensor(z, requires_grad=True)
    value = dist(student, torch.tensor(z), beta=0, gamma=1, temperature=1)
    value.backward()
    assert value.item() == pytest.approx(1 / 3, abs=1e-6)  # rho is 1, 1 and 0
    assert student.grad.abs().max() < 1e-6


def test_a_rare_class_still_correlates():
    rare = [[1.0, 0.0, -30.0], [0.0, 3.0, -31.0], [2.0, 1.0, -33.0]]
    student = torch.tensor(rare, dtype=torch.float64)
    value = dist(student.float(), student.float(), beta=0, gamma=1, temperature=1)
    assert value.item() == pytest.approx(0, abs=1e-6)


def test_one_sample_has_rows_only(student_logits, teacher_logits):
    one, other = student_logits[:1], teacher_logits[:1]
    assert dist(one, other, beta=1, gamma=0, temperature=1).ndim == 0
    with pytest.raises(InputError, match=r"`samples in a batch >= 2` must hold, but got samples=1\."):
        dist(one, other, beta=1, gamma=1, temperature=1)
