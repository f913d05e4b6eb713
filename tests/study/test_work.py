"""Studies that share a store: each run is done once, a lost one again, and what others do is waited for."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy
import yaml
from tests.study.test_run import LIMIT_SECONDS, assert_same_numbers, find_workers
from tests.study.tiny import TINY, tiny

from limbeck import data
from limbeck.core.errors import InputError
from limbeck.study import Crew, make_plan, parse_spec, run_study, work
from limbeck.study.database import parse_address
from limbeck.study.store import Claim, Store
from limbeck.study.work import CLAIM_LIMIT_SECONDS, Watch

CREW = Crew(workers=1, device="cpu")
# Begins the study only when another process is about to begin it too, and prints what it did.
TOGETHER = """
import json, pathlib, sys, time
from limbeck.study import Crew, load_spec, run_study

spec, out, store, own, other, limit = sys.argv[1:]

def wait_for_other(progress):
    pathlib.Path(own).touch()
    deadline = time.monotonic() + float(limit)
    while not pathlib.Path(other).exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)

outcome = run_study(load_spec(spec), out=pathlib.Path(out), store=store or None,
                    crew=Crew(workers=1, device="cpu"), progress_fn=wait_for_other)
print(json.dumps([outcome.runs_done, outcome.runs_skipped, outcome.runs_elsewhere, len(outcome.errors)]))
"""
# One federation that does not end by itself; its chain is the longest, so it is begun first.
ENDLESS = tiny(federated__rounds=10**6, federated__starts=["scratch"])
del ENDLESS["transfer"]


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def test_an_owner_is_dead_when_its_beat_has_stood_still_for_the_limit():
    clock = Clock()
    watch = Watch(clock)
    claim = Claim(run_id="a", owner=f"1-elsewhere-{'0' * 8}-host", beat=3)
    assert not watch.is_dead(claim)
    clock.now = CLAIM_LIMIT_SECONDS - 1
    assert not watch.is_dead(claim)
    assert not watch.is_dead(replace(claim, beat=4))
    clock.now = 2 * CLAIM_LIMIT_SECONDS - 2
    assert not watch.is_dead(replace(claim, beat=4))
    clock.now += 1
    assert watch.is_dead(replace(claim, beat=4))


@pytest.fixture(scope="module")
def spec():
    return parse_spec(yaml.safe_dump(TINY), origin="test")


@pytest.fixture(scope="module")
def finished(spec, tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished")
    run_study(spec, out=folder, crew=Crew(workers=2, device="cpu"))
    return folder


@pytest.fixture
def spec_path(tmp_path):
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump(TINY))
    return path


def read_claims(address):
    """How often each run was claimed, whether anyone has it, and its losses."""
    engine = sqlalchemy.create_engine(parse_address(address))
    try:
        with engine.connect() as connection:
            rows = connection.execute(
                sqlalchemy.text("SELECT run_id, taken, owner, losses FROM claims")
            ).all()
    finally:
        engine.dispose()
    return {row.run_id: (row.taken, row.owner, row.losses) for row in rows}


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_two_studies_at_once_do_each_run_once_and_both_have_whole_results(
    kind, finished, spec_path, tmp_path, request
):
    folder = tmp_path / "shared"
    store = request.getfixturevalue("postgres_url") if kind == "postgres" else ""
    gates = [str(tmp_path / name) for name in "ab"]
    command = [sys.executable, "-c", TOGETHER, str(spec_path), str(folder), store]
    both = [
        subprocess.Popen([*command, *order, str(LIMIT_SECONDS)], stdout=subprocess.PIPE, text=True)
        for order in (gates, gates[::-1])
    ]
    outcomes = [json.loads(process.communicate(timeout=LIMIT_SECONDS)[0]) for process in both]
    done, skipped, elsewhere, failed = zip(*outcomes, strict=True)
    assert sum(done) == 71
    assert min(done) > 0
    assert elsewhere == done[::-1]
    assert skipped == failed == (0, 0)
    claims = read_claims(store or f"sqlite:///{folder / 'store.sqlite'}")
    assert set(claims.values()) == {(1, None, 0)}
    assert len(claims) == 71
    assert_same_numbers(finished, folder)
    assert not list(folder.glob("data-*"))
    if store:
        password = store.split(":")[2].split("@")[0]
        written = [path for path in folder.rglob("*") if path.is_file()]
        assert not any(password.encode() in path.read_bytes() for path in written)
        assert not (folder / "store.sqlite").exists()


@pytest.fixture
def other(spec, tmp_path):
    """Another study on the store in `tmp_path`, at work in this process."""
    with Store.open(tmp_path / "store.sqlite", spec) as store:
        yield store


@pytest.fixture
def plan(spec):
    return make_plan(spec, data.load("digits"))


def read_result(folder, spec, run):
    with Store.open(folder / "store.sqlite", spec) as store:
        return store.read_ends()[run.id].result


@pytest.mark.slow
def test_what_another_study_has_in_hand_is_waited_for(finished, spec, plan, other, tmp_path):
    run = next(run for run in plan.runs.values() if run.kind == "pretrain")
    result = read_result(finished, spec, run)
    other.take(run.id)
    labels = []

    def end_once_waited_for(progress):
        labels.append(progress.label)
        if progress.label.startswith("waiting") and other.read_claims([run.id]):
            shutil.copytree(finished / "models" / run.id, tmp_path / "models" / run.id)
            other.record_done(run, result)

    outcome = run_study(spec, out=tmp_path, crew=CREW, progress_fn=end_once_waited_for)
    assert any(label.startswith("waiting for 1 run of another study on ") for label in labels)
    assert (outcome.runs_done, outcome.runs_elsewhere, outcome.errors) == (70, 1, {})
    assert_same_numbers(finished, tmp_path)


@pytest.mark.slow
def test_a_failure_of_another_study_is_its_word_and_what_needs_it_fails(spec, plan, other, tmp_path):
    run = next(run for run in plan.runs.values() if run.kind == "pretrain")
    other.take(run.id)

    def fail_once_waited_for(progress):
        if progress.label.startswith("waiting"):
            other.record_failed(run, "the disk is full")

    outcome = run_study(spec, out=tmp_path, crew=CREW, progress_fn=fail_once_waited_for)
    needing = [user for user in plan.runs.values() if run.id in user.needs]
    assert outcome.errors == {
        run.id: "the disk is full",
        **{user.id: "a run whose model it needs failed" for user in needing},
    }
    assert outcome.runs_done == 71 - 1 - len(needing)


@pytest.mark.slow
def test_a_study_that_stands_still_loses_its_run_to_the_next(
    finished, spec, plan, other, tmp_path, monkeypatch
):
    monkeypatch.setattr(work, "CLAIM_LIMIT_SECONDS", 2)
    run = next(iter(plan.runs.values()))
    other.take(run.id)
    outcome = run_study(spec, out=tmp_path, crew=CREW)
    assert (outcome.runs_done, outcome.runs_elsewhere) == (71, 0)
    assert not other.record_done(run, {"accuracy": 0, "weights_hash": "", "seconds": 0})
    assert read_claims(f"sqlite:///{tmp_path / 'store.sqlite'}")[run.id] == (2, None, 0)
    assert_same_numbers(finished, tmp_path)


@pytest.mark.slow
def test_studies_on_one_store_with_two_folders_are_told_to_share_one(
    finished, spec, plan, other, tmp_path, monkeypatch
):
    monkeypatch.setattr(work, "MODEL_LIMIT_SECONDS", 0)
    run = next(run for run in plan.runs.values() if run.kind == "pretrain")
    result = read_result(finished, spec, run)
    other.take(run.id)

    def end_once_waited_for(progress):
        if progress.label.startswith("waiting") and other.read_claims([run.id]):
            other.record_done(run, result)

    with pytest.raises(InputError, match="Studies on one store must share one folder"):
        run_study(spec, out=tmp_path, crew=CREW, progress_fn=end_once_waited_for)
    assert other.read_claims(plan.runs) == {}


def start_endless(folder: Path, spec_path: Path) -> subprocess.Popen:
    spec_path.write_text(yaml.safe_dump(ENDLESS))
    command = [sys.executable, "-c", "from limbeck.cli.app import main; main()"]
    options = ["study", str(spec_path), "--out", str(folder), "--workers", "1", "--device", "cpu"]
    return subprocess.Popen([*command, *options], stderr=subprocess.PIPE, text=True)


def kill_worker(study: subprocess.Popen, folder: Path, *, losses: int) -> None:
    """`kill -9` the one worker, once it has in hand what was lost `losses` times."""
    wait_until(lambda: read_endless(folder) == (True, losses) and find_workers(study.pid))
    [worker] = find_workers(study.pid)
    os.kill(worker, signal.SIGKILL)


def wait_until(holds_fn) -> None:
    deadline = time.monotonic() + LIMIT_SECONDS
    while not holds_fn():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def read_endless(folder: Path) -> tuple[bool, int] | None:
    """Whether the run is in someone's hands, and its losses."""
    try:
        with sqlite3.connect(f"file:{folder / 'store.sqlite'}?mode=ro", uri=True, timeout=5) as connection:
            row = connection.execute(
                "SELECT owner IS NOT NULL, losses FROM claims WHERE run_id NOT IN (SELECT id FROM runs)"
            ).fetchone()
    except sqlite3.OperationalError:
        return None
    finally:
        if "connection" in locals():
            connection.close()
    return None if row is None else (bool(row[0]), row[1])


