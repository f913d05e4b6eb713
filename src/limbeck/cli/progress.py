"""Progress of a study: a bar with rate and time left on a terminal, plain lines elsewhere."""

import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)

if TYPE_CHECKING:
    from limbeck.study import Progress as StudyProgress

LINE_SECONDS = 10.0


class ProgressDisplay:
    """Shows the progress of a study on a console. Use as a context manager."""

    def __init__(self, console: Console, name: str) -> None:
        self._console = console
        self._name = name
        self._started = time.monotonic()
        self._last_line = float("-inf")
        self._bar = Progress(
            SpinnerColumn(),
            TextColumn("[bold]{task.fields[name]}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("runs  {task.fields[pace]}"),
            TimeElapsedColumn(),
            TextColumn("[dim]{task.fields[label]}"),
            console=console,
            transient=True,
        )
        self._task = self._bar.add_task("", name=name, total=None, pace="", label="reading data")
        self.last: StudyProgress | None = None

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._console.is_terminal:
            self._bar.stop()

    def show(self, progress: "StudyProgress") -> None:
        """Show the state of affairs."""
        if self.last is None:
            self._started = time.monotonic()
        self.last = progress
        pace = describe_pace(progress, time.monotonic() - self._started)
        finished = progress.skipped + progress.done + progress.elsewhere
        if self._console.is_terminal:
            self._bar.update(
                self._task, total=progress.total, completed=finished, pace=pace, label=progress.label
            )
            return
        is_last = finished + progress.failed == progress.total
        if is_last or time.monotonic() - self._last_line >= LINE_SECONDS:
            self._last_line = time.monotonic()
            self._console.print(
                f"{self._name}: {finished} of {progress.total} runs, {pace} ({progress.label})",
                soft_wrap=True,
            )


def describe_pace(progress: "StudyProgress", elapsed_seconds: float) -> str:
    """Rate and time left in words, such as ``3.2 runs/s, 0:04:10 left``."""
    if progress.cost_total == 0:
        return "nothing left to do"
    if progress.done + progress.failed == 0 or elapsed_seconds <= 0:
        return "starting up"
    rate = (progress.done + progress.failed) / elapsed_seconds
    left = elapsed_seconds * (progress.cost_total - progress.cost_done) / progress.cost_done
    return f"{rate:.1f} runs/s, {describe_duration(left)} left"


def describe_duration(seconds: float) -> str:
    """A duration as hours:minutes:seconds."""
    minutes, rest = divmod(round(max(0.0, seconds)), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"
