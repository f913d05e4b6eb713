"""Data sets: samples, integer labels, class names and the fingerprint that identifies them.

`load` reads a named source or a path, `load_inputs` a set without labels and `from_dataset` a Python object.
Images that do not fit into memory come as `StoredImages`; `load_batch` takes samples of every kind from where
they lie. `normalize` turns a whole batch into what a model sees; a `View` does so batch by batch, and changes
images from epoch to epoch. `write_data_set` and `read_data_set` hand a
data set to another process without copying it.
"""

from limbeck.data.augmentation import AUGMENTATIONS, Augmentation, augment
from limbeck.data.data_set import DataSet, make_data_set
from limbeck.data.exchange import read_data_set, write_data_set
from limbeck.data.inputs import (
    Inputs,
    StoredImages,
    Texts,
    Tokens,
    View,
    count_samples,
    input_shape,
    load_batch,
    take_samples,
)
from limbeck.data.normalization import Normalization, measure_normalization, normalize
from limbeck.data.python_data import from_dataset
from limbeck.data.samples import Samples
from limbeck.data.sources import SOURCES, load, load_inputs

__all__ = [
    "AUGMENTATIONS",
    "SOURCES",
    "Augmentation",
    "DataSet",
    "Inputs",
    "Normalization",
    "Samples",
    "StoredImages",
    "Texts",
    "Tokens",
    "View",
    "augment",
    "count_samples",
    "from_dataset",
    "input_shape",
    "load",
    "load_batch",
    "load_inputs",
    "make_data_set",
    "measure_normalization",
    "normalize",
    "read_data_set",
    "take_samples",
    "write_data_set",
]
