"""Telling trackers what happens, each from its own thread: no work waits for a service or ends with it."""

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Sequence
from typing import Self

from limbeck.core.errors import describe_error
from limbeck.track.tracker import Note, Status, TrackedRun, Tracker

WarnFn = Callable[[str], None]

# How long the end waits for a tracker that takes no further note, and after an interruption at all.
STUCK_SECONDS = 60.0
INTERRUPTED_SECONDS = 5.0


class Tracking:
    """The trackers of a study or federation. Use as a context manager: leaving it ends every open run.

    A tracker that fails, as when its server is gone, is told no more; that is said once.
    """

    def __init__(self, trackers: Sequence[Tracker], *, warn_fn: WarnFn) -> None:
        """Begin to take notes.

        Args:
            trackers: Whom to tell.
            warn_fn: Told in one sentence what went wrong, from another thread.
        """
        self._messengers = [_Messenger(tracker, warn_fn) for tracker in trackers]

    def tell(self, note: Note) -> None:
        """Tell every tracker; returns at once."""
        for messenger in self._messengers:
            messenger.notes.put(note)

    def __enter__(self) -> Self:
        for messenger in self._messengers:
            messenger.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        del rest
        is_interrupted = kind is not None and issubclass(kind, KeyboardInterrupt)
        status = "done" if kind is None else "interrupted" if is_interrupted else "failed"
        for messenger in self._messengers:
            messenger.end(status)
        for messenger in self._messengers:
            messenger.wait(limit_seconds=INTERRUPTED_SECONDS if is_interrupted else None)


class _Messenger:
    """A thread that tells one tracker."""

    def __init__(self, tracker: Tracker, warn_fn: WarnFn) -> None:
        self.notes: queue.SimpleQueue[Note | Status] = queue.SimpleQueue()
        self._tracker = tracker
        self._warn_fn = warn_fn
        self._open: dict[str, TrackedRun] = {}
        self._finished: set[str] = set()
        self._has_warned = False
        self._moved = time.monotonic()
        self._thread = threading.Thread(target=self._work, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def end(self, status: Status) -> None:
        """Let the thread end after the notes before this, or after an interruption at once."""
        if status == "interrupted":
            self._drop_notes()
        self.notes.put(status)

    def _drop_notes(self) -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                self.notes.get_nowait()

    def wait(self, *, limit_seconds: float | None) -> None:
        """Wait for the thread, by default as long as it gets on."""
        if limit_seconds is not None:
            self._thread.join(limit_seconds)
            return
        self._moved = time.monotonic()
        while self._thread.is_alive() and time.monotonic() - self._moved < STUCK_SECONDS:
            self._thread.join(timeout=1)
        if self._thread.is_alive():
            self._warn(f"it took no note for {STUCK_SECONDS:.0f} s")

    def _work(self) -> None:
        try:
            self._tell_all()
        except Exception as error:  # whatever the service's library raises
            self._warn(describe_error(error))

    def _tell_all(self) -> None:
        self._finished = self._tracker.find_finished()
        while isinstance(note := self.notes.get(), Note):
            self._tell(note)
            self._moved = time.monotonic()
        for run in self._open.values():
            run.finish(note)

    def _tell(self, note: Note) -> None:
        if note.is_whole and note.key in self._finished:
            return
        run, points = self._open.get(note.key), note.points
        if run is None:
            run = self._tracker.start(note)
            points = [point for point in points if point[0] >= run.next_step]
        if points:
            run.log(points)
        if note.is_whole:
            run.finish("done")
            self._finished.add(note.key)
        else:
            self._open[note.key] = run

    def _warn(self, reason: str) -> None:
        if self._has_warned:
            return
        self._has_warned = True
        self._warn_fn(
            f"{self._tracker.place} is told no more, because: {reason}. The work goes on; the same command "
            "again tells it what is missing."
        )
