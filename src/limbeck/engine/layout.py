"""How a model is run on a device: precision, memory format, threads, compiled or not."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import nn

from limbeck.core.errors import require, require_known

Precision = Literal["float32", "bfloat16"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
MemoryFormat = Literal["as-is", "contiguous", "channels-last"]
MEMORY_FORMATS: tuple[MemoryFormat, ...] = get_args(MemoryFormat)
ORDERS: dict[MemoryFormat, torch.memory_format] = {
    "contiguous": torch.contiguous_format,
    "channels-last": torch.channels_last,
}


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How a model is run on a device.

    Attributes:
        precision: Of forward passes in training.
        memory_format: How four-dimensional weights lie in memory.
        threads: Threads of the CPU, None for as many as PyTorch has.
        compile: Whether `torch.compile` compiles the forward pass.

    Raises:
        InputError: When a value is unknown or out of range.
    """

    precision: Precision = "float32"
    memory_format: MemoryFormat = "as-is"
    threads: int | None = None
    compile: bool = False

    def __post_init__(self) -> None:
        require_known("precision", self.precision, PRECISIONS)
        require_known("memory format", self.memory_format, MEMORY_FORMATS)
        check_threads(self.threads)
        check_compile(self.compile, (False, True))

    def __str__(self) -> str:
        """Such as ``bfloat16, channels-last, 2 threads``."""
        return ", ".join(
            [
                self.precision,
                *([] if self.memory_format == "as-is" else [self.memory_format]),
                *([] if self.threads is None else [f"{self.threads} thread{'s' * (self.threads > 1)}"]),
                *(["compiled"] if self.compile else []),
            ]
        )


def autocast(precision: Precision, device: torch.device) -> AbstractContextManager[object]:
    """A context in which forward passes have this precision."""
    if precision == "float32" and not torch.is_autocast_enabled(device.type):
        return nullcontext()  # entering none takes no time
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bfloat16")


def synchronize(device: torch.device) -> None:
    """Wait until a device has done what it was asked."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def arrange(model: nn.Module, memory_format: MemoryFormat) -> None:
    """Lay out a model's four-dimensional weights in memory, in place."""
    if memory_format == "as-is":
        return
    for tensor in (*model.parameters(), *model.buffers()):
        if tensor.ndim == 4:
            tensor.data = tensor.data.contiguous(memory_format=ORDERS[memory_format])


@contextmanager
def use_threads(threads: int | None, device: torch.device) -> Iterator[None]:
    """So many threads of the CPU within, as many as before afterwards."""
    if threads is None or device.type != "cpu":
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def check_threads(threads: int | None) -> None:
    """Raise `InputError` unless it is None or a number of threads."""
    require(
        threads is None or (type(threads) is int and threads >= 1),
        "threads >= 1",
        f"threads={threads}",
        "Leave it out for as many as are faster.",
    )


def check_compile(value: object, known: Sequence[bool | str]) -> None:
    """Raise `InputError` unless it is one of the known values; 1 is not True."""
    require(
        any(value is choice or (isinstance(value, str) and value == choice) for choice in known),
        f"compile is {' or '.join(map(str, known))}",
        f"compile={value!r}",
        "False is usual.",
    )
