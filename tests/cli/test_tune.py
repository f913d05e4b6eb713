"""`limbeck tune`, run on tiny models and real digits."""

import contextlib
import json
import signal
import sqlite3
import subprocess
import sys
import time

import pytest
from tests.cli.saved_models import complaint, measure

from limbeck import models
from limbeck.cli.app import _run as run
from limbeck.cli.tune import choose_space, parse_space

pytestmark = pytest.mark.usefixtures("here")

SMALL = ("--space", "temperature=1,4", "--space", "weight=0.1,0.5")


def tune_words(folders, *words):
    start = ["tune", "--student", folders["low"], "--teacher", folders["high"], "--data", "digits"]
    return [*start, "--epochs", "1", *words]


def count_finished(folder) -> int:
    store = sqlite3.connect(folder / "tuning.sqlite")
    try:
        return store.execute("SELECT count(*) FROM trials WHERE state = 'COMPLETE'").fetchone()[0]
    finally:
        store.close()


def wait_for_trials(folder, number: int) -> None:
    """Wait until so many trials are finished; the database and its tables come first."""
    deadline = time.monotonic() + 60
    while True:
        with contextlib.suppress(sqlite3.OperationalError):
            if (folder / "tuning.sqlite").exists() and count_finished(folder) >= number:
                return
        assert time.monotonic() < deadline, "no trial was finished"
        time.sleep(0.05)


def test_tune_prints_what_it_found_and_saves_the_student(folders, digits, capsys, here):
    assert run(tune_words(folders, *SMALL, "--json")) == 0
    content = json.loads(capsys.readouterr().out)
    points = [(trial["settings"]["temperature"], trial["settings"]["weight"]) for trial in content["trials"]]
    assert sorted(points) == [(1, 0.1), (1, 0.5), (4, 0.1), (4, 0.5)]
    best = max(trial["validation"] for trial in content["trials"])
    assert content["validation"][content["kept_epoch"]] == best
    assert content["default"]["settings"] == {"temperature": 1, "weight": 0.5}
    assert content["accuracy_after"] == pytest.approx(measure("limbeck-tune", digits))
    difference = content["accuracy_after"] - content["default"]["accuracy_after"]
    assert content["worth"]["mean"] == pytest.approx(difference)
    assert content["baseline"]["technique"] == "finetune"
    assert content["teachers"][0]["name"] == "high"
    assert (content["student"], content["report"]) == ("limbeck-tune", "limbeck-tune/report.html")
    saved = json.loads((here / "limbeck-tune" / "record.json").read_text())
    assert saved == {name: content[name] for name in saved}
    assert set(content) - set(saved) == {"student", "report"}
    names = {path.name for path in (here / "limbeck-tune").iterdir()}
    assert names == {"card.json", "model.safetensors", "record.json", "report.html", "tuning.sqlite"}
    assert models.read_card(here / "limbeck-tune").training["settings"] == content["settings"]


