"""What commands print: people read stderr, programs read one JSON object on stdout."""

import contextlib
import functools
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from pathlib import Path
from typing import Any, TextIO

from rich.console import Console

from limbeck.core.errors import RunError

_answer_stream: ContextVar[TextIO | None] = ContextVar("answer_stream", default=None)


def make_console() -> Console:
    """A console on stderr."""
    return Console(stderr=True, highlight=False)


def print_paths(console: Console, paths: Mapping[str, Path | str]) -> None:
    """Print each path on a line of its own, whole and with nothing behind it, so that it can be clicked."""
    for name, path in paths.items():
        console.print(f"{name}: {path}", markup=False, soft_wrap=True)


def print_json(content: Mapping[str, Any]) -> None:
    """Print one object on stdout."""
    print_answer(json.dumps(content, indent=2) + "\n")


def print_answer(text: str) -> None:
    """Print what a program asked for on stdout, also where that is reserved."""
    (_answer_stream.get() or sys.stdout).write(text)


def reserve_stdout(command: Callable[..., int]) -> Callable[..., int]:
    """The command; with `as_json` all else that is written to stdout while it runs goes to stderr.

    Users' own files and libraries print, and a program could not read the object among their lines.
    """

    @functools.wraps(command)
    def run(*arguments: Any, **options: Any) -> int:
        if not options.get("as_json"):
            return command(*arguments, **options)
        token = _answer_stream.set(sys.stdout)
        try:
            with contextlib.redirect_stdout(sys.stderr):
                return command(*arguments, **options)
        finally:
            _answer_stream.reset(token)

    return run


@contextlib.contextmanager
def explain_interrupt(path: Path) -> Iterator[None]:
    """Where the block, which writes to `path`, is interrupted, say that something may lie there.

    Raises:
        RunError: Instead of `KeyboardInterrupt`.
    """
    try:
        yield
    except KeyboardInterrupt as error:
        raise RunError(
            f"Interrupted while `{path}` was written, so it may be incomplete. Run the same command again."
        ) from error
