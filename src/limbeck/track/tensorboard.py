"""Runs in TensorBoard: a folder of event files each. The only file that imports tensorboard.

The folder of a run is named by what people call it and its key. A run that is whole has the file `finished`.
"""

import re
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from limbeck.track.tracker import Note, Point, Status, explain_missing, flatten, require_folder

try:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from torch.utils.tensorboard import SummaryWriter
    from torch.utils.tensorboard.summary import hparams
except ImportError as error:
    raise explain_missing("tensorboard") from error

FINISHED_FILE = "finished"


class TensorboardTracker:
    """A `Tracker` that writes event files."""

    def __init__(self, destination: str) -> None:
        """Choose where to write.

        Args:
            destination: The folder that `tensorboard --logdir` is given.

        Raises:
            InputError: When it is an address.
        """
        self._folder = require_folder("tensorboard", destination)
        self.place = f"TensorBoard in `{self._folder}`"

    def find_finished(self) -> set[str]:
        """The keys of runs that are whole."""
        return {path.parent.name.rpartition("-")[2] for path in self._folder.glob(f"*/{FINISHED_FILE}")}

    def start(self, note: Note) -> "TensorboardRun":
        """Begin a run, or go on with the folder that has its key."""
        found = next(self._folder.glob(f"*-{note.key}"), None)
        if found is not None:
            return TensorboardRun(found, next_step=_find_next_step(found))
        run = TensorboardRun(self._folder / f"{_make_file_name(note.name)}-{note.key}", next_step=0)
        run.describe(note)
        return run


class TensorboardRun:
    """A `TrackedRun` in a folder of its own."""

    def __init__(self, folder: Path, *, next_step: int) -> None:
        self.next_step = next_step
        self._folder = folder

    @cached_property
    def _writer(self) -> SummaryWriter:
        """Begins a file: what a run adds after a restart is in another one."""
        return SummaryWriter(str(self._folder))

    def describe(self, note: Note) -> None:
        """Write the configuration, so that TensorBoard's table of settings shows it beside the numbers."""
        names = dict.fromkeys(name for _, numbers in note.points for name in numbers)
        experiment, begin, _ = hparams(flatten(note.config), dict.fromkeys(names, 0.0))
        assert self._writer.file_writer is not None
        for summary in (experiment, begin):
            self._writer.file_writer.add_summary(summary)

    def log(self, points: Sequence[Point]) -> None:
        """Add what was measured, so that it can be seen at once."""
        for step, numbers in points:
            for name, number in numbers.items():
                self._writer.add_scalar(name, number, step)
        self._writer.flush()

    def finish(self, status: Status) -> None:
        """Close the files."""
        if "_writer" in vars(self):
            self._writer.close()
        if status == "done":
            (self._folder / FINISHED_FILE).touch()


def _find_next_step(folder: Path) -> int:
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0}).Reload()
    return 1 + max(
        (event.step for name in events.Tags()["scalars"] for event in events.Scalars(name)), default=-1
    )


def _make_file_name(name: str) -> str:
    return re.sub(r"[^\w.=-]+", "-", name).strip("-.")
