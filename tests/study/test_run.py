"""A whole study on real digits: complete, repeatable, and safe to interrupt at any moment."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import yaml
from polars.testing import assert_frame_equal
from tests.study.tiny import TINY, tiny

from limbeck import data, models
from limbeck.engine import predict
from limbeck.study import Crew, load_spec, parse_spec, run_study

pytestmark = pytest.mark.slow

TABLES = ("results", "grid", "federation")
LIMIT_SECONDS = 240


@pytest.fixture(scope="module")
def spec():
    return parse_spec(yaml.safe_dump(TINY), origin="test")


@pytest.fixture(scope="module")
def finished(spec, tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished")
    events = []
    outcome = run_study(spec, out=folder, crew=Crew(workers=2, device="cpu"), progress_fn=events.append)
    return folder, outcome, events


def read_tables(folder):
    """Every number of a study but the ones a clock measured."""
    tables = {name: pl.read_parquet(folder / f"{name}.parquet") for name in TABLES}
    return {name: table.drop(pl.selectors.ends_with("seconds")) for name, table in tables.items()}


def assert_same_numbers(first, second):
    ours, theirs = read_tables(first), read_tables(second)
    for name in TABLES:
        assert_frame_equal(ours[name], theirs[name], check_exact=True)


def test_every_run_is_done_and_leaves_its_files(finished):
    folder, outcome, events = finished
    assert (outcome.runs_done, outcome.runs_skipped, outcome.errors) == (outcome.runs_total, 0, {})
    assert outcome.runs_total == 9 + 57 + 5
    assert {"store.sqlite", "study.json", "spec.yaml", "models", "workers.log"} <= set(os.listdir(folder))
    assert not list(folder.glob("*.tmp"))
    assert not list(folder.glob("data-*"))
    assert (folder / "workers.log").read_text() == ""
    assert len(list((folder / "models").iterdir())) == 9
    assert [events[0].done, events[-1].done] == [0, outcome.runs_total]
    assert events[-1].cost_done == pytest.approx(events[-1].cost_total)


def test_the_results_hold_one_row_per_transfer_and_model(finished):
    results = pl.read_parquet(finished[0] / "results.parquet")
    students = results.filter(pl.col("role") == "student")
    # Three pairs; 6 techniques on labelled sets, 3 on the proxy set.
    assert students.height == 3 * (6 + 6 + 3)
    assert results.filter(pl.col("role") == "peer")["technique"].unique().to_list() == ["dml"]
    assert results.filter(pl.col("role") == "peer").height == 3 * 2
    assert (results["gain"] == results["accuracy_after"] - results["accuracy_before"]).all()
    flips = (results["positive_flips"] - results["negative_flips"]) / results["num_test_samples"]
    assert (flips - results["gain"]).abs().max() < 1e-12


def test_tuned_kd_is_the_point_validation_chooses_and_test_has_no_say(finished):
    results = pl.read_parquet(finished[0] / "results.parquet")
    grid = pl.read_parquet(finished[0] / "grid.parquet")
    place = ["scenario", "seed", "student_client", "teacher_client", "transfer_set"]
    for row in results.filter(pl.col("technique") == "tuned-kd").iter_rows(named=True):
        points = grid.filter(*(pl.col(name) == row[name] for name in place))
        assert points.height == (2 if row["transfer_set"] == "proxy" else 4)
        assert row["validation_after"] == points["validation_after"].max()
        assert row["run_id"] in points["run_id"]


def test_peers_are_students_of_their_own_rows(finished):
    results = pl.read_parquet(finished[0] / "results.parquet")
    peer = results.filter(pl.col("role") == "peer", pl.col("scenario") == "uniform").row(0, named=True)
    student = results.filter(pl.col("run_id") == peer["run_id"], pl.col("role") == "student").row(
        0, named=True
    )
    for name in ("client", "arch", "run_id"):
        assert peer[f"student_{name}"] == student[f"teacher_{name}"]
    assert peer["accuracy_before"] == student["teacher_accuracy"]


def test_the_results_say_how_the_models_related_before(finished):
    folder = finished[0]
    results, digits = pl.read_parquet(folder / "results.parquet"), data.load("digits")
    assert results.filter(pl.col("role") == "peer")["teacher_only_right"].is_null().all()
    row = results.filter(pl.col("role") == "student", pl.col("transfer_set") == "proxy").row(0, named=True)
    spec = load_spec(folder / "spec.yaml")
    proxy = digits.subset(spec.data.reserve(digits.labels).proxy)
    normalization = data.measure_normalization(digits.train)
    said = {}
    for who in ("student", "teacher"):
        model, _ = models.load(folder / "models" / row[f"{who}_run_id"])
        inputs = [data.normalize(samples.inputs, normalization) for samples in (digits.test, proxy)]
        said[who] = [predict(model, shown) for shown in inputs]
        assert row[f"{who}_parameters"] == sum(parameter.numel() for parameter in model.parameters())
    labels = digits.test.labels.numpy()
    only_teacher = (said["teacher"][0] == labels) & (said["student"][0] != labels)
    assert row["teacher_only_right"] == only_teacher.sum()
    assert row["transfer_agreement"] == pytest.approx(np.mean(said["teacher"][1] == said["student"][1]))
    assert 0.1 < row["transfer_teacher_confidence"] <= 1  # at least that of an even guess among ten
    assert row["transfer_teacher_accuracy"] is None  # the proxy set has no labels


def test_federation_counts_rounds_bytes_and_the_cost_of_starts(finished):
    rounds = pl.read_parquet(finished[0] / "federation.parquet")
    assert rounds.height == 5 * 4
    assert rounds["federated_strategy"].unique().to_list() == ["fedavg"]
    assert rounds["settings"].unique().to_list() == ["{}"]
    assert rounds["rejected"].sum() == 0
    per_start = {start: part.sort("round") for (start,), part in rounds.group_by("start")}
    # A message is an encoded model of 64 * 128 + 128 + 128 * 128 + 128 + 128 * 10 + 10 numbers, and at most
    # 2 kB of names and facts. Three clients.
    size, most_more = 4 * 26_122, 2_000
    models_by_start = {"scratch": 0, "best-client": 3, "weight-average": 3, "hub": 5, "chain": 5}
    for start, num_models in models_by_start.items():
        part = per_start[start]
        assert 0 < part["start_bytes"][0] - num_models * size < (6 + 5 + num_models) * most_more
        for number, sent in enumerate(part["bytes_sent"]):
            assert 0 <= sent - 6 * size * number <= 6 * number * most_more
        assert (part["pretrain_seconds"] > 0).all() == (start != "scratch")


def test_a_second_call_skips_everything_and_keeps_the_first_account(finished, spec):
    folder, outcome, _ = finished
    account = (folder / "study.json").read_text()
    again = run_study(spec, out=folder, crew=Crew(workers=2, device="cpu"))
    assert (again.runs_done, again.runs_skipped) == (0, outcome.runs_total)
    assert (folder / "study.json").read_text() == account


def test_a_damaged_account_is_written_again(finished, spec, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(finished[0], folder)
    (folder / "study.json").write_text("{damaged")
    assert run_study(spec, out=folder, crew=Crew(workers=1, device="cpu")).runs_done == 0
    assert json.loads((folder / "study.json").read_text())["spec_hash"] == spec.hash


def test_one_worker_in_a_fresh_process_gives_the_same_numbers_bit_for_bit(finished, spec, tmp_path):
    run_study(spec, out=tmp_path, crew=Crew(workers=1, device="cpu"))
    assert_same_numbers(finished[0], tmp_path)


def test_a_lost_model_is_trained_again_and_nothing_else(finished, spec, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(finished[0], folder)
    damaged, removed = sorted((folder / "models").iterdir())[:2]
    (damaged / "model.safetensors").write_bytes(b"damaged")
    shutil.rmtree(removed)
    outcome = run_study(spec, out=folder, crew=Crew(workers=1, device="cpu"))
    assert outcome.runs_done == 2
    assert_same_numbers(finished[0], folder)


@pytest.fixture
def loaded(monkeypatch):
    """The folders of models that are read whole in this process."""
    folders, load = [], models.load

    def load_and_note(folder):
        folders.append(folder)
        return load(folder)

    monkeypatch.setattr(models, "load", load_and_note)
    return folders


def test_no_model_is_read_when_nothing_is_missing(finished, spec, loaded):
    assert run_study(spec, out=finished[0]).runs_done == 0
    assert loaded == []


def test_only_models_that_a_missing_run_needs_are_read_and_a_changed_byte_is_found(
    finished, spec, loaded, tmp_path
):
    folder = tmp_path / "copy"
    shutil.copytree(finished[0], folder)
    row = pl.read_parquet(folder / "results.parquet").row(0, named=True)
    with sqlite3.connect(folder / "store.sqlite") as connection:
        connection.execute("DELETE FROM runs WHERE id = ?", (row["run_id"],))
    connection.close()
    needed = [folder / "models" / row[f"{who}_run_id"] for who in ("student", "teacher")]
    weights = needed[0] / "model.safetensors"
    *content, last = weights.read_bytes()
    weights.write_bytes(bytes([*content, last ^ 1]))
    assert run_study(spec, out=folder, crew=Crew(workers=1, device="cpu")).runs_done == 2
    assert sorted(loaded) == sorted(needed)
    assert_same_numbers(finished[0], folder)


def start_study(folder: Path, spec_path: Path) -> subprocess.Popen:
    command = [sys.executable, "-c", "from limbeck.cli.app import main; main()"]
    options = ["study", str(spec_path), "--out", str(folder), "--workers", "2", "--device", "cpu"]
    return subprocess.Popen([*command, *options], stderr=subprocess.PIPE, text=True)


def wait_for_runs(folder: Path, number: int) -> None:
    deadline = time.monotonic() + LIMIT_SECONDS
    while count_done(folder) < number:
        assert time.monotonic() < deadline, "the study did not get that far"
        time.sleep(0.05)


def count_done(folder: Path) -> int:
    try:
        with sqlite3.connect(f"file:{folder / 'store.sqlite'}?mode=ro", uri=True, timeout=5) as connection:
            return connection.execute("SELECT count(*) FROM runs WHERE status = 'done'").fetchone()[0]
    except sqlite3.OperationalError:
        return 0
    finally:
        if "connection" in locals():
            connection.close()


@pytest.fixture
def spec_path(tmp_path):
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump(TINY))
    return path


def test_kill_9_in_the_middle_loses_nothing_finished_and_ends_with_the_same_numbers(
    finished, spec, spec_path, tmp_path
):
    folder = tmp_path / "killed"
    process = start_study(folder, spec_path)
    wait_for_runs(folder, 15)
    process.kill()
    process.communicate(timeout=LIMIT_SECONDS)
    done = count_done(folder)
    assert 15 <= done < 71
    outcome = run_study(spec, out=folder, crew=Crew(workers=2, device="cpu"))
    assert outcome.runs_skipped >= done
    assert outcome.runs_skipped + outcome.runs_done == 71
    assert_same_numbers(finished[0], folder)


def test_an_interrupt_is_one_sentence_with_status_1(spec_path, tmp_path):
    folder = tmp_path / "interrupted"
    process = start_study(folder, spec_path)
    wait_for_runs(folder, 3)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=LIMIT_SECONDS)
    assert process.returncode == 1
    assert "Traceback" not in errors
    last = errors.strip().splitlines()[-1]
    assert last.startswith("limbeck: Interrupted: ")
    assert "of 71 runs are finished and kept. Run the same command again to go on." in last
    assert count_done(folder) >= 3


def find_workers(parent: int) -> list[int]:
    children = Path(f"/proc/{parent}/task/{parent}/children")
    return [int(pid) for pid in children.read_text().split()]


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc to find worker processes")
def test_a_killed_worker_costs_only_its_run_which_is_done_again(finished, spec_path, tmp_path):
    folder = tmp_path / "worker"
    process = start_study(folder, spec_path)
    wait_for_runs(folder, 5)
    os.kill(find_workers(process.pid)[0], signal.SIGKILL)
    _, errors = process.communicate(timeout=LIMIT_SECONDS)
    assert process.returncode == 0, errors
    assert_same_numbers(finished[0], folder)


def test_a_diverging_run_is_marked_failed_with_its_reason_and_the_rest_goes_on(tmp_path):
    content = tiny(transfer__pretrain__lr=1e30, data__proxy_samples=100)
    outcome = run_study(
        parse_spec(yaml.safe_dump(content), origin="test"), out=tmp_path, crew=Crew(workers=2, device="cpu")
    )
    pretrain_errors = [error for error in outcome.errors.values() if "Lower `lr`" in error]
    assert len(pretrain_errors) == 6
    assert sum("a run whose model it needs failed" in error for error in outcome.errors.values()) == 57
    assert outcome.runs_done == 71 - 6 - 57
    assert pl.read_parquet(tmp_path / "results.parquet").height == 0
    assert pl.read_parquet(tmp_path / "federation.parquet").height == 20


def test_the_account_says_what_was_run(finished, spec):
    about = json.loads((finished[0] / "study.json").read_text())
    assert about["spec_hash"] == spec.hash
    assert load_spec(finished[0] / "spec.yaml") == spec
    assert about["data"]["num_test"] == 360
    assert [entry["label"] for entry in about["strategies"]] == ["FedAvg"]
    assert about["runs"] == {"total": 71, "done": 71, "skipped": 0, "elsewhere": 0, "failed": 0}
    assert {entry["part"] for entry in about["scenarios"]} == {"transfer", "federated"}
    assert about["versions"]["torch"]
