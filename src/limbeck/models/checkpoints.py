"""Weights from files that others wrote: PyTorch checkpoints and safetensors, with their wrappers taken off.

Nothing here can run code from a file: PyTorch files go through the reader that knows tensors and plain
containers only (`weights_only=True`), whatever they are called.
"""

import argparse
import contextlib
import errno
import logging
import pickle
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from limbeck.core.errors import InputError, count, describe_error, name_type, require, require_known

Value = TypeVar("Value")
logger = logging.getLogger("limbeck")

# The names under which training scripts file the weights. The first one present is taken, so plain weights go
# before their moving average (which `part` asks for), and the longer, unmistakable names before short ones.
WRAPPERS = ("state_dict", "model_state_dict", "model", "net", "module")
AVERAGES = ("model_ema", "state_dict_ema", "ema_state_dict", "ema")
# Left in front of every name by DataParallel, by modules that hold the network as `model`, and by
# torch.compile.
PREFIXES = ("module.", "model.", "_orig_mod.")
# Counters that wrappers add beside the weights, such as the one of torch.optim.swa_utils.AveragedModel.
COUNTERS = ("n_averaged",)
# Harmless records that are common in checkpoints: timm and torchvision keep their command line in one.
KNOWN_RECORDS: list[Any] = [argparse.Namespace]
REMEDY = "Save the weights alone with torch.save(model.state_dict(), PATH), or as safetensors."

FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
ZIP = b"PK\x03\x04"
PICKLE = b"\x80"
# What the readers of torch and safetensors say of a file that is cut off.
ENDS_EARLY = ("central directory", "unexpected EOF", "incomplete", "Incomplete")
LFS_POINTER = b"version https://git-lfs"


def read_state(path: str | Path, *, part: str | None = None) -> dict[str, Tensor]:
    """The weights in a .safetensors file or a PyTorch checkpoint (.pt, .pth, .th, .bin, .ckpt, ...) by name.

    The content decides how a file is read, not its name. Nested dicts are opened at the first of `WRAPPERS`,
    then of `AVERAGES`; where there was a choice, the log says which was taken. Prefixes that every name has
    are removed.

    Args:
        path: The file.
        part: Which of several sets of weights to take, such as `model_ema`; None for the first.

    Returns:
        Tensors on the CPU. Reading the file again gives the same.

    Raises:
        InputError: When the file is missing, damaged, holds anything but weights, or a weight is NaN or
            infinite.
    """
    path = Path(path)
    state = strip_prefixes(unwrap(read_content(path), source=path, part=part))
    check_finite(state, source=path)
    return state


def read_content(path: Path) -> Any:
    """What a file holds, read by its content: a dict of tensors for safetensors, anything plain for PyTorch.

    Raises:
        InputError: When the file is missing, damaged, of a foreign kind or holds more than plain data.
    """
    start = _read_start(path)
    require(
        not start.startswith(LFS_POINTER),
        "the file holds the weights themselves",
        f"`{path}`, a pointer to a file in Git LFS",
        "Fetch it with `git lfs pull`.",
    )
    if start[8:9] == b"{":  # after eight bytes of any value, among them those that open other files
        return _read_safetensors(path)
    require(
        start.startswith((ZIP, PICKLE)),
        "the file is a PyTorch checkpoint or safetensors",
        f"`{path}`, which is neither or is cut off",
        "Check the path, or copy the file again.",
    )
    return _read_pytorch(path)


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    """All tensors, with those that safetensors' `save_model` wrote once for two names."""
    try:
        with safe_open(path, framework="pt") as file:
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
            same = file.metadata() or {}
    except (OSError, SafetensorError) as error:
        raise _damaged(path, error) from error
    return state | {name: state[kept] for name, kept in same.items() if kept in state and name not in state}


