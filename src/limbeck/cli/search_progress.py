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
# The best settings, the defaults and finetune run once more after the last trial.
CLOSING_RUNS = 3


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
        self._spinner = Spinner("dots", f" {technique}: starting up")
        self._live = Live(self._spinner, console=console, transient=True)
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
        self.num_finished = len(trials)
        pace = f"{self._technique}: {describe_search(trials, num_trials=self._num_trials)}"
        if self._console.is_terminal:
            self._show_table(trials, pace)
            return
        is_last = len(trials) == self._num_trials
        if is_last or time.monotonic() - self._last_line >= LINE_SECONDS:
            self._last_line = time.monotonic()
            self._console.print(pace, markup=False, soft_wrap=True)

    def _show_table(self, trials: "Sequence[Tried]", pace: str) -> None:
        from limbeck.report.tuning import tabulate_leaders

        self._spinner.update(text=f" {pace}")
        self._live.update(
            Group(make_table(tabulate_leaders(trials, limit=MOST_SHOWN)), self._spinner), refresh=True
        )

    def describe_interrupt(self) -> str:
        """What is kept after an interrupt, and how to go on."""
        kept = "finished trials"
        if self.num_finished is not None:
            kept = f"{self.num_finished} of {self._num_trials} trials are finished and"
        verb = "are kept" if self.num_finished is None else "kept"
        return f"Interrupted: {kept} {verb}. Run the same command again to go on."


def describe_search(trials: "Sequence[Tried]", *, num_trials: int) -> str:
    """Trials done, best validation accuracy and time left: ``3 of 20 trials, best 0.8472, 0:01:40 left``.

    The time left is that of the missing trials and of the runs that close the search, each as long as the
    mean of those so far.
    """
    mean_seconds = sum(tried.seconds for tried in trials) / len(trials)
    left = mean_seconds * (max(0, num_trials - len(trials)) + CLOSING_RUNS)
    best = max(tried.validation for tried in trials)
    return f"{len(trials)} of {num_trials} trials, best {best:.4f}, {describe_duration(left)} left"
