"""Progress of a search: on a terminal the best trials so far, elsewhere a line now and then."""

import time
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.console import Console, Group
from rich.live import Live
from rich.spinner import Spinner

from limbeck.cli.progress import LINE_SECONDS, describe_duration
from limbeck.cli.tables import make_table

if TYPE_CHECKING:
    from limbeck.tune import Tried

MOST_SHOWN = 10


class SearchDisplay:
    """Shows the trials of a search on a console. Use as a context manager.

    Args:
        console: Where to show them.
        technique: Whose settings are searched.
        num_trials: How many trials there are in all.
    """

    def __init__(self, console: Console, technique: str, *, num_trials: int) -> None:
        self._console = console
        self._technique = technique
        self._num_trials = num_trials
        self._last_line = float("-inf")
        self._last_share = 0.0
        self._spinner = Spinner("dots", f" {technique}: starting up")
        self._live = Live(self._spinner, console=console, transient=True)
        self._trials: Sequence[Tried] = ()
        self._started = time.monotonic()
        self.num_finished: int | None = None

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._console.is_terminal:
            self._live.stop()

    def show(self, trials: "Sequence[Tried]") -> None:
        """Show all trials so far, of which there is at least one."""
        from limbeck.report.tuning import tabulate_leaders

        self._trials = trials
        self.num_finished = sum(tried.accuracy_after is not None for tried in trials)
        if self._console.is_terminal:
            table = make_table(tabulate_leaders(trials, limit=MOST_SHOWN))
            self._live.update(Group(table, self._spinner), refresh=True)

    def note_share(self, share: float) -> None:
        """Show how much of all work is done.

        Args:
            share: In [0, 1].
        """
        elapsed = time.monotonic() - self._started
        pace = describe_search(
            self._trials, num_trials=self._num_trials, share=share, elapsed_seconds=elapsed
        )
        if self._console.is_terminal:
            self._spinner.update(text=f" {self._technique}: {pace}")
            return
        is_end = share >= 1 and self._last_share < 1
        self._last_share = share
        if is_end or time.monotonic() - self._last_line >= LINE_SECONDS:
            self._last_line = time.monotonic()
            self._console.print(f"{self._technique}: {pace}", markup=False, soft_wrap=True)

    def describe_interrupt(self) -> str:
        """What is kept after an interrupt, and how to go on."""
        kept = "finished trials"
        if self.num_finished is not None:
            kept = f"{self.num_finished} of {self._num_trials} trials are finished and"
        verb = "are kept" if self.num_finished is None else "kept"
        return f"Interrupted: {kept} {verb}. Run the same command again to go on."


def describe_search(
    trials: "Sequence[Tried]", *, num_trials: int, share: float, elapsed_seconds: float
) -> str:
    """Work and trials done, and the time left: ``40 %, 3 of 20 trials, best 0.8472, 0:01:40 left``.

    Args:
        trials: Those that ended.
        num_trials: How many there are in all.
        share: Share of all steps that are done, in [0, 1].
        elapsed_seconds: How long these took; the rest takes as long per step.
    """
    words = [f"{100 * share:.0f} %", f"{len(trials)} of {num_trials} trials"]
    if trials:
        words.append(f"best {max(tried.validation for tried in trials):.4f}")
    if share:
        words.append(f"{describe_duration(elapsed_seconds * (1 - share) / share)} left")
    return ", ".join(words)
