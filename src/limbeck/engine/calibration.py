"""How a model is run on a device, picked by a short measurement and then remembered.

bfloat16 has the exponents of float32 and 8 bits of fraction; many CPUs and all recent GPUs multiply it
faster. Convolutions like their channels side by side in memory on some machines; a small model is done sooner
by one thread than by sixty. None of this holds for every model: what counts is this model on this machine.
"""

import copy
import json
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from limbeck.core.device import count_cores, describe_device
from limbeck.core.errors import RunError, require_known
from limbeck.core.files import cache_root, write_text
from limbeck.core.fingerprint import hash_config
from limbeck.engine.blind_weights import has_blind_weights
from limbeck.engine.layout import (
    MEMORY_FORMATS,
    ORDERS,
    PRECISIONS,
    Layout,
    MemoryFormat,
    Precision,
    arrange,
    autocast,
    check_compile,
    check_threads,
    synchronize,
    use_threads,
)
from limbeck.models import count_parameters

Batch = Tensor | dict[str, Tensor]

FILE = "calibration.json"
AUTO = "auto"
# Two comparisons, of arithmetic and of threads, so that a model that is quick is measured in 2 seconds.
MAX_REPETITIONS, LIMIT_SECONDS = 20, 0.8
# A gain that may be noise is not worth a choice that differs from the plain one.
LEAST_GAIN = 1.1


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """What a user asks for; the rest is measured.

    Attributes:
        precision: A precision, or `auto`.
        memory_format: A memory format, or `auto`.
        threads: Threads of the CPU, None to find out.
        compile: Whether to compile, or `auto` to find out, which takes half a minute or more.

    Raises:
        InputError: When a value is unknown or out of range.
    """

    precision: Literal["auto"] | Precision = AUTO
    memory_format: Literal["auto"] | MemoryFormat = AUTO
    threads: int | None = None
    compile: bool | Literal["auto"] = False

    def __post_init__(self) -> None:
        require_known("precision", self.precision, (AUTO, *PRECISIONS))
        require_known("memory format", self.memory_format, (AUTO, *MEMORY_FORMATS))
        check_threads(self.threads)
        check_compile(self.compile, (False, True, AUTO))


@dataclass(frozen=True, kw_only=True)
class Calibrated:
    """A choice and what it rests on.

    Attributes:
        title: The model and its batch in words.
        machine: The machine, its device and PyTorch's version in words.
        layout: What was chosen.
        milliseconds: Of a forward and backward pass by layout in words, the best of the repetitions.
    """

    title: str
    machine: str
    layout: Layout
    milliseconds: dict[str, float]


def calibrate(
    model: nn.Module,
    batch: Batch,
    *,
    wishes: Wishes = Wishes(),
    name: str | None = None,
    file: Path | None = None,
) -> Layout:
    """How to train this model on such batches here, measured once and then remembered.

    Law: what is asked for is never changed, and the same call on the same machine gives the same layout.

    Args:
        model: Stays as it is; a copy is measured.
        batch: As in training, on the model's device.
        wishes: What is not to be measured.
        name: What to call the model; None for its class.
        file: Where choices are remembered; None for ``calibration.json`` in the user's cache folder.
    """
    device = _tensors_of(batch)[0].device
    plain = _start_from(wishes, device)
    is_open = any(list_fn(plain, wishes, model) for list_fn in COMPARISONS)
    if not is_open or not any(parameter.requires_grad for parameter in model.parameters()):
        return replace(plain, compile=wishes.compile is True)
    path = _default_file() if file is None else file
    key = _identify(model, batch, wishes, device)
    known = read_choices(path)
    if key not in known:
        measured = measure_layouts(model, batch, wishes=wishes, name=name)
        known = {key: measured, **read_choices(path)}  # what others remembered meanwhile stays
        _remember(known, path)
    return known[key].layout


