"""`limbeck advise`, on label counts and on two models."""

import json

import pytest
from tests.cli.saved_models import complaint

from limbeck.advise.features import COUNT_FEATURES, MODEL_FEATURES
from limbeck.cli.app import _run as run

pytestmark = pytest.mark.usefixtures("here")


def test_two_models_and_their_data_are_advised_on(folders, capsys):
    words = ["advise", str(folders["low"]), str(folders["high"]), "--data", "digits", "--json"]
    assert run(words) == 0
    captured = capsys.readouterr()
    said = json.loads(captured.out)["transfer"]
    assert set(said["based_on"]) <= {*COUNT_FEATURES, *MODEL_FEATURES}
    assert 0 <= said["features"]["student_accuracy"] < 1
    assert len(said["nearest"]) > 0
    assert "limbeck t" in captured.err


def test_counts_are_written_with_noise_and_advised_on(here, capsys):
    assert run(["advise", "--data", "digits", "--write-counts", "a.json", "--epsilon", "1"]) == 0
    assert json.loads((here / "a.json").read_text())["epsilon"] == 1
    (here / "b.json").write_text(json.dumps({"b": {str(number): 300 for number in range(5)}}))
    capsys.readouterr()
    assert run(["advise", "--counts", "b.json", "--counts", "a.json", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["federation"] is None
    assert said["transfer"]["based_on"] == list(COUNT_FEATURES)


@pytest.mark.parametrize(
    ("words", "rule"),
    [
        ([], "two models with --data, or label counts"),
        (["a.safetensors"], "there are two models, or none"),
        (["--counts", "none.json"], "must be a readable file of label counts"),
        (["--epsilon", "1", "--counts", "x.json"], "--epsilon goes with --write-counts"),
    ],
)
def test_words_that_do_not_go_together_are_refused(words, rule, capsys):
    assert run(["advise", *words]) == 2
    assert rule in complaint(capsys)
