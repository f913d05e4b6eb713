"""What a run's folder knows beside the checkpoint: its key, how often its server was started, its sites."""

import contextlib
import json
import os
import secrets
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from limbeck.core.errors import InputError, RunError
from limbeck.core.files import explain_disk_errors, write_text

RUN_FILE, LOCK_FILE = "flower.json", "flower.lock"
LOCK_SECONDS = 120.0
POLL_SECONDS = 0.2


@dataclass(frozen=True, kw_only=True)
class RunFile:
    """The identity of a run on Flower, as its folder keeps it.

    Attributes:
        folder: The run's.
        key: Drawn when the run began; clients keep what they remember of a run under it.
        session: How often the run's server has been started.
        places: Name of the site of each client; empty before they were there.
    """

    folder: Path
    key: str
    session: int
    places: tuple[str, ...] = ()

    def with_places(self, places: Sequence[str]) -> "RunFile":
        """The same with these sites, written down.

        Raises:
            RunError: When the disk refuses it.
        """
        changed = replace(self, places=tuple(places))
        changed.write()
        return changed

    def write(self) -> None:
        """Write it down.

        Raises:
            RunError: When the disk refuses it.
        """
        content = {name: value for name, value in asdict(self).items() if name != "folder"}
        write_text(self.folder / RUN_FILE, json.dumps(content, indent=2) + "\n")


def begin_session(folder: Path) -> RunFile:
    """The run in a folder with one session more, written down.

    Raises:
        InputError: When its file is damaged.
        RunError: When the disk refuses it.
    """
    path = folder / RUN_FILE
    try:
        content = (
            json.loads(path.read_text()) if path.exists() else {"key": secrets.token_hex(16), "session": 0}
        )
        run_file = RunFile(
            folder=folder,
            key=content["key"],
            session=content["session"] + 1,
            places=tuple(content.get("places", ())),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"`{path}` must be as limbeck wrote it, but: {error}. Choose another folder, or remove this one."
        ) from error
    run_file.write()
    return run_file


@contextlib.contextmanager
def hold_folder(folder: Path, *, seconds: float = LOCK_SECONDS) -> Iterator[None]:
    """Keep other processes out of a folder within.

    Raises:
        RunError: When another holds it for longer than `seconds`, or the disk refuses the lock.
    """
    path, deadline = folder / LOCK_FILE, time.monotonic() + seconds
    with explain_disk_errors(path):
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        while not _try_lock(handle):
            if time.monotonic() >= deadline:
                raise RunError(
                    f"one process at a time works in `{folder}`, but another has held it for {seconds:g} s. "
                    "Wait for it, or end it."
                )
            time.sleep(POLL_SECONDS)
        yield
    finally:
        os.close(handle)


def _try_lock(handle: int) -> bool:
    """Lock a file that ends with its process, False when another has it."""
    import fcntl

    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
