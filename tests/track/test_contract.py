"""What every tracker keeps to, on the real services: a run is there once, with every number of it."""

import contextlib
from pathlib import Path

import pytest
from tests.track.readers import read_mlflow, read_tensorboard, read_wandb

from limbeck.core.errors import RunError
from limbeck.track import Note, open_tracking
from limbeck.track.services import SERVICES

# MLflow's tables and SQLAlchemy 2.1 disagree about one loading strategy, which limbeck does not touch.
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning")

KEY, OTHER_KEY = "0123456789abcdef", "fedcba9876543210"
CONFIG = {
    "technique": "kd",
    "training": {"lr": 0.02, "epochs": 3},
    "pair": [0, 1],
    "note": None,
}
FLAT = {"technique": "kd", "training.lr": "0.02", "training.epochs": "3", "pair": "[0, 1]"}
POINTS = ((0, {"accuracy": 0.25, "bytes_sent": 0.0}), (1, {"accuracy": 0.5, "bytes_sent": 3e6}))
NUMBERS = {"accuracy": [(0, 0.25), (1, 0.5)], "bytes_sent": [(0, 0.0), (1, 3e6)]}
PLACES = ["tensorboard", "wandb", "mlflow", pytest.param("server", marks=pytest.mark.slow)]


class Place:
    """One service with an empty project."""

    def __init__(self, word, project, read):
        self.word, self.project, self._read, self.warnings = word, project, read, []

    def open(self):
        return open_tracking([self.word], folder=Path(), project=self.project, warn_fn=self.warnings.append)

    def find_finished(self):
        name, _, destination = self.word.partition("=")
        return SERVICES[name](destination, self.project).find_finished()

    def read(self):
        """The runs by key; none may be there twice."""
        assert self.warnings == []
        found = self._read()
        assert len(found) == len(dict(found))
        return dict(found)


@pytest.fixture(params=PLACES)
def place(request, tmp_path, monkeypatch):
    monkeypatch.delenv("WANDB_MODE", raising=False)
    project = tmp_path.name
    if request.param == "server":
        address = request.getfixturevalue("mlflow_server").address
        return Place(f"mlflow={address}", project, lambda: read_mlflow(address, project))
    pytest.importorskip(request.param, reason=f"{request.param} is not installed")
    reads = {
        "tensorboard": lambda: read_tensorboard(tmp_path, project),
        "wandb": lambda: read_wandb(tmp_path, project),
        "mlflow": lambda: read_mlflow(f"sqlite:///{tmp_path}/mlflow.db", project),
    }
    return Place(f"{request.param}={tmp_path}", project, reads[request.param])


def note(points=POINTS, key=KEY, **changes):
    return Note(key=key, name="uniform seed 0", config=CONFIG, points=points, **changes)


def cut_short(place, told):
    with contextlib.suppress(RunError), place.open() as tracking:
        tracking.tell(told)
        raise RunError("the disk is full")


def only_numbers(seen):
    return {name: numbers for name, numbers in seen.numbers.items() if name in NUMBERS}


def test_a_whole_run_is_there_with_its_name_numbers_and_configuration(place):
    with place.open() as tracking:
        tracking.tell(note(is_whole=True))
    seen = place.read()[KEY]
    assert seen.name.replace("-", " ") == "uniform seed 0"
    assert {name: value for name, value in seen.config.items() if name != "_wandb"} == FLAT
    assert only_numbers(seen) == NUMBERS
    assert seen.status == "done"
    assert place.find_finished() == {KEY}


def test_a_whole_run_that_is_told_again_is_there_once(place):
    for _ in range(2):
        with place.open() as tracking:
            tracking.tell(note(is_whole=True))
            tracking.tell(note(key=OTHER_KEY, is_whole=True))
            tracking.tell(note(is_whole=True))
    assert {key: only_numbers(seen) for key, seen in place.read().items()} == {
        KEY: NUMBERS,
        OTHER_KEY: NUMBERS,
    }


def test_a_live_run_is_there_as_it_grows_and_ends_with_the_work(place):
    with place.open() as tracking:
        tracking.tell(note(POINTS[:1]))
        tracking.tell(note(key=OTHER_KEY, is_whole=True))
        tracking.tell(note(POINTS[1:]))
    seen = place.read()
    assert {key: only_numbers(this) for key, this in seen.items()} == {KEY: NUMBERS, OTHER_KEY: NUMBERS}
    assert {this.status for this in seen.values()} == {"done"}


def test_a_run_that_was_cut_short_goes_on_and_has_each_step_once(place):
    cut_short(place, note(POINTS[:1]))
    assert place.find_finished() == set()
    assert place.read()[KEY].status in ("running", "failed")
    with place.open() as tracking:
        tracking.tell(note())
    assert only_numbers(place.read()[KEY]) == NUMBERS
    assert place.find_finished() == {KEY}


def test_a_run_that_was_cut_short_before_it_was_said_to_be_whole_is_completed(place):
    cut_short(place, note())
    with place.open() as tracking:
        tracking.tell(note(is_whole=True))
    assert only_numbers(place.read()[KEY]) == NUMBERS
    assert place.find_finished() == {KEY}


def test_a_finished_live_run_goes_on_with_more_steps(place):
    with place.open() as tracking:
        tracking.tell(note(POINTS[:1]))
    for _ in range(2):
        with place.open() as tracking:
            tracking.tell(note())
        seen = place.read()[KEY]
        assert (only_numbers(seen), seen.status) == (NUMBERS, "done")


def test_a_long_curve_is_there_whole(place):
    points = tuple((step, {"accuracy": step / 256, "bytes_sent": float(step)}) for step in range(257))
    with place.open() as tracking:
        tracking.tell(note(points, is_whole=True))
    assert only_numbers(place.read()[KEY])["accuracy"] == [
        (step, round(step / 256, 6)) for step in range(257)
    ]


def test_every_note_of_many_is_taken_before_the_end(place):
    keys = [f"{number:016x}" for number in range(20)]
    with place.open() as tracking:
        for key in keys:
            tracking.tell(note(key=key, is_whole=True))
    assert sorted(place.read()) == keys
