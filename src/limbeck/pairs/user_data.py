"""Data as users have them: a name, a path, a data set, samples, arrays, or a PyTorch data set."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from limbeck import data as data_sets
from limbeck.core.errors import InputError, require
from limbeck.data import DataSet, Samples
from limbeck.data.data_set import check_finite

KINDS = "a data set, samples, a pair (inputs, labels), a PyTorch data set, or the name or path of a data set"


@dataclass(frozen=True, kw_only=True)
class UserData:
    """Labelled samples for a transfer or a comparison.

    Attributes:
        name: What records call them.
        fingerprint: Their fingerprint, empty for samples without one.
        class_names: Name of each label, None where they are unknown.
        train: Samples to learn from.
        test: Held-out samples, None where there are none.
    """

    name: str
    fingerprint: str
    class_names: tuple[str, ...] | None
    train: Samples
    test: Samples | None


def read_user_data(data: Any) -> UserData:
    """Labelled samples of any kind that users have.

    Raises:
        InputError: When they are of another kind, empty, or hold NaN.
    """
    if isinstance(data, str | Path):
        return _from_data_set(data_sets.load(data))
    if isinstance(data, DataSet):
        return _from_data_set(data)
    if isinstance(data, DataLoader):
        raise InputError(
            "Data must not be a loader, but got a DataLoader. Pass its data set, `loader.dataset`."
        )
    if isinstance(data, Dataset):
        return _from_data_set(data_sets.from_dataset(data))
    if isinstance(data, tuple) and len(data) == 2:
        data = _from_arrays(*data)
    if not isinstance(data, Samples):
        raise InputError(f"Data must be {KINDS}, but got a {type(data).__name__}. Pass one of these.")
    require(len(data) > 0, "there is a sample", "none", "Pass the samples of this party.")
    if isinstance(data.inputs, torch.Tensor):
        check_finite(data.inputs, part="given")
    return UserData(name="samples", fingerprint="", class_names=None, train=data, test=None)


def _from_data_set(data: DataSet) -> UserData:
    return UserData(
        name=data.name,
        fingerprint=data.fingerprint,
        class_names=data.class_names,
        train=data.train,
        test=data.test,
    )


def _from_arrays(inputs: Any, labels: Any) -> Samples:
    """Samples of two arrays or tensors; floats of any width become float32."""
    values = inputs if isinstance(inputs, torch.Tensor) else torch.from_numpy(np.asarray(inputs))
    classes = labels if isinstance(labels, torch.Tensor) else torch.from_numpy(np.asarray(labels))
    return Samples(inputs=values.float() if values.is_floating_point() else values, labels=classes)
