"""Trackers that fail, hang or are interrupted do not hold up the work."""

import contextlib
import os
import queue
import socket
import sys
import threading

import pytest

from limbeck.core.errors import InputError
from limbeck.track import Note, Tracking, open_tracking, tracking
from limbeck.track.tracker import flatten


class ListTracker:
    """Keeps runs in a list; waits for a permit before each run where there are permits; fails at one run."""

    place = "a list"

    def __init__(self, *, fails_at=None, permits=None):
        self.said, self._fails_at, self._permits = [], fails_at, permits

    def find_finished(self):
        return set()

    def start(self, note):
        if self._permits is not None:
            self._permits.get()
        if note.key == self._fails_at:
            raise OSError(28, "No space left on device")
        return ListRun(note.key, self.said)


class ListRun:
    next_step = 0

    def __init__(self, key, said):
        self._key, self._said = key, said

    def log(self, points):
        self._said.append((self._key, points))

    def finish(self, status):
        self._said.append((self._key, status))


def note(key, **changes):
    return Note(key=key, name=key, config={}, points=((0, {"gain": 0.5}),), **changes)


def test_a_tracker_that_fails_is_told_no_more_which_is_said_once_and_others_go_on():
    good, bad, warnings = ListTracker(), ListTracker(fails_at="b"), []
    with Tracking([bad, good], warn_fn=warnings.append) as told:
        for key in "abc":
            told.tell(note(key, is_whole=True))
    assert [key for key, _ in good.said] == list("aabbcc")
    assert [key for key, _ in bad.said] == ["a", "a"]
    assert warnings == [
        "a list is told no more, because: no space left on device. The work goes on; the same command again "
        "tells it what is missing."
    ]


def test_open_runs_end_as_the_work_does():
    ends = {}
    for error in (None, RuntimeError, KeyboardInterrupt):
        permits = queue.SimpleQueue()
        permits.put(1)
        tracker = ListTracker(permits=permits)
        with (
            contextlib.suppress(RuntimeError, KeyboardInterrupt),
            Tracking([tracker], warn_fn=pytest.fail) as told,
        ):
            told.tell(note("a"))
            wait_until_said(tracker)
            if error:
                raise error
        ends[error] = tracker.said[-1]
    assert ends == {
        None: ("a", "done"),
        RuntimeError: ("a", "failed"),
        KeyboardInterrupt: ("a", "interrupted"),
    }


def wait_until_said(tracker):
    waiting = threading.Event()
    while not tracker.said:
        waiting.wait(0.01)


def test_an_interruption_drops_what_was_not_told_yet(monkeypatch):
    monkeypatch.setattr(tracking, "INTERRUPTED_SECONDS", 0.01)
    permits = queue.SimpleQueue()
    tracker = ListTracker(permits=permits)
    with contextlib.suppress(KeyboardInterrupt), Tracking([tracker], warn_fn=pytest.fail) as told:
        for key in "abc":
            told.tell(note(key, is_whole=True))
        raise KeyboardInterrupt
    permits.put(1)
    for messenger in told._messengers:
        messenger.wait(limit_seconds=60)
    assert {key for key, _ in tracker.said} <= {"a"}


def test_a_tracker_that_hangs_is_left_after_the_limit(monkeypatch):
    monkeypatch.setattr(tracking, "STUCK_SECONDS", 0.01)
    permits, warnings = queue.SimpleQueue(), []
    with Tracking([ListTracker(permits=permits)], warn_fn=warnings.append) as told:
        told.tell(note("a"))
    assert len(warnings) == 1
    assert "a list is told no more, because: it took no note for 0 s." in warnings[0]
    permits.put(1)


def test_nested_configurations_become_flat():
    nested = {"a": {"b": {"c": 1}, "d": None}, "e": [1, {"f": 2}], "g": False, "h": "text"}
    assert flatten(nested) == {"a.b.c": 1, "e": '[1, {"f": 2}]', "g": False, "h": "text"}


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            ["tensorbord"],
            "Unknown tracker `tensorbord`. Did you mean `tensorboard`? Valid: mlflow, tensorboard, wandb.",
        ),
        (["mlflow="], "a destination stands behind the sign =` must hold, but got `mlflow="),
        (["wandb", "wandb"], "every tracker is asked for once` must hold, but got wandb, wandb."),
        (["tensorboard=http://host:6006"], "tensorboard is tracked in a folder` must hold, but got `http"),
        (["wandb=https://host"], "wandb is tracked in a folder` must hold"),
        (
            ["mlflow=http://ann:secret@host"],
            "no password is in the address of an MLflow server` must hold, but got",
        ),
    ],
)
def test_wrong_words_are_one_sentence(words, sentence, tmp_path):
    with pytest.raises(InputError) as caught:
        open_tracking(words, folder=tmp_path, project="p", warn_fn=pytest.fail)
    assert sentence in str(caught.value)
    assert "secret" not in str(caught.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("service", ["mlflow", "tensorboard", "wandb"])
def test_a_missing_package_is_one_sentence(service, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, service, None)
    monkeypatch.delitem(sys.modules, f"limbeck.track.{service}", raising=False)
    for name in [name for name in sys.modules if name.startswith(f"{service}.")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(InputError) as caught:
        open_tracking([service], folder=tmp_path, project="p", warn_fn=pytest.fail)
    assert str(caught.value) == (
        f"Tracking with {service} needs the package `{service}`, which is not installed. "
        f"Run `pip install 'limbeck[{service}]'`."
    )


def test_wandb_that_is_switched_off_is_refused(tmp_path, monkeypatch):
    pytest.importorskip("wandb", reason="wandb is not installed")
    monkeypatch.setenv("WANDB_MODE", "disabled")
    with pytest.raises(
        InputError, match="WANDB_MODE is offline or online` must hold, but got WANDB_MODE=disabled"
    ):
        open_tracking(["wandb"], folder=tmp_path, project="p", warn_fn=pytest.fail)


@pytest.mark.slow
def test_a_server_that_does_not_answer_is_given_up_after_the_limit(tmp_path, monkeypatch):
    pytest.importorskip("mlflow", reason="mlflow is not installed")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    warnings = []
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        words = [f"mlflow=http://127.0.0.1:{silent.getsockname()[1]}"]
        with open_tracking(words, folder=tmp_path, project="p", warn_fn=warnings.append) as told:
            told.tell(note("a" * 16, is_whole=True))
    assert len(warnings) == 1
    assert "it took no note for" not in warnings[0]
    assert os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] == "1"
