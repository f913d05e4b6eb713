"""Which run comes next: of those whose needs are met, the one that holds up the most work."""

import heapq
from collections.abc import Iterable, Sequence

from limbeck.study.plan import Run


class Agenda:
    """The runs to do, each handed out once its needs are met.

    Whoever is idle takes the next. The longest chain of work goes first, so that the last runs to end are
    short ones and no worker waits long for another.
    """

    def __init__(self, runs: Sequence[Run], finished: Iterable[str]) -> None:
        """Take in the runs.

        Args:
            runs: In an order in which each comes after what it needs.
            finished: Ids of runs that are done already.
        """
        done = set(finished)
        self._open = {run.id: run for run in runs}
        self._hopeless: set[str] = set()
        self._unmet = {run.id: set(run.needs) - done for run in runs}
        self._users: dict[str, list[Run]] = {run.id: [] for run in runs}
        for run in runs:
            for need in self._unmet[run.id]:
                self._users[need].append(run)
        chains = self._measure_chains(runs)
        self._order = {run.id: (-chains[run.id], position) for position, run in enumerate(runs)}
        self._ready: list[tuple[tuple[float, int], str]] = []
        for run in runs:
            if not self._unmet[run.id]:
                self.put_back(run)

    def _measure_chains(self, runs: Sequence[Run]) -> dict[str, float]:
        """The cost of each run with the longest chain of runs that waits for it."""
        chains: dict[str, float] = {}
        for run in reversed(runs):
            chains[run.id] = run.cost + max((chains[user.id] for user in self._users[run.id]), default=0.0)
        return chains

    @property
    def is_over(self) -> bool:
        """Whether every run has ended."""
        return not self._open

    def pop(self) -> Run | None:
        """The next run that can be begun, None while there is none."""
        return self._open[heapq.heappop(self._ready)[1]] if self._ready else None

    def put_back(self, run: Run) -> None:
        """Hand a run out again."""
        heapq.heappush(self._ready, (self._order[run.id], run.id))

    def is_hopeless(self, run: Run) -> bool:
        """Whether a run that it needs failed."""
        return run.id in self._hopeless

    def finish(self, run: Run) -> None:
        """Note that a run is done."""
        del self._open[run.id]
        for user in self._users[run.id]:
            self._unmet[user.id].discard(run.id)
            if not self._unmet[user.id] and not self.is_hopeless(user):
                self.put_back(user)

    def fail(self, run: Run) -> None:
        """Note that a run failed: those that need it are handed out at once, as hopeless."""
        del self._open[run.id]
        for user in self._users[run.id]:
            if not self.is_hopeless(user):
                self._hopeless.add(user.id)
                self.put_back(user)
