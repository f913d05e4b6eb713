"""The samples, model and training that every way of running a federation is given.

Samples are read and normalised once and kept as tensors in a file, so that no way pays for decoding them.
"""

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
        arch: Architecture.
        input_shape: Of one sample.
        rounds: Communication rounds of a run.
    """

    arch: str
    input_shape: tuple[int, ...]
    rounds: int


CASES: Mapping[str, Case] = MappingProxyType(
    {
        "mlp": Case(arch="mlp", input_shape=(1, 8, 8), rounds=20),
        "resnet20": Case(arch="resnet20", input_shape=(3, 32, 32), rounds=3),
    }
)


@dataclass(frozen=True, kw_only=True)
class World:
    """What a federation works with.

    Attributes:
        arch: Architecture of every client.
        input_shape: Of one sample.
        train: Inputs as models take them and labels, of each client.
        test: The same of the server.
    """

    arch: str
    input_shape: tuple[int, ...]
    train: list[tuple[Tensor, Tensor]]
    test: tuple[Tensor, Tensor]

    def build(self) -> nn.Module:
        """The common untrained model."""
        return models.build(self.arch, input_shape=self.input_shape, num_classes=NUM_CLASSES, seed=0)


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
        arch=CASES[case].arch,
        input_shape=CASES[case].input_shape,
        train=[
            (inputs[index::num_clients].contiguous(), labels[index::num_clients].contiguous())
            for index in range(num_clients)
        ],
        test=(tensors["test_inputs"], tensors["test_labels"]),
    )