def _read_start(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(32)
    except OSError as error:
        raise InputError(
            f"`{path}` must be a file of weights, but it cannot be opened ({describe_error(error)}). "
            "Check the path."
        ) from error


def _read_pytorch(path: Path) -> Any:
    try:
        # An open file, because torch takes a path that ends in .safetensors for what it is called.
        with torch.serialization.safe_globals(KNOWN_RECORDS), path.open("rb") as file, _without_warnings():
            return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise InputError(
            f"`{path}` must hold weights and plain values only, but it holds {_name_object(error)}, and "
            "reading that "
            f"could run code. {REMEDY}"
        ) from error
    except RuntimeError as error:
        if "TorchScript" in str(error):
            raise InputError(
                f"`{path}` must hold weights, but it is a TorchScript program. {REMEDY}"
            ) from error
        raise _damaged(path, error) from error
    except Exception as error:  # a damaged pickle stream fails in any of its operations
        raise _damaged(path, error) from error


@contextlib.contextmanager
def _without_warnings() -> Iterator[None]:
    """Without torch's words about foreign files, which are refused in ours."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _name_object(error: pickle.UnpicklingError) -> str:
    """What the reader refused, such as ``a `torchvision.models.resnet.ResNet` object``."""
    words = str(error).replace("GLOBAL ", "").split("Unsupported global: ")
    if len(words) < 2:
        return "something else, or it is damaged"
    return f"a `{words[1].split()[0]}` object"


def _damaged(path: Path, error: Exception) -> InputError:
    if _ends_early(error):
        return InputError(
            f"`{path}` must be a whole file of weights, but it ends early. Copy or download it again."
        )
    return InputError(
        f"`{path}` must be a whole file of weights, but it cannot be read ({describe_error(error)}). "
        "It may be cut off; copy or download it again."
    )


def _ends_early(error: Exception) -> bool:
    """Whether an error of a reader means that bytes are missing; torch seeks for them before the file."""
    if isinstance(error, EOFError) or (isinstance(error, OSError) and error.errno == errno.EINVAL):
        return True
    return any(words in str(error) for words in ENDS_EARLY)


def unwrap(content: Any, *, source: object, part: str | None = None) -> dict[str, Tensor]:
    """The dict of tensors inside nested dicts, opened in the order of `WRAPPERS` and `AVERAGES`.

    Args:
        content: What the file holds.
        source: What to call it in messages.
        part: Which name to open first.

    Raises:
        InputError: When there is no dict of tensors, or no `part`.
    """
    if part is not None:
        require_known(f"part of `{source}`", part, content if isinstance(content, Mapping) else ())
        content = content[part]
    state = _drop_counters(content)
    while state and not _is_state(state):
        names = [name for name in (*WRAPPERS, *AVERAGES) if isinstance(state.get(name), Mapping)]
        if not names:
            break
        if len(names) > 1:
            logger.warning(
                "`%s` holds %s; taking `%s`.", source, " and ".join(f"`{n}`" for n in names), names[0]
            )
        state = _drop_counters(state[names[0]])
    if not _is_state(state):
        raise InputError(
            f"`{source}` must hold a dict from names to tensors, but it holds {_describe(content)}. {REMEDY}"
        )
    return dict(state)


def _is_state(content: Mapping[str, Any]) -> bool:
    return len(content) > 0 and all(isinstance(value, Tensor) for value in content.values())


def _drop_counters(content: Any) -> Mapping[str, Any]:
    """`content` without counters and with text for names; nothing where it is no dict."""
    if not isinstance(content, Mapping):
        return {}
    return {str(name): value for name, value in content.items() if name not in COUNTERS}


def _describe(content: Any) -> str:
    if not isinstance(content, Mapping):
        return name_type(content)
    names = ", ".join(f"`{name}`" for name in list(content)[:5])
    return f"a dict with {len(content)} entries ({names or 'none'})"


def strip_prefixes(state: Mapping[str, Value]) -> dict[str, Value]:
    """`state` without the `PREFIXES` that every name has, taken off as often as they are there."""
    stripped = dict(state)
    while prefix := _find_prefix(stripped):
        stripped = {name.removeprefix(prefix): tensor for name, tensor in stripped.items()}
    return stripped


def _find_prefix(state: Mapping[str, Any]) -> str | None:
    shared = (prefix for prefix in PREFIXES if state and all(name.startswith(prefix) for name in state))
    return next(shared, None)


def check_finite(state: Mapping[str, Tensor], *, source: object) -> None:
    """Raise `InputError` where a weight is NaN or infinite."""
    checked = {name: tensor for name, tensor in state.items() if tensor.dtype in FLOATS}
    broken = [name for name, tensor in checked.items() if not bool(torch.isfinite(tensor).all())]
    example = broken[0] if broken else ""
    require(
        not broken,
        "weights are finite",
        f"NaN or infinity in {count(len(broken), 'tensor')} of `{source}`, such as `{example}`",
        "Take an earlier checkpoint, from before the training diverged.",
    )
