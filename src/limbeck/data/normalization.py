"""Normalization: inputs with mean 0 and standard deviation 1 per channel, for whole batches."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

import torch
from torch import Tensor

from limbeck.core.errors import require
from limbeck.data.content_hash import read_chunks
from limbeck.data.inputs import Inputs, StoredImages, require_tensor
from limbeck.data.samples import Samples

# Values per step of the float64 sums: 2 MiB stay in a core's cache, three times as fast as 32 MiB.
CHUNK_VALUES = 2**18
# Below this share of a channel's mean, float32 holds rounding and no signal.
RESOLUTION = 1e-6
SMALLEST_STD = 1e-30


@dataclass(frozen=True, kw_only=True)
class Normalization:
    """What is subtracted from and divides each channel, in units of the scaled input.

    Attributes:
        mean: One number per channel.
        std: One number > 0 per channel.

    Raises:
        InputError: When the lengths differ or a std is not positive.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __post_init__(self) -> None:
        require(
            len(self.mean) == len(self.std) > 0 and min(self.std, default=0.0) > 0.0,
            "mean and std have one number per channel, std > 0",
            f"mean={self.mean} and std={self.std}",
            "Use `measure_normalization`.",
        )


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
    inputs = require_tensor(inputs)
    check_normalizable(inputs, normalization)
    full_scale = 255.0 if inputs.dtype == torch.uint8 else 1.0
    scale = [1.0 / (full_scale * std) for std in normalization.std]
    shift = [-mean / std for mean, std in zip(normalization.mean, normalization.std, strict=True)]
    # Reordered last: a channel's values side by side are scaled three times as fast on a CPU.
    values = (
        inputs.to(torch.float32, copy=True).mul_(per_channel(scale, inputs)).add_(per_channel(shift, inputs))
    )
    return values.contiguous(memory_format=torch.channels_last) if values.ndim == 4 else values


def check_normalizable(inputs: Tensor, normalization: Normalization) -> None:
    """Raise `InputError` unless `inputs` have a known type and one channel per mean."""
    require(
        inputs.dtype in (torch.uint8, torch.float32),
        "inputs are uint8 or float32",
        f"dtype={inputs.dtype}",
        "Normalize the inputs of `Samples`.",
    )
    num_channels = inputs.shape[1] if inputs.ndim >= 2 else 0
    require(
        num_channels == len(normalization.mean),
        "inputs have one channel per mean",
        f"shape={tuple(inputs.shape)} with {len(normalization.mean)} means",
        "Use the normalization that was measured on this data set.",
    )


def per_channel(values: list[float], inputs: Tensor) -> Tensor:
    """`values` as float32 [1, channels, 1, ...] on the device of `inputs`."""
    shape = (1, len(values), *[1] * (inputs.ndim - 2))
    return torch.tensor(values, dtype=torch.float32, device=inputs.device).view(shape)


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
