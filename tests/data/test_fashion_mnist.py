"""Fashion-MNIST from IDX files: both layouts, plain and gzip, damaged, absent."""

import gzip
import struct

import numpy as np
import pytest

from limbeck.core.errors import InputError
from limbeck.data import load
from limbeck.data.fashion_mnist import FILES, PACKAGED
from limbeck.data.idx import read_idx

IMAGES = np.arange(6 * 28 * 28, dtype=np.uint32).astype(np.uint8).reshape(6, 28, 28)
LABELS = np.array([0, 9, 3, 3, 1, 2], dtype=np.uint8)


def idx_bytes(array):
    """An IDX file written straight from the format's description."""
    return struct.pack(f">4B{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


def write_files(folder, *, is_gzip):
    folder.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        content = idx_bytes(IMAGES if "images" in name else LABELS)
        if is_gzip:
            (folder / f"{name}.gz").write_bytes(gzip.compress(content))
        else:
            (folder / name).write_bytes(content)


@pytest.mark.parametrize("is_gzip", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("layout", ["FashionMNIST/raw", "."], ids=["torchvision", "direct"])
def test_both_layouts_are_read_plain_and_gzip(layout, is_gzip, tmp_path):
    write_files(tmp_path / layout, is_gzip=is_gzip)
    data = load("fashion-mnist", data_dir=tmp_path)
    assert data.name == "fashion-mnist"
    assert data.input_shape == (1, 28, 28)
    np.testing.assert_array_equal(data.train.inputs[:, 0].numpy(), IMAGES)
    assert data.test.labels.tolist() == LABELS.tolist()
    assert data.class_names[9] == "Ankle boot"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (idx_bytes(IMAGES)[:-1], "4703 values and its header says"),
        (idx_bytes(IMAGES) + b"x", "4705 values"),
        (idx_bytes(IMAGES)[:9], "ends within its header"),
        (b"", "starts with"),
        (b"\0\0\x0d" + idx_bytes(IMAGES)[3:], "starts with 00000d03 instead of 00000803"),
        (idx_bytes(LABELS), "starts with 00000801"),
    ],
)
def test_a_damaged_idx_file_is_named_with_the_reason(content, message, tmp_path):
    (tmp_path / "images").write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        read_idx(tmp_path / "images", num_axes=3)
    assert str(tmp_path / "images") in str(caught.value)


@pytest.mark.parametrize("damage", ["truncated", "flipped", "plain"])
def test_a_damaged_gzip_file_is_an_input_error(damage, tmp_path):
    content = bytearray(gzip.compress(idx_bytes(IMAGES)))
    flipped = content[:-6] + bytes([content[-6] ^ 255]) + content[-5:]
    broken = {"truncated": content[:-20], "flipped": flipped, "plain": idx_bytes(IMAGES)}
    (tmp_path / "images.gz").write_bytes(broken[damage])
    with pytest.raises(InputError, match=r"images\.gz"):
        read_idx(tmp_path / "images.gz", num_axes=3)


def test_images_and_labels_of_different_length_are_refused(tmp_path):
    write_files(tmp_path, is_gzip=False)
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(idx_bytes(LABELS[:5]))
    with pytest.raises(InputError, match=r"t10k-labels.*labels of the 6 images.*holds 5 labels"):
        load("fashion-mnist", data_dir=tmp_path)


def test_absent_files_give_one_sentence_with_file_folders_and_remedy(tmp_path):
    with pytest.raises(InputError) as caught:
        load("fashion-mnist", data_dir=tmp_path)
    message = str(caught.value)
    assert "`train-images-idx3-ubyte`" in message
    assert str(tmp_path / "FashionMNIST" / "raw") in message
    assert "apt install dataset-fashion-mnist" in message
    assert "--data-dir" in message


def test_the_one_missing_file_is_named(tmp_path):
    write_files(tmp_path, is_gzip=True)
    (tmp_path / "t10k-images-idx3-ubyte.gz").unlink()
    with pytest.raises(InputError, match="needs the file `t10k-images-idx3-ubyte`"):
        load("fashion-mnist", data_dir=tmp_path)


def test_a_data_dir_that_is_no_folder_is_refused(tmp_path):
    with pytest.raises(InputError, match="data_dir is a folder"):
        load("fashion-mnist", data_dir=tmp_path / "absent")


def test_the_per_user_cache_is_searched_first(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    write_files(tmp_path / "limbeck" / "data" / "FashionMNIST" / "raw", is_gzip=True)
    assert len(load("fashion-mnist", download=False).train) == 6


@pytest.mark.skipif(
    not PACKAGED.is_dir(), reason=f"Debian's dataset-fashion-mnist is not installed in {PACKAGED}"
)
def test_debians_copy_is_the_whole_real_data_set():
    data = load("fashion-mnist", data_dir=PACKAGED)
    assert (len(data.train), len(data.test)) == (60_000, 10_000)
    assert np.bincount(data.labels).tolist() == [6_000] * 10
    assert np.bincount(data.test.labels.numpy()).tolist() == [1_000] * 10
    # The first ten labels, as printed in many introductions: an ankle boot, two T-shirts, ...
    assert data.labels[:10].tolist() == [9, 0, 0, 3, 0, 2, 7, 2, 5, 5]
