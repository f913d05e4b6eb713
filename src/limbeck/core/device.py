"""Where the arithmetic happens: the device, and how many threads may serve it."""

import os

import torch

from limbeck.core.errors import require
from limbeck.core.memory import available_memory


def pick_device(name: str = "auto") -> torch.device:
    """The device called `name`; `auto` is the first CUDA device where there is one, else the CPU.

    Raises:
        InputError: When the named device does not exist here.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    exists = device is not None and (
        device.type == "cpu" or (device.type == "cuda" and torch.cuda.is_available())
    )
    require(
        exists,
        "the device exists on this machine",
        f"device={name}",
        "Use `auto`, `cpu` or `cuda`; `limbeck doctor` lists what is here.",
    )
    assert device is not None
    return device


def count_cores() -> int:
    """How many processor cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def count_free_bytes(device: torch.device) -> int:
    """Memory of a device that this process may still take, in bytes."""
    if device.type == "cuda":
        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + kept  # what PyTorch holds back is free for it
    return available_memory()


def describe_device(device: torch.device) -> str:
    """The device in words, such as ``cpu (2 cores)`` or ``cuda (NVIDIA H100)``."""
    if device.type == "cuda":
        return f"cuda ({torch.cuda.get_device_name(device)})"
    return f"cpu ({count_cores()} cores)"
