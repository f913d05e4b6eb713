"""standardize: logits without their size."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.losses import reference
from tests.losses.draws import finite, laws, logits

from limbeck.losses import standardize


@laws
@given(z=logits)
def test_standardize_equals_the_reference(z):
    spread = z + np.linspace(0, 1, z.shape[1])
    np.testing.assert_allclose(
        standardize(torch.from_numpy(spread)).numpy(), reference.standardize(spread), rtol=1e-7, atol=1e-7
    )


@laws
@given(z=logits, shift=finite, scale=st.floats(0.1, 10))
def test_neither_shift_nor_scale_of_a_row_matters(z, shift, scale):
    spread = z + 50 * np.linspace(0, 1, z.shape[1])
    moved = standardize(torch.from_numpy(scale * spread + shift))
    torch.testing.assert_close(moved, standardize(torch.from_numpy(spread)), rtol=1e-5, atol=1e-5)


def test_a_row_is_standardized_by_hand():
    value = standardize(torch.tensor([[1.0, 2.0, 3.0]], dtype=torch.float64))
    assert value.tolist()[0] == pytest.approx([-1, 0, 1], abs=2e-7)  # the unbiased deviation is 1


def test_a_constant_row_becomes_zeros_with_finite_gradients():
    rows = torch.tensor([[2.0, 2.0, 2.0]], requires_grad=True)
    value = standardize(rows)
    (value * torch.tensor([1.0, 2.0, 3.0])).sum().backward()
    assert not value.any()
    assert torch.isfinite(rows.grad).all()


def test_gradients_of_standardize_are_right(student_logits):
    assert torch.autograd.gradcheck(standardize, (student_logits.requires_grad_(),))


def test_a_constant_row_in_half_precision_passes_no_gradient():
    rows = torch.full((1, 10), 0.1, dtype=torch.float16, requires_grad=True)
    (standardize(rows) * torch.arange(10)).sum().backward()
    assert not rows.grad.any()
