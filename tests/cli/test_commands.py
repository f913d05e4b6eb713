"""Commands as a user meets them: one sentence and a status for every mistake, one object for programs."""

import json
import re

import numpy as np
import pytest
import torch
import yaml
from tests.study.tiny import tiny

from limbeck import models
from limbeck.cli.app import _run as run
from limbeck.cli.app import app
from limbeck.engine import Wishes, calibrate
from limbeck.study import list_builtin

MODEL_OPTIONS = ("--arch", "--class-map", "--classes", "--input-size", "--map", "--max-length", "--normalize")
DATA_OPTIONS = ("--data", "--data-dir", "--image-size", "--label-column", "--text-column")
RUN_OPTIONS = ("--device", "--json", "--no-cache", "--out")
TRANSFER_OPTIONS = (
    "--augment",
    "--baseline",
    "--batch-size",
    "--client",
    "--compile",
    "--epochs",
    "--export",
    "--keep",
    "--lr",
    "--memory-format",
    "--optimizer",
    "--precision",
    "--proxy",
    "--seed",
    "--set",
    "--split",
    "--student",
    "--teacher",
    "--technique",
    "--temperature",
    "--threads",
    "--validation-share",
    "--weight",
    "--weight-decay",
)
ADVISE_OPTIONS = (
    "--client",
    "--counts",
    "--epsilon",
    "--has-proxy",
    "--split",
    "--teacher-client",
    "--tries",
    "--write-counts",
)
TUNE_OPTIONS = (
    "--augment",
    "--batch-size",
    "--client",
    "--compile",
    "--driver",
    "--epochs",
    "--lr",
    "--memory-format",
    "--objective",
    "--optimizer",
    "--precision",
    "--seed",
    "--space",
    "--split",
    "--student",
    "--teacher",
    "--technique",
    "--threads",
    "--trials",
    "--validation-share",
    "--weight-decay",
    "--workers",
)


def complaint(capsys):
    output = capsys.readouterr()
    assert output.out == ""
    assert "Traceback" not in output.err
    lines = output.err.strip().splitlines()
    assert lines[-1].startswith("limbeck: ")
    return lines[-1]


@pytest.fixture
def spec_path(tmp_path):
    def write(**changes):
        path = tmp_path / "spec.yaml"
        path.write_text(yaml.safe_dump(tiny(**changes)))
        return str(path)

    return write


def test_commands_and_their_options_are_the_promised_ones():
    import typer

    group = typer.main.get_command(app)
    options = {
        name: sorted(option for param in command.params for option in param.opts if option.startswith("--"))
        for name, command in group.commands.items()
    }
    assert options == {
        "study": [
            "--budget",
            "--data-dir",
            "--device",
            "--json",
            "--out",
            "--print-spec",
            "--ray",
            "--store",
            "--track",
            "--workers",
        ],
        "partition": ["--data-dir", "--json", "--num-clients", "--out", "--param", "--seed", "--strategy"],
        "compare": sorted([*MODEL_OPTIONS, *DATA_OPTIONS, *RUN_OPTIONS]),
        "transfer": sorted([*MODEL_OPTIONS, *DATA_OPTIONS, *TRANSFER_OPTIONS, *RUN_OPTIONS]),
        "tune": sorted([*MODEL_OPTIONS, *DATA_OPTIONS, *TUNE_OPTIONS, *RUN_OPTIONS]),
        "advise": sorted(
            [*MODEL_OPTIONS, *DATA_OPTIONS, *ADVISE_OPTIONS, "--device", "--json", "--no-cache"]
        ),
        "federate": [
            "--device",
            "--engine",
            "--host",
            "--json",
            "--new-site",
            "--out",
            "--print-spec",
            "--superlink",
            "--track",
            "--workers",
        ],
        "report": ["--export", "--json", "--open", "--out"],
        "doctor": ["--calibrate", "--data-dir", "--json"],
    }


def test_help_names_every_built_in_study(capsys):
    assert run(["study", "--help"]) == 0
    text = capsys.readouterr().out
    assert all(name in text for name in list_builtin())


def test_a_spec_is_printed_as_yaml(capsys):
    assert run(["study", "quickstart", "--print-spec"]) == 0
    assert yaml.safe_load(capsys.readouterr().out)["name"] == "quickstart"


