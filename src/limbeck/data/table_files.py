"""Parquet, CSV and TSV files: which ones belong to a data set, their columns and their rows."""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import polars as pl

from limbeck.core.errors import enumerate_words, require
from limbeck.data.columns import Column
from limbeck.data.damage import damaged, explain_damage

SPLITS = ("train", "test", "valid", "dev")
SUFFIXES = (".parquet", ".csv", ".tsv")
KIND = "a parquet, CSV or TSV file of samples"
# Where Hugging Face repositories keep their files.
SUBFOLDERS = ("", "data", "plain_text")
READ_ERRORS = (pl.exceptions.PolarsError, pl.exceptions.PanicException)
SEPARATORS = {".csv": ",", ".tsv": "\t"}
# Rows of a CSV file from which the types of its columns are told.
TYPED_ROWS = 10_000
# Bytes of encoded images that are read at once.
SLICE_BYTES = 2**30


@dataclass(frozen=True, kw_only=True)
class SplitFiles:
    """The files of each part.

    Attributes:
        train: At least one file.
        test: The test files, else the validation files, else empty.
    """

    train: tuple[Path, ...]
    test: tuple[Path, ...]


def name_of(path: Path) -> str:
    """The name of a folder, or of a file without its ending."""
    return path.resolve().name if path.is_dir() else path.stem


def find_tables(root: Path) -> list[Path]:
    """The files of one type in `root`, ``data`` or ``plain_text``; parquet comes before CSV."""
    for folder in (root / subfolder for subfolder in SUBFOLDERS):
        for suffix in SUFFIXES:
            files = sorted(file for file in folder.glob(f"*{suffix}") if not file.name.startswith("."))
            if files:
                return files
    return []


def find_splits(path: Path) -> SplitFiles:
    """The files of each part, in the order of their names.

    Raises:
        InputError: When there is no training file or a numbered file is missing.
    """
    if not path.is_dir():
        return SplitFiles(train=(path,), test=())
    files = find_tables(path)
    require(
        bool(files), "the folder holds parquet, CSV or TSV files", f"none in `{path}`", "Name another one."
    )
    by_split = group_by_split(files)
    if not any(by_split.values()):
        return SplitFiles(train=tuple(files), test=())
    require(
        bool(by_split["train"]),
        "the name of a parquet, CSV or TSV file contains `train`",
        f"{enumerate_words([f.name for f in files[:4]])} in `{files[0].parent}`",
        "Rename the training files, or pass the path of one file.",
    )
    splits = SplitFiles(
        train=by_split["train"], test=by_split["test"] or by_split["valid"] or by_split["dev"]
    )
    check_shards(splits.train)
    check_shards(splits.test)
    return splits


def group_by_split(files: Sequence[Path]) -> dict[str, tuple[Path, ...]]:
    """Files by the first of the words ``train``, ``test``, ``valid``, ``dev`` that their name contains."""
    split_of = {file: next((word for word in SPLITS if word in file.stem.lower()), "") for file in files}
    return {split: tuple(file for file in files if split_of[file] == split) for split in SPLITS}


def check_shards(files: Sequence[Path]) -> None:
    """Raise `InputError` when files numbered ``00000-of-00002`` are not all there."""
    totals = [int(match[1]) for match in (re.search(r"-of-(\d+)", file.stem) for file in files) if match]
    expected = max(totals, default=0)
    require(
        not totals or len(totals) == expected,
        "every numbered file is there",
        f"{len(totals)} of {expected} in `{files[0].parent if files else ''}`",
        "Download the missing files.",
    )


def read_columns(file: Path) -> list[Column]:
    """Every column of a file; those of a CSV file are typed by their first rows.

    Raises:
        InputError: When the file is damaged.
    """
    with explain_damage(file, KIND, *READ_ERRORS):
        if file.suffix == ".parquet":
            schema = pl.read_parquet_schema(file)
        else:
            scanned = pl.scan_csv(
                file, separator=SEPARATORS[file.suffix], infer_schema_length=TYPED_ROWS, glob=False
            )
            schema = scanned.collect_schema()
    is_csv = file.suffix != ".parquet"
    return [
        Column(name=name, kind=_kind_of(kind), type_name=str(kind), is_written_out=is_csv)
        for name, kind in dict(schema).items()
    ]


def read_table(files: Sequence[Path], columns: Sequence[str]) -> pl.DataFrame:
    """Some columns of all files, row after row; the columns of CSV files as strings.

    Raises:
        InputError: When a file is damaged, has no such columns or all hold no rows.
    """
    source = files[0] if len(files) == 1 else files[0].parent
    with explain_damage(source, KIND, *READ_ERRORS):
        frame = pl.concat([_scan(file, columns).collect() for file in files])
    if len(frame) == 0:
        raise damaged(source, KIND, "it holds no rows")
    return frame


def count_rows(files: Sequence[Path]) -> int:
    """The number of rows of all files, whose columns are not read.

    Raises:
        InputError: When a file is damaged or all hold no rows.
    """
    num_rows = 0
    for file in files:
        with explain_damage(file, KIND, *READ_ERRORS):
            num_rows += pl.scan_parquet(file, glob=False).select(pl.len()).collect().item()
    if num_rows == 0:
        raise damaged(files[0], KIND, "it holds no rows")
    return num_rows


def read_slices(file: Path, column: str) -> Iterator[pl.Series]:
    """One column of a file, about `SLICE_BYTES` of it at a time.

    Raises:
        InputError: When the file is damaged.
    """
    num_rows = count_rows([file])
    scanned = _scan(file, [column])
    step = math.ceil(num_rows / math.ceil(file.stat().st_size / SLICE_BYTES)) or 1
    for start in range(0, num_rows, step):
        with explain_damage(file, KIND, *READ_ERRORS):
            part = scanned.slice(start, step).collect()[column]
        yield part


def take_bytes(images: pl.Series) -> pl.Series:
    """The encoded images of a column of bytes, or of structs with a field `bytes`."""
    return images.struct.field("bytes") if isinstance(images.dtype, pl.Struct) else images


def read_metadata(file: Path) -> str:
    """What Hugging Face stores about the columns of a parquet file, as JSON; ``{}`` without it."""
    if file.suffix != ".parquet":
        return "{}"
    with explain_damage(file, KIND, *READ_ERRORS):
        return pl.read_parquet_metadata(file).get("huggingface", "{}")


def _scan(file: Path, columns: Sequence[str]) -> pl.LazyFrame:
    if file.suffix == ".parquet":
        return pl.scan_parquet(file, glob=False).select(columns)
    # Whole rows, because a row with too many values is only noticed so.
    frame = pl.read_csv(file, separator=SEPARATORS[file.suffix], infer_schema=False, glob=False)
    return frame.select(columns).lazy()


def _kind_of(kind: pl.DataType) -> Literal["image", "string", "integer", "other"]:
    if kind == pl.Binary or _has_bytes(kind):
        return "image"
    if kind.is_integer():
        return "integer"
    is_text = kind in (pl.String, pl.Categorical, pl.Enum)
    return "string" if is_text else "other"


def _has_bytes(kind: pl.DataType) -> bool:
    return isinstance(kind, pl.Struct) and any(
        field.name == "bytes" and field.dtype == pl.Binary for field in kind.fields
    )
