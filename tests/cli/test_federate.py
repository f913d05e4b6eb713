"""`limbeck federate`, run on the digits: what it prints, how it ends, and that it goes on."""

import json
import signal
import subprocess
import sys
import threading

import polars as pl
import pytest
import yaml
from tests.cli.saved_models import complaint, measure
from tests.federate.small_spec import make_spec, write_spec

from limbeck.cli.app import _run as run
from limbeck.federate.spec import load_example, load_federate_spec

pytestmark = pytest.mark.usefixtures("here")

KEYS = {
    "rounds",
    "accuracy",
    "validation_accuracy",
    "best_round",
    "best_accuracy",
    "epsilon",
    "reached_target",
    "start_settings",
    "start_bytes",
    "bytes_sent",
    "total_bytes",
    "folder",
    "report",
}


@pytest.fixture
def spec(here):
    """Writes a spec with changes and returns its path."""
    return lambda **changes: str(write_spec(here / "spec.yaml", **changes))


def answer(capsys):
    return json.loads(capsys.readouterr().out)


def test_one_object_goes_to_stdout_and_rounds_to_stderr(spec, capsys, here, digits):
    assert run(["federate", spec(), "--json"]) == 0
    output = capsys.readouterr()
    content = json.loads(output.out)
    assert set(content) == KEYS
    assert (content["rounds"], content["reached_target"], content["epsilon"]) == (3, None, None)
    assert content["folder"] == "limbeck-federations/small"
    assert content["report"] == "limbeck-federations/small/report.html"
    assert "small" in (here / content["report"]).read_text(encoding="utf-8")
    folder = here / content["folder"]
    curves = pl.read_parquet(folder / "rounds.parquet")
    assert content["accuracy"] == curves["accuracy"][-1]
    assert content["best_accuracy"] == measure(folder / "models" / "mlp", digits)
    assert content["total_bytes"] == pl.read_parquet(folder / "ledger.parquet")["message_bytes"].sum()
    assert content["total_bytes"] == content["start_bytes"] + content["bytes_sent"]
    assert load_federate_spec(folder / "spec.yaml") == make_spec()
    lines = output.err.splitlines()
    assert lines[0].startswith("small: start weight-average, test ")
    assert [line.split(",")[0] for line in lines[1:4]] == [f"small: round {n} of 3" for n in (1, 2, 3)]
    assert all(", 3 clients, " in line and line.endswith(" s a round") for line in lines[1:4])


def test_people_are_shown_the_best_round_and_the_paths(spec, capsys):
    assert run(["federate", spec(rounds=1, target=0.999), "--out", "my run"]) == 0
    output = capsys.readouterr()
    assert output.out == ""
    assert "Target of 99.9% on the validation samples: not reached in 1 rounds." in output.err
    assert "Best on the validation samples: round " in output.err
    paths = ["Models: my run/models", "Curves and messages: my run", "Report: my run/report.html"]
    assert output.err.splitlines()[-3:] == paths


def test_a_target_that_is_reached_ends_the_run(spec, capsys):
    assert run(["federate", spec(target=0.01), "--json"]) == 0
    output = capsys.readouterr()
    assert "Target of 1.0% on the validation samples: reached in round 0." in output.err
    assert (json.loads(output.out)["reached_target"], json.loads(output.out)["rounds"]) == (True, 0)


def test_the_same_command_again_changes_nothing(spec, capsys):
    assert run(["federate", spec(), "--json"]) == 0
    first = answer(capsys)
    assert run(["federate", spec(), "--json"]) == 0
    output = capsys.readouterr()
    assert json.loads(output.out) == first
    assert output.err.startswith("small: going on after round 3\n")
    assert "round 1 of 3" not in output.err


def test_the_number_of_workers_changes_no_number(spec, capsys):
    found = []
    for workers in ("1", "2"):
        assert run(["federate", spec(), "--json", "--workers", workers, "--out", workers]) == 0
        content = answer(capsys)
        found.append({name: value for name, value in content.items() if name not in ("folder", "report")})
    assert found[0] == found[1]


def test_settings_that_clients_chose_are_shown(spec, capsys):
    tune = {"temperatures": [4], "weights": [0.25]}
    assert run(["federate", spec(start="chain", rounds=0, tune=tune), "--json"]) == 0
    output = capsys.readouterr()
    assert "start chain (temperature 4, weight 0.25, chosen by clients), test " in output.err
    assert json.loads(output.out)["start_settings"] == {"temperature": 4, "weight": 0.25}


def test_clipping_without_noise_promises_nothing(spec, capsys):
    assert run(["federate", spec(start="scratch", rounds=1, privacy={"clip_norm": 1.0}), "--json"]) == 0
    output = capsys.readouterr()
    assert "Infinity" not in output.out
    assert json.loads(output.out)["epsilon"] is None
    assert "differentially private" not in output.err


def test_noise_promises_what_is_printed(spec, capsys):
    privacy = {"clip_norm": 1.0, "noise_multiplier": 2.0}
    assert run(["federate", spec(start="scratch", rounds=1, privacy=privacy), "--json"]) == 0
    output = capsys.readouterr()
    epsilon = json.loads(output.out)["epsilon"]
    assert 0 < epsilon < 100
    assert f"Privacy: what each client sent is ({epsilon:.3g}, 1e-05)-differentially private" in output.err


