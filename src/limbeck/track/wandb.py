"""Runs for Weights & Biases. The only file that imports wandb.

Nothing leaves the machine unless `WANDB_MODE` says so: runs lie in folders that `wandb sync` sends. The file
`finished` is in the folder of a run that is whole.
"""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from limbeck.core.errors import require
from limbeck.track.tracker import Note, Point, Status, explain_missing, flatten, require_folder

os.environ.setdefault("WANDB_ERROR_REPORTING", "false")  # read when wandb is imported
try:
    import wandb
except ImportError as error:
    raise explain_missing("wandb") from error

FINISHED_FILE = "finished"
MODES = ("offline", "online")
WAIT_SECONDS = 20


class WandbTracker:
    """A `Tracker` that writes what Weights & Biases shows."""

    def __init__(self, destination: str, *, project: str) -> None:
        """Choose where to write.

        Args:
            destination: The folder in which wandb makes its own.
            project: Name of the project.

        Raises:
            InputError: When the destination is an address, or `WANDB_MODE` is neither offline nor online.
        """
        mode = os.environ.get("WANDB_MODE", "offline")
        require(
            mode in MODES,
            "WANDB_MODE is offline or online",
            f"WANDB_MODE={mode}",
            "Unset it for offline, or leave `--track wandb` out.",
        )
        self._folder = require_folder("wandb", destination)
        self._mode = mode
        self._project = project
        self.place = f"Weights & Biases in `{self._folder}`"

    def find_finished(self) -> set[str]:
        """The keys of runs that are whole."""
        return {
            path.parent.name.rpartition("-")[2] for path in self._folder.glob(f"wandb/*run-*/{FINISHED_FILE}")
        }

    def start(self, note: Note) -> "WandbRun":
        """Begin a run; online it goes on, offline it takes the place of what there is of it."""
        self._folder.mkdir(parents=True, exist_ok=True)
        for left in self._folder.glob(f"wandb/offline-run-*-{note.key}"):
            shutil.rmtree(left)
        run = wandb.init(
            project=self._project,
            id=note.key,
            name=note.name,
            config=flatten(note.config),
            dir=self._folder,
            mode=self._mode,  # pyright: ignore[reportArgumentType]
            resume="allow" if self._mode == "online" else None,
            reinit="create_new",
            settings=wandb.Settings(
                silent=True,
                console="off",
                disable_git=True,
                save_code=False,
                login_timeout=WAIT_SECONDS,
                init_timeout=WAIT_SECONDS,
                x_disable_meta=True,
                x_disable_stats=True,
                x_save_requirements=False,
            ),
        )
        return WandbRun(run)


class WandbRun:
    """A `TrackedRun` of Weights & Biases."""

    def __init__(self, run: "wandb.Run") -> None:
        self.next_step = run.step
        self._run = run

    def log(self, points: Sequence[Point]) -> None:
        """Add what was measured."""
        for step, numbers in points:
            self._run.log(dict(numbers), step=step)

    def finish(self, status: Status) -> None:
        """Say how the run ended, and wait until it is written, online until it is sent."""
        self._run.finish(exit_code=0 if status == "done" else 1)
        if status == "done":
            (Path(self._run.dir).parent / FINISHED_FILE).touch()
