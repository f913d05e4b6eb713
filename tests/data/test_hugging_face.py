"""Data sets that the library `datasets` saved, and names of its hub without network."""

import json
import shutil
import socket

import numpy as np
import pytest
import torch
from PIL import Image

from limbeck.core.errors import InputError
from limbeck.data import StoredImages, Texts, load, load_inputs
from limbeck.data.hugging_face import Repository, list_repositories, refuse_pickles

datasets = pytest.importorskip("datasets")


def images(count, *, size=(6, 5)):
    values = np.random.default_rng(count).integers(0, 256, (count, *size, 3), dtype=np.uint8)
    return values, [Image.fromarray(array) for array in values]


def image_set(count, *, names=("cat", "dog"), size=(6, 5)):
    values, pictures = images(count, size=size)
    features = datasets.Features(
        {"picture": datasets.Image(), "label": datasets.ClassLabel(names=list(names))}
    )
    labels = [index % len(names) for index in range(count)]
    return values, datasets.Dataset.from_dict({"picture": pictures, "label": labels}, features=features)


def text_set(count, *, label=None):
    labels = [index % 2 for index in range(count)] if label is None else [label] * count
    return datasets.Dataset.from_dict({"sentence": [f"text {i}" for i in range(count)], "label": labels})


def save(data, path):
    data.save_to_disk(str(path))
    return path


def test_saved_images_are_read_by_the_type_of_their_column(tmp_path):
    values, train = image_set(10)
    _, test = image_set(4)
    data = load(save(datasets.DatasetDict({"train": train, "test": test}), tmp_path / "pets"))
    assert (data.name, data.class_names, len(data.test)) == ("pets", ("cat", "dog"), 4)
    np.testing.assert_array_equal(data.train.inputs.numpy(), values.transpose(0, 3, 1, 2))
    assert data.labels.tolist() == [0, 1] * 5


def test_a_saved_split_alone_is_divided(tmp_path):
    _, train = image_set(10)
    data = load(save(train, tmp_path / "pets"))
    assert (len(data.train), sorted(data.test.labels.tolist())) == (8, [0, 1])


def test_saved_images_larger_than_the_limit_are_streamed_and_resized(tmp_path):
    path = save(image_set(10)[1], tmp_path / "pets")
    in_memory, in_file = load(path), load(path, memory_limit=100)
    assert isinstance(in_file.train.inputs, StoredImages)
    assert in_file.fingerprint == in_memory.fingerprint
    assert load(path, image_size=4, memory_limit=100).input_shape == (3, 4, 4)


def test_images_of_several_sizes_name_the_remedy(tmp_path):
    both = datasets.concatenate_datasets([image_set(4)[1], image_set(2, size=(7, 7))[1]])
    with pytest.raises(InputError, match=r"6x5 \(4 images\), 7x7 \(2 images\).*image_size"):
        load(save(both, tmp_path / "pets"))


def test_saved_texts_are_read(tmp_path):
    saved = datasets.DatasetDict({"train": text_set(6), "validation": text_set(2)})
    data = load(save(saved, tmp_path / "reviews"))
    assert isinstance(data.train.inputs, Texts)
    assert (data.train.inputs[5], data.class_names, len(data.test)) == ("text 5", ("0", "1"), 2)


def test_a_test_split_with_hidden_labels_is_no_test(tmp_path):
    saved = datasets.DatasetDict(
        {"train": text_set(6), "validation": text_set(3), "test": text_set(2, label=-1)}
    )
    assert len(load(save(saved, tmp_path / "glue")).test) == 3


def test_string_labels_become_class_names(tmp_path):
    saved = datasets.Dataset.from_dict({"text": ["a", "b"] * 5, "label": ["pos", "neg"] * 5})
    assert load(save(saved, tmp_path / "x")).class_names == ("neg", "pos")


