"""NumPy archives: arrays `x` and `y` (or `x_train` and `y_train`), and optionally `x_test` and `y_test`."""

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

import numpy as np
import torch

from limbeck.core.errors import enumerate_words, require
from limbeck.data.damage import damaged, explain_damage
from limbeck.data.data_set import DataSet, check_finite, make_data_set, number_classes
from limbeck.data.hold_out import hold_out
from limbeck.data.samples import Samples, check_inputs

KIND = "an .npz file of plain arrays"
TRAIN_KEYS = ("x", "y")
TEST_KEYS = ("x_test", "y_test")
# As Keras calls the training arrays; read where there are none of the plain name.
OTHER_NAMES = MappingProxyType({"x": "x_train", "y": "y_train"})
# An axis this short holds channels and not pixels.
MOST_CHANNELS = 4


def load_npz(path: Path) -> DataSet:
    """The data set in an ``.npz`` file.

    uint8 `x` is images: [n, height, width], [n, channels, height, width] or [n, height, width, channels].
    Floats of any shape become float32. Without `x_test`, a fifth of each class is held out, always the same.

    Raises:
        InputError: When the file is damaged or holds objects, or an array is missing or unfit.
    """
    arrays = read_arrays(path)
    train = join_samples(arrays, TRAIN_KEYS, path=path)
    check_finite(train.inputs, part="training")  # before the hold-out, which renumbers them
    has_test = any(key in arrays for key in TEST_KEYS)
    train, test = (train, join_samples(arrays, TEST_KEYS, path=path)) if has_test else hold_out(train)
    return make_data_set(path.stem, train, test, number_classes(train, test))


def has_labels(path: Path) -> bool:
    """Whether the file holds more than `x`."""
    return bool(read_arrays(path).keys() - {TRAIN_KEYS[0]})


def load_npz_inputs(path: Path) -> torch.Tensor:
    """The array `x` alone, of a file without labels.

    Raises:
        InputError: When the file is damaged, or `x` is missing or unfit.
    """
    arrays = read_arrays(path)
    found = "" if TRAIN_KEYS[0] in arrays else f", which holds {list_names(path)}"
    require(
        TRAIN_KEYS[0] in arrays,
        "an .npz file holds x",
        f"no x in `{path}`{found}",
        "Write it with numpy.savez(path, x=inputs).",
    )
    inputs = as_inputs(arrays[TRAIN_KEYS[0]], path=path)
    check_inputs(inputs)
    check_finite(inputs, part="unlabelled")
    return inputs


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays of interest in the file; objects, which would be unpickled, are an error."""
    with open_archive(path) as archive:
        names = {key: key if key in archive.files else OTHER_NAMES.get(key) for key in TRAIN_KEYS}
        names |= {key: key for key in TEST_KEYS}
        return {key: archive[name] for key, name in names.items() if name in archive.files}


def list_names(path: Path) -> str:
    """The names of the arrays in the file, in words."""
    with open_archive(path) as archive:
        return enumerate_words(sorted(archive.files)) or "nothing"


@contextmanager
def open_archive(path: Path) -> Iterator[np.lib.npyio.NpzFile]:
    """The file as NumPy opens it; any failure inside the block is one `InputError` about it."""
    errors = (
        ValueError,
        EOFError,
        KeyError,
        zipfile.BadZipFile,
        zlib.error,
        NotImplementedError,
        RuntimeError,
    )
    with explain_damage(path, KIND, *errors), path.open("rb") as file:
        archive = np.load(file, allow_pickle=False)
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise damaged(path, KIND, "it holds a single array without a name")
        with archive:
            yield archive


def join_samples(arrays: dict[str, np.ndarray], keys: tuple[str, str], *, path: Path) -> Samples:
    """The samples of two arrays of the file."""
    missing = [key for key in keys if key not in arrays]
    found = f", which holds {list_names(path)}" if missing else ""
    require(
        not missing,
        f"an .npz file holds {keys[0]} and {keys[1]}",
        f"no {' and no '.join(missing)} in `{path}`{found}",
        "Write it with numpy.savez(path, x=inputs, y=labels).",
    )
    inputs, labels = (arrays[key] for key in keys)
    require(
        np.issubdtype(labels.dtype, np.integer) and labels.shape == inputs.shape[:1],
        f"{keys[1]} holds one integer per sample of {keys[0]}",
        f"{labels.dtype} {labels.shape} for {keys[0]} of shape {inputs.shape} in `{path}`",
        "Write labels as integers of shape [n].",
    )
    return Samples(inputs=as_inputs(inputs, path=path), labels=torch.from_numpy(labels.astype(np.int64)))


def as_inputs(values: np.ndarray, *, path: Path) -> torch.Tensor:
    """uint8 as images [n, channels, height, width], floats as float32 in their own shape."""
    is_float = np.issubdtype(values.dtype, np.floating)
    require(
        is_float or values.dtype == np.uint8,
        "inputs are uint8 images or floats",
        f"type {values.dtype} in `{path}`",
        "Convert images to uint8 in 0..255 and anything else to float32.",
    )
    if is_float:
        return torch.from_numpy(np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("="))).float()
    if values.ndim == 3:
        values = values[:, None]
    if is_channels_last(values.shape):
        values = values.transpose(0, 3, 1, 2)
    return torch.from_numpy(np.ascontiguousarray(values))


def is_channels_last(shape: tuple[int, ...]) -> bool:
    """Whether images are [n, height, width, channels]: the last axis is short and the second is not."""
    return len(shape) == 4 and shape[3] <= MOST_CHANNELS < shape[1]