def test_the_spec_that_is_printed_reads_back(spec, capsys, here):
    assert run(["federate", "--print-spec"]) == 0
    printed = capsys.readouterr().out
    (here / "printed.yaml").write_text(printed)
    assert load_federate_spec(here / "printed.yaml") == load_example()
    assert run(["federate", "printed.yaml", "--print-spec"]) == 0
    assert capsys.readouterr().out == printed
    assert run(["federate", spec(rounds=7), "--print-spec"]) == 0
    assert yaml.safe_load(capsys.readouterr().out)["rounds"] == 7
    assert not (here / "limbeck-federations").exists()


@pytest.mark.slow
def test_without_a_spec_the_printed_one_is_run(capsys, here):
    assert run(["federate", "--json"]) == 0
    content = answer(capsys)
    assert content["folder"] == "limbeck-federations/digits"
    assert content["reached_target"] is True
    assert load_federate_spec(here / content["folder"] / "spec.yaml") == load_example()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["nowhere.yaml"], "`nowhere.yaml` must be a readable YAML file"),
        (["--engine", "flowr"], "Unknown engine `flowr`. Did you mean `flower`"),
        (["--workers", "0"], "`workers >= 1` must hold, but got workers=0"),
        (["--device", "tpu"], "device=tpu"),
        (["--rounds", "3"], "No such option"),
        (["--engine", "flower", "--device", "cpu"], "`--device` goes with `--engine simulation` must hold"),
        (["--engine", "flower", "--workers", "2"], "`--workers` goes with `--engine simulation` must hold"),
        (["--new-site", "bonn", "--track", "wandb"], "`--track` goes with `--engine` must hold"),
        (["--superlink", "hub"], "`--superlink` goes with `--engine flower` must hold"),
        (["--host", "fl.example.org"], "but got it with `--engine simulation`. Leave `--host` out, or use"),
        (["--new-site", "bonn", "--superlink", "hub"], "but got it with `--new-site`. Leave `--superlink`"),
    ],
)
def test_a_wrong_word_is_one_sentence_with_status_2(words, expected, capsys, here):
    assert run(["federate", *words]) == 2
    assert expected in complaint(capsys)
    assert not (here / "limbeck-federations").exists()


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"rouds": 3}, "Unknown key `rouds`"),
        ({"data__source": "digts"}, "Did you mean `digits`"),
        ({"data__validation_samples": 10_000}, "data.validation_samples + data.proxy_samples"),
        ({"split__train_samples": 5000}, "train_samples <= samples left for clients"),
        ({"split__num_clients": 5000}, "num_clients"),
        ({"split": None, "num_sites": 3}, "the spec has a `split`"),
        ({"arch": ["mlp", "cnn", "mlp"]}, "`fedavg` needs one architecture for all clients"),
        ({"strategy": "fedmd", "start": "scratch", "data__proxy_samples": 0}, "unlabelled proxy set"),
        ({"participation": 0.3, "min_replies": 2}, "min_replies <= clients asked in a round"),
        ({"privacy": {"clip_norm": 1.0}}, "`privacy` protects what clients send in rounds"),
        ({"strategy": "ds-fl", "settings": {"public_samples": 61}}, "public_samples=61 of 60"),
        ({"strategy": "fml", "settings": {"shared_arch": "cnn"}}, "Unknown architecture of a client `cnn`"),
        ({"strategy": "fd", "start": "scratch", "aggregation": "median"}, "`fd` adds up what clients send"),
    ],
)
def test_a_wrong_spec_is_one_sentence_with_status_2(spec, changes, expected, capsys):
    assert run(["federate", spec(**changes)]) == 2
    assert expected in complaint(capsys)


def test_the_folder_of_another_spec_is_refused_with_status_2(spec, capsys):
    assert run(["federate", spec(rounds=0)]) == 0
    capsys.readouterr()
    assert run(["federate", spec(seed=1)]) == 2
    assert "a folder holds one run" in complaint(capsys)


def test_a_damaged_checkpoint_is_one_sentence_with_status_2(spec, capsys, here):
    (here / "out").mkdir()
    (here / "out" / "checkpoint.safetensors").write_bytes(b"damaged")
    assert run(["federate", spec(), "--out", "out"]) == 2
    assert "must be a whole checkpoint" in complaint(capsys)


def test_a_folder_that_refuses_writing_is_one_sentence_with_status_1(spec, capsys):
    assert run(["federate", spec(), "--out", "/proc/nowhere"]) == 1
    assert "`/proc/nowhere" in complaint(capsys)


def test_too_few_replies_are_one_sentence_with_status_1(spec, capsys):
    changes = {"local__lr": 1e30, "change_limit": 1.0, "min_replies": 3, "start": "scratch"}
    assert run(["federate", spec(**changes)]) == 1
    assert "`min_replies` good replies must come back in a round, but round 1 got 0 of 3" in complaint(capsys)


@pytest.mark.slow
def test_an_interrupted_run_keeps_its_rounds_and_goes_on(spec, here):
    path = spec(rounds=100_000)
    process = subprocess.Popen(
        [sys.executable, "-c", "from limbeck.cli.app import main; main()", "federate", path, "--json"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    limit = threading.Timer(60, process.kill)
    limit.start()
    assert any("round 1 of 100000" in line for line in iter(process.stderr.readline, ""))
    limit.cancel()
    process.send_signal(signal.SIGINT)
    out, errors = process.communicate(timeout=60)
    assert (process.returncode, out) == (1, "")
    last = errors.strip().splitlines()[-1]
    assert last.startswith("limbeck: Interrupted: round ")
    assert last.endswith(" is kept. Run the same command again to go on.")
    assert (here / "limbeck-federations" / "small" / "checkpoint.safetensors").exists()
    assert (here / "limbeck-federations" / "small" / "rounds.parquet").exists()
