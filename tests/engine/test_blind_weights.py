"""Weights that see padding alone: those whose gradient is 0 for any input."""

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn

from limbeck.engine.blind_weights import has_blind_weights, sees_padding_alone


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "padding", "expected"),
    [
        (1, 3, 2, 1, True),  # outputs at -1: only the middle meets the pixel
        (2, 3, 2, 1, True),  # one output at -1: the first place sees padding
        (3, 3, 2, 1, False),  # outputs at -1 and 1
        (1, 1, 2, 0, False),
        (2, 3, 1, 1, False),  # outputs at -1 and 0: the first meets a pixel at 0, the last at -1
        (5, 2, 4, 0, False),
    ],
)
def test_hand_drawn_cases(size, kernel, stride, padding, expected):
    assert sees_padding_alone(size, kernel, stride=stride, padding=padding) is expected


@settings(deadline=None, max_examples=60)
@given(
    size=st.integers(1, 6),
    kernel=st.integers(1, 5),
    stride=st.integers(1, 4),
    padding=st.integers(0, 2),
    dilation=st.integers(1, 2),
)
def test_a_weight_is_blind_where_its_gradient_is_zero(size, kernel, stride, padding, dilation):
    assume(size + 2 * padding > dilation * (kernel - 1))
    weight = torch.ones(1, 1, kernel, dtype=torch.float64, requires_grad=True)
    pixels = torch.ones(1, 1, size, dtype=torch.float64)
    nn.functional.conv1d(pixels, weight, stride=stride, padding=padding, dilation=dilation).sum().backward()
    blind = sees_padding_alone(size, kernel, stride=stride, padding=padding, dilation=dilation)
    assert blind == bool((weight.grad == 0).any())


@pytest.mark.parametrize(
    ("convolution", "size", "expected"),
    [
        (nn.Conv2d(4, 4, 3, stride=2, padding=1), 1, True),
        (nn.Conv2d(4, 4, 3, stride=2, padding=1), 4, False),
        (nn.Conv2d(4, 4, 3, padding="same"), 1, True),
        (nn.Conv2d(4, 4, 3, padding="same"), 2, False),
        (nn.Conv2d(4, 4, 3, padding="valid"), 3, False),
        (nn.Conv2d(4, 4, (1, 3), stride=(2, 1), padding=(0, 1)), 2, False),
        (nn.ConvTranspose2d(4, 4, 3, stride=2, padding=1), 1, False),
    ],
)
def test_every_convolution_of_a_model_is_looked_at(convolution, size, expected):
    model = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.MaxPool2d(2), nn.BatchNorm2d(4), convolution)
    assert has_blind_weights(model, torch.ones(2, 1, 2 * size, 2 * size)) is expected
    assert model.training


def test_a_model_without_convolutions_has_none():
    assert not has_blind_weights(nn.Sequential(nn.Flatten(), nn.Linear(4, 2)), torch.ones(2, 1, 2, 2))