def measure_layouts(
    model: nn.Module, batch: Batch, *, wishes: Wishes = Wishes(), name: str | None = None
) -> Calibrated:
    """How to train this model on such batches here, measured now.

    Precision and memory format are compared first, then the number of threads, then, where that is left open,
    whether to compile; each comparison takes about a second, longer where a single pass does. A copy that
    cannot be run in some way, such as a module that needs its channels in order, is not run that way; one
    whose gradients would be wrong in bfloat16 (see `blind_weights`) is run in float32.

    Args:
        model: Stays as it is; copies are measured.
        batch: As in training, on the model's device.
        wishes: What is not to be measured.
        name: What to call the model; None for its class.
    """
    device = _tensors_of(batch)[0].device
    if wishes.precision == AUTO and device.type == "cpu" and has_blind_weights(model, batch):
        wishes = replace(wishes, precision="float32")
    chosen = _start_from(wishes, device)
    times: dict[Layout, float] = {}
    for list_fn in COMPARISONS:
        candidates = list_fn(chosen, wishes, model)
        if candidates:
            measured = _time_layouts(model, batch, [chosen, *candidates])
            times |= {layout: min(taken, times.get(layout, taken)) for layout, taken in measured.items()}
            chosen = choose_layout(measured, plain=chosen)
    shapes = dict.fromkeys("x".join(map(str, tensor.shape)) for tensor in _tensors_of(batch))
    named = f"{name or type(model).__name__}, {count_parameters(model):,} weights"
    return Calibrated(
        title=f"{named}, batch {' '.join(shapes)}",
        machine=_describe_machine(device),
        layout=replace(chosen, compile=True) if wishes.compile is True else chosen,
        milliseconds={str(layout): round(1000 * seconds, 3) for layout, seconds in times.items()},
    )


def choose_layout(times: Mapping[Layout, float], *, plain: Layout) -> Layout:
    """The fastest layout, where every difference from the plain one makes it `LEAST_GAIN` times as fast.

    Args:
        times: Seconds by layout, that of the plain one among them.
        plain: What is chosen otherwise.
    """
    return min([plain, *times], key=lambda layout: times[layout] * LEAST_GAIN ** _differ(layout, plain))


def list_calibrated(file: Path | None = None) -> list[Calibrated]:
    """The choices remembered for this machine, its devices and this version of PyTorch.

    Args:
        file: Where choices are remembered; None for ``calibration.json`` in the user's cache folder.
    """
    devices = [torch.device("cpu"), *([torch.device("cuda")] if torch.cuda.is_available() else [])]
    here = {_describe_machine(device) for device in devices}
    choices = read_choices(_default_file() if file is None else file).values()
    return [choice for choice in choices if choice.machine in here]


