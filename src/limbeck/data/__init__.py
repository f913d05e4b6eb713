"""Data sets in memory: samples, integer labels, class names and the fingerprint that identifies them.

`load` reads a named source or a path, `normalize` turns a whole batch into what a model sees, and
`write_data_set` / `read_data_set` hand a data set to another process without copying it.
"""

from limbeck.data.data_set import DataSet, make_data_set
from limbeck.data.exchange import read_data_set, write_data_set
from limbeck.data.normalization import Normalization, measure_normalization, normalize
from limbeck.data.samples import Samples
from limbeck.data.sources import SOURCES, load

__all__ = [
    "SOURCES",
    "DataSet",
    "Normalization",
    "Samples",
    "load",
    "make_data_set",
    "measure_normalization",
    "normalize",
    "read_data_set",
    "write_data_set",
]
