"""A small zoo sized for small images: enough to compare techniques in minutes.

Every entry takes any image size and channel count; `mlp` takes any shape. The CIFAR ResNets use the
parameter-free shortcuts and the parameter names of the widely shared CIFAR-10 checkpoints.

References:
    Residual networks for CIFAR: He et al. 2015, https://arxiv.org/abs/1512.03385, section 4.2 (option A).
"""

from collections.abc import Callable, Mapping, Sequence
from math import prod
from types import MappingProxyType

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from limbeck.core.errors import require, require_known
from limbeck.core.seeds import derive_seed

InputShape = Sequence[int]


def mlp(input_shape: InputShape, num_classes: int) -> nn.Module:
    """A multilayer perceptron with two hidden layers of 128 units."""
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(prod(input_shape), 128),
        nn.ReLU(),
        nn.Linear(128, 128),
        nn.ReLU(),
        nn.Linear(128, num_classes),
    )


def cnn(input_shape: InputShape, num_classes: int) -> nn.Module:
    """A small convolutional network: two 3x3 convolutions of stride 2 (16 and 32 channels), 64 hidden units.

    Strides replace pooling, which costs more than the convolutions themselves on a CPU.
    """
    channels, height, width = input_shape
    return nn.Sequential(
        nn.Conv2d(channels, 16, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(count_features(height, width), 64),
        nn.ReLU(),
        nn.Linear(64, num_classes),
    )


def count_features(height: int, width: int) -> int:
    """How many values the convolutions of `cnn` make of an image."""
    return 32 * _halve(_halve(height)) * _halve(_halve(width))


def _halve(size: int) -> int:
    return (size + 1) // 2


class BasicBlock(nn.Module):
    """Two 3x3 convolutions around a shortcut that subsamples and pads with zero channels (option A)."""

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.stride = stride
        self.padding = (out_channels - in_channels) // 2

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        return F.relu(out + self.shortcut(x))

    def shortcut(self, x: Tensor) -> Tensor:
        if self.stride == 1 and self.padding == 0:
            return x
        strided = x[:, :, :: self.stride, :: self.stride]
        return F.pad(strided, (0, 0, 0, 0, self.padding, self.padding))


class CifarResNet(nn.Module):
    """A residual network of 6n + 2 layers: three stages of n blocks with 16, 32 and 64 channels."""

    def __init__(self, input_shape: InputShape, num_classes: int, *, blocks_per_stage: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(input_shape[0], 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = _stage(16, 16, stride=1, num_blocks=blocks_per_stage)
        self.layer2 = _stage(16, 32, stride=2, num_blocks=blocks_per_stage)
        self.layer3 = _stage(32, 64, stride=2, num_blocks=blocks_per_stage)
        self.linear = nn.Linear(64, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(module.weight)

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.layer3(self.layer2(self.layer1(out)))
        return self.linear(out.mean(dim=(2, 3)))


def _stage(in_channels: int, out_channels: int, *, stride: int, num_blocks: int) -> nn.Sequential:
    first = BasicBlock(in_channels, out_channels, stride)
    rest = [BasicBlock(out_channels, out_channels, 1) for _ in range(num_blocks - 1)]
    return nn.Sequential(first, *rest)


def _resnet(blocks_per_stage: int) -> Callable[[InputShape, int], nn.Module]:
    def build_fn(input_shape: InputShape, num_classes: int) -> nn.Module:
        return CifarResNet(input_shape, num_classes, blocks_per_stage=blocks_per_stage)

    return build_fn


ARCHITECTURES: Mapping[str, Callable[[InputShape, int], nn.Module]] = MappingProxyType(
    {
        "mlp": mlp,
        "cnn": cnn,
        "resnet8": _resnet(1),
        "resnet20": _resnet(3),
        "resnet32": _resnet(5),
        "resnet56": _resnet(9),
    }
)


def build(arch: str, *, input_shape: InputShape, num_classes: int, seed: int) -> nn.Module:
    """A freshly initialised model of the zoo; global random state is left as it was.

    Args:
        arch: A name of `ARCHITECTURES`.
        input_shape: Shape of one sample, (channels, height, width) for everything but `mlp`.
        num_classes: Number of logits, at least 2.
        seed: Seed of the initial weights: the same seed gives the same weights.

    Returns:
        The model in training mode on the CPU; convolutional ones in channels-last layout, which is up to
        twice as fast on a CPU as the default layout.

    Raises:
        InputError: When `arch` is unknown, or does not fit the shape.
    """
    require_known("architecture", arch, ARCHITECTURES)
    require(num_classes >= 2, "num_classes >= 2", f"num_classes={num_classes}", "Give at least two classes.")
    fits = arch == "mlp" or len(input_shape) == 3
    require(
        fits,
        f"`{arch}` takes images (channels, height, width)",
        f"input_shape={tuple(input_shape)}",
        "Use `mlp` for other inputs.",
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(seed, "weights", arch))
        model = ARCHITECTURES[arch](input_shape, num_classes)
    return model.to(memory_format=torch.channels_last) if len(input_shape) == 3 else model  # pyright: ignore[reportCallIssue]


def count_parameters(model: nn.Module) -> int:
    """How many trainable numbers a model holds."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
