"""The records of samples that are no tensor: texts, tokens, and images in a file.

What asks which kind inputs are is in `limbeck.data.inputs`.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from limbeck.core.errors import count, name_type, require


@dataclass(frozen=True, kw_only=True)
class Texts:
    """Strings, one per sample, for a tokenizer to turn into `Tokens`.

    Attributes:
        strings: The texts; any sequence of strings becomes a tuple when the record is built.

    Raises:
        InputError: When something is no string.
    """

    strings: tuple[str, ...]

    def __post_init__(self) -> None:
        strings = self.strings
        is_list = isinstance(strings, Sequence) and not isinstance(strings, str)
        require(
            is_list and all(isinstance(text, str) for text in strings),
            "texts are a list of strings",
            f"{name_type(strings)} of {_name_types(strings)}",
            "Pass one string per sample.",
        )
        object.__setattr__(self, "strings", tuple(strings))

    def __repr__(self) -> str:
        return f"Texts({count(len(self), 'text')})"

    def __len__(self) -> int:
        return len(self.strings)

    def __getitem__(self, row: int) -> str:
        return self.strings[row]

    def __iter__(self) -> Iterator[str]:
        return iter(self.strings)

    def take(self, ids: Sequence[int] | np.ndarray | Tensor) -> "Texts":
        """The texts at `ids`, in that order; see `take_samples`."""
        rows = as_rows(ids, num_samples=len(self)).tolist()
        return Texts(strings=tuple(self.strings[row] for row in rows))


@dataclass(frozen=True, kw_only=True, eq=False)
class Tokens:
    """What a tokenizer makes of texts: named tensors, one row per sample.

    Attributes:
        columns: For example ``input_ids`` and ``attention_mask``, each [n, ...]; at least one.

    Raises:
        InputError: When there is no column or their lengths differ.
    """

    columns: Mapping[str, Tensor]

    def __post_init__(self) -> None:
        lengths = {name: len(column) if column.ndim else None for name, column in self.columns.items()}
        require(
            len(set(lengths.values())) == 1 and None not in lengths.values(),
            "tokens have at least one column, and all are of one length",
            f"lengths {lengths}",
            "Pad all texts to one length and return tensors.",
        )
        object.__setattr__(self, "columns", dict(self.columns))

    def __repr__(self) -> str:
        return f"Tokens({count(len(self), 'row')} of {', '.join(sorted(self.columns))})"

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def take(self, ids: Sequence[int] | np.ndarray | Tensor) -> "Tokens":
        """The rows at `ids`, in that order; see `take_samples`."""
        rows = as_rows(ids, num_samples=len(self))
        return Tokens(columns={name: column[rows.to(column.device)] for name, column in self.columns.items()})

    def to(self, device: torch.device | str) -> "Tokens":
        """The same tokens on another device."""
        return Tokens(columns={name: column.to(device) for name, column in self.columns.items()})


@dataclass(frozen=True, kw_only=True, eq=False)
class StoredImages:
    """uint8 images in a raw file, of which only the asked-for ones come into memory.

    The file is mapped anew for each batch, so that pages of past batches do not add up in this process.

    Attributes:
        file: The bytes of all images, one image after the other.
        file_shape: (images in the file, channels, height, width).
        rows: int64 [n], which images of the file these are and in which order; None for all of them.

    Raises:
        InputError: When the file is missing or of another size.
    """

    file: Path
    file_shape: tuple[int, int, int, int]
    rows: Tensor | None = None

    def __post_init__(self) -> None:
        num_bytes = self.file.stat().st_size if self.file.is_file() else 0
        require(
            num_bytes == math.prod(self.file_shape),
            "a file of stored images holds one byte per value",
            f"`{self.file}` of {num_bytes} bytes for images of shape {self.file_shape}",
            "Load the data again from its source.",
        )

    def __len__(self) -> int:
        return self.file_shape[0] if self.rows is None else len(self.rows)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(images, channels, height, width)."""
        return (len(self), *self.file_shape[1:])

    @property
    def dtype(self) -> torch.dtype:
        """Always uint8."""
        return torch.uint8

    def take(self, ids: Sequence[int] | np.ndarray | Tensor) -> "StoredImages":
        """The images at `ids`, in that order, of which none is read."""
        rows = as_rows(ids, num_samples=len(self))
        return StoredImages(
            file=self.file, file_shape=self.file_shape, rows=rows if self.rows is None else self.rows[rows]
        )

    def read(self, ids: Sequence[int] | np.ndarray | Tensor) -> Tensor:
        """The images at `ids` in memory, uint8 [k, channels, height, width] on the CPU."""
        rows = self.take(ids).rows
        assert rows is not None
        if len(rows) == 0:
            return torch.empty(self.take(ids).shape, dtype=torch.uint8)
        mapped = np.memmap(self.file, dtype=np.uint8, mode="r", shape=self.file_shape)
        return torch.from_numpy(np.asarray(mapped[rows.numpy()]))


def take_rows(
    inputs: Tensor | StoredImages, ids: Sequence[int] | np.ndarray | Tensor
) -> Tensor | StoredImages:
    """The rows at `ids`, in that order; see `take_samples`."""
    if isinstance(inputs, Tensor):
        return inputs.index_select(0, as_rows(ids, num_samples=len(inputs)).to(inputs.device))
    return inputs.take(ids)


def load_rows(inputs: Tensor | StoredImages, ids: Tensor, device: torch.device | str) -> Tensor:
    """The rows at `ids` in memory on `device`; see `load_batch`."""
    if isinstance(inputs, Tensor):
        return inputs[ids.to(inputs.device)].to(device)
    return inputs.read(ids).to(device)


def as_rows(ids: Sequence[int] | np.ndarray | Tensor, *, num_samples: int) -> Tensor:
    """`ids` as an int64 tensor [k] on the CPU, checked to lie in [0, num_samples)."""
    # Copied from NumPy, whose arrays may be read-only or reversed, which torch does not take.
    array = ids.cpu().numpy() if isinstance(ids, Tensor) else np.asarray(ids)
    require(
        array.ndim == 1 and (array.dtype.kind in "iu" or array.size == 0),
        "ids are integers in one dimension",
        f"dtype={array.dtype} with shape={array.shape}",
        "Turn a mask into ids with numpy.flatnonzero.",
    )
    lowest, highest = (int(array.min()), int(array.max())) if array.size else (0, -1)
    require(
        lowest >= 0 and highest < num_samples,
        "0 <= id < number of samples",
        f"ids from {lowest} to {highest} for {num_samples} samples",
        "Use ids of this data set's own partition.",
    )
    return torch.from_numpy(array.astype(np.int64))


def _name_types(values: object) -> str:
    """The types of what a sequence holds, for an error."""
    if isinstance(values, str) or not isinstance(values, Sequence):
        return "no list"
    return " and ".join(sorted({type(value).__name__ for value in values}))
