"""Doing the runs of a study together with whoever else works on its store: each run by one of them, once.

A run is claimed before it is begun. What another study has in hand is waited for; when that study's beat
stops, its runs are free again.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from limbeck.core.errors import InputError, count, enumerate_words
from limbeck.study.agenda import Agenda
from limbeck.study.owner import host_of, is_gone
from limbeck.study.plan import Run
from limbeck.study.pool import Done, Pool
from limbeck.study.store import Claim, End, Store

MAX_ATTEMPTS = 2
BEAT_SECONDS = 10
CLAIM_LIMIT_SECONDS = 60
LOOK_SECONDS = 1
# A shared disk may hide another machine's new files for about a minute.
MODEL_LIMIT_SECONDS = 120


@dataclass
class Watch:
    """Tells owners that live from those that are gone, by this process's own clock alone.

    Attributes:
        clock_fn: Seconds of a clock that never goes back.
    """

    clock_fn: Callable[[], float] = time.monotonic
    _seen: dict[str, tuple[Claim, float]] = field(default_factory=dict)

    def is_dead(self, claim: Claim) -> bool:
        """Whether a claim's owner has ended, or its beat has stood still for `CLAIM_LIMIT_SECONDS`."""
        last, since = self._seen.get(claim.run_id, (None, 0.0))
        now = self.clock_fn()
        if claim != last:
            self._seen[claim.run_id] = (claim, now)
            since = now
        return is_gone(claim.owner) or now - since >= CLAIM_LIMIT_SECONDS


@dataclass
class Work:
    """The runs of a study under way.

    Attributes:
        agenda: Which of them comes next.
        store: Where they are claimed and recorded.
        pool: Who does them.
        known: When a run finished before, for those that are to be done again.
        has_model_fn: Whether the model that a run's result speaks of is in the study's folder.
    """

    agenda: Agenda
    store: Store
    pool: Pool
    known: Mapping[str, str]
    has_model_fn: Callable[[Run, End], bool]
    _elsewhere: dict[str, Run] = field(default_factory=dict)
    _hosts: set[str] = field(default_factory=set)
    _unseen: dict[str, float] = field(default_factory=dict)
    _reasons: dict[str, str] = field(default_factory=dict)
    _watch: Watch = field(default_factory=Watch)
    _beaten: float = field(default_factory=time.monotonic)
    _looked: float = 0.0

    def go_on(self) -> Iterator[list[Done]]:
        """Do the runs; yields at least once a second those that have ended since, also where there are none.

        A run whose needs failed ends as failed.

        Raises:
            InputError: When another study's models are not in this one's folder.
            RunError: When the store or the workers cannot be kept.
        """
        while not self.agenda.is_over:
            ended = list(self._hand_out())
            for end in self.pool.collect():
                ended += self._settle(end)
            self._say_alive()
            ended += self._look_around()
            yield ended

    def describe_waiting(self) -> str | None:
        """What is waited for in words, None while there is something to do here."""
        if self.pool.count_idle() < self.pool.num_workers or not self._elsewhere:
            return None
        runs = count(len(self._elsewhere), "run")
        return f"waiting for {runs} of another study on {enumerate_words(sorted(self._hosts))}"

    def _hand_out(self) -> Iterator[Done]:
        while self.pool.count_idle():
            run = self.agenda.pop()
            if run is None:
                return
            self._say_alive()
            losses = self.store.take(run.id, known=self.known.get(run.id))
            if losses is None:
                self._elsewhere[run.id] = run
            elif self.agenda.is_hopeless(run):
                yield from self._settle(Done(run=run, error="a run whose model it needs failed"))
            elif losses >= MAX_ATTEMPTS:
                yield from self._settle(Done(run=run, error=self._explain_losses(run, losses)))
            else:
                self.pool.give(run)

    def _explain_losses(self, run: Run, losses: int) -> str:
        last = self._reasons.get(run.id, "the study that had it in hand ended")
        return f"it was begun {losses} times and did not end; the last time {last}"

    def _settle(self, end: Done) -> Iterator[Done]:
        """Record the end of a run that was claimed here."""
        if end.is_lost:
            self._reasons[end.run.id] = end.error or ""
            self.store.count_loss(end.run.id)
            self.agenda.put_back(end.run)
        elif self._record(end):
            yield self._tick_off(end)
        else:
            self._elsewhere[end.run.id] = end.run

    def _record(self, end: Done) -> bool:
        if end.result is None:
            return self.store.record_failed(end.run, end.error or "unknown")
        return self.store.record_done(end.run, end.result)

    def _tick_off(self, end: Done) -> Done:
        if end.result is None:
            self.agenda.fail(end.run)
        else:
            self.agenda.finish(end.run)
        return end

    def _say_alive(self) -> None:
        if time.monotonic() - self._beaten >= BEAT_SECONDS:
            self._beaten = time.monotonic()
            self.store.beat()

    def _look_around(self) -> Iterator[Done]:
        """See how the runs stand that others have in hand."""
        if not self._elsewhere or time.monotonic() - self._looked < LOOK_SECONDS:
            return
        self._looked = time.monotonic()
        claims, ends = self.store.read_claims(self._elsewhere), self.store.read_ends(self._elsewhere)
        self._hosts = {host_of(claim.owner) for claim in claims.values()}
        for run in list(self._elsewhere.values()):
            end, claim = ends.get(run.id), claims.get(run.id)
            if end is not None and end.finished != self.known.get(run.id):
                if self._has_arrived(run, end):
                    del self._elsewhere[run.id]
                    yield self._tick_off(Done(run=run, result=end.result, error=end.error, is_elsewhere=True))
            elif claim is None or self._watch.is_dead(claim):
                if claim is not None:
                    self.store.free(claim)
                del self._elsewhere[run.id]
                self.agenda.put_back(run)

    def _has_arrived(self, run: Run, end: End) -> bool:
        """Whether what another study made can be used here.

        Raises:
            InputError: When its model has not come for long.
        """
        if end.result is None or self.has_model_fn(run, end):
            return True
        since = self._unseen.setdefault(run.id, time.monotonic())
        if time.monotonic() - since < MODEL_LIMIT_SECONDS:
            return False
        raise InputError(
            f"Studies on one store must share one folder, but the model of run {run.id}, which another study "
            "made, is not in this one's. Give both the same --out, on a disk that both machines see."
        )
