"""Progress of a transfer: a bar on a terminal and in a notebook, a line now and then elsewhere."""

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from limbeck.core.errors import count

LINE_SECONDS = 10.0


class StepBar:
    """Counts the steps of something long. Use as a context manager.

    Args:
        label: What is going on.
        num_steps: Steps in all.
        is_shown: Whether to show anything.
    """

    def __init__(self, label: str, num_steps: int, *, is_shown: bool) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._label = label
        self._num_steps = num_steps
        self._is_shown = is_shown
        self._has_bar = is_shown and (self._console.is_terminal or self._console.is_jupyter)
        self._done = 0
        self._note = ""
        self._last_line = time.monotonic()
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("steps"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
            console=self._console,
            transient=not self._console.is_jupyter,
        )
        self._task = self._bar.add_task(label, total=num_steps, note="")

    def __enter__(self) -> Self:
        if self._has_bar:
            self._bar.start()
        elif self._is_shown:
            self._say(count(self._num_steps, "step"))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._has_bar:
            self._bar.stop()

    def advance(self) -> None:
        """One step is done."""
        self._done += 1
        if self._has_bar:
            self._bar.advance(self._task)
        elif self._is_shown and time.monotonic() - self._last_line >= LINE_SECONDS:
            self._last_line = time.monotonic()
            self._say(f"{self._done:,} of {count(self._num_steps, 'step')}{self._note}")

    def note(self, text: str) -> None:
        """Say something beside the steps, such as the last accuracy."""
        self._note = f", {text}"
        if self._has_bar:
            self._bar.update(self._task, note=text)

    def _say(self, text: str) -> None:
        self._console.print(f"{self._label}: {text}", markup=False, soft_wrap=True)
