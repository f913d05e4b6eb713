"""What users run today: a DataLoader with per-sample transforms, and every teacher asked in every step.

Written as well as such loops are: PyTorch's own pieces, no needless copies, evaluation under
`inference_mode`, loaders whose processes live as long as the training. It uses float32, the default memory
format and all threads. Nothing here is limbeck's; `sides` gives it the same architectures and samples.
"""

import io
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import polars as pl
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

CIFAR_MEAN, CIFAR_STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)
FASHION_MEAN, FASHION_STD = (0.2860,), (0.3530,)
MOMENTUM = 0.9
WORKER_CHOICES = (0, 2)

Samples = Dataset[tuple[Tensor, int]]


class Batches(Protocol):
    """Images and labels of an epoch, batch by batch, as a DataLoader gives them; another order every time."""

    def __len__(self) -> int:
        """The number of batches."""
        ...

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """The batches."""
        ...


class JpegDataset(Samples):
    """CIFAR-10 as JPEG bytes, each decoded when it is asked for, as data sets on disk are."""

    def __init__(
        self, content: Sequence[bytes], labels: Sequence[int], transform: Callable[[Any], Tensor]
    ) -> None:
        self.content = content
        self.labels = labels
        self.transform = transform

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        with Image.open(io.BytesIO(self.content[index])) as image:
            return self.transform(image.convert("RGB")), self.labels[index]


class GrayDataset(Samples):
    """Grey images [n, height, width] in memory, as torchvision's Fashion-MNIST gives them."""

    def __init__(self, images: np.ndarray, labels: Sequence[int], transform: Callable[[Any], Tensor]) -> None:
        self.images = images
        self.labels = labels
        self.transform = transform

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.transform(Image.fromarray(self.images[index])), self.labels[index]


