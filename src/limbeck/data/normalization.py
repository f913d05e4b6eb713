"""Normalization: inputs with mean 0 and standard deviation 1 per channel, for whole batches."""

import math
from collections.abc import Iterator
from itertools import chain

import torch
from torch import Tensor

from limbeck.core.errors import require
from limbeck.data.content_hash import read_chunks
from limbeck.data.inputs import Inputs, StoredImages, require_tensor
from limbeck.data.samples import Samples
from limbeck.data.scaling import Normalization, scale_channels

# Values per step of the float64 sums: 2 MiB stay in a core's cache, three times as fast as 32 MiB.
CHUNK_VALUES = 2**18
# Below this share of a channel's mean, float32 holds rounding and no signal.
RESOLUTION = 1e-6
SMALLEST_STD = 1e-30


def measure_normalization(samples: Samples) -> Normalization:
    """The mean and population standard deviation per channel (axis 1), summed in float64.

    uint8 inputs are scaled to [0, 1] first. A channel whose spread float32 cannot resolve, such as a
    constant one, gets std 1: it is centred and left at its scale.

    Images in a file are read some at a time, twice.

    Raises:
        InputError: When there are no samples, or they are texts or tokens.
    """
    require(
        len(samples) > 0,
        "there is at least one sample to measure",
        "0 samples",
        "Measure on the whole training part.",
    )
    inputs = samples.inputs
    if not isinstance(inputs, StoredImages):
        inputs = require_tensor(inputs)
    values_per_channel = math.prod(inputs.shape) // inputs.shape[1]
    mean = sum_channels(inputs) / values_per_channel
    variance = sum_channels(inputs, squared_around=mean) / values_per_channel
    std = variance.sqrt()
    is_flat = std <= torch.clamp(mean.abs() * RESOLUTION, min=SMALLEST_STD)
    std = torch.where(is_flat, torch.ones_like(std), std)
    return Normalization(mean=tuple(mean.tolist()), std=tuple(std.tolist()))


def normalize(inputs: Inputs, normalization: Normalization) -> Tensor:
    """(inputs - mean) / std per channel, where uint8 inputs are scaled to [0, 1] first.

    Works on any device without asking it for an answer, and never changes `inputs`.

    Args:
        inputs: uint8 or float32 [n, channels, ...].
        normalization: One mean and std per channel.

    Returns:
        float32 of the same shape; channels-last in memory for 4 axes, which convolutions prefer.

    Raises:
        InputError: When the inputs are not a tensor in memory, or have another type or another number of
            channels.
    """
    return scale_channels(require_tensor(inputs), normalization)


def sum_channels(inputs: Tensor | StoredImages, *, squared_around: Tensor | None = None) -> Tensor:
    """The sum per channel, float64 [channels], of scaled values or of their squared distance to a centre."""
    device = inputs.device if isinstance(inputs, Tensor) else None
    total = torch.zeros(inputs.shape[1], dtype=torch.float64, device=device)
    parts = [inputs] if isinstance(inputs, Tensor) else read_chunks(inputs)
    for chunk in chain.from_iterable(map(scaled_chunks, parts)):
        values = chunk if squared_around is None else (chunk - squared_around[:, None]).square_()
        total += values.sum(dim=(0, 2))
    return total


def scaled_chunks(inputs: Tensor) -> Iterator[Tensor]:
    """`inputs` in float64 as [k, channels, values], uint8 scaled to [0, 1], some samples at a time."""
    full_scale = 255.0 if inputs.dtype == torch.uint8 else 1.0
    samples_per_chunk = max(1, CHUNK_VALUES // inputs[0].numel())
    for chunk in inputs.split(samples_per_chunk):
        yield chunk.reshape(len(chunk), chunk.shape[1], -1).double().div_(full_scale)
