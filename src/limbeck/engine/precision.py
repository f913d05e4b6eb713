"""The precision of forward passes in training: float32, or bfloat16 where that is measured to be faster.

bfloat16 has the exponents of float32 and 8 bits of fraction. Many CPUs and all recent GPUs multiply it
faster, but not every model gains: what counts is a measurement of this model on this machine.
"""

import copy
import json
import platform
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from limbeck.core.device import describe_device
from limbeck.core.errors import RunError
from limbeck.core.files import cache_root, write_text
from limbeck.core.fingerprint import hash_config

Precision = Literal["float32", "bfloat16"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
REPETITIONS = 3
# bfloat16 costs a little accuracy, so a gain that may be noise is not worth it.
LEAST_GAIN = 1.1


def autocast(precision: Precision, device: torch.device) -> torch.autocast:
    """A context in which forward passes have this precision."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bfloat16")


def pick_precision(
    model: nn.Module, batch: Tensor | dict[str, Tensor], *, file: Path | None = None
) -> Precision:
    """The faster precision for training this model on such batches here, measured once and then remembered.

    Args:
        model: Stays as it is; a copy is measured.
        batch: As in training, on the model's device.
        file: Where choices are remembered; None for ``precision.json`` in the user's cache folder.
    """
    path = cache_root() / "precision.json" if file is None else file
    tensors = batch if isinstance(batch, dict) else {"inputs": batch}
    device = next(iter(tensors.values())).device
    key = hash_config(
        {
            "machine": [platform.node(), platform.processor(), describe_device(device)],
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
            "structure": str(model),
            "shapes": {name: [str(value.dtype), *value.shape] for name, value in tensors.items()},
        }
    )
    choices = read_choices(path)
    if key not in choices:
        choices[key] = _measure(model, batch, device)
        _remember(choices, path)
    return choices[key]


def read_choices(path: Path) -> dict[str, Precision]:
    """The remembered choices by key; none when the file is missing or damaged."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    known = content if isinstance(content, dict) else {}
    return {key: choice for key, choice in known.items() if choice in PRECISIONS}


def _remember(choices: dict[str, Precision], path: Path) -> None:
    try:
        write_text(path, json.dumps(choices, indent=2) + "\n")
    except RunError:
        return  # a disk that is full or read-only costs a measurement the next time


def _measure(model: nn.Module, batch: Tensor | dict[str, Tensor], device: torch.device) -> Precision:
    trained = copy.deepcopy(model).train()
    seconds: dict[Precision, list[float]] = {precision: [] for precision in PRECISIONS}
    for repetition in range(REPETITIONS + 1):
        for precision in PRECISIONS:
            took = _time_step(trained, batch, precision, device)
            if repetition:  # the first one loads and compiles
                seconds[precision].append(took)
    return _choose(seconds["float32"], seconds["bfloat16"])


def _choose(float32_seconds: Sequence[float], bfloat16_seconds: Sequence[float]) -> Precision:
    """bfloat16 when its best time is clearly below float32's."""
    return "bfloat16" if min(float32_seconds) > LEAST_GAIN * min(bfloat16_seconds) else "float32"


def _time_step(
    model: nn.Module, batch: Tensor | dict[str, Tensor], precision: Precision, device: torch.device
) -> float:
    """Seconds of a forward and a backward pass."""
    _synchronize(device)
    started = time.perf_counter()
    with autocast(precision, device):
        logits = model(batch)
    logits.float().square().mean().backward()
    _synchronize(device)
    model.zero_grad(set_to_none=True)
    return time.perf_counter() - started


def _synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
