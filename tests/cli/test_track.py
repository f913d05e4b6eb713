"""`limbeck federate --track` and what `--track` refuses before any work."""

import sys

import polars as pl
import pytest
from tests.cli.saved_models import complaint
from tests.federate.small_spec import make_spec, write_spec
from tests.track.readers import read_tensorboard

from limbeck.cli.app import _run as run

pytestmark = pytest.mark.usefixtures("here")

NUMBERS = ("accuracy", "validation_accuracy", "bytes_sent", "seconds")


def federate(here, rounds, *options):
    path = write_spec(here / "spec.yaml", rounds=rounds)
    return run(["federate", str(path), "--out", "run", "--track", "tensorboard", *options])


def read_curve(here):
    """The only tracked run and the table of rounds beside it, as (round, number) by name."""
    [(key, seen)] = read_tensorboard(here / "run" / "tracking" / "tensorboard", "small")
    rounds = pl.read_parquet(here / "run" / "rounds.parquet")
    table = {name: list(zip(rounds["round"], rounds[name], strict=True)) for name in NUMBERS}
    return key, seen, table


def assert_same(seen, table):
    for name in NUMBERS:
        assert seen.numbers[name] == [
            (step, pytest.approx(number, rel=1e-6, abs=1e-6)) for step, number in table[name]
        ]


def test_rounds_are_tracked_and_go_on_where_they_stopped(here):
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    assert federate(here, 2) == 0
    key, seen, table = read_curve(here)
    assert (key, seen.name, seen.status) == (make_spec().hash, "small", "done")
    assert seen.config["strategy"] == make_spec().strategy
    assert_same(seen, table)
    for _ in range(2):
        assert federate(here, 4) == 0
        key, seen, table = read_curve(here)
        assert [step for step, _ in table["accuracy"]] == [0, 1, 2, 3, 4]
        assert_same(seen, table)


def test_a_federation_that_was_not_tracked_is_tracked_whole_by_the_next_call(here):
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    assert run(["federate", str(write_spec(here / "spec.yaml")), "--out", "run"]) == 0
    assert federate(here, 3) == 0
    assert_same(*read_curve(here)[1:])


@pytest.mark.parametrize("command", ["study", "federate"])
def test_a_missing_package_is_said_before_any_work(command, here, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    monkeypatch.delitem(sys.modules, "limbeck.track.wandb", raising=False)
    assert run([command, "--track", "wandb"]) == 2
    assert complaint(capsys) == (
        "limbeck: Tracking with wandb needs the package `wandb`, which is not installed. "
        "Run `pip install 'limbeck[wandb]'`."
    )
    assert not list(here.iterdir())


@pytest.mark.parametrize("command", ["study", "federate"])
def test_an_unknown_tracker_is_said_before_any_work(command, here, capsys):
    assert run([command, "--track", "mlfow=http://127.0.0.1:5000"]) == 2
    assert "Unknown tracker `mlfow`. Did you mean `mlflow`?" in complaint(capsys)
    assert not list(here.iterdir())
