"""Images gathered into one tensor where they fit into memory, else into a file.

Their number times the size of the first one says so before any other is decoded. The file lies in the cache
and is found again the next time, until the source's files change.
"""

import hashlib
import logging
import math
import shutil
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from limbeck.core.errors import InputError, RunError, require
from limbeck.core.files import cache_root, explain_disk_errors, write_atomically
from limbeck.core.fingerprint import hash_config
from limbeck.core.memory import default_limit, format_bytes
from limbeck.data.inputs import StoredImages

logger = logging.getLogger("limbeck")

Shape = tuple[int, int, int, int]


@dataclass(frozen=True, kw_only=True)
class Frames:
    """Images of one size that come one after the other.

    Attributes:
        name: What the data is called, for messages.
        count: How many there are; at least one.
        read_fn: Decodes them from the first on, uint8 [channels, height, width] each; called once or more.
        explain_fn: (row, shape of the first, shape of this one) -> the error about another shape.
        identity: What tells this source from others without reading it: the names, sizes and times of files.
            None where nothing does; then the file is written anew each time and named by its content.
        has_mixed_colours: Whether grey images among coloured ones become coloured.
    """

    name: str
    count: int
    read_fn: Callable[[], Iterator[np.ndarray]]
    explain_fn: Callable[[int, tuple[int, ...], tuple[int, ...]], InputError]
    identity: Mapping[str, Any] | None = None
    has_mixed_colours: bool = True


class ColourAppearsError(Exception):
    """A coloured image came after grey ones: all are read again, as coloured ones."""


def gather_frames(frames: Frames, *, memory_limit: int | None = None) -> Tensor | StoredImages:
    """All images, uint8 [n, channels, height, width]: 1 channel where all are grey, else 3.

    Args:
        frames: The images.
        memory_limit: Bytes of decoded images that may lie in memory; None for half of what is available.

    Returns:
        A tensor, or `StoredImages` where the limit does not allow one. Both hold the same values.

    Raises:
        InputError: When images differ in size, or one of them is damaged.
        RunError: When the images fit neither into memory nor onto the disk.
    """
    limit = default_limit() if memory_limit is None else memory_limit
    remaining = frames.read_fn()
    first = next(remaining)
    channels, height, width = first.shape
    try:
        return place_frames(
            frames, chain([first], remaining), shape=(frames.count, channels, height, width), limit=limit
        )
    except ColourAppearsError:
        return place_frames(frames, frames.read_fn(), shape=(frames.count, 3, height, width), limit=limit)


def place_frames(
    frames: Frames, images: Iterable[np.ndarray], *, shape: Shape, limit: int
) -> Tensor | StoredImages:
    """The images in memory where `limit` allows, else in a file."""
    num_bytes = math.prod(shape)
    fitted = fit_frames(frames, images, shape=shape)
    if num_bytes <= limit:
        return fill_tensor(fitted, shape=shape)
    found = find_stored(frames, num_images=shape[0])
    target = stored_path(frames, shape=shape) if found is None else found.file
    logger.warning(
        "`%s` needs %s decoded, more than the %s of memory it may use here: streaming from `%s`",
        frames.name, format_bytes(num_bytes), format_bytes(limit), target,
    )  # fmt: skip
    return store_frames(fitted, target, shape=shape, frames=frames) if found is None else found


def fit_frames(frames: Frames, images: Iterable[np.ndarray], *, shape: Shape) -> Iterator[np.ndarray]:
    """The images, each checked to have the shape of the first; grey ones among coloured ones are repeated."""
    num_images = 0
    for row, image in enumerate(images):
        num_images += 1
        if num_images > shape[0]:
            break
        if image.shape == shape[1:]:
            yield image
        elif not frames.has_mixed_colours or image.shape[1:] != shape[2:]:
            raise frames.explain_fn(row, shape[1:], image.shape)
        elif shape[1] == 1:
            raise ColourAppearsError
        else:
            yield np.broadcast_to(image, shape[1:])
    require(
        num_images == shape[0],
        "a source holds as many images as it says",
        f"{num_images} of {shape[0]} images in `{frames.name}`",
        "Load it again when nothing changes it.",
    )


def fill_tensor(images: Iterable[np.ndarray], *, shape: Shape) -> Tensor:
    """The images in memory."""
    values = np.empty(shape, dtype=np.uint8)
    for row, image in enumerate(images):
        values[row] = image
    return torch.from_numpy(values)


def store_frames(images: Iterable[np.ndarray], target: Path, *, shape: Shape, frames: Frames) -> StoredImages:
    """The images written one after the other to `target`, which is whole or absent."""
    check_free_space(target.parent, num_bytes=math.prod(shape), name=frames.name)
    digest = hashlib.blake2b(digest_size=8)
    with write_atomically(target) as temporary, temporary.open("wb") as file:
        for image in images:
            values = image.tobytes()
            digest.update(values)
            file.write(values)
    if frames.identity is None:
        target = target.replace(target.with_name(file_name(digest.hexdigest(), shape)))
    return StoredImages(file=target, file_shape=shape)


def find_stored(frames: Frames, *, num_images: int) -> StoredImages | None:
    """The images of the same source in the cache, where they are whole."""
    if frames.identity is None:
        return None
    for file in stored_folder().glob(f"{hash_config(frames.identity)}-{num_images}x*"):
        _, channels, height, width = map(int, file.stem.split("-")[1].split("x"))
        shape = (num_images, channels, height, width)
        if file.stat().st_size == math.prod(shape):
            return StoredImages(file=file, file_shape=shape)
    return None


def stored_path(frames: Frames, *, shape: Shape) -> Path:
    """Where the images go; under a passing name where only their content tells them from others."""
    key = uuid.uuid4().hex if frames.identity is None else hash_config(frames.identity)
    return stored_folder() / file_name(key, shape)


def file_name(key: str, shape: Shape) -> str:
    """The key and the shape, so that the bytes alone suffice."""
    return f"{key}-{'x'.join(map(str, shape))}.uint8"


def stored_folder() -> Path:
    """Where images larger than memory are kept: ``~/.cache/limbeck/images`` by default."""
    return cache_root() / "images"


def check_free_space(folder: Path, *, num_bytes: int, name: str) -> None:
    """Raise `RunError` unless the disk of `folder` has room for `num_bytes`."""
    with explain_disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(folder).free
    if free < num_bytes:
        raise RunError(
            f"`{name}` needs {format_bytes(num_bytes)} in `{folder}`, and {format_bytes(free)} are free. "
            "Free space, choose a smaller image_size, or set XDG_CACHE_HOME to a folder on a larger disk."
        )


def identify_files(files: Iterable[Path], **settings: Any) -> dict[str, Any]:
    """What tells a source from others: path, size and time of each file, and how they are read."""
    digest = hashlib.blake2b(digest_size=16)
    for file in files:
        status = file.stat()
        digest.update(f"{file.resolve()}\x1f{status.st_size}\x1f{status.st_mtime_ns}\x1e".encode())
    return {"files": digest.hexdigest(), **settings}
