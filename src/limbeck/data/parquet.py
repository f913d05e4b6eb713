"""Parquet files as Hugging Face writes them: a column of encoded images and a column of labels."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import torch

from limbeck.core.errors import InputError, enumerate_words, require
from limbeck.data.damage import damaged, explain_damage
from limbeck.data.data_set import DataSet, make_data_set, number_classes
from limbeck.data.hold_out import hold_out
from limbeck.data.images import decode_images
from limbeck.data.samples import Samples

SPLITS = ("train", "test", "valid")
KIND = "a parquet file of images and labels"
IMAGE_COLUMNS = ("img", "image")
LABEL_COLUMNS = ("label", "labels", "fine_label")
# Where Hugging Face repositories keep their files.
SUBFOLDERS = ("", "data", "plain_text")
READ_ERRORS = (pl.exceptions.PolarsError, pl.exceptions.PanicException)


@dataclass(frozen=True, kw_only=True)
class SplitFiles:
    """The parquet files of each part.

    Attributes:
        train: At least one file.
        test: The test files, else the validation files, else empty.
    """

    train: tuple[Path, ...]
    test: tuple[Path, ...]


@dataclass(frozen=True, kw_only=True)
class Columns:
    """Which columns hold the images and the labels, and whether an image is a struct with a field `bytes`."""

    image: str
    label: str
    is_struct: bool


def load_parquet(path: Path, *, name: str | None = None) -> DataSet:
    """The data set in a parquet file, or in the train and test files of a folder.

    Args:
        path: The file or folder. Without a test file, a fifth of each class is held out, always the same.
        name: What results call it; the name of the file or folder when left out.

    Raises:
        InputError: When files, columns, labels or images are missing, damaged or do not fit together.
    """
    files = find_splits(path)
    columns = find_columns(files.train[0])
    train = read_samples(files.train, columns=columns)
    train, test = (train, read_samples(files.test, columns=columns)) if files.test else hold_out(train)
    class_names = read_class_names(files.train[0], columns.label) or number_classes(train, test)
    return make_data_set(name or name_of(path), train, test, class_names)


def name_of(path: Path) -> str:
    """The name of a folder, or of a file without its ending."""
    return path.resolve().name if path.is_dir() else path.stem


def find_parquet_folder(root: Path) -> Path | None:
    """`root` or its subfolder ``data`` or ``plain_text``, whichever holds parquet files first."""
    folders = (root / subfolder for subfolder in SUBFOLDERS)
    return next((folder for folder in folders if any(folder.glob("*.parquet"))), None)


def find_splits(path: Path) -> SplitFiles:
    """The files of each part, in the order of their names.

    Raises:
        InputError: When there is no training file or a numbered file is missing.
    """
    if not path.is_dir():
        return SplitFiles(train=(path,), test=())
    folder = find_parquet_folder(path)
    if folder is None:
        raise InputError(f"`{path}` must hold parquet files, but there are none. Name the folder that does.")
    files = sorted(folder.glob("*.parquet"))
    by_split = group_by_split(files)
    if not any(by_split.values()):
        return SplitFiles(train=tuple(files), test=())
    require(
        bool(by_split["train"]),
        "the name of a parquet file contains `train`",
        f"{enumerate_words([f.name for f in files[:4]])} in `{folder}`",
        "Rename the training files, or pass the path of one file.",
    )
    splits = SplitFiles(train=by_split["train"], test=by_split["test"] or by_split["valid"])
    check_shards(splits.train)
    check_shards(splits.test)
    return splits


def group_by_split(files: Sequence[Path]) -> dict[str, tuple[Path, ...]]:
    """Files by the first of the words ``train``, ``test``, ``valid`` that their name contains."""
    split_of = {file: next((word for word in SPLITS if word in file.stem.lower()), "") for file in files}
    return {split: tuple(file for file in files if split_of[file] == split) for split in SPLITS}


def check_shards(files: Sequence[Path]) -> None:
    """Raise `InputError` when files numbered ``00000-of-00002`` are not all there."""
    totals = [int(match[1]) for match in (re.search(r"-of-(\d+)", file.stem) for file in files) if match]
    expected = max(totals, default=0)
    require(
        not totals or len(totals) == expected,
        "every numbered parquet file is there",
        f"{len(totals)} of {expected} in `{files[0].parent if files else ''}`",
        "Download the missing files.",
    )


def find_columns(path: Path) -> Columns:
    """The image column, by type, and the label column, by name.

    Raises:
        InputError: When one of them is missing; the message lists the columns that are there.
    """
    with explain_damage(path, KIND, *READ_ERRORS):
        schema = pl.read_parquet_schema(path)
    images = [column for column, kind in schema.items() if is_binary(kind) or has_bytes(kind)]
    labels = [column for column in LABEL_COLUMNS if column in schema and schema[column].is_integer()]
    listing = enumerate_words([f"{column} ({kind})" for column, kind in schema.items()])
    require(
        bool(images),
        "a column holds images, as binary or as struct {bytes, path}",
        f"{listing} in `{path}`",
        "Embed the images in the file.",
    )
    require(
        bool(labels),
        f"an integer column is called {' or '.join(LABEL_COLUMNS)}",
        f"{listing} in `{path}`",
        "Rename the label column, and number the classes from 0.",
    )
    image = next((column for column in IMAGE_COLUMNS if column in images), images[0])
    return Columns(image=image, label=labels[0], is_struct=has_bytes(schema[image]))


def is_binary(kind: pl.DataType) -> bool:
    """Whether a column holds raw bytes."""
    return kind == pl.Binary


def has_bytes(kind: pl.DataType) -> bool:
    """Whether a column is a struct with a binary field `bytes`."""
    return isinstance(kind, pl.Struct) and any(
        field.name == "bytes" and field.dtype == pl.Binary for field in kind.fields
    )


def read_samples(files: Sequence[Path], *, columns: Columns) -> Samples:
    """The images and labels of all files, in order."""
    source = files[0] if len(files) == 1 else files[0].parent
    with explain_damage(source, KIND, *READ_ERRORS):
        frame = pl.concat(
            [pl.read_parquet(f, columns=[columns.image, columns.label], glob=False) for f in files]
        )
        images = take_bytes(frame, columns)
    labels = frame[columns.label]
    if len(frame) == 0:
        raise damaged(source, KIND, "it holds no rows")
    if labels.null_count():
        raise damaged(source, KIND, f"{labels.null_count()} rows hold no label")
    return Samples(
        inputs=decode_images(images.to_list(), source=source),
        labels=torch.from_numpy(labels.cast(pl.Int64).to_numpy(writable=True)),
    )


def take_bytes(frame: pl.DataFrame, columns: Columns) -> pl.Series:
    """The encoded images of a table."""
    images = frame[columns.image]
    return images.struct.field("bytes") if columns.is_struct else images


def holds_jpeg(path: Path) -> bool:
    """Whether the first training image is JPEG, which loses detail."""
    source = find_splits(path).train[0]
    columns = find_columns(source)
    frame = pl.read_parquet(source, columns=[columns.image], n_rows=1, glob=False)
    return bytes(take_bytes(frame, columns)[0]).startswith(b"\xff\xd8\xff")


def read_class_names(path: Path, label: str) -> tuple[str, ...]:
    """The class names that Hugging Face stores in the schema, empty where the file has none."""
    with explain_damage(path, KIND, *READ_ERRORS):
        stored = pl.read_parquet_metadata(path).get("huggingface", "{}")
    with explain_damage(
        path, "a parquet file with readable `huggingface` metadata", ValueError, AttributeError
    ):
        feature = json.loads(stored).get("info", {}).get("features", {}).get(label, {})
        return tuple(map(str, feature.get("names") or ()))
