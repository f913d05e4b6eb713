"""A spec becomes a Flower app, and what Flower says becomes one sentence."""

import socket
import tomllib

import pytest

from limbeck.core.errors import InputError, RunError
from limbeck.core.spec_files import parse_part
from limbeck.federate.spec import FederateSpec, load_example

WHY = "Flower is not installed"
deployment = pytest.importorskip("limbeck.federate.flower.deployment", reason=WHY)
server_app = pytest.importorskip("limbeck.federate.flower.server_app", reason=WHY)


@pytest.fixture
def nobody(tmp_path, monkeypatch):
    """A configuration whose SuperLink is not up."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    text = f'[superlink]\ndefault = "hub"\n[superlink.hub]\naddress = "127.0.0.1:{port}"\ninsecure = true\n'
    (tmp_path / "config.toml").write_text(text)
    monkeypatch.setenv("FLWR_HOME", str(tmp_path))


def read_app(app):
    return tomllib.loads((app / "pyproject.toml").read_text(encoding="utf-8"))


def test_the_app_has_the_spec_and_the_runs_folder_as_its_run_config(tmp_path):
    spec = load_example().model_copy(update={"description": 'Drei "Kliniken"\nan der Elbe: Größe \\ 3'})
    app = read_app(deployment.write_app(tmp_path / "app", spec, run_folder=tmp_path / "run"))
    config = app["tool"]["flwr"]["app"]["config"]
    assert server_app.read_spec(config) == spec
    assert config["folder"] == str(tmp_path / "run")
    assert app["project"]["description"] == spec.description
    assert app["project"]["dependencies"] == []


def test_a_relative_folder_of_data_counts_from_where_the_command_was_given(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = load_example().to_yaml().replace("source: digits", "source: digits\n  data_dir: here")
    spec = parse_part(text, FederateSpec, origin="spec", remedy="")
    app = read_app(deployment.write_app(tmp_path / "app", spec, run_folder=tmp_path))
    sent = server_app.read_spec(app["tool"]["flwr"]["app"]["config"])
    assert sent.data.data_dir == tmp_path / "here"
    assert sent.hash == spec.hash


@pytest.mark.usefixtures("nobody")
def test_a_superlink_that_is_not_up_is_told_before_anything_is_written(tmp_path):
    with pytest.raises(RunError, match=r"a SuperLink must answer at 127\.0\.0\.1"):
        deployment.deploy(load_example(), tmp_path / "run", superlink=None, print_fn=lambda _: None)
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
@pytest.mark.usefixtures("nobody")
def test_what_flower_says_is_one_sentence():
    with pytest.raises(RunError) as caught:
        deployment.Flower("hub").read_state("1")
    assert str(caught.value).startswith("`flwr list` must succeed at `hub`, but Flower says: Connection")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("limbeck input error: too few sites.", InputError("too few sites.")),
        ("limbeck run error: the disk is full.", RunError("the disk is full.")),
    ],
)
def test_the_sentence_a_run_ends_with_is_read_from_its_log(line, expected):
    error = deployment.read_error(line)
    assert (type(error), str(error)) == (type(expected), str(expected))


@pytest.mark.parametrize("line", ["limbeck: small: round 1 of 2", "INFO: limbeck run error: no", ""])
def test_other_lines_end_no_run(line):
    assert deployment.read_error(line) is None
