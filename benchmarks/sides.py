"""The same models and samples for limbeck and for the usual loop."""

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torchvision
from torch import nn

from benchmarks import usual_loop
from limbeck import data, models
from limbeck.models import Classifier
from limbeck.partition import carve_out

DEFAULT_CIFAR = Path(__file__).parents[1] / ".." / "shared" / "data" / "cifar10-jpeg"
DATA_VARIABLE = "LIMBECK_BENCHMARK_DATA"
NUM_CLASSES = 10


@dataclass(frozen=True, kw_only=True)
class Sides:
    """Models and samples.

    Attributes:
        student: Takes raw images; its module takes normalised ones.
        teachers: The same.
        samples: As limbeck takes them, which holds out a share.
        train_set: The rest, for the usual loop.
        validation_set: What is held out, for the usual loop; empty without a share.
    """

    student: Classifier
    teachers: list[Classifier]
    samples: data.Samples
    train_set: usual_loop.Samples
    validation_set: usual_loop.Samples


def add_data_options(parser: argparse.ArgumentParser) -> None:
    """Where CIFAR-10 lies, and where to run."""
    default = Path(os.environ.get(DATA_VARIABLE, DEFAULT_CIFAR))
    parser.add_argument("--data-dir", type=Path, default=default, help="CIFAR-10 as JPEG in parquet files.")
    parser.add_argument("--device", default="cpu", help="cpu or cuda.")


def require_cifar(folder: Path) -> None:
    """End with a sentence, and no error, where CIFAR-10 is not there."""
    if not folder.is_dir():
        print(f"Skipped: `{folder}` must hold CIFAR-10 as JPEG in parquet files; {DATA_VARIABLE} names it.")
        sys.exit(0)


def make_sides(
    *,
    source: str,
    student: str,
    teachers: Sequence[str],
    num_samples: int,
    validation_share: float,
    data_dir: Path,
    device: str,
    augments: bool = False,
) -> Sides:
    """The first samples of a data set, and models with random weights, whose cost does not depend on them.

    Args:
        source: `fashion-mnist` or `cifar10`.
        student: Architecture.
        teachers: Architecture of each.
        num_samples: Samples in all.
        validation_share: Share held out; the same samples on both sides.
        data_dir: Where CIFAR-10 lies.
        device: Where the models go.
        augments: Whether the usual loop crops and flips.
    """
    if source == "fashion-mnist":
        whole = data.load("fashion-mnist").train.subset(range(num_samples))
        mean, std, shape = usual_loop.FASHION_MEAN, usual_loop.FASHION_STD, (1, 28, 28)
    else:
        require_cifar(data_dir)
        whole = data.load(data_dir).train.subset(range(num_samples))
        mean, std, shape = usual_loop.CIFAR_MEAN, usual_loop.CIFAR_STD, (3, 32, 32)
    rest, held = carve_out(whole.labels.numpy(), max(1, round(validation_share * num_samples)), seed=0)

    def as_set(ids: Any, *, changes: bool) -> usual_loop.Samples:
        transform = usual_loop.make_transform(mean, std, size=shape[1], augments=changes)
        if source == "fashion-mnist":
            part = whole.subset(ids)
            assert isinstance(part.inputs, torch.Tensor)
            return usual_loop.GrayDataset(part.inputs[:, 0].numpy(), part.labels.tolist(), transform)
        return usual_loop.JpegDataset(*usual_loop.read_jpegs(data_dir, "train", ids.tolist()), transform)

    def make(arch: str, seed: int) -> Classifier:
        model = build(arch, shape, seed=seed).to(device)
        return models.adapt(model, normalize=(mean, std))

    return Sides(
        student=make(student, 0),
        teachers=[make(arch, number) for number, arch in enumerate(teachers, start=1)],
        samples=whole,
        train_set=as_set(rest, changes=augments),
        validation_set=as_set(held, changes=False),
    )


def build(arch: str, shape: tuple[int, int, int], *, seed: int) -> nn.Module:
    """A model in PyTorch's default memory format; `resnet18` has a stem for small images."""
    if arch == "resnet18":
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = torchvision.models.resnet18(num_classes=NUM_CLASSES)
            model.conv1 = nn.Conv2d(shape[0], 64, 3, padding=1, bias=False)
            model.maxpool = nn.Identity()  # pyright: ignore[reportAttributeAccessIssue]
        return model
    model = models.build(arch, input_shape=shape, num_classes=NUM_CLASSES, seed=seed)
    return model.to(memory_format=torch.contiguous_format)  # pyright: ignore[reportCallIssue]
