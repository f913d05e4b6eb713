"""CIFAR from the binary version and from parquet; the pickled version is never read."""

import dataclasses
import io
import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

from limbeck.core.errors import InputError
from limbeck.data import load
from limbeck.data.cifar import CIFAR10, CIFAR100, read_binary

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


@LAYOUTS
def test_the_pickled_version_is_refused_with_the_way_out(layout, tmp_path):
    (tmp_path / layout.pickled_folder).mkdir()
    with pytest.raises(InputError, match=r"pickled, therefore never read.*binary version"):
        load(layout.name, data_dir=tmp_path)


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
