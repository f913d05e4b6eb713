"""A transfer by the engine against the textbook loop of the tests, which evaluates the teacher in every step.

Both give the same student; `tests/engine/test_training.py` holds them together.
"""

import copy
from typing import Any

import torch
from tests.engine.plain_loop import plain_transfer

from benchmarks.measure import summarise, time_alternating
from limbeck import data, models
from limbeck.engine import Case, Training, apply_technique
from limbeck.techniques import Settings, get_technique

NUM_SAMPLES = 1400
NUM_SETTINGS = 4


def measure() -> dict[str, Any]:
    """Time four settings of KD, small CNN to small CNN, on digits in the size of Fashion-MNIST."""
    torch.set_num_threads(1)
    digits = data.load("digits")
    small = data.normalize(digits.train.inputs, data.measure_normalization(digits.train))[:NUM_SAMPLES]
    inputs = torch.nn.functional.interpolate(small, size=28).contiguous(memory_format=torch.channels_last)
    labels = digits.train.labels[:NUM_SAMPLES]
    student, teacher = (
        models.build("cnn", input_shape=(1, 28, 28), num_classes=10, seed=seed) for seed in (0, 1)
    )
    training = Training(epochs=2, lr=0.02)
    settings = [Settings(temperature=4, weight=weight / 10) for weight in range(1, NUM_SETTINGS + 1)]

    def by_engine() -> None:
        case = Case(student=student, teachers=[teacher], inputs=inputs, labels=labels)
        for point in settings:
            apply_technique(case, technique=get_technique("kd"), settings=point, training=training, seed=0)

    def by_textbook() -> None:
        for point in settings:
            plain_transfer(
                copy.deepcopy(student),
                teacher,
                inputs,
                labels,
                temperature=point.temperature,
                weight=point.weight,
                training=training,
                seed=0,
            )

    seconds = time_alternating({"textbook loop": by_textbook, "limbeck": by_engine})
    question = f"{NUM_SETTINGS} transfers of 2 epochs over {NUM_SAMPLES} images of 28 x 28, one thread"
    return summarise("transfer", question, seconds, baseline="textbook loop")
