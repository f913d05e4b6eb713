"""The server's app takes a spec as text or as a file, and says on one line how a run ended."""

import pytest

from limbeck.core.errors import InputError, RunError
from limbeck.federate.session import MODELS_FOLDER
from limbeck.federate.spec import load_example

WHY = "Flower is not installed"
grids = pytest.importorskip("tests.federate.flower.loopback_grid", reason=WHY)
server_app = pytest.importorskip("limbeck.federate.flower.server_app", reason=WHY)

SPEC = """
name: small
data: {source: digits, validation_samples: 100}
split: {strategy: uniform, num_clients: 2, train_samples: 100}
arch: mlp
rounds: 1
local: {epochs: 1, batch_size: 32}
reply_seconds: 0.6
"""


def test_a_spec_is_yaml_text_or_the_path_of_a_file(tmp_path):
    spec = load_example()
    (tmp_path / "spec.yaml").write_text(spec.to_yaml())
    assert server_app.read_spec({"spec": spec.to_yaml()}) == spec
    assert server_app.read_spec({"spec": str(tmp_path / "spec.yaml")}) == spec


def test_a_run_is_told_round_by_round_and_keeps_its_models(tmp_path, capsys):
    grid = grids.LoopbackGrid(grids.make_trial_nodes(tmp_path, 2))
    server_app.serve(grid, {"spec": SPEC, "folder": str(tmp_path / "run"), "device": "cpu"})
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "limbeck: 2 of 2 sites there"
    assert [line.split(",")[0] for line in lines[1:]] == [f"limbeck: small: round {n} of 1" for n in (0, 1)]
    assert lines[2].split(", ")[3:6] == ["2 clients", "0 rejected", "0 missing"]
    assert (tmp_path / "run" / MODELS_FOLDER / "mlp" / "card.json").exists()


def test_a_run_that_is_over_needs_no_site(tmp_path):
    config = {"spec": SPEC, "folder": str(tmp_path / "run"), "device": "cpu"}
    server_app.serve(grids.LoopbackGrid(grids.make_trial_nodes(tmp_path, 2)), config)
    server_app.serve(grids.LoopbackGrid({}), config)


def test_the_sentence_a_run_ends_with_is_on_one_line(tmp_path, capsys):
    config = {"spec": SPEC, "folder": str(tmp_path / "run"), "device": "cpu"}
    with pytest.raises(RunError):
        server_app.serve(grids.LoopbackGrid({}), config)
    line = capsys.readouterr().out.splitlines()[-1]
    assert line.startswith("limbeck run error: every site must be there within `reply_seconds`")


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"spec": SPEC, "folder": "run"}, "`folder` is a whole path"),
        ({"spec": "name: x\nrounds: 1\n", "folder": "/run"}, "spec"),
        ({"spec": "/nowhere/spec.yaml", "folder": "/run"}, "must be a readable YAML file"),
    ],
)
def test_a_run_config_that_is_not_valid_is_told(config, message, capsys):
    with pytest.raises(InputError, match=message):
        server_app.serve(grids.LoopbackGrid({}), config)
    assert capsys.readouterr().out.startswith("limbeck input error: ")
