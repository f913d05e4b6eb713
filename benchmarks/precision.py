"""Training a ResNet-20 in float32 and in bfloat16, everything else being equal."""

from typing import Any

import torch

from benchmarks.measure import summarise, time_alternating
from limbeck import models
from limbeck.engine import Training, pretrain

NUM_SAMPLES = 512


def measure() -> dict[str, Any]:
    """Time one epoch over images of CIFAR's size."""
    torch.set_num_threads(2)
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(NUM_SAMPLES, 3, 32, 32, generator=generator)
    inputs = inputs.contiguous(memory_format=torch.channels_last)
    labels = torch.randint(0, 10, (NUM_SAMPLES,), generator=generator)
    model = models.build("resnet20", input_shape=(3, 32, 32), num_classes=10, seed=0)

    def train_in(precision: Any) -> None:
        training = Training(epochs=1, lr=0.001, precision=precision)
        pretrain(model, inputs, labels, training=training, seed=0)

    seconds = time_alternating(
        {"float32": lambda: train_in("float32"), "bfloat16": lambda: train_in("bfloat16")}
    )
    question = f"One epoch of ResNet-20 over {NUM_SAMPLES} images of 32 x 32, batch 64, two threads"
    return summarise("precision", question, seconds, baseline="float32")