def make_transform(
    mean: Sequence[float], std: Sequence[float], *, size: int, augments: bool
) -> Callable[[Any], Tensor]:
    """The usual transforms of one image; those of CIFAR's recipe where it augments."""
    steps: list[Any] = [transforms.RandomCrop(size, padding=size // 8), transforms.RandomHorizontalFlip()]
    return transforms.Compose(
        [*(steps if augments else []), transforms.ToTensor(), transforms.Normalize(mean, std)]
    )


def read_jpegs(folder: Path, split: str, ids: Sequence[int]) -> tuple[list[bytes], list[int]]:
    """The JPEG bytes and labels of some images of the parquet files of a split."""
    table = pl.read_parquet(sorted(folder.rglob(f"*{split}*.parquet")), columns=["img", "label"])[list(ids)]
    return [row["bytes"] for row in table["img"].to_list()], table["label"].to_list()


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How the usual loop trains.

    Attributes:
        temperature: Of Hinton's loss.
        weight: Of the teachers' share in it.
        epochs: Passes over the samples.
        batch_size: Samples per step.
        lr: Learning rate at the start; it follows a cosine.
        num_workers: Processes of the DataLoader.
        seed: Of the order of samples and of the augmentation.
        device: Where it runs.
    """

    temperature: float
    weight: float
    epochs: int
    batch_size: int = 64
    lr: float = 0.01
    num_workers: int = 0
    seed: int = 0
    device: str = "cpu"


def distil(
    student: nn.Module,
    teachers: Sequence[nn.Module],
    train_set: Samples,
    validation_set: Samples | None,
    recipe: Recipe,
) -> list[float]:
    """Train a student in place by Hinton's loss and return its validation accuracy after each epoch.

    The loss is (1 - w) CE + w T^2 KL, where several teachers count through the mean of their softened
    probabilities.
    """
    torch.manual_seed(recipe.seed)
    loader = make_loader(train_set, recipe, shuffle=True)
    judging = None if validation_set is None else make_loader(validation_set, recipe, shuffle=False)
    optimizer, schedule = make_optimizer(student, recipe, num_steps=recipe.epochs * len(loader))
    for teacher in teachers:
        teacher.eval()
    accuracies, temperature = [], recipe.temperature
    for _ in range(recipe.epochs):
        student.train()
        running_loss = 0.0
        for batch in loader:
            images, labels = (tensor.to(recipe.device, non_blocking=True) for tensor in batch)
            logits = student(images)
            with torch.no_grad():
                softened = [F.softmax(teacher(images) / temperature, dim=1) for teacher in teachers]
                target = torch.stack(softened).mean(0)
            pull = F.kl_div(F.log_softmax(logits / temperature, dim=1), target, reduction="batchmean")
            loss = (1 - recipe.weight) * F.cross_entropy(logits, labels)
            loss = loss + recipe.weight * temperature**2 * pull
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            running_loss += loss.item()
        if judging is not None:
            accuracies.append(evaluate(student, judging, device=recipe.device))
    return accuracies


def learn_mutually(models: Sequence[nn.Module], loader: Batches, recipe: Recipe) -> None:
    """Train models in place by deep mutual learning: in every step one forward pass and one update per model.

    The loss of a model is CE plus the mean over the others of KL(theirs || its own) at temperature 1; the
    recipe's temperature, weight and batch size do not count.
    """
    made = [make_optimizer(model, recipe, num_steps=recipe.epochs * len(loader)) for model in models]
    for _ in range(recipe.epochs):
        for model in models:
            model.train()
        running_losses = [0.0] * len(models)
        for batch in loader:
            images, labels = (tensor.to(recipe.device, non_blocking=True) for tensor in batch)
            said = [model(images) for model in models]
            softened = [F.softmax(logits.detach(), dim=1) for logits in said]
            for place, (optimizer, schedule) in enumerate(made):
                own = F.log_softmax(said[place], dim=1)
                others = [*softened[:place], *softened[place + 1 :]]
                pulls = [F.kl_div(own, other, reduction="batchmean") for other in others]
                loss = F.cross_entropy(said[place], labels) + sum(pulls) / len(pulls)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
                running_losses[place] += loss.item()


@torch.inference_mode()
def evaluate(model: nn.Module, loader: Batches, *, device: str) -> float:
    """The accuracy of a model."""
    model.eval()
    num_right = num_samples = 0
    for images, labels in loader:
        said = model(images.to(device, non_blocking=True)).argmax(dim=1).cpu()
        num_right += (said == labels).sum().item()
        num_samples += len(labels)
    return num_right / num_samples


def make_optimizer(
    model: nn.Module, recipe: Recipe, *, num_steps: int
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    """SGD with momentum, and a cosine over all steps."""
    optimizer = torch.optim.SGD(model.parameters(), lr=recipe.lr, momentum=MOMENTUM)
    return optimizer, torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, num_steps)


def make_loader(samples: Samples, recipe: Recipe, *, shuffle: bool) -> DataLoader[tuple[Tensor, int]]:
    """A DataLoader as tutorials make it; its processes live on between epochs."""
    return DataLoader(
        samples,
        batch_size=recipe.batch_size,
        shuffle=shuffle,
        num_workers=recipe.num_workers,
        persistent_workers=recipe.num_workers > 0,
        pin_memory=recipe.device.startswith("cuda"),
    )


@dataclass(frozen=True, kw_only=True)
class TensorBatches:
    """Shuffled batches of tensors in memory, without a DataLoader.

    Attributes:
        images: [n, ...] as the models take them.
        labels: int64 [n].
        batch_size: Samples per batch; the last of an epoch may be smaller.
    """

    images: Tensor
    labels: Tensor
    batch_size: int

    def __len__(self) -> int:
        return len(self.labels.split(self.batch_size))

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        order = torch.randperm(len(self.labels), device=self.labels.device)
        for ids in order.split(self.batch_size):
            yield self.images[ids], self.labels[ids]


def time_workers(run_fn: Callable[[int], object]) -> dict[int, float]:
    """Seconds of a run by the number of a DataLoader's processes, the better of two in turn.

    Args:
        run_fn: Takes the number of processes.
    """
    seconds: dict[int, float] = dict.fromkeys(WORKER_CHOICES, float("inf"))
    for _ in range(2):
        for num_workers in WORKER_CHOICES:
            started = time.perf_counter()
            run_fn(num_workers)
            seconds[num_workers] = min(seconds[num_workers], time.perf_counter() - started)
    return seconds
