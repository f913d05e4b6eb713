"""Architectures in a user's own Python file: `path/to/file.py:function`, run because the user names it."""

import contextlib
import functools
import hashlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from limbeck.core.errors import InputError, describe_error, name_type, require, require_known


def build_from_file(path: Path, function: str, *, arguments: Mapping[str, Any]) -> nn.Module:
    """What a function (or class) of a Python file returns when called with those of `arguments` it accepts.

    Args:
        path: The file; its folder is importable while it runs, as for a script.
        function: A name in it.
        arguments: What is known, such as `num_classes`.

    Raises:
        InputError: When the file cannot be run, has no such function, or the function fails or returns no
            module.
    """
    make = find_function(path, function)
    accepted = {name: value for name, value in arguments.items() if accepts(make, name)}
    with _explained(
        f"`{function}` of `{path}` must build a model from {', '.join(accepted) or 'no arguments'}"
    ):
        module = make(**accepted)
    require(
        isinstance(module, nn.Module),
        f"{function} returns a torch.nn.Module",
        f"{name_type(module)} from `{path}`",
        "Return the model itself.",
    )
    return module


def find_function(path: Path, function: str) -> Callable[..., Any]:
    """The callable called `function` in a Python file, which is run to find it.

    Raises:
        InputError: When the file is missing or fails, or has no such callable.
    """
    require(path.is_file(), "the architecture's file exists", f"`{path}`", "Check the path.")
    changed = path.stat()
    content = _run_file(path, changed.st_mtime_ns, changed.st_size)
    own = [name for name, value in vars(content).items() if callable(value) and not name.startswith("_")]
    require_known(f"function of `{path}`", function, own)
    return getattr(content, function)


def accepts(make: Callable[..., Any], name: str) -> bool:
    """Whether a callable takes an argument called `name`."""
    parameters = inspect.signature(make).parameters
    return name in parameters or any(p.kind is p.VAR_KEYWORD for p in parameters.values())


@functools.cache
def _run_file(path: Path, mtime_ns: int, num_bytes: int) -> ModuleType:  # noqa: ARG001 - a changed file runs again
    name = f"limbeck_file_{hashlib.blake2b(str(path.resolve()).encode(), digest_size=8).hexdigest()}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    content = importlib.util.module_from_spec(spec)
    sys.modules[name] = content  # dataclasses look their own module up
    with _explained(f"`{path}` must run as Python"), _importable(path.resolve().parent):
        spec.loader.exec_module(content)
    return content


@contextlib.contextmanager
def _importable(folder: Path) -> Iterator[None]:
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        with contextlib.suppress(ValueError):
            sys.path.remove(str(folder))


@contextlib.contextmanager
def _explained(rule: str) -> Iterator[None]:
    """Turn whatever a user's code raises into one sentence that says where."""
    try:
        yield
    except Exception as error:
        raise InputError(
            f"{rule}, but it raises {type(error).__name__}: {describe_error(error)}. Mend the file, or build "
            "the model in Python and pass it to `adapt`."
        ) from error
