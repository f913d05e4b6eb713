"""Normalization against a float64 NumPy reference."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from limbeck.core.errors import InputError
from limbeck.data import Normalization, Samples, measure_normalization, normalize


def make_samples(inputs):
    return Samples(inputs=inputs, labels=torch.zeros(len(inputs), dtype=torch.int64))


def reference(inputs):
    """Mean, std and normalized values in float64, straight from the definition."""
    values = inputs.numpy().astype(np.float64) / (255.0 if inputs.dtype == torch.uint8 else 1.0)
    axes = (0, *range(2, values.ndim))
    mean, std = values.mean(axis=axes, keepdims=True), values.std(axis=axes, keepdims=True)
    return mean.ravel(), std.ravel(), (values - mean) / std


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**31), channels=st.integers(1, 4), size=st.integers(1, 9), is_image=st.booleans())
def test_measuring_and_normalizing_equal_the_float64_reference(seed, channels, size, is_image):
    rng = np.random.default_rng(seed)
    shape = (7, channels, size, size + 1)
    values = (
        rng.integers(0, 256, shape, dtype=np.uint8)
        if is_image
        else rng.normal(3, 5, shape).astype(np.float32)
    )
    inputs = torch.from_numpy(values)
    measured = measure_normalization(make_samples(inputs))
    mean, std, normalized = reference(inputs)
    np.testing.assert_allclose(measured.mean, mean, rtol=1e-12)
    np.testing.assert_allclose(measured.std, std, rtol=1e-12)
    np.testing.assert_allclose(normalize(inputs, measured).numpy(), normalized, rtol=1e-5, atol=1e-5)


@settings(max_examples=25, deadline=None)
@given(
    channels=st.integers(1, 4),
    size=st.integers(1, 9),
    is_image=st.booleans(),
    memory_format=st.sampled_from([torch.contiguous_format, torch.channels_last]),
)
def test_images_have_the_bits_of_the_plain_formula_in_float32(channels, size, is_image, memory_format):
    rng = np.random.default_rng(0)
    inputs = torch.from_numpy(rng.integers(0, 256, (5, channels, size, size + 1), dtype=np.uint8))
    inputs = (inputs if is_image else inputs.float()).contiguous(memory_format=memory_format)
    mean, std = rng.random(channels), rng.random(channels) + 0.1
    normalization = Normalization(mean=tuple(mean.tolist()), std=tuple(std.tolist()))
    scale = (1 / ((255 if is_image else 1) * std)).astype(np.float32)[:, None, None]
    shift = (-mean / std).astype(np.float32)[:, None, None]
    expected = inputs.numpy().astype(np.float32) * scale + shift
    np.testing.assert_array_equal(normalize(inputs, normalization).numpy(), expected)


def test_a_hand_calculation_of_two_pixels():
    inputs = torch.tensor([[[[0]]], [[[255]]]], dtype=torch.uint8)
    measured = measure_normalization(make_samples(inputs))
    assert measured == Normalization(mean=(0.5,), std=(0.5,))
    assert normalize(inputs, measured).flatten().tolist() == [-1.0, 1.0]


def test_the_sums_run_over_many_chunks():
    inputs = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (700, 3, 32, 32), dtype=np.uint8))
    mean, std, _ = reference(inputs)
    measured = measure_normalization(make_samples(inputs))
    np.testing.assert_allclose([measured.mean, measured.std], [mean, std], rtol=1e-12)


def test_tables_are_normalized_per_feature():
    inputs = torch.tensor([[1.0, 10.0], [3.0, 30.0]])
    measured = measure_normalization(make_samples(inputs))
    assert measured == Normalization(mean=(2.0, 20.0), std=(1.0, 10.0))
    assert normalize(inputs, measured).tolist() == [[-1.0, -1.0], [1.0, 1.0]]


def test_images_come_out_as_float32_in_channels_last_memory():
    inputs = torch.zeros(2, 3, 4, 5, dtype=torch.uint8)
    normalized = normalize(inputs, Normalization(mean=(0.1, 0.2, 0.3), std=(1.0, 1.0, 1.0)))
    assert normalized.dtype == torch.float32
    assert normalized.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_the_inputs_are_never_changed(memory_format):
    inputs = torch.ones(2, 3, 4, 5).contiguous(memory_format=memory_format)
    normalize(inputs, Normalization(mean=(1.0, 1.0, 1.0), std=(2.0, 2.0, 2.0)))
    assert torch.equal(inputs, torch.ones(2, 3, 4, 5))


def test_a_constant_channel_is_centred_and_keeps_its_scale():
    inputs = torch.full((4, 2), 0.1)
    inputs[:, 1] = torch.tensor([0.0, 1.0, 0.0, 1.0])
    measured = measure_normalization(make_samples(inputs))
    assert measured.std == (1.0, 0.5)
    assert normalize(inputs, measured)[:, 0].abs().max() < 1e-6


@pytest.mark.parametrize("std", [(0.0,), (1.0, 1.0), ()])
def test_a_normalization_needs_one_positive_std_per_mean(std):
    with pytest.raises(InputError, match="std > 0"):
        Normalization(mean=(0.0,), std=std)


def test_wrong_inputs_are_refused():
    one = Normalization(mean=(0.0,), std=(1.0,))
    with pytest.raises(InputError, match="one channel per mean"):
        normalize(torch.zeros(2, 3, 4, 4), one)
    with pytest.raises(InputError, match="float64"):
        normalize(torch.zeros(2, 1, dtype=torch.float64), one)
    with pytest.raises(InputError, match="0 samples"):
        measure_normalization(make_samples(torch.zeros(0, 1)))