def test_tune_shows_tables_the_worth_and_the_paths_to_people(folders, capsys, here, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert run(tune_words(folders, *SMALL, "--out", "found")) == 0
    output = capsys.readouterr()
    assert output.out == ""
    assert all(words in output.err for words in ("tuned KD", "default KD", "finetune", "Importance"))
    assert "Tuning was worth" in output.err
    assert "kd: 100 %, 4 of 4 trials" in output.err
    assert "New student: found\nReport: found/report.html\n" in output.err
    assert "Tuned KD on digits" in (here / "found" / "report.html").read_text(encoding="utf-8")


def test_the_same_command_again_goes_on_where_it_stopped(folders, capsys, here):
    words = tune_words(folders, *SMALL, "--json")
    assert run(words) == 0
    first = capsys.readouterr()
    assert run(words) == 0
    second = capsys.readouterr()
    assert json.loads(first.out)["trials"] == json.loads(second.out)["trials"]
    assert "4 of 4 trials" in first.err
    assert "0 of 4 trials" not in second.err
    assert count_finished(here / "limbeck-tune") == 4


def test_tpe_tries_as_many_points_as_it_is_told(folders, capsys):
    words = tune_words(folders, "--driver", "tpe", "--trials", "3", "--technique", "dkd", "--json")
    assert run([*words, "--space", "beta=1,2,8"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert (content["driver"], len(content["trials"]), content["technique"]) == ("tpe", 3, "dkd")
    assert all(trial["settings"]["beta"] in (1, 2, 8) for trial in content["trials"])


def test_one_client_of_a_split_is_learned_from(folders, capsys):
    assert run(["partition", "digits", "--strategy", "uniform", "--num-clients", "4", "--json"]) == 0
    sizes = json.loads(capsys.readouterr().out)["sizes"]
    options = ("--split", "limbeck-partition/partition.json", "--client", "2", "--json")
    assert run(tune_words(folders, "--space", "temperature=1", "--space", "weight=0.5", *options)) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["num_train"] + content["num_validation"] == sizes[2]
    assert content["worth"] == {"mean": 0, "low": 0, "high": 0}


def test_the_clients_of_a_split_judge_together(folders, capsys):
    assert run(["partition", "digits", "--strategy", "uniform", "--num-clients", "4", "--json"]) == 0
    sizes = json.loads(capsys.readouterr().out)["sizes"]
    split = ("--split", "limbeck-partition/partition.json", "--client", "2")
    point = ("--space", "temperature=1", "--space", "weight=0.5")
    assert run(tune_words(folders, *point, *split, "--objective", "federated", "--json")) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["num_validation"] == sum(round(0.1 * size) for size in sizes)
    assert run(tune_words(folders, *point, "--objective", "federated", "--out", "other")) == 2
    assert "--objective federated goes with --split and --client" in complaint(capsys)


def test_halving_trains_the_best_to_the_end_with_images_that_change(folders, capsys):
    options = ("--driver", "halving", "--epochs", "2", "--augment", "crop", "--workers", "2", "--json")
    assert run(tune_words(folders, *SMALL, *options)) == 0
    content = json.loads(capsys.readouterr().out)
    assert sorted(trial["epochs"] for trial in content["trials"]) == [1, 1, 1, 2]
    assert content["training"]["augmentation"] == "crop"
    assert content["training"]["threads"] == 1


@pytest.mark.slow
def test_an_interrupted_search_keeps_its_trials_and_goes_on(folders, capsys, here):
    words = tune_words(folders, "--epochs", "20", "--json")  # 20 points: long enough to be interrupted
    process = subprocess.Popen(
        [sys.executable, "-c", "from limbeck.cli.app import main; main()", *words],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    wait_for_trials(here / "limbeck-tune", 2)
    process.send_signal(signal.SIGINT)
    out, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert out == ""
    last = errors.strip().splitlines()[-1]
    assert last.startswith("limbeck: Interrupted: ")
    assert last.endswith(" of 20 trials are finished and kept. Run the same command again to go on.")
    kept = count_finished(here / "limbeck-tune")
    assert kept >= 1
    assert not (here / "limbeck-tune" / "record.json").exists()
    assert run(words) == 0
    assert len(json.loads(capsys.readouterr().out)["trials"]) == 20
    assert count_finished(here / "limbeck-tune") == 20


def test_a_value_given_for_one_setting_leaves_the_others_as_they_are():
    space = choose_space("kd", parse_space(["temperature=3, 5"]))
    assert space == {"temperature": (3, 5), "weight": (0.1, 0.3, 0.5, 0.7, 0.9)}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--technique", "dkdd"], "Did you mean `dkd`"),
        (["--technique", "finetune"], "has settings to search"),
        (["--driver", "grit"], "Did you mean `grid`"),
        (["--trials", "3"], "`grid` tries every point"),
        (["--driver", "tpe", "--trials", "0"], "num_trials >= 1"),
        (["--space", "temperature"], "--space takes NAME=VALUE"),
        (["--space", "temperature=hot"], "`--space` takes NAME=V1,V2,..."),
        (["--space", "temperature=1,"], "`--space` takes NAME=V1,V2,..."),
        (["--space", "temperature=1,1"], "none twice"),
        (["--space", "temperature=1", "--space", "temperature=2"], "names a setting once"),
        (["--space", "temprature=1"], "Did you mean `temperature`"),
        (["--space", "weight=2"], "weight"),
        (["--precision", "half"], "Unknown precision `half`"),
        (["--optimizer", "adan"], "Did you mean `adam`"),
        (["--split", "nowhere.json"], "--split and --client go together"),
        (["--data", "digts"], "Did you mean `digits`"),
        (["--validation-share", "1"], "validation_share"),
    ],
)
def test_wrong_input_is_one_sentence_with_status_2(folders, words, expected, capsys, here):
    assert run(tune_words(folders, *words)) == 2
    assert expected in complaint(capsys)
    assert not (here / "limbeck-tune").exists()


def test_files_of_others_are_never_overwritten(folders, capsys, here):
    (here / "thesis").mkdir()
    (here / "thesis" / "chapter.txt").write_text("mine")
    (here / "thesis" / "tuning.sqlite").write_text("mine")
    assert run(tune_words(folders, "--out", "thesis")) == 2
    assert "`thesis`, which holds other files" in complaint(capsys)
