"""A spec becomes a Flower app, and what Flower says becomes one sentence."""

import json
import socket
import tomllib

import pytest

from limbeck.core.errors import InputError, RunError
from limbeck.core.spec_files import parse_part
from limbeck.federate.spec import FederateSpec, load_example

WHY = "Flower is not installed"
deployment = pytest.importorskip("limbeck.federate.flower.deployment", reason=WHY)
server_app = pytest.importorskip("limbeck.federate.flower.server_app", reason=WHY)


def write_connection(home, monkeypatch, listener):
    """Flower's configuration with the address of a listener as its default connection."""
    port = listener.getsockname()[1]
    text = f'[superlink]\ndefault = "hub"\n[superlink.hub]\naddress = "127.0.0.1:{port}"\ninsecure = true\n'
    (home / "config.toml").write_text(text)
    monkeypatch.setenv("FLWR_HOME", str(home))


@pytest.fixture
def nobody(tmp_path, monkeypatch):
    """A configuration whose SuperLink is not up."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        write_connection(tmp_path, monkeypatch, listener)


# Stands in for Flower's program: it goes through a list of states, and its log ends at once or says nothing.
PROGRAM = """
import json, pathlib, signal, sys

here = pathlib.Path(__file__).parent
states = json.loads((here / "states.json").read_text())
match sys.argv[1]:
    case "run":
        answer = {"run-id": "7"}
    case "list":
        (here / "states.json").write_text(json.dumps(states[1:] or states))
        answer = {"runs": [{"status": states[0], "status-details": "N/A"}]}
    case "stop":
        (here / "stopped").write_text(sys.argv[2])
        answer = {}
    case "log":
        signal.pause() if (here / "is-silent").exists() else sys.exit()
print(json.dumps({"success": True, **answer}))
"""


@pytest.fixture
def flower(tmp_path, monkeypatch):
    """A SuperLink whose runs go through some states; the folder in which a stop is noted."""
    folder = tmp_path / "program" / "flwr" / "cli"
    folder.mkdir(parents=True)
    for package in (folder, folder.parent):
        (package / "__init__.py").touch()
    (folder / "app.py").write_text(PROGRAM)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "program"))
    monkeypatch.setattr(deployment, "PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(deployment, "SILENT_SECONDS", 0.01)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        write_connection(tmp_path, monkeypatch, listener)
        yield folder


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


def deploy_without_waiting(tmp_path, flower, states):
    (flower / "states.json").write_text(json.dumps(states))
    return deployment.deploy(
        load_example(), tmp_path / "run", superlink=None, print_fn=lambda _: None, start_seconds=0.0
    )


@pytest.mark.parametrize("is_silent", [False, True])
@pytest.mark.parametrize("state", ["pending", "starting"])
def test_a_run_that_is_not_begun_in_time_is_stopped_and_told(state, is_silent, tmp_path, flower):
    if is_silent:
        (flower / "is-silent").touch()
    with pytest.raises(RunError, match=f"under way within 0 s, but run 7 is `{state}`.* It was stopped"):
        deploy_without_waiting(tmp_path, flower, [state])
    assert (flower / "stopped").read_text() == "7"


def test_a_run_that_is_under_way_may_take_longer(tmp_path, flower):
    assert deploy_without_waiting(tmp_path, flower, ["running", "running", "finished:completed"]) == 0
    assert not (flower / "stopped").exists()


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