def read_choices(path: Path) -> dict[str, Calibrated]:
    """The remembered choices by key; none when the file is missing or damaged."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return {key: _parse(choice) for key, choice in content.items()}
    except (OSError, ValueError, TypeError, AttributeError, KeyError):
        return {}


def _parse(choice: dict[str, Any]) -> Calibrated:
    return Calibrated(
        title=str(choice["title"]),
        machine=str(choice["machine"]),
        layout=Layout(**choice["layout"]),
        milliseconds={name: float(value) for name, value in choice["milliseconds"].items()},
    )


def _remember(choices: dict[str, Calibrated], path: Path) -> None:
    content = {key: asdict(choice) for key, choice in choices.items()}
    try:
        write_text(path, json.dumps(content, indent=2) + "\n")
    except RunError:
        return  # a disk that is full or read-only costs a measurement the next time


def _default_file() -> Path:
    return cache_root() / FILE


def _identify(model: nn.Module, batch: Batch, wishes: Wishes, device: torch.device) -> str:
    return hash_config(
        {
            "machine": _describe_machine(device),
            "structure": str(model),
            "num_trained": sum(parameter.requires_grad for parameter in model.parameters()),
            "formats": _list_formats(model),
            "batch": [[str(tensor.dtype), *tensor.shape] for tensor in _tensors_of(batch)],
            "wishes": asdict(wishes),
        }
    )


def _describe_machine(device: torch.device) -> str:
    return f"{platform.node()}, {describe_device(device)}, torch {torch.__version__}"


def _start_from(wishes: Wishes, device: torch.device) -> Layout:
    """What is asked for, and plain where nothing is; not compiled, which takes long, before the end."""
    all_threads = count_cores() if device.type == "cpu" else None
    return Layout(
        precision="float32" if wishes.precision == AUTO else wishes.precision,
        memory_format="as-is" if wishes.memory_format == AUTO else wishes.memory_format,
        threads=all_threads if wishes.threads is None else wishes.threads,
    )


def _list_arithmetics(start: Layout, wishes: Wishes, model: nn.Module) -> list[Layout]:
    precisions = PRECISIONS if wishes.precision == AUTO else (start.precision,)
    others = _list_formats(model) if wishes.memory_format == AUTO else []
    layouts = [
        replace(start, precision=precision, memory_format=memory_format)
        for precision in precisions
        for memory_format in (start.memory_format, *others)
    ]
    return [layout for layout in layouts if layout != start]


def _list_formats(model: nn.Module) -> list[MemoryFormat]:
    """The formats in which the four-dimensional weights do not lie as they are."""
    weights = [weight for weight in model.parameters() if weight.ndim == 4]
    return [
        memory_format
        for memory_format, order in ORDERS.items()
        if not all(weight.is_contiguous(memory_format=order) for weight in weights)
    ]


def _list_threads(start: Layout, wishes: Wishes, _model: nn.Module) -> list[Layout]:
    """Powers of two below the number of cores; nothing on another device, or where the user said."""
    if wishes.threads is not None or start.threads is None:
        return []
    counts = [2**power for power in range(start.threads.bit_length()) if 2**power < start.threads]
    return [replace(start, threads=threads) for threads in counts]


def _list_compiled(start: Layout, wishes: Wishes, _model: nn.Module) -> list[Layout]:
    return [replace(start, compile=True)] if wishes.compile == AUTO else []


COMPARISONS = (_list_arithmetics, _list_threads, _list_compiled)


def _time_layouts(model: nn.Module, batch: Batch, layouts: Sequence[Layout]) -> dict[Layout, float]:
    """Seconds of a forward and a backward pass by layout, the best of repetitions in turn.

    The first layout must run; one of the others that does not is left out.
    """
    formats: set[MemoryFormat] = {layout.memory_format for layout in layouts}
    copies = {memory_format: _copy_arranged(model, memory_format) for memory_format in formats}
    first, *others = [_make_step(copies[layout.memory_format], batch, layout) for layout in layouts]
    first()  # loads kernels, and compiles
    step_fns = {layouts[0]: first}
    step_fns |= {layout: fn for layout, fn in zip(layouts[1:], others, strict=True) if _does_run(fn)}
    best = dict.fromkeys(step_fns, float("inf"))
    started = time.perf_counter()
    for _ in range(MAX_REPETITIONS):
        for layout, step_fn in step_fns.items():
            best[layout] = min(best[layout], step_fn())
        if time.perf_counter() - started > LIMIT_SECONDS:
            break
    return best


def _copy_arranged(model: nn.Module, memory_format: MemoryFormat) -> nn.Module:
    copied = copy.deepcopy(model).train()
    arrange(copied, memory_format)
    return copied


def _does_run(step_fn: Callable[[], float]) -> bool:
    try:
        step_fn()
    except RuntimeError:
        return False
    return True


def _make_step(trained: nn.Module, batch: Batch, layout: Layout) -> Callable[[], float]:
    """A function that does a forward and a backward pass and returns their seconds."""
    device = _tensors_of(batch)[0].device
    forward_fn = torch.compile(trained) if layout.compile else trained

    def step() -> float:
        trained.zero_grad(set_to_none=True)
        with (
            use_threads(layout.threads, device),
            torch.random.fork_rng(devices=[device] if device.type == "cuda" else []),
        ):
            torch.ones(2**16).add_(1)  # starts the threads, which a change of their number ends
            synchronize(device)
            started = time.perf_counter()
            with autocast(layout.precision, device):
                logits = forward_fn(batch)
            logits.float().square().mean().backward()
            synchronize(device)
            return time.perf_counter() - started

    return step


def _tensors_of(batch: Batch) -> list[Tensor]:
    return list(batch.values()) if isinstance(batch, dict) else [batch]


def _differ(layout: Layout, other: Layout) -> int:
    """In how many fields two layouts differ."""
    own, others = asdict(layout), asdict(other)
    return sum(own[name] != others[name] for name in own)
