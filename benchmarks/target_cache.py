"""A teacher's targets from disk against asking the teacher, hashing and probing included."""

import tempfile
from pathlib import Path
from typing import Any

import torch

from benchmarks.measure import summarise, time_alternating
from limbeck import models
from limbeck.engine import TargetCache, predict_cached

NUM_SAMPLES = 2048


def measure() -> dict[str, Any]:
    """Time the logits of a ResNet-32 on images of CIFAR's size."""
    torch.set_num_threads(2)
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randint(0, 256, (NUM_SAMPLES, 3, 32, 32), dtype=torch.uint8, generator=generator)
    teacher = models.adapt(
        models.build("resnet32", input_shape=(3, 32, 32), num_classes=10, seed=0), normalize="cifar10"
    )
    with tempfile.TemporaryDirectory() as folder:
        cache = TargetCache(Path(folder))
        seconds = time_alternating(
            {
                "asking the teacher": lambda: predict_cached(teacher, inputs, None),
                "from disk": lambda: predict_cached(teacher, inputs, cache),
            }
        )
    question = f"The logits of ResNet-32 on {NUM_SAMPLES} images of 32 x 32, two threads"
    return summarise("target_cache", question, seconds, baseline="asking the teacher")
