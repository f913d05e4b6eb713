"""`limbeck compare` and `limbeck transfer`, run on tiny models and real digits."""

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from tests.cli.saved_models import complaint, measure

from limbeck import data, models
from limbeck.cli.app import _run as run

pytestmark = pytest.mark.usefixtures("here")

NEEDED = {
    "technique",
    "accuracy_before",
    "accuracy_after",
    "gain",
    "forgetting",
    "positive_flips",
    "negative_flips",
    "seconds",
    "student",
}


NOISY = """
from torch import nn

print("running the file")


class Noisy(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(64, num_classes))

    def forward(self, images):
        print("asked", flush=True)
        return self.body(images)
"""


@pytest.fixture
def noisy(here):
    """The options of a model with fresh weights that prints; it has no names for its ten classes."""
    (here / "noisy.py").write_text(NOISY)
    torch.manual_seed(0)
    head = torch.nn.Linear(64, 10)
    torch.save({"body.1.weight": head.weight.detach(), "body.1.bias": head.bias.detach()}, here / "noisy.pt")
    return ["noisy.pt", "--arch", "noisy.py:Noisy"]


def transfer_words(folders, *words):
    return ["transfer", "--student", folders["low"], "--data", "digits", "--epochs", "1", *words]


def test_compare_prints_one_object_whose_parts_are_all_samples(folders, digits, capsys, here):
    assert run(["compare", folders["low"], folders["high"], "--data", "digits", "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    parts = ("both_right", "both_wrong", "positive_flips", "negative_flips")
    assert sum(content[part] for part in parts) == content["num_samples"] == len(digits.test)
    assert (content["first"]["name"], content["second"]["name"]) == ("low", "high")
    assert content["first"]["accuracy"] == pytest.approx(measure(folders["low"], digits))
    assert content["complementary_share"] == content["positive_flips"] / len(digits.test)
    assert (here / content["report"]).stat().st_size > 100_000
    assert content["report"] == "limbeck-compare/report.html"


def test_compare_shows_tables_and_warnings_to_people_only(folders, digits, capsys, here):
    names = here / "names.txt"
    names.write_text("\n".join(["[zero]", *digits.class_names[1:]]))
    words = ["--classes", "-", "--classes", str(names), "--out", "compared"]
    assert run(["compare", folders["low"], folders["high"], "--data", "digits", *words]) == 0
    output = capsys.readouterr()
    assert output.out == ""
    assert "Calibration" in output.err
    assert "only high right" in output.err
    assert "Warning: high has no class 0" in output.err
    assert "Report: compared/report.html" in output.err


def test_a_class_map_renames_the_classes_of_models(folders, digits, capsys, here):
    names = here / "names.txt"
    names.write_text("\n".join(["zero", *digits.class_names[1:]]))
    words = ["--classes", "-", "--classes", str(names), "--map", "zero=0", "--json"]
    assert run(["compare", folders["low"], folders["high"], "--data", "digits", *words]) == 0
    renamed = json.loads(capsys.readouterr().out)
    assert run(["compare", folders["low"], folders["high"], "--data", "digits", "--json"]) == 0
    plain = json.loads(capsys.readouterr().out)
    assert renamed["second"] == plain["second"]


def test_bare_weights_need_their_architecture_and_normalization(folders, digits, capsys, here):
    bare = here / "bare.pt"
    torch.save(safetensors.torch.load_file(f"{folders['high']}/model.safetensors"), bare)
    assert run(["compare", folders["low"], str(bare), "--data", "digits"]) == 2
    assert "--arch" in complaint(capsys)
    normalization = data.measure_normalization(digits.train)
    word = f"{normalization.mean[0]}/{normalization.std[0]}"
    words = ["--arch", "-", "--arch", "mlp", "--normalize", "-", "--normalize", word, "--json"]
    assert run(["compare", folders["low"], str(bare), "--data", "digits", *words]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["second"]["accuracy"] == pytest.approx(measure(folders["high"], digits))


def test_transfer_prints_what_it_measured_and_saves_the_student(folders, digits, capsys, here):
    words = transfer_words(folders, "--teacher", folders["high"], "--technique", "dp-kd", "--seed", "3")
    assert run([*words, "--out", "new", "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert content.keys() >= NEEDED
    assert content["technique"] == "dp-kd"
    assert content["gain"] == pytest.approx(content["accuracy_after"] - content["accuracy_before"])
    assert content["accuracy_before"] == pytest.approx(measure(folders["low"], digits))
    assert content["accuracy_after"] == pytest.approx(measure("new", digits))
    assert content["baseline"]["technique"] == "finetune"
    assert content["teachers"][0]["name"] == "high"
    assert (content["student"], content["report"]) == ("new", "new/report.html")
    saved = json.loads((here / "new" / "record.json").read_text())
    assert saved == {name: content[name] for name in saved}
    names = {path.name for path in (here / "new").iterdir()}
    assert names == {"card.json", "model.safetensors", "record.json", "report.html"}


def test_the_new_student_loads_with_plain_torch_and_its_card_names_its_parents(folders, digits, here):
    assert run(transfer_words(folders, "--teacher", folders["high"], "--no-baseline", "--out", "new")) == 0
    model = models.build("mlp", input_shape=digits.input_shape, num_classes=10, seed=5)
    model.load_state_dict(safetensors.torch.load_file("new/model.safetensors"))
    card = models.read_card(Path("new"))
    parents = [models.read_card(Path(folders[name])).weights_hash for name in ("low", "high")]
    assert list(card.parents) == parents
    assert card.training["technique"] == "kd"
    assert card.data_fingerprint == digits.fingerprint
    assert set(card.accuracies) == {"validation", "test"}


def test_transfer_shows_technique_beside_finetune_to_people(folders, capsys):
    words = transfer_words(folders, "--teacher", folders["high"], "--technique", "dkd", "--set", "beta=2")
    assert run([*words, "--weight", "0.3", "--temperature", "2", "--keep", "last"]) == 0
    output = capsys.readouterr()
    assert output.out == ""
    assert "DKD" in output.err
    assert "finetune" in output.err
    assert "Forgetting" in output.err
    assert "New student: limbeck-transfer\nReport: limbeck-transfer/report.html\n" in output.err
    settings = json.loads(Path("limbeck-transfer/record.json").read_text())["settings"]
    assert settings == {"temperature": 2, "weight": 0.3, "alpha": 1, "beta": 2}


def test_how_the_student_is_run_is_as_asked_and_told_in_one_line(folders, capsys):
    words = transfer_words(folders, "--teacher", folders["high"], "--no-baseline", "--threads", "2")
    assert run([*words, "--precision", "bfloat16", "--memory-format", "channels-last"]) == 0
    assert "\nRun as: bfloat16, channels-last, 2 threads\n" in capsys.readouterr().err
    training = json.loads(Path("limbeck-transfer/record.json").read_text())["training"]
    layout = {"precision": "bfloat16", "memory_format": "channels-last", "threads": 2, "compile": False}
    assert layout.items() <= training.items()
    assert "bfloat16, channels-last, 2 threads" in Path("limbeck-transfer/report.html").read_text()


def test_how_the_student_is_run_is_measured_where_nothing_is_asked_for(folders, capsys):
    words = transfer_words(folders, "--teacher", folders["high"], "--no-baseline", "--json")
    assert run(words) == 0
    output = capsys.readouterr()
    training = json.loads(output.out)["training"]
    assert training["precision"] in ("float32", "bfloat16")
    assert f"Run as: {training['precision']}" in output.err
    assert run(["doctor", "--json"]) == 0
    calibrated = json.loads(capsys.readouterr().out)["calibrated"]
    layouts = [choice["layout"] for choice in calibrated if choice["title"].startswith("mlp, ")]
    assert {name: training[name] for name in layouts[0]} in layouts


def test_a_former_transfer_is_replaced_with_all_its_files(folders, capsys, here):
    words = transfer_words(folders, "--teacher", folders["high"], "--no-baseline", "--out", "new", "--json")
    assert run([*words, "--export", "torch"]) == 0
    first = json.loads(capsys.readouterr().out)
    assert first["export"] == "new/model.pt2"
    program = torch.export.load("new/model.pt2").module()
    images = data.load("digits").test.inputs[:5]
    expected = models.load_classifier("new")(images)
    assert torch.allclose(program(images), expected, atol=1e-5)
    assert run([*words, "--technique", "dkd"]) == 0
    second = json.loads(capsys.readouterr().out)
    assert (second["technique"], second["export"], second["baseline"]) == ("dkd", None, None)
    assert not (here / "new" / "model.pt2").exists()


def test_nothing_of_a_former_text_model_stays_beside_the_new_student(folders, here):
    (here / "new").mkdir()
    for name in ("record.json", "config.json", "tokenizer.json"):
        (here / "new" / name).write_text("{}")
    words = transfer_words(folders, "--teacher", folders["high"], "--out", "new", "--no-baseline")
    assert run(words) == 0
    left = sorted(path.name for path in (here / "new").iterdir())
    assert left == ["card.json", "model.safetensors", "record.json", "report.html"]


def test_an_unlabelled_set_is_learned_from_with_the_teachers_alone(folders, digits, capsys, here):
    np.savez(here / "proxy.npz", x=digits.test.inputs[:50].numpy())
    words = transfer_words(folders, "--teacher", folders["high"], "--proxy", "proxy.npz", "--json")
    assert run(words) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["num_train"] == 50
    assert content["settings"]["weight"] == 1


def test_one_client_of_a_split_is_learned_from(folders, digits, capsys, here):
    assert run(["partition", "digits", "--strategy", "uniform", "--num-clients", "4", "--json"]) == 0
    sizes = json.loads(capsys.readouterr().out)["sizes"]
    options = ("--split", "limbeck-partition/partition.json", "--client", "2", "--json", "--no-baseline")
    assert run(transfer_words(folders, "--teacher", folders["high"], *options)) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["num_train"] + content["num_validation"] == sizes[2]
    assert content["num_measured"] == len(digits.test)
    assert content["data"] == "digits, client 2"


def test_a_split_of_other_data_or_without_the_client_is_refused(folders, digits, capsys, here):
    run(["partition", "digits", "--strategy", "uniform", "--num-clients", "4"])
    start = transfer_words(folders, "--teacher", folders["high"])
    assert run([*start, "--split", "limbeck-partition/partition.json", "--client", "4"]) == 2
    assert "0 <= client < 4" in complaint(capsys)
    np.savez(here / "other.npz", x=digits.test.inputs.numpy(), y=digits.test.labels.numpy())
    other = [*start, "--split", "limbeck-partition/partition.json", "--client", "0", "--data", "other.npz"]
    assert run(other) == 2
    assert "the data it was made from" in complaint(capsys)


def test_several_teachers_are_told_apart(folders, digits, capsys):
    words = transfer_words(folders, "--teacher", folders["high"], "--teacher", folders["low"], "--json")
    assert run([*words, "--no-baseline"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert [teacher["name"] for teacher in content["teachers"]] == [folders["high"], f"{folders['low']} #3"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--technique", "dkdd"], "Did you mean `dkd`"),
        (["--keep", "first"], "Unknown value of `--keep` `first`"),
        (["--precision", "half"], "Unknown precision `half`"),
        (["--memory-format", "channel-last"], "Did you mean `channels-last`"),
        (["--threads", "0"], "threads >= 1"),
        (["--threads", "many"], "'--threads'"),
        (["--compile", "yes"], "Unknown value of `--compile` `yes`"),
        (["--optimizer", "adan"], "Did you mean `adam`"),
        (["--export", "onxx"], "Did you mean `onnx`"),
        (["--set", "beta=two"], "`--set` takes NAME=NUMBER"),
        (["--set", "beta"], "--set takes NAME=VALUE"),
        (["--technique", "dkd", "--set", "gama=2"], "setting of `dkd`"),
        (["--map", "cat"], "--map takes NAME=VALUE"),
        (["--arch", "mlp", "--arch", "mlp", "--arch", "mlp"], "3 times for 2 models"),
        (["--arch", "mlp,mlp"], "Repeat --arch"),
        (["--split", "nowhere.json"], "--split and --client go together"),
        (["--class-map", "nowhere.json"], "nowhere.json"),
        (["--normalize", "0.5,0.5"], "--normalize is"),
        (["--temperature", "0"], "temperature > 0"),
        (["--validation-share", "1"], "validation_share"),
        (["--proxy", "nowhere"], "nowhere"),
        (["--client", "0"], "--split and --client go together"),
        (["--data", "digts"], "Did you mean `digits`"),
        (["--teacher", "nowhere"], "nowhere"),
        (["--epochs", "many"], "'--epochs'"),
    ],
)
def test_wrong_input_is_one_sentence_with_status_2(folders, words, expected, capsys):
    start = transfer_words(folders, "--teacher", folders["high"])
    assert run([*start, *words]) == 2
    assert expected in complaint(capsys)


def test_a_technique_without_a_teacher_is_refused(folders, capsys):
    assert run(transfer_words(folders, "--technique", "kd")) == 2
    assert "teacher" in complaint(capsys)


def test_files_of_others_are_never_overwritten(folders, capsys, here):
    words = transfer_words(folders, "--teacher", folders["high"], "--out")
    (here / "thesis").mkdir()
    (here / "thesis" / "chapter.txt").write_text("mine")
    assert run([*words, "thesis"]) == 2
    assert "`thesis`, which holds other files" in complaint(capsys)
    (here / "note").write_text("mine")
    assert run([*words, "note"]) == 2
    assert "--out is a folder" in complaint(capsys)


def test_the_folder_of_a_model_is_never_overwritten(folders, capsys, here):
    assert run(transfer_words(folders, "--teacher", folders["high"], "--no-baseline", "--out", "new")) == 0
    again = ["transfer", "--student", "new", "--teacher", folders["high"], "--data", "digits", "--out", "new"]
    capsys.readouterr()
    assert run(again) == 2
    assert "not the folder of one of the models" in complaint(capsys)


def test_a_folder_that_refuses_writing_is_one_sentence_with_status_1(folders, capsys):
    words = transfer_words(folders, "--teacher", folders["high"], "--out", "/proc/nowhere")
    assert run(words) == 1
    assert "must be writable" in complaint(capsys)


def test_what_a_users_file_prints_does_not_reach_the_object_for_programs(folders, noisy, capfd):
    weights, *arch = noisy
    words = ["--data", "digits", "--json", *arch, "--arch", "-"]
    assert run(["compare", weights, folders["high"], *words]) == 0
    output = capfd.readouterr()
    assert json.loads(output.out)["first"]["name"] == "noisy"
    assert "running the file" in output.err
    assert "asked" in output.err
    assert run(["transfer", "--student", weights, "--teacher", folders["high"], *words, "--epochs", "1"]) == 0
    assert json.loads(capfd.readouterr().out)["technique"] == "kd"


@pytest.mark.parametrize("has_folder", [False, True])
def test_ctrl_c_is_said_in_one_sentence_and_leaves_nothing_behind(noisy, here, has_folder):
    if has_folder:
        (here / "new").mkdir()
    before = {path.name for path in here.iterdir()} - {"cache"}
    words = ["transfer", "--student", *noisy, "--technique", "finetune", "--data", "digits"]
    process = subprocess.Popen(
        [sys.executable, "-c", "from limbeck.cli.app import main; main()", *words,
         "--epochs", "100000", "--out", "new" if has_folder else "deep/new"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "running the file\n"
    assert process.stdout.readline() == "asked\n"
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert errors.strip().splitlines()[-1] == "limbeck: Interrupted. Nothing was written."
    assert "Traceback" not in errors
    assert {path.name for path in here.iterdir()} - {"cache", "__pycache__"} == before


def test_a_transfer_that_is_refused_leaves_no_empty_folder(folders, noisy, capsys, here):
    (here / "one.txt").write_text("zero")
    words = ["--data", "digits", "--classes", "-", "--classes", "one.txt", "--out", "deep/new"]
    start = ["transfer", "--student", folders["low"], "--teacher", folders["high"]]
    assert run([*start, *words, "--temperature", "-1"]) == 2
    complaint(capsys)
    assert not (here / "deep").exists()


def test_the_card_has_the_names_that_a_student_without_any_took_from_the_data(folders, noisy, digits, here):
    weights, *arch = noisy
    start = ["transfer", "--student", weights, *arch, "--technique", "finetune", "--data", "digits"]
    assert run([*start, "--epochs", "1", "--out", "new"]) == 0
    assert models.read_card(Path("new")).class_names == digits.class_names


def test_the_page_says_in_a_whole_program_how_the_student_is_used(folders, here):
    assert run(transfer_words(folders, "--teacher", folders["high"], "--no-baseline", "--out", "new")) == 0
    page = (here / "new" / "report.html").read_text(encoding="utf-8")
    assert "models.build(&#34;mlp&#34;, input_shape=(1, 8, 8), num_classes=10, seed=0)" in page


def test_long_names_of_models_are_letters_on_a_terminal_and_whole_in_the_object(
    folders, capsys, here, monkeypatch
):
    monkeypatch.setenv("COLUMNS", "80")
    names = ("a_model_whose_name_takes_all_the_room", "another_model_of_such_a_name")
    for name, folder in zip(names, folders.values(), strict=True):
        shutil.copytree(folder, here / name)
    assert run(["compare", *names, "--data", "digits", "--json"]) == 0
    output = capsys.readouterr()
    assert json.loads(output.out)["first"]["name"] == names[0]
    assert f"A: {names[0]}" in output.err
    assert f"B: {names[1]}" in output.err
    assert "only B right" in output.err


@pytest.mark.parametrize("words", [[], ["--no-cache"]])
def test_what_a_model_says_is_kept_for_the_next_run_unless_told_otherwise(folders, here, words):
    assert run(["compare", folders["low"], folders["high"], "--data", "digits", *words]) == 0
    assert any((here / "cache").rglob("*.safetensors")) == (not words)
    assert run(transfer_words(folders, "--teacher", folders["high"], "--no-baseline", *words)) == 0
    assert any((here / "cache").rglob("*.safetensors")) == (not words)
