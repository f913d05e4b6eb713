"""Damaged files: any failure to read one becomes an `InputError` that names the file."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from limbeck.core.errors import InputError


@contextmanager
def explain_damage(path: Path, kind: str, *errors: type[BaseException]) -> Iterator[None]:
    """Turn `errors` inside the block into one `InputError` about `path`.

    Args:
        path: The file or folder that is read.
        kind: What it should be, such as ``an .npz file``.
        errors: What its reader raises for a damaged file; `OSError` is always among them.
    """
    try:
        yield
    except InputError:
        raise
    except (OSError, *errors) as error:
        raise damaged(path, kind, describe_error(error)) from error


def damaged(path: Path, kind: str, reason: str) -> InputError:
    """The error that says what `path` should be and why it is not."""
    return InputError(f"`{path}` must be {kind}, but {reason}. Copy or download the file again.")


def describe_error(error: BaseException) -> str:
    """The first line of an error's message without its full stop, or its type where it has none."""
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".: ") if lines else type(error).__name__