def test_partition_prints_one_object_and_saves_map_and_picture(tmp_path, capsys):
    arguments = ["partition", "digits", "--strategy", "dirichlet", "--num-clients", "4"]
    assert run([*arguments, "--param", "alpha=0.5", "--out", str(tmp_path), "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    saved = json.loads((tmp_path / "partition.json").read_text())
    assert content["hash"] == saved["hash"]
    assert sum(content["sizes"]) == 1437
    assert (tmp_path / "partition.html").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["study", "quikstart"], "Did you mean `quickstart`"),
        (["study", "--worker", "2"], "No such option"),
        (["study", "--workers", "two"], "'--workers'"),
        (["study", "--workers", "0"], "workers >= 1"),
        (["study", "--device", "tpu"], "device=tpu"),
        (["studdy"], "No such command"),
        (["report", "/nowhere"], "/nowhere"),
        (["partition", "digts", "--strategy", "uniform", "--num-clients", "2"], "Did you mean `digits`"),
        (["partition", "digits", "--strategy", "unifrom", "--num-clients", "2"], "Did you mean `uniform`"),
        (["partition", "digits", "--strategy", "uniform"], "--num-clients"),
        (["partition", "digits", "--strategy", "uniform", "--num-clients", "5000"], "num_clients"),
        (
            ["partition", "digits", "--strategy", "dirichlet", "--num-clients", "2", "--param", "alpha=-1"],
            "alpha > 0",
        ),
        (
            ["partition", "digits", "--strategy", "dirichlet", "--num-clients", "2", "--param", "alpha"],
            "NAME=VALUE",
        ),
        (
            ["partition", "digits", "--strategy", "classes", "--num-clients", "2", "--param",
             "classes_per_client=3"],
            "class",
        ),
    ],
)  # fmt: skip
def test_wrong_input_is_one_sentence_with_status_2(arguments, words, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run(arguments) == 2
    assert words in complaint(capsys)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"data__source": "digts"}, "Did you mean `digits`"),
        ({"transfer__grid__weights": [2]}, "0 <= weight <= 1"),
        ({"transfer__tecniques": ["kd"]}, "Unknown key `transfer.tecniques`"),
        ({"transfer__scenarios__0__num_clients": 10_000}, "num_clients"),
    ],
)
def test_a_wrong_spec_is_one_sentence_with_status_2(spec_path, changes, words, capsys, tmp_path):
    assert run(["study", spec_path(**changes), "--out", str(tmp_path / "out")]) == 2
    assert words in complaint(capsys)


def test_a_damaged_npz_is_one_sentence_with_status_2(spec_path, tmp_path, capsys):
    path = tmp_path / "data.npz"
    path.write_bytes(b"PK damaged")
    assert run(["study", spec_path(data__source=str(path)), "--out", str(tmp_path / "out")]) == 2
    assert str(path) in complaint(capsys)


def test_a_pickled_npz_is_refused_and_not_unpickled(spec_path, tmp_path, capsys):
    path = tmp_path / "data.npz"
    np.savez(path, x=np.array([object()] * 4), y=np.zeros(4, dtype=np.int64))
    assert run(["study", spec_path(data__source=str(path)), "--out", str(tmp_path / "out")]) == 2
    assert str(path) in complaint(capsys)


def test_a_folder_that_refuses_writing_is_one_sentence_with_status_1(spec_path, capsys):
    assert run(["study", spec_path(), "--out", "/proc/nowhere"]) == 1
    assert re.search(r"`/proc/nowhere.*` must be writable", complaint(capsys))


def test_a_damaged_store_is_one_sentence_with_status_2(spec_path, tmp_path, capsys):
    (tmp_path / "store.sqlite").write_bytes(b"not a database at all " * 100)
    assert run(["study", spec_path(), "--out", str(tmp_path)]) == 2
    assert "must be a limbeck store" in complaint(capsys)


def test_the_doctor_answers_in_json(capsys):
    assert run(["doctor", "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["machine"]["cores"] >= 1
    assert content["data"]["digits"].startswith("1437 training")
    extras = {
        "export",
        "flower",
        "hf",
        "mlflow",
        "postgres",
        "privacy",
        "ray",
        "tensorboard",
        "timm",
        "wandb",
    }
    assert set(content["extras"]) == extras
    assert content["extras"]["timm"].startswith("timm ")


def test_the_doctor_names_the_cache_and_its_size(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = tmp_path / "limbeck" / "targets"
    folder.mkdir(parents=True)
    (folder / "0123456789abcdef.safetensors").write_bytes(bytes(1500))
    assert run(["doctor", "--json"]) == 0
    output = capsys.readouterr()
    assert json.loads(output.out)["cache"] == {"folder": str(folder), "bytes": 1500}
    assert "1.5 kB" in output.err


def test_the_doctor_says_what_has_been_measured_and_measures_now(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert run(["doctor", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["calibrated"] == []
    batch = torch.zeros(4, 1, 8, 8)
    model = models.build("mlp", input_shape=(1, 8, 8), num_classes=10, seed=0)
    calibrate(model, batch, wishes=Wishes(threads=1), name="mlp")
    assert run(["doctor", "--json", "--calibrate"]) == 0
    output = capsys.readouterr()
    remembered, *now = json.loads(output.out)["calibrated"]
    assert remembered["title"] == "mlp, 26,122 weights, batch 4x1x8x8"
    assert set(remembered["milliseconds"]) == {"float32, 1 thread", "bfloat16, 1 thread"}
    assert [choice["title"].split(",")[0] for choice in now] == ["cnn", "resnet20"]
    assert {choice["layout"]["precision"] for choice in now} <= {"float32", "bfloat16"}
    assert "calibrated" in output.err
    assert "mlp, 26,122 weights" in output.err


def test_paths_are_printed_one_per_line_as_they_are(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments = ["partition", "digits", "--strategy", "uniform", "--num-clients", "2", "--out", "a [b]"]
    assert run(arguments) == 0
    assert "Map: a [b]/partition.json\nPicture: a [b]/partition.html\n" in capsys.readouterr().err
