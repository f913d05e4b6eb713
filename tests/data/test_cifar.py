"""CIFAR from the binary version, the Python version and parquet; nothing is unpickled."""

import dataclasses
import io
import json
import os
import pickle
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

from limbeck.core.errors import InputError
from limbeck.data import load
from limbeck.data.cifar import CIFAR10, CIFAR100, read_below, read_binary

JPEG_FOLDER = Path(__file__).parents[2] / ".." / "shared" / "data" / "cifar10-jpeg"
LAYOUTS = pytest.mark.parametrize("layout", [CIFAR10, CIFAR100], ids=["cifar10", "cifar100"])


def write_sparse(folder, layout, *, first_label):
    """Full-size files that are zero but for the first record: label bytes, then red 1, green 2, blue 3."""
    folder.mkdir(parents=True)
    first = bytes([7] * (layout.label_bytes - 1) + [first_label]) + b"".join(
        bytes([v]) * 1024 for v in (1, 2, 3)
    )
    for name in layout.files:
        num_records = 10_000 if name == layout.test_file else layout.records_per_file
        with (folder / name).open("wb") as file:
            file.write(first)
            file.truncate(num_records * len(first))


@LAYOUTS
def test_the_binary_version_is_read_record_by_record(layout, tmp_path):
    last = len(layout.class_names) - 1
    write_sparse(tmp_path / layout.folder, layout, first_label=last)
    data = load(layout.name, data_dir=tmp_path)
    assert (data.name, len(data.train), len(data.test)) == (layout.name, 50_000, 10_000)
    assert data.input_shape == (3, 32, 32)
    assert data.train.inputs[0].flatten(1).unique(dim=1).flatten().tolist() == [1, 2, 3]
    assert data.labels[:2].tolist() == [last, 0]
    assert data.labels.sum() == last * len(layout.train_files)


def test_the_class_names_are_in_the_usual_order():
    assert CIFAR10.class_names[3] == "cat"
    assert len(CIFAR100.class_names) == 100
    assert (CIFAR100.class_names[0], CIFAR100.class_names[53], CIFAR100.class_names[99]) == (
        "apple",
        "orange",
        "worm",
    )


def test_a_truncated_binary_file_is_an_input_error(tmp_path):
    write_sparse(tmp_path / "bin", CIFAR10, first_label=1)
    with (tmp_path / "bin" / "data_batch_1.bin").open("r+b") as file:
        file.truncate(9_999 * 3073)
    with pytest.raises(InputError, match=r"data_batch_1\.bin.*30726927 bytes instead of 30730000"):
        load("cifar10", data_dir=tmp_path / "bin")


def test_a_label_beyond_the_classes_is_an_input_error(tmp_path):
    small = dataclasses.replace(CIFAR10, records_per_file=2)
    write_sparse(tmp_path / "bin", small, first_label=10)
    with pytest.raises(InputError, match=r"data_batch_1\.bin.*label 10 of 10 classes"):
        read_binary(tmp_path / "bin", layout=small)


def write_python_version(folder, layout, write_fn):
    """The Python version's files with few images: image i of a file is all i, its label is i modulo 10."""
    folder.mkdir(parents=True)
    small = dataclasses.replace(layout, records_per_file=12, num_test=5)
    for name in small.files:
        num_images = small.num_test if name == small.test_file else small.records_per_file
        pixels = np.repeat(np.arange(num_images, dtype=np.uint8)[:, None], 3072, axis=1)
        labels = [index % 10 for index in range(num_images)]
        (folder / Path(name).stem).write_bytes(write_fn(pixels, labels, layout.labels_key))
    return small


def as_python_2_wrote_it(pixels, labels, labels_key):
    """Protocol 2 with byte strings, as in the published archives."""
    raw = pixels.tobytes()

    def text(word):
        return b"U" + bytes([len(word)]) + word.encode() + b"q\x01"

    numbers = b"".join(b"K" + bytes([label]) for label in labels)
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01"
        + b"M" + len(labels).to_bytes(2, "little") + b"M\x00\x0c\x86cnumpy\ndtype\n"
        + b"U\x02u1K\x00K\x01\x87R\x89T" + len(raw).to_bytes(4, "little") + raw + b"tb"
    )  # fmt: skip
    entries = text("batch_label") + text("batch 1 of 5") + text(labels_key) + b"]q\x02(" + numbers + b"e"
    return b"\x80\x02}q\x00(" + entries + text("data") + array + b"u."


