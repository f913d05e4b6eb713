"""Content hashes: the names under which data, partitions, models and runs are known."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

HASH_BYTES = 8


def canonical_json(value: Any) -> str:
    """`value` as JSON text with sorted keys and no spaces, equal for equal values.

    Raises:
        ValueError: When `value` holds NaN or infinity.
        TypeError: When `value` holds something JSON cannot express.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def hash_config(config: Mapping[str, Any]) -> str:
    """The 16 hexadecimal digits that identify a configuration: two are equal when the configurations are."""
    return hashlib.blake2b(canonical_json(config).encode(), digest_size=HASH_BYTES).hexdigest()


def hash_arrays(arrays: Iterable[np.ndarray]) -> str:
    """The 16 hexadecimal digits that identify a sequence of arrays by type, shape and content."""
    digest = hashlib.blake2b(digest_size=HASH_BYTES)
    for array in arrays:
        contiguous = np.ascontiguousarray(array)
        digest.update(f"{contiguous.dtype.str}{contiguous.shape}".encode())
        digest.update(contiguous.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def hash_state(state: Mapping[str, Tensor]) -> str:
    """The 16 hexadecimal digits that identify a model's weights by name, type, shape and content."""
    digest = hashlib.blake2b(digest_size=HASH_BYTES)
    for name in sorted(state):
        tensor = state[name].detach().cpu().contiguous()
        digest.update(f"{name}{tensor.dtype}{tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