def test_a_saved_set_without_labels_gives_its_inputs(tmp_path):
    path = save(text_set(4).remove_columns("label"), tmp_path / "proxy")
    assert list(load_inputs(path)) == ["text 0", "text 1", "text 2", "text 3"]
    with pytest.raises(InputError, match=r"sentence \(string\).*with label_column"):
        load(path)
    labelled = save(image_set(10)[1], tmp_path / "pets")
    assert torch.equal(load_inputs(labelled), load(labelled).train.inputs)


def test_splits_without_a_training_part_are_listed(tmp_path):
    saved = datasets.DatasetDict({"a": text_set(4), "b": text_set(4)})
    with pytest.raises(InputError, match=r"has a split `train`.*a and b"):
        load(save(saved, tmp_path / "x"))


def test_a_damaged_folder_is_named(tmp_path):
    path = save(text_set(4), tmp_path / "broken")
    (path / "state.json").write_text("{}")
    with pytest.raises(InputError, match=r"broken.*save_to_disk"):
        load(path)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("hf:imdb", [("imdb", None)]),
        ("hf:stanfordnlp/imdb", [("stanfordnlp/imdb", None), ("stanfordnlp", "imdb")]),
        ("hf:nyu-mll/glue/sst2", [("nyu-mll/glue", "sst2")]),
    ],
)
def test_a_name_is_a_repository_and_a_configuration(source, expected):
    assert list_repositories(source) == [Repository(name=name, config=config) for name, config in expected]


@pytest.mark.parametrize("source", ["hf:", "hf:a//b", "hf:a/b/c/d"])
def test_a_name_of_another_form_is_refused(source):
    with pytest.raises(InputError, match="OWNER/NAME/CONFIG"):
        list_repositories(source)


@pytest.fixture
def asked(monkeypatch):
    """The addresses for which a connection was wanted; none is made."""
    addresses = []

    def refuse(_, address):
        addresses.append(address)
        raise OSError("no network in tests")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    return addresses


def write_hub_cache(root, *, config):
    """The library's cache as if it had loaded ``nobody/pets`` from its hub."""
    text_set(10).to_parquet(str(root / "rows.parquet"))
    datasets.load_dataset("parquet", data_files=str(root / "rows.parquet"), cache_dir=str(root / "made"))
    (made,) = (file.parent for file in root.rglob("dataset_info.json"))
    target = root / "nobody___pets" / config / "0.0.0" / "abc"
    shutil.copytree(made, target)
    (target / "parquet-train.arrow").rename(target / "pets-train.arrow")
    info = json.loads((target / "dataset_info.json").read_text())
    info.update(config_name=config, dataset_name="pets")
    (target / "dataset_info.json").write_text(json.dumps(info))


@pytest.mark.parametrize(
    ("source", "config"), [("hf:nobody/pets", "default"), ("hf:nobody/pets/small", "small")]
)
def test_what_the_library_has_in_its_cache_is_read_without_network(source, config, tmp_path, asked):
    write_hub_cache(tmp_path, config=config)
    before = datasets.config.HF_HUB_OFFLINE
    data = load(source, data_dir=tmp_path)
    assert (data.name, len(data.train), len(data.test)) == (source, 8, 2)
    assert load_inputs(source, data_dir=tmp_path) == data.train.inputs
    assert asked == []
    assert before == datasets.config.HF_HUB_OFFLINE


def test_a_name_that_is_not_in_the_cache_is_refused_without_asking_the_network(tmp_path, asked):
    for settings in ({"data_dir": tmp_path}, {"download": False}):
        with pytest.raises(InputError, match=r"`hf:nobody/nothing` must be a data set.*save_to_disk"):
            load("hf:nobody/nothing", **settings)
    assert asked == []


def test_the_reader_of_pickled_files_is_refused(tmp_path):
    from datasets.packaged_modules.csv.csv import Csv
    from datasets.packaged_modules.pandas.pandas import Pandas

    refuse_pickles(Csv(cache_dir=str(tmp_path), data_files={"train": []}), source="hf:x")
    with pytest.raises(InputError, match=r"holds no pickled files.*`hf:x`"):
        refuse_pickles(object.__new__(Pandas), source="hf:x")