def as_python_3_writes_it(pixels, labels, labels_key):
    return pickle.dumps({labels_key.encode(): labels, b"data": pixels, b"filenames": [b"a"]}, protocol=3)


@LAYOUTS
@pytest.mark.parametrize("write_fn", [as_python_2_wrote_it, as_python_3_writes_it])
def test_the_python_version_is_scanned_image_by_image(layout, write_fn, tmp_path):
    small = write_python_version(tmp_path / layout.pickled_folder, layout, write_fn)
    data = read_below(tmp_path, layout=small)
    assert (len(data.train), len(data.test)) == (12 * len(layout.train_files), 5)
    assert data.labels[:12].tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]
    assert data.train.inputs[11].unique().tolist() == [11]
    assert data.test.inputs.flatten(1).float().mean(1).tolist() == [0, 1, 2, 3, 4]


class Trap:
    """Makes a folder when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_nothing_in_a_python_version_file_is_run(tmp_path):
    small = write_python_version(tmp_path / CIFAR10.pickled_folder, CIFAR10, as_python_3_writes_it)
    trap = pickle.dumps(Trap(tmp_path / "sprung"))
    (tmp_path / CIFAR10.pickled_folder / "data_batch_2").write_bytes(trap)
    with pytest.raises(InputError, match=r"data_batch_2.*must be a CIFAR batch of 12 images"):
        read_below(tmp_path, layout=small)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("damage", [b"", b"not a pickle", b"\x80\x02}q\x00("])
def test_a_damaged_python_version_file_is_an_input_error(damage, tmp_path):
    small = write_python_version(tmp_path / CIFAR10.pickled_folder, CIFAR10, as_python_3_writes_it)
    (tmp_path / CIFAR10.pickled_folder / "test_batch").write_bytes(damage)
    with pytest.raises(InputError, match="test_batch"):
        read_below(tmp_path, layout=small)


def test_absent_files_give_one_sentence_with_file_folders_and_remedy(tmp_path):
    with pytest.raises(InputError) as caught:
        load("cifar10", data_dir=tmp_path)
    message = str(caught.value)
    assert "`data_batch_1.bin`" in message
    assert str(tmp_path / "cifar-10-batches-bin") in message
    assert "--data-dir" in message


def write_parquet(path, *, num_classes, image_format):
    images = []
    for value in range(num_classes):
        buffer = io.BytesIO()
        Image.new("RGB", (32, 32), (value, 0, 0)).save(buffer, image_format)
        images.append({"bytes": buffer.getvalue(), "path": None})
    feature = {"_type": "ClassLabel", "names": [f"kind {label}" for label in range(num_classes)]}
    metadata = {"huggingface": json.dumps({"info": {"features": {"label": feature}}})}
    pl.DataFrame({"img": images, "label": range(num_classes)}).write_parquet(path, metadata=metadata)


@pytest.mark.parametrize(("image_format", "name"), [("PNG", "cifar10"), ("JPEG", "cifar10-jpeg")])
def test_parquet_is_read_and_re_encoded_images_show_in_the_name(image_format, name, tmp_path):
    for split in ("train", "test"):
        write_parquet(tmp_path / f"{split}.parquet", num_classes=10, image_format=image_format)
    data = load("cifar10", data_dir=tmp_path)
    assert (data.name, data.num_classes, len(data.train), len(data.test)) == (name, 10, 10, 10)


def test_parquet_of_another_data_set_is_refused(tmp_path):
    write_parquet(tmp_path / "train.parquet", num_classes=8, image_format="PNG")
    with pytest.raises(InputError, match="in 8 classes from"):
        load("cifar10", data_dir=tmp_path)


@pytest.mark.skipif(not JPEG_FOLDER.is_dir(), reason=f"no CIFAR-10 (JPEG) in {JPEG_FOLDER}")
def test_a_part_of_the_real_parquet_copy_is_read(tmp_path):
    for split in ("train", "test"):
        path = JPEG_FOLDER / f"{split}.parquet"
        part = pl.read_parquet(path, n_rows=500)
        metadata = {"huggingface": pl.read_parquet_metadata(path)["huggingface"]}
        part.write_parquet(tmp_path / path.name, metadata=metadata)
    data = load("cifar10", data_dir=tmp_path)
    assert data.class_names == CIFAR10.class_names
    assert data.train.inputs.shape == (500, 3, 32, 32)
    # The mean of natural images; of the whole original training part it is 0.473.
    assert 0.43 < np.mean(data.train.inputs.numpy()) / 255 < 0.52
