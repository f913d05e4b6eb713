"""Tables: parquet files as Hugging Face writes them, CSV and TSV, of images or texts with labels."""

import json
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl

from limbeck.core.errors import require
from limbeck.data.columns import Choice, choose_columns, require_label
from limbeck.data.damage import damaged, explain_damage
from limbeck.data.data_set import DataSet, make_data_set
from limbeck.data.gathering import Frames, gather_frames, identify_files
from limbeck.data.hold_out import hold_out
from limbeck.data.images import EncodedImage, decode_image, explain_sizes
from limbeck.data.inputs import Inputs, Texts, split_inputs
from limbeck.data.labels import number_labels
from limbeck.data.options import DEFAULTS, ReadOptions
from limbeck.data.samples import Samples
from limbeck.data.table_files import (
    KIND,
    count_rows,
    find_splits,
    name_of,
    read_columns,
    read_metadata,
    read_slices,
    read_table,
    take_bytes,
)


def load_table(path: Path, *, name: str | None = None, options: ReadOptions = DEFAULTS) -> DataSet:
    """The data set in a file, or in the train and test files of a folder.

    Args:
        path: The file or folder. Without a test file, a fifth of each class is held out, always the same.
        name: What results call it; the name of the file or folder when left out.
        options: Columns, image size and memory limit.

    Raises:
        InputError: When files, columns, labels or images are missing, damaged or do not fit together.
    """
    files = find_splits(path)
    columns = read_columns(files.train[0])
    choice = choose_columns(columns, options=options, source=files.train[0])
    label = require_label(choice, columns, source=files.train[0])
    parts = [part for part in (files.train, files.test) if part]
    known = read_class_names(files.train[0], label)
    labels, class_names = number_labels(
        [read_labels(part, label, has_names=bool(known)) for part in parts], class_names=known
    )
    inputs = read_inputs([*files.train, *files.test], choice, path=path, options=options)
    train_inputs, test_inputs = split_inputs(inputs, first=len(labels[0]))
    train = Samples(inputs=train_inputs, labels=labels[0])
    train, test = (train, Samples(inputs=test_inputs, labels=labels[1])) if files.test else hold_out(train)
    return make_data_set(name or name_of(path), train, test, class_names)


def load_unlabelled_table(path: Path, *, options: ReadOptions = DEFAULTS) -> Inputs:
    """The inputs of a table without a column of labels; of a folder with train and test files, the former.

    A table that has labels gives what `load_table` gives as training inputs.

    Raises:
        InputError: When files, columns or images are missing or damaged.
    """
    files = find_splits(path)
    choice = choose_columns(read_columns(files.train[0]), options=options, source=files.train[0])
    if choice.label is not None:
        return load_table(path, options=options).train.inputs
    return read_inputs(files.train, choice, path=path, options=options)


def read_inputs(files: Sequence[Path], choice: Choice, *, path: Path, options: ReadOptions) -> Inputs:
    """The texts or images of all files, in order."""
    if choice.text is not None:
        options.refuse("image_size", source=str(path))
        return read_texts(files, choice.text)
    assert choice.image is not None
    return gather_column(files, choice.image, path=path, options=options)


def read_texts(files: Sequence[Path], column: str) -> Texts:
    """The texts of all files."""
    texts = read_table(files, [column])[column].cast(pl.String)
    check_filled(texts, source=files[0])
    return Texts(strings=tuple(texts.to_list()))


def gather_column(files: Sequence[Path], column: str, *, path: Path, options: ReadOptions) -> Inputs:
    """The images of all files, in memory or in a file."""
    frames = Frames(
        name=name_of(path),
        count=count_rows(files),
        read_fn=partial(_decode_column, files, column, options.image_size),
        explain_fn=lambda row, _first, _other: explain_sizes(
            _encoded(files, column), num_equal=row, source=path
        ),
        identity=identify_files(files, image_size=options.image_size, column=column),
    )
    return gather_frames(frames, memory_limit=options.memory_limit)


def read_labels(files: Sequence[Path], column: str, *, has_names: bool) -> np.ndarray:
    """The labels of all files: int64, or strings.

    Args:
        files: The files of one part.
        column: The column of labels.
        has_names: Whether the classes' names are known, so that the labels are their numbers.
    """
    labels = read_table(files, [column])[column]
    source = files[0] if len(files) == 1 else files[0].parent
    if labels.null_count():
        raise damaged(source, KIND, f"{labels.null_count()} rows hold no label")
    if labels.dtype.is_integer():
        return labels.cast(pl.Int64).to_numpy(writable=True)
    numbers = labels.cast(pl.String).cast(pl.Int64, strict=False)
    is_csv = files[0].suffix != ".parquet"
    if (is_csv or has_names) and numbers.null_count() == 0:
        return numbers.to_numpy(writable=True)
    return np.array(labels.cast(pl.String).to_list())


def read_class_names(path: Path, label: str) -> tuple[str, ...]:
    """The class names that Hugging Face stores in the schema, empty where the file has none."""
    with explain_damage(
        path, "a parquet file with readable `huggingface` metadata", ValueError, AttributeError
    ):
        feature = json.loads(read_metadata(path)).get("info", {}).get("features", {}).get(label, {})
        return tuple(map(str, feature.get("names") or ()))


def holds_jpeg(path: Path) -> bool:
    """Whether the first training image is JPEG, which loses detail."""
    source = find_splits(path).train[0]
    choice = choose_columns(read_columns(source), options=DEFAULTS, source=source)
    first = next(_encoded([source], choice.input)).content
    return isinstance(first, bytes) and first.startswith(b"\xff\xd8\xff")


def check_filled(texts: pl.Series, *, source: Path) -> None:
    """Raise `InputError` when a row is missing or blank, which CSV files hardly tell apart."""
    empty = (texts.is_null() | (texts.str.strip_chars() == "")).arg_true()
    require(
        len(empty) == 0,
        "every row holds a text",
        f"{len(empty)} rows without one in `{source}`, the first at {next(iter(empty), 0)}",
        "Fill in or drop these rows.",
    )


def _encoded(files: Sequence[Path], column: str) -> Iterator[EncodedImage]:
    for file in files:
        row = 0
        for part in read_slices(file, column):
            for content in take_bytes(part):
                yield EncodedImage(content=content, file=file, name=f"row {row}")
                row += 1


def _decode_column(files: Sequence[Path], column: str, image_size: int | None) -> Iterator[np.ndarray]:
    for encoded in _encoded(files, column):
        yield decode_image(encoded, image_size=image_size)
