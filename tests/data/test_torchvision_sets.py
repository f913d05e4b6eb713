"""Data sets that torchvision reads, from files written here as they are published."""

import gzip
import json
import struct
import urllib.request

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.io import savemat

from limbeck.core.errors import InputError
from limbeck.data import load
from limbeck.data.torchvision_sets import OWN_READERS, READERS, REFUSED


def write_mnist(root):
    """Four IDX files: image i is all i, and its label is i modulo 10."""
    folder = root / "MNIST" / "raw"
    folder.mkdir(parents=True)
    for part, count in (("train", 20), ("t10k", 10)):
        pixels = np.repeat(np.arange(count, dtype=np.uint8), 28 * 28)
        labels = bytes(index % 10 for index in range(count))
        images = struct.pack(">IIII", 2051, count, 28, 28) + pixels.tobytes()
        (folder / f"{part}-images-idx3-ubyte").write_bytes(images)
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(struct.pack(">II", 2049, count) + labels)


@pytest.mark.parametrize("name", ["MNIST", "mnist"])
def test_mnist_is_read_from_its_idx_files(name, tmp_path):
    write_mnist(tmp_path)
    data = load(f"torchvision:{name}", data_dir=tmp_path)
    assert (data.name, data.input_shape, len(data.test)) == ("mnist", (1, 28, 28), 10)
    assert data.train.inputs[:, 0, 3, 3].tolist() == list(range(20))
    assert data.labels.tolist() == [index % 10 for index in range(20)]
    assert data.class_names[3] == "3 - three"


def test_a_truncated_file_is_an_input_error(tmp_path):
    write_mnist(tmp_path)
    path = tmp_path / "MNIST" / "raw" / "train-images-idx3-ubyte"
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(InputError, match=r"torchvision:MNIST.*--data-dir"):
        load("torchvision:MNIST", data_dir=tmp_path)


def test_what_old_versions_pickled_is_not_loaded(tmp_path):
    write_mnist(tmp_path)
    (tmp_path / "MNIST" / "processed").mkdir()
    (tmp_path / "MNIST" / "processed" / "training.pt").write_bytes(b"pickle")
    with pytest.raises(InputError, match=r"no pickled files.*processed.*Delete that folder"):
        load("torchvision:MNIST", data_dir=tmp_path)


def test_our_own_reader_stands_in_where_there_is_one(tmp_path):
    folder = tmp_path / "FashionMNIST" / "raw"
    write_mnist(tmp_path)
    (tmp_path / "MNIST").rename(tmp_path / "FashionMNIST")
    for file in list(folder.iterdir()):
        file.with_suffix(".gz").write_bytes(gzip.compress(file.read_bytes()))
    assert load("torchvision:FashionMNIST", data_dir=tmp_path).name == "fashion-mnist"
    with pytest.raises(InputError, match=r"`cifar10` needs the file"):
        load("torchvision:CIFAR10", data_dir=tmp_path)


def test_eurosat_is_read_from_its_class_folders_and_split(tmp_path):
    for number, name in enumerate(("Forest", "River")):
        folder = tmp_path / "eurosat" / "2750" / name
        folder.mkdir(parents=True)
        for index in range(5):
            Image.new("RGB", (8, 8), (number, index, 0)).save(folder / f"{name}_{index}.png")
    data = load("torchvision:EuroSAT", data_dir=tmp_path)
    assert (data.class_names, len(data.train), len(data.test)) == (("Forest", "River"), 8, 2)
    assert data.train.inputs[:, 0, 0, 0].tolist() == data.labels.tolist()


def test_fake_data_needs_no_files_and_can_be_resized():
    data = load("torchvision:FakeData", download=False)
    assert (len(data.train), len(data.test), data.input_shape) == (1_000, 200, (3, 32, 32))
    assert not torch.equal(data.train.inputs[:200], data.test.inputs)
    assert load("torchvision:FakeData", image_size=8, memory_limit=5_000).input_shape == (3, 8, 8)


def test_food_of_several_sizes_wants_an_image_size(tmp_path):
    folder = tmp_path / "food-101"
    (folder / "meta").mkdir(parents=True)
    for part, count in (("train", 3), ("test", 2)):
        listing = {name: [f"{name}/{part}{index}" for index in range(count)] for name in ("pie", "soup")}
        (folder / "meta" / f"{part}.json").write_text(json.dumps(listing))
        for name in listing:
            (folder / "images" / name).mkdir(parents=True, exist_ok=True)
            for index in range(count):
                size = (20 + index, 16)
                Image.new("RGB", size, (9, 9, 9)).save(folder / "images" / name / f"{part}{index}.jpg")
    with pytest.raises(
        InputError, match=r"at index 1 of the training part[.] Choose one size with image_size"
    ):
        load("torchvision:Food101", data_dir=tmp_path)
    data = load("torchvision:Food101", data_dir=tmp_path, image_size=16)
    assert (data.class_names, data.input_shape, len(data.train)) == (("pie", "soup"), (3, 16, 16), 6)


def test_absent_files_give_one_sentence_and_ask_no_network(tmp_path, monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("the network was asked")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    for name in sorted(READERS.keys() - {"FakeData"}):
        with pytest.raises(InputError, match=rf"`torchvision:{name}` must lie in `{tmp_path}`"):
            load(f"torchvision:{name}", data_dir=tmp_path)


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_a_set_that_cannot_be_used_is_refused_with_the_reason(name):
    with pytest.raises(InputError, match=f"but got `{name}`: "):
        load(f"torchvision:{name}")


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(InputError, match=r"Unknown torchvision data set `SVNH`[.] Did you mean `SVHN`"):
        load("torchvision:SVNH")


def test_every_name_is_one_of_torchvision():
    from torchvision import datasets

    assert all(hasattr(datasets, name) for name in (*READERS, *OWN_READERS, *REFUSED))


def test_svhn_is_read_from_its_mat_files(tmp_path, monkeypatch):
    from torchvision.datasets import svhn

    # The published checksum is that of 73,257 images.
    monkeypatch.setattr(svhn, "check_integrity", lambda path, md5: True)
    for part, count in (("train", 12), ("test", 6)):
        images = np.zeros((32, 32, 3, count), dtype=np.uint8)
        images[:, :, 1] = np.arange(count)
        labels = (np.arange(count) % 10 + 1).astype(np.uint8)[:, None]
        savemat(tmp_path / f"{part}_32x32.mat", {"X": images, "y": labels})
    data = load("torchvision:SVHN", data_dir=tmp_path)
    assert data.train.inputs[:, 1, 0, 0].tolist() == list(range(12))
    # The files write the digit 0 as 10.
    assert data.labels.tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1, 2]