def read_failures(folder: Path) -> list[str]:
    with sqlite3.connect(folder / "store.sqlite") as connection:
        rows = connection.execute("SELECT error FROM runs WHERE status = 'failed'").fetchall()
    connection.close()
    return [error for (error,) in rows]


NEEDS_PROC = pytest.mark.skipif(
    not Path("/proc/self/task").exists(), reason="needs /proc to find worker processes"
)


@pytest.mark.slow
@NEEDS_PROC
def test_a_run_whose_worker_is_killed_twice_is_marked_failed_with_the_reason(tmp_path):
    folder = tmp_path / "study"
    study = start_endless(folder, tmp_path / "spec.yaml")
    kill_worker(study, folder, losses=0)
    kill_worker(study, folder, losses=1)
    _, errors = study.communicate(timeout=LIMIT_SECONDS)
    assert study.returncode == 1
    [reason] = read_failures(folder)
    assert "it was begun 2 times and did not end" in reason
    assert "ended with status -9" in reason
    assert "1 of 4 runs failed" in errors


@pytest.mark.slow
@NEEDS_PROC
def test_a_loss_is_remembered_by_the_next_start(tmp_path):
    folder = tmp_path / "study"
    study = start_endless(folder, tmp_path / "spec.yaml")
    kill_worker(study, folder, losses=0)
    wait_until(lambda: read_endless(folder) == (True, 1))
    study.send_signal(signal.SIGINT)
    study.communicate(timeout=LIMIT_SECONDS)
    assert read_endless(folder) == (False, 1)
    study = start_endless(folder, tmp_path / "spec.yaml")
    kill_worker(study, folder, losses=1)
    study.communicate(timeout=LIMIT_SECONDS)
    assert study.returncode == 1
    assert "it was begun 2 times and did not end" in read_failures(folder)[0]


@pytest.mark.slow
@NEEDS_PROC
def test_a_killed_study_takes_its_worker_along_and_leaves_its_run_to_the_next(tmp_path):
    folder = tmp_path / "study"
    study = start_endless(folder, tmp_path / "spec.yaml")
    wait_until(lambda: read_endless(folder) == (True, 0) and find_workers(study.pid))
    [worker] = find_workers(study.pid)
    study.kill()
    study.communicate(timeout=LIMIT_SECONDS)
    wait_until(lambda: not is_running(worker))
    study = start_endless(folder, tmp_path / "spec.yaml")
    wait_until(lambda: read_endless(folder) == (True, 1))
    assert len(list(folder.glob("data-*"))) == 1
    study.send_signal(signal.SIGINT)
    study.communicate(timeout=LIMIT_SECONDS)


def is_running(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
