"""Options that belong to models: how many, in which order, and what their words mean."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limbeck.cli.models import ModelOptions, name_models, read_class_map
from limbeck.core.errors import InputError
from limbeck.data import Normalization


def of_each(num_models, **words):
    given_words = {"arch": None, "normalize": None, "input_size": None, "classes": None, "max_length": None}
    return ModelOptions(**{**given_words, **words}).of_each(num_models)


def test_what_is_not_given_is_left_to_the_model():
    (settings_of_one,) = of_each(1)
    assert settings_of_one == {
        "arch": None,
        "normalize": None,
        "input_size": None,
        "class_names": None,
        "max_length": None,
    }


def test_one_word_is_for_all_models_and_a_dash_leaves_one_out():
    assert [known["arch"] for known in of_each(3, arch=["cnn"])] == ["cnn", "cnn", "cnn"]
    assert [known["arch"] for known in of_each(3, arch=["cnn", "-", "mlp"])] == ["cnn", None, "mlp"]


def test_another_number_of_words_is_refused_with_both_counts():
    with pytest.raises(InputError, match="2 times for 3 models"):
        of_each(3, arch=["cnn", "mlp"])


@pytest.mark.parametrize("word", ["mlp,mlp", "-,mlp", "timm:resnet18,mlp", "a/net.py:make,b/net.py:make"])
def test_several_architectures_in_one_word_are_refused_with_the_way_to_give_them(word):
    with pytest.raises(InputError, match="Repeat --arch"):
        of_each(2, arch=[word])


def test_a_comma_in_the_name_of_a_file_or_folder_is_none_between_architectures(tmp_path):
    folder = tmp_path / "small,old"
    folder.mkdir()
    words = [f"hf:{folder}", "some,nets/net.py:make"]
    assert [known["arch"] for known in of_each(2, arch=words)] == words


def test_normalizations_are_names_or_two_lists_of_numbers_in_one_word():
    known = of_each(4, normalize=["none", "cifar10", "0.5,0.25/0.125,0.5", "-"])
    assert known[0]["normalize"] == "none"
    assert known[1]["normalize"].mean == (0.4914, 0.4822, 0.4465)
    assert known[2]["normalize"] == Normalization(mean=(0.5, 0.25), std=(0.125, 0.5))
    assert known[3]["normalize"] is None


@pytest.mark.parametrize("word", ["0.5,0.5", "1/2/3", "imagnet", "a/b", "0.5,0.5/0.5"])
def test_other_normalizations_are_refused(word):
    with pytest.raises(InputError):
        of_each(1, normalize=[word])


def test_input_sizes_are_one_number_two_numbers_or_none():
    known = of_each(4, input_size=["224", "32,48", "none", "-"])
    assert [settings_of_one["input_size"] for settings_of_one in known] == [224, (32, 48), "none", None]


@pytest.mark.parametrize("word", ["big", "1,2,3", "32,", "-5"])
def test_other_input_sizes_are_refused(word):
    with pytest.raises(InputError, match="--input-size is pixels"):
        of_each(1, input_size=[word])


def test_lengths_are_whole_numbers():
    assert of_each(1, max_length=["64"])[0]["max_length"] == 64
    with pytest.raises(InputError, match="--max-length"):
        of_each(1, max_length=["0"])


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("names.txt", "cat\n\n big dog \n"),
        ("names.json", '["cat", "big dog"]'),
        ("names.yaml", "- cat\n- big dog\n"),
    ],
)
def test_class_names_come_from_lines_or_lists(tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text)
    assert of_each(1, classes=[str(path)])[0]["class_names"] == ("cat", "big dog")


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("names.json", b'{"cat": 1}', "a list of names"),
        ("names.json", b"[", "must be valid JSON or YAML"),
        ("names.txt", b"\xff\xfe\xff", "readable text"),
        (None, b"", "No such file"),
    ],
)
def test_other_files_of_class_names_are_refused(tmp_path, name, content, words):
    path = tmp_path / (name or "missing.txt")
    if name:
        path.write_bytes(content)
    with pytest.raises(InputError, match=words):
        of_each(1, classes=[str(path)])


def test_a_class_map_is_a_file_and_pairs_that_win(tmp_path):
    path = tmp_path / "map.yaml"
    path.write_text("automobile: car\n7: seven\n")
    assert read_class_map(path, ["automobile=auto", "a b = c"]) == {
        "automobile": "auto",
        "7": "seven",
        "a b": "c",
    }
    assert read_class_map(None, None) == {}


@pytest.mark.parametrize("pair", ["automobile", "=car", "automobile="])
def test_half_a_pair_is_refused(pair):
    with pytest.raises(InputError, match="--map takes NAME=VALUE"):
        read_class_map(None, [pair])


def test_a_class_map_that_is_a_list_is_refused(tmp_path):
    path = tmp_path / "map.json"
    path.write_text("[1, 2]")
    with pytest.raises(InputError, match="a file with a mapping"):
        read_class_map(path, None)


def test_models_are_called_by_their_file_or_folder(tmp_path):
    folder = tmp_path / "hospital"
    folder.mkdir()
    sources = [str(folder), "clinic/model.safetensors", "runs/resnet20.pt"]
    assert name_models(sources) == ["hospital", "clinic", "resnet20"]
    assert name_models(["a/net.pt", "b/net.pt"]) == ["a/net.pt", "b/net.pt"]
    assert name_models(["a/net.pt", "a/net.pt"]) == ["a/net.pt", "a/net.pt #2"]


@settings(deadline=None, max_examples=50)
@given(st.lists(st.sampled_from(["a/net.pt", "b/net.pt", "a/model.pt", "c"]), max_size=5))
def test_names_of_models_are_distinct(sources):
    names = name_models(sources)
    assert len(names) == len(sources)
    assert len(set(names)) == len(names)
