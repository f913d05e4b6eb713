"""The fingerprint of a data set's content, the same whether its images lie in memory or in a file."""

import hashlib
import math
from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from limbeck.core.fingerprint import HASH_BYTES, canonical_json
from limbeck.data.inputs import Inputs, StoredImages, Texts, Tokens, View, load_batch

# Values of stored images that are in memory at once.
VALUES_AT_ONCE = 2**24


class Digest(Protocol):
    """Takes bytes one after the other, as those of `hashlib` do."""

    def update(self, data: bytes | memoryview, /) -> None:
        """Take some more bytes."""
        ...


def hash_content(parts: Sequence[Inputs], class_names: tuple[str, ...]) -> str:
    """The fingerprint: 16 hexadecimal digits of both parts and the class names, not of the data set's name.

    Images in a file or in a view count as the same images in memory do; they are loaded some at a time.

    Args:
        parts: Training inputs, training labels, test inputs, test labels.
        class_names: One name per label.
    """
    digest = hashlib.blake2b(digest_size=HASH_BYTES)
    for part in parts:
        _add_inputs(digest, part)
    _add_array(digest, np.frombuffer(canonical_json(class_names).encode(), dtype=np.uint8))
    return digest.hexdigest()


def read_chunks(images: StoredImages | View) -> Iterator[Tensor]:
    """The images in order, [k, channels, height, width] on the CPU, `VALUES_AT_ONCE` at a time."""
    step = max(1, VALUES_AT_ONCE // math.prod(images.shape[1:]))
    for ids in torch.arange(len(images)).split(step):
        chunk = load_batch(images, ids, "cpu")
        assert isinstance(chunk, Tensor)
        yield chunk


def _add_inputs(digest: Digest, inputs: Inputs) -> None:
    if isinstance(inputs, Tensor):
        _add_array(digest, inputs.cpu().numpy())
    elif isinstance(inputs, StoredImages | View):
        _add_header(digest, np.dtype(str(inputs.dtype).removeprefix("torch.")), inputs.shape)
        for chunk in read_chunks(inputs):
            _add_values(digest, chunk.numpy())
    elif isinstance(inputs, Tokens):
        for name in sorted(inputs.columns):
            digest.update(name.encode())
            _add_inputs(digest, inputs.columns[name])
    else:
        _add_texts(digest, inputs)


def _add_texts(digest: Digest, texts: Texts) -> None:
    """The lengths before the bytes, so that moving a letter to the next text changes the fingerprint."""
    encoded = [text.encode("utf-8", errors="surrogatepass") for text in texts]
    _add_array(digest, torch.tensor([len(text) for text in encoded], dtype=torch.int64).numpy())
    for text in encoded:
        digest.update(text)


def _add_array(digest: Digest, array: np.ndarray) -> None:
    _add_header(digest, array.dtype, array.shape)
    _add_values(digest, array)


def _add_header(digest: Digest, dtype: np.dtype, shape: tuple[int, ...]) -> None:
    digest.update(f"{dtype.str}{shape}".encode())


def _add_values(digest: Digest, array: np.ndarray) -> None:
    digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
