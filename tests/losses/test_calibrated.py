"""calibrated_cross_entropy: a loss that knows how often each class is seen."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from tests.losses.draws import BATCH, CLASSES, class_ids, finite, laws, logits, orders

from limbeck.losses import calibrated_cross_entropy, cross_entropy

shares = arrays(np.float64, (CLASSES,), elements=st.floats(0.01, 1000))


def calibrated(*arguments):
    return calibrated_cross_entropy(*(torch.from_numpy(np.asarray(argument)) for argument in arguments))


@laws
@given(z=logits, y=class_ids, pi=shares)
def test_it_equals_equation_10(z, y, pi):
    likelihoods = pi * np.exp(z)
    expected = np.log(likelihoods.sum(axis=1) / likelihoods[np.arange(BATCH), y])
    np.testing.assert_allclose(calibrated(z, y, pi).numpy(), expected, rtol=1e-9, atol=1e-9)


def test_it_has_the_value_found_by_hand():
    loss = calibrated_cross_entropy(torch.zeros(2, 2), torch.tensor([0, 1]), torch.tensor([1.0, 3.0]))
    # By hand: softmax((log 1/4, log 3/4)) is (1/4, 3/4).
    assert loss.tolist() == pytest.approx([math.log(4), math.log(4 / 3)])


@laws
@given(z=logits, y=class_ids, scale=st.floats(0.01, 1000))
def test_with_equal_shares_it_is_the_cross_entropy(z, y, scale):
    ours = calibrated(z, y, np.full(CLASSES, scale))
    torch.testing.assert_close(ours, cross_entropy(*map(torch.from_numpy, (z, y))), rtol=1e-9, atol=1e-9)


@laws
@given(z=logits, y=class_ids, pi=shares, scale=st.floats(0.01, 1000), shift=finite)
def test_neither_the_scale_of_the_shares_nor_a_shift_of_the_logits_matters(z, y, pi, scale, shift):
    ours, theirs = calibrated(z, y, pi), calibrated(z + shift, y, pi * scale)
    torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)


@laws
@given(z=logits, y=class_ids, pi=shares, order=orders)
def test_samples_are_treated_alone(z, y, pi, order):
    torch.testing.assert_close(calibrated(z[order], y[order], pi), calibrated(z, y, pi)[order])


def test_a_class_that_is_never_seen_counts_as_one_in_a_hundred_million():
    z, y, pi = np.zeros((1, 3)), np.array([0]), np.array([5.0, 5.0, 0.0])
    # By hand: softmax((log 1/2, log 1/2, log 1e-8)) of the first class is 0.5 / (1 + 1e-8).
    assert calibrated(z, y, pi).item() == pytest.approx(math.log(2 * (1 + 1e-8)), abs=1e-12)


def test_a_class_that_is_never_seen_is_hardly_pushed_down():
    gradients = []
    for pi in ([1.0, 1.0, 1.0], [1.0, 1.0, 0.0]):
        z = torch.zeros(1, 3, dtype=torch.float64, requires_grad=True)
        calibrated_cross_entropy(z, torch.tensor([0]), torch.tensor(pi)).sum().backward()
        gradients.append(z.grad[0, 2].item())
    assert gradients == pytest.approx([1 / 3, 1e-8], rel=1e-6)


def test_gradients_are_those_of_finite_differences():
    z = torch.randn(4, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0), requires_grad=True)
    pi = torch.tensor([3.0, 0.0, 1.0, 7.0, 2.0], dtype=torch.float64)
    y = torch.tensor([0, 2, 3, 4])
    assert torch.autograd.gradcheck(lambda own: calibrated_cross_entropy(own, y, pi), z)


def test_extreme_logits_in_half_precision_give_finite_losses():
    z = torch.tensor([[6e4, -6e4, 0.0]], dtype=torch.float16)
    loss = calibrated_cross_entropy(z, torch.tensor([1]), torch.tensor([1.0, 0.0, 2.0]))
    assert loss.dtype == torch.float32
    assert bool(torch.isfinite(loss).all())
