"""Weights of convolutions that see padding alone: PyTorch's CPU kernels leave their bfloat16 gradients unset.

A kernel of 3 x 3 that moves by 2 over one pixel has a single weight that ever meets the pixel. The
gradient of the others is 0. Where a CPU has AVX-512, the bfloat16 kernel (seen in PyTorch 2.14 with strides
above 1) does not write these zeros, and a training goes on with whatever the memory held.
"""

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

CONVOLUTIONS = (torch.conv1d, torch.conv2d, torch.conv3d)


def has_blind_weights(model: nn.Module, batch: Tensor | dict[str, Tensor]) -> bool:
    """Whether a convolution of the model has a weight that sees padding alone on such a batch.

    Args:
        model: Stays as it is; a copy is asked.
        batch: As in training, on the model's device.
    """
    asked = copy.deepcopy(model).eval()
    with torch.no_grad(), _ConvolutionWatch() as watch:
        asked(batch)
    return watch.found


def sees_padding_alone(size: int, kernel: int, *, stride: int, padding: int, dilation: int = 1) -> bool:
    """Whether a place of a kernel never meets one of `size` pixels along an axis."""
    num_outputs = (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
    starts = [stride * output - padding for output in range(num_outputs)]
    return any(all(not 0 <= start + dilation * place < size for start in starts) for place in range(kernel))


class _ConvolutionWatch(TorchFunctionMode):
    """Looks at every convolution that is asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.found = False

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func in CONVOLUTIONS:
            self.found |= _is_blind(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))


def _is_blind(
    input: Tensor,  # noqa: A002 - PyTorch's word
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Sequence[int] = 1,
    padding: int | str | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
) -> bool:
    del bias, groups
    kernels = weight.shape[2:]
    steps, gaps = _per_axis(stride, kernels), _per_axis(dilation, kernels)
    edges = _per_axis(0 if isinstance(padding, str) else padding, kernels)
    if padding == "same":
        edges = [gap * (kernel - 1) // 2 for kernel, gap in zip(kernels, gaps, strict=True)]
    axes = zip(input.shape[-len(kernels) :], kernels, steps, edges, gaps, strict=True)
    return any(
        sees_padding_alone(size, kernel, stride=step, padding=edge, dilation=gap)
        for size, kernel, step, edge, gap in axes
    )


def _per_axis(value: int | Sequence[int], kernels: Sequence[int]) -> list[int]:
    values = [value] if isinstance(value, int) else list(value)
    return values * len(kernels) if len(values) == 1 else values
