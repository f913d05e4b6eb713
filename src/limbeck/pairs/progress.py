"""Progress of something long: a bar on a terminal and in a notebook, a line now and then elsewhere."""

import time
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from limbeck.core.errors import count

LINE_SECONDS = 10.0
NOTEBOOK_SECONDS = 0.2


class StepBar:
    """Counts the steps of something long. Use as a context manager.

    Args:
        label: What is going on.
        num_steps: Steps in all.
        is_shown: Whether to show anything.
    """

    def __init__(self, label: str, num_steps: int, *, is_shown: bool) -> None:
        self._display = _pick_display(label, num_steps) if is_shown else None
        self._done = 0
        self._note = ""

    def __enter__(self) -> Self:
        if self._display is not None:
            self._display.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._display is not None:
            self._display.stop(self._done, self._note)

    def advance(self, steps: int = 1) -> None:
        """So many more steps are done."""
        self._done += steps
        if self._display is not None:
            self._display.show(self._done, self._note)

    def note(self, text: str) -> None:
        """Say something beside the steps, such as the last accuracy."""
        self._note = text


class _Display(Protocol):
    def start(self) -> None: ...

    def show(self, done: int, note: str) -> None: ...

    def stop(self, done: int, note: str) -> None: ...


def _pick_display(label: str, num_steps: int) -> _Display:
    console = Console(stderr=True, highlight=False)
    if console.is_jupyter:
        return _NotebookBar(label, num_steps)
    if console.is_terminal:
        return _TerminalBar(console, label, num_steps)
    return _Lines(console, label, num_steps)


class _TerminalBar:
    def __init__(self, console: Console, label: str, num_steps: int) -> None:
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("steps"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
            console=console,
            transient=True,
        )
        self._task = self._bar.add_task(label, total=num_steps, note="")

    def start(self) -> None:
        self._bar.start()

    def show(self, done: int, note: str) -> None:
        self._bar.update(self._task, completed=done, note=note)

    def stop(self, done: int, note: str) -> None:
        del done, note
        self._bar.stop()


class _NotebookBar:
    """IPython's own bar, which needs no widgets, with the label and the note above it."""

    def __init__(self, label: str, num_steps: int) -> None:
        from IPython import display  # pyright: ignore[reportMissingModuleSource, reportMissingImports]

        self._display = display
        self._label = label
        self._num_steps = num_steps
        self._last_shown = 0.0

    def start(self) -> None:
        self._handle = self._display.display(self._draw(0, ""), display_id=True)

    def show(self, done: int, note: str) -> None:
        if time.monotonic() - self._last_shown >= NOTEBOOK_SECONDS:
            self._last_shown = time.monotonic()
            self._handle.update(self._draw(done, note))

    def stop(self, done: int, note: str) -> None:
        self._handle.update(self._draw(done, note))

    def _draw(self, done: int, note: str) -> object:
        words = f"{self._label}: {done:,} of {count(self._num_steps, 'step')}{note and f', {note}'}"
        bar = f'<progress value="{done}" max="{self._num_steps}" style="width: 20em"></progress>'
        return self._display.HTML(f"{bar} <code>{words}</code>")


class _Lines:
    def __init__(self, console: Console, label: str, num_steps: int) -> None:
        self._console = console
        self._label = label
        self._num_steps = num_steps
        self._last_line = time.monotonic()

    def start(self) -> None:
        self._say(count(self._num_steps, "step"))

    def show(self, done: int, note: str) -> None:
        if time.monotonic() - self._last_line >= LINE_SECONDS:
            self._last_line = time.monotonic()
            self._say(f"{done:,} of {count(self._num_steps, 'step')}{note and f', {note}'}")

    def stop(self, done: int, note: str) -> None:
        """The last line stays as it is."""

    def _say(self, text: str) -> None:
        self._console.print(f"{self._label}: {text}", markup=False, soft_wrap=True)
