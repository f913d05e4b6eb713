"""A study that is tracked: every finished run is there once with the study's numbers, whatever died."""

import subprocess
import sys

import polars as pl
import pytest
import yaml
from tests.study.test_run import wait_for_runs
from tests.study.tiny import tiny
from tests.track.readers import read_mlflow, read_tensorboard
from tests.track.servers import MlflowServer, find_free_port

from limbeck.cli.app import _run as run
from limbeck.study import Crew, parse_spec, run_study
from limbeck.study.tracking import note_progress, note_run
from limbeck.track import open_tracking

pytestmark = pytest.mark.slow

SPEC = tiny(
    transfer__scenarios=[{"name": "uniform", "strategy": "uniform"}],
    transfer__techniques=["finetune", "kd", "dml", "tuned-kd"],
    transfer__transfer_sets=["student"],
    transfer__grid={"temperatures": [1, 4], "weights": [0.5]},
    federated__starts=["scratch", "hub"],
)
TRANSFER_NUMBERS = ("gain", "forgetting", "accuracy_before", "accuracy_after")
ROUND_NUMBERS = ("accuracy", "validation_accuracy", "bytes_sent", "seconds")


@pytest.fixture
def spec_path(tmp_path):
    path = tmp_path / "spec.yaml"
    path.write_text(yaml.safe_dump(SPEC))
    return str(path)


def study(spec_path, folder, *options):
    return run(["study", spec_path, "--out", str(folder), "--workers", "2", "--device", "cpu", *options])


def read_runs(folder):
    """The tracked runs of TensorBoard by key, and the progress."""
    found = read_tensorboard(folder / "tracking" / "tensorboard", "tiny")
    assert len(found) == len(dict(found))
    runs = dict(found)
    [progress] = [key for key, seen in runs.items() if seen.name == "progress"]
    return runs, runs.pop(progress)


def assert_tracked(folder, runs):
    """The tracked runs are those of the store, with its numbers."""
    transfers = pl.read_parquet(folder / "results.parquet")
    federations = pl.read_parquet(folder / "federation.parquet")
    models = {path.name for path in (folder / "models").iterdir()}
    grid = set(pl.read_parquet(folder / "grid.parquet")["run_id"])
    assert set(runs) == models | grid | set(transfers["run_id"]) | set(federations["run_id"])
    assert {seen.status for seen in runs.values()} == {"done"}
    for row in transfers.iter_rows(named=True):
        prefix = "peer." if row["role"] == "peer" else ""
        tracked = runs[row["run_id"]]
        for name in TRANSFER_NUMBERS:
            assert tracked.numbers[prefix + name] == [(0, pytest.approx(row[name], abs=1e-6))]
        assert tracked.config["technique"] in (row["technique"], "kd")
        assert tracked.config["student_arch"] == "mlp"
    for (key,), rounds in federations.group_by("run_id", maintain_order=True):
        for name in ROUND_NUMBERS:
            expected = list(zip(rounds["round"], rounds[name], strict=True))
            assert runs[key].numbers[name] == [
                (step, pytest.approx(value, rel=1e-6, abs=1e-6)) for step, value in expected
            ]


def test_every_finished_run_is_tracked_once_with_the_numbers_of_the_results(spec_path, tmp_path):
    folder = tmp_path / "study"
    assert study(spec_path, folder, "--track", "tensorboard") == 0
    runs, progress = read_runs(folder)
    assert_tracked(folder, runs)
    assert progress.numbers["finished"] == [(step, step) for step in range(len(runs) + 1)]
    assert {number for _, number in progress.numbers["total"]} == {len(runs)}
    assert study(spec_path, folder, "--track", "tensorboard") == 0
    assert read_runs(folder) == (runs, progress)


def test_runs_that_were_done_before_are_tracked_by_the_next_call(spec_path, tmp_path):
    folder = tmp_path / "study"
    assert study(spec_path, folder) == 0
    assert not (folder / "tracking").exists()
    elsewhere = tmp_path / "elsewhere"
    assert study(spec_path, folder, "--track", "tensorboard", "--track", f"tensorboard={elsewhere}") == 0
    assert_tracked(folder, read_runs(folder)[0])
    assert len(list(elsewhere.iterdir())) == len(read_runs(folder)[0]) + 1


def test_a_study_that_is_killed_goes_on_and_tracks_each_run_once(spec_path, tmp_path):
    folder = tmp_path / "study"
    command = [sys.executable, "-c", "from limbeck.cli.app import main; main()", "study", spec_path]
    first = subprocess.Popen(
        [*command, "--out", str(folder), "--workers", "2", "--track", "tensorboard"],
        stderr=subprocess.DEVNULL,
    )
    wait_for_runs(folder, 3)
    first.kill()
    first.wait()
    assert study(spec_path, folder, "--track", "tensorboard") == 0
    assert_tracked(folder, read_runs(folder)[0])


def test_a_server_that_is_not_there_is_said_once_and_costs_the_study_nothing(spec_path, tmp_path, capsys):
    pytest.importorskip("mlflow", reason="mlflow is not installed")
    address = f"http://127.0.0.1:{find_free_port()}"
    folder = tmp_path / "study"
    assert study(spec_path, folder, "--track", f"mlflow={address}", "--track", "tensorboard") == 0
    errors = capsys.readouterr().err
    assert errors.count("Warning: ") == 1
    assert f"Warning: MLflow at `{address}` is told no more, because: " in errors
    assert_tracked(folder, read_runs(folder)[0])


def test_a_server_that_goes_away_ends_no_study_and_gets_what_is_missing_later(tmp_path):
    pytest.importorskip("mlflow", reason="mlflow is not installed")
    server, folder = MlflowServer(tmp_path / "server"), tmp_path / "study"
    server.start()
    try:
        warnings = track_in_python(server, folder, stop_after=3)
        assert len(warnings) == 1
        server.start()
        before = read_mlflow(server.address, "tiny")
        assert track_in_python(server, folder, stop_after=None) == []
        found = read_mlflow(server.address, "tiny")
    finally:
        server.stop()
    runs = dict(found)
    assert len(before) < len(found) == len(runs)
    assert {seen.status for seen in runs.values()} == {"done"}
    [progress] = [key for key, seen in runs.items() if seen.name == "progress"]
    assert runs.pop(progress).numbers["finished"][-1] == (len(runs), len(runs))
    assert_tracked(folder, runs)


def track_in_python(server, folder, *, stop_after):
    """Run the study and track it; the server is killed after some runs."""
    warnings, spec = [], parse_spec(yaml.safe_dump(SPEC), origin="test")
    words = [f"mlflow={server.address}"]
    with open_tracking(words, folder=folder, project=spec.name, warn_fn=warnings.append) as tracking:

        def show(progress):
            tracking.tell(note_progress(spec, progress))
            if progress.done == stop_after:
                server.stop()

        run_study(
            spec,
            out=folder,
            crew=Crew(workers=2, device="cpu"),
            progress_fn=show,
            result_fn=lambda *result: tracking.tell(note_run(*result)),
        )
    return warnings
