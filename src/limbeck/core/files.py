"""Files that are either whole or absent: written under a temporary name, then renamed."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from limbeck.core.errors import RunError


def cache_root() -> Path:
    """Where limbeck keeps what it can make again: ``$XDG_CACHE_HOME/limbeck``, else ``~/.cache/limbeck``."""
    configured = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (configured if configured.is_absolute() else Path.home() / ".cache") / "limbeck"


@contextmanager
def write_atomically(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that takes its name when the block ends without an error.

    Args:
        path: The file to write; its folder is made when missing.

    Yields:
        The temporary path to write to.

    Raises:
        RunError: When the disk is full, read-only or refuses the file.
    """
    with explain_disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
        os.close(handle)
        temporary = Path(name)
        try:
            yield temporary
            temporary.chmod(0o644)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all."""
    with write_atomically(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


@contextmanager
def explain_disk_errors(path: Path) -> Iterator[None]:
    """Turn an operating system's refusal to write into one `RunError` that names the path and the remedy."""
    try:
        yield
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise RunError(
            f"`{path}` must be writable, but the system says: {reason}. "
            "Free space there or choose another folder; finished runs are kept."
        ) from error
