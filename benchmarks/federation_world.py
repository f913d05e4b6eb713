"""The samples, model and training that every way of running a federation is given.

Samples are read and normalised once and kept as tensors in a file, so that no way pays for decoding them.
"""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from limbeck import data, models
from limbeck.data import load_batch

NUM_CLASSES = 10
BATCH_SIZE, LR, MOMENTUM = 32, 0.05, 0.9
IMAGES_PER_CLIENT = 16
NUM_TEST_IMAGES = 128


@dataclass(frozen=True, kw_only=True)
class Case:
    """A model and its samples.

    Attributes:
        input_shape: Of one sample.
        rounds: Communication rounds of a run.
        question: What it is, in words.
    """

    input_shape: tuple[int, ...]
    rounds: int
    question: str


# By the architecture of every client.
CASES: Mapping[str, Case] = MappingProxyType(
    {
        "mlp": Case(
            input_shape=(1, 8, 8), rounds=20, question="an MLP of 26,122 weights, 1,437 digits in all"
        ),
        "resnet20": Case(
            input_shape=(3, 32, 32),
            rounds=4,
            question=f"ResNet-20, {IMAGES_PER_CLIENT} images of CIFAR-10 per client",
        ),
    }
)


@dataclass(frozen=True, kw_only=True)
class World:
    """What a federation works with.

    Attributes:
        initial: The common untrained model.
        train: Inputs as models take them and labels, of each client.
        test: The same of the server.
    """

    initial: nn.Module
    train: list[tuple[Tensor, Tensor]]
    test: tuple[Tensor, Tensor]

    def build(self) -> nn.Module:
        """A new copy of the common untrained model."""
        return copy.deepcopy(self.initial)


def write_samples(case: str, path: Path, *, num_clients: int, data_dir: Path) -> None:
    """Write the samples of a case: digits whole, or as many images of CIFAR-10 as its clients have."""
    if case == "mlp":
        digits = data.load("digits")
        train, test = digits.train, digits.test
    else:
        cifar = data.load(data_dir)
        train = cifar.train.subset(range(IMAGES_PER_CLIENT * num_clients))
        test = cifar.test.subset(range(NUM_TEST_IMAGES))
    normalization = data.measure_normalization(train)
    tensors = {}
    for name, samples in (("train", train), ("test", test)):
        ids = torch.arange(len(samples))
        inputs = load_batch(data.normalize(samples.inputs, normalization), ids, torch.device("cpu"))
        assert isinstance(inputs, Tensor)
        tensors |= {f"{name}_inputs": inputs.contiguous(), f"{name}_labels": samples.labels}
    save_file(tensors, path)


def read_world(case: str, path: Path, *, num_clients: int) -> World:
    """The world of a case: client i of n has every n-th sample from the i-th on."""
    tensors = load_file(path)
    inputs, labels = tensors["train_inputs"], tensors["train_labels"]
    if case != "mlp":
        kept = IMAGES_PER_CLIENT * num_clients
        inputs, labels = inputs[:kept], labels[:kept]
    return World(
        initial=models.build(case, input_shape=CASES[case].input_shape, num_classes=NUM_CLASSES, seed=0),
        train=[
            (inputs[index::num_clients].contiguous(), labels[index::num_clients].contiguous())
            for index in range(num_clients)
        ],
        test=(tensors["test_inputs"], tensors["test_labels"]),
    )
