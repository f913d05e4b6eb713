"""The IDX format of MNIST and its successors: a magic number, the axis lengths, then the bytes.

References:
    Y. LeCun, C. Cortes, C. Burges, The MNIST database, "File formats".
"""

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np

from limbeck.data.damage import damaged, explain_damage

KIND = "a whole IDX file of unsigned bytes"
UNSIGNED_BYTE = 0x08


def read_idx(path: Path, *, num_axes: int) -> np.ndarray:
    """The array in an IDX file, uint8 with `num_axes` axes; a name ending in ``.gz`` is unzipped.

    Raises:
        InputError: When the file is truncated, too long, of another type or of another number of axes.
    """
    with explain_damage(path, KIND, EOFError, zlib.error):
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    magic = bytes([0, 0, UNSIGNED_BYTE, num_axes])
    if content[:4] != magic:
        raise damaged(path, KIND, f"it starts with {content[:4].hex()} instead of {magic.hex()}")
    header_bytes = 4 + 4 * num_axes
    if len(content) < header_bytes:
        raise damaged(path, KIND, f"it ends within its header after {len(content)} bytes")
    shape = struct.unpack(f">{num_axes}I", content[4:header_bytes])
    value_bytes = len(content) - header_bytes
    if value_bytes != math.prod(shape):
        raise damaged(path, KIND, f"it holds {value_bytes} values and its header says {shape}")
    # A copy, because the bytes of a file are read-only and torch wants to be able to write.
    return np.frombuffer(content, dtype=np.uint8, offset=header_bytes).reshape(shape).copy()
