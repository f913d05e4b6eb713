"""CIFAR's Python version, the one torchvision keeps, read without unpickling.

A pickle is a program, and loading one runs it. Here its opcodes are only listed, as `pickletools` lists them,
and two constants are picked out of the listing: the string that is as long as the images, and the whole
numbers that follow the key of the labels. Nothing is looked up, called or built, so nothing can run.
"""

import pickletools
from collections.abc import Iterator
from itertools import dropwhile, takewhile
from pathlib import Path
from typing import Any

import numpy as np

from limbeck.data.damage import damaged, explain_damage

STRINGS = frozenset({"SHORT_BINSTRING", "BINSTRING", "SHORT_BINBYTES", "BINBYTES"})
INTEGERS = frozenset({"BININT", "BININT1", "BININT2", "INT"})
LIST_GLUE = frozenset(
    {"EMPTY_LIST", "LIST", "MARK", "APPEND", "APPENDS", "PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"}
)

Constant = tuple[str, Any]


def scan_batch(path: Path, *, num_images: int, image_bytes: int, labels_key: str) -> np.ndarray:
    """The records of one file, uint8 [num_images, 1 + image_bytes]: label, then image.

    Args:
        path: A batch of the Python version.
        num_images: How many images it holds.
        image_bytes: Bytes of one image.
        labels_key: Under which key the labels are, such as ``fine_labels``.

    Raises:
        InputError: When the file is no pickle, or does not hold that many images and labels.
    """
    kind = f"a CIFAR batch of {num_images} images"
    with explain_damage(path, kind, ValueError, UnicodeDecodeError):
        opcodes = [(opcode.name, argument) for opcode, argument, _ in pickletools.genops(path.read_bytes())]
    images = [_to_bytes(text) for text in _strings(opcodes) if len(text) == num_images * image_bytes]
    labels = [number for _, number in _numbers_after(labels_key, opcodes)]
    if len(images) != 1:
        raise damaged(path, kind, f"it holds {len(images)} arrays of that size")
    if len(labels) != num_images:
        raise damaged(path, kind, f"it holds {len(labels)} numbers under `{labels_key}`")
    pixels = np.frombuffer(images[0], dtype=np.uint8).reshape(num_images, image_bytes)
    return np.column_stack([np.array(labels, dtype=np.uint8), pixels])


def _strings(opcodes: list[Constant]) -> Iterator[str | bytes]:
    for name, argument in opcodes:
        if name in STRINGS and isinstance(argument, str | bytes):
            yield argument


def _numbers_after(key: str, opcodes: list[Constant]) -> Iterator[Constant]:
    """The whole numbers of the list that stands right after a string."""
    after = list(dropwhile(lambda constant: not _is_key(constant, key), opcodes))[1:]
    return filter(
        lambda constant: constant[0] in INTEGERS,
        takewhile(lambda constant: constant[0] in INTEGERS | LIST_GLUE, after),
    )


def _is_key(constant: Constant, key: str) -> bool:
    name, argument = constant
    return name in STRINGS and isinstance(argument, str | bytes) and _to_bytes(argument) == key.encode()


def _to_bytes(text: str | bytes) -> bytes:
    """The bytes of a string; `pickletools` shows the bytes of old pickles as Latin-1."""
    return text.encode("latin-1") if isinstance(text, str) else text
