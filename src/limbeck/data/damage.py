"""Damaged files: any failure to read one becomes an `InputError` that names the file."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from limbeck.core.errors import InputError, describe_error


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
