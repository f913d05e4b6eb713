"""Folders of images: one folder per class, with or without a training and a test folder around them."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from limbeck.core.errors import InputError, require
from limbeck.data.data_set import DataSet, make_data_set
from limbeck.data.gathering import Frames, gather_frames, identify_files
from limbeck.data.hold_out import hold_out
from limbeck.data.images import EncodedImage, decode_image, explain_sizes
from limbeck.data.inputs import StoredImages, split_inputs
from limbeck.data.options import DEFAULTS, ReadOptions
from limbeck.data.samples import Samples

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".ppm", ".pgm"})
TRAIN_FOLDERS = ("train", "training")
TEST_FOLDERS = ("test", "testing", "val", "valid", "validation")
UNUSED = ("text_column", "label_column")


@dataclass(frozen=True, kw_only=True)
class ImageFolder:
    """Where the class folders are.

    Attributes:
        train: The folder of the training class folders.
        test: The same for the test, None where a part of the training images is held out.
    """

    train: Path
    test: Path | None


def find_image_folder(path: Path) -> ImageFolder | None:
    """The class folders at `path` or in its training and test folders; None where none holds images."""
    train = next((path / name for name in TRAIN_FOLDERS if holds_classes(path / name)), None)
    if train is not None:
        test = next((path / name for name in TEST_FOLDERS if (path / name).is_dir()), None)
        return ImageFolder(train=train, test=test)
    return ImageFolder(train=path, test=None) if holds_classes(path) else None


def holds_classes(path: Path) -> bool:
    """Whether images lie in the subfolders of `path` and none in `path` itself."""
    if not path.is_dir() or find_images(path):
        return False
    return any(next(walk_images(folder), None) is not None for folder in class_folders(path))


def load_image_folder(path: Path, found: ImageFolder, *, options: ReadOptions = DEFAULTS) -> DataSet:
    """The images below the class folders; class names are the folders' names in alphabetical order.

    Args:
        path: What the caller named; the last part is the data set's name.
        found: Where the class folders are. Without a test folder, a fifth of each class is held out.
        options: Image size and memory limit.

    Raises:
        InputError: When a class is empty or unknown in training, or images differ in size or are damaged.
    """
    options.refuse(*UNUSED, source=str(path))
    names = tuple(folder.name for folder in class_folders(found.train))
    train = list_samples(found.train, names)
    check_no_empty_class(found.train, names, train)
    test = [] if found.test is None else list_samples(found.test, names)
    files = [file for file, _ in (*train, *test)]
    labels = torch.tensor([label for _, label in (*train, *test)], dtype=torch.int64)
    inputs = gather_files(files, source=path, options=options)
    first, rest = split_inputs(inputs, first=len(train))
    samples = Samples(inputs=first, labels=labels[: len(train)])
    if found.test is None:
        return make_data_set(path.resolve().name, *hold_out(samples), names)
    return make_data_set(
        path.resolve().name, samples, Samples(inputs=rest, labels=labels[len(train) :]), names
    )


def load_flat_folder(path: Path, *, options: ReadOptions = DEFAULTS) -> Tensor | StoredImages:
    """The images that lie directly in `path`, in the order of their names, without labels.

    Raises:
        InputError: When images differ in size or are damaged.
    """
    options.refuse(*UNUSED, source=str(path))
    return gather_files(find_images(path), source=path, options=options)


def gather_files(files: Sequence[Path], *, source: Path, options: ReadOptions) -> Tensor | StoredImages:
    """The images in `files`, in their order."""
    frames = Frames(
        name=source.resolve().name,
        count=len(files),
        read_fn=partial(_decode_files, files, options.image_size),
        explain_fn=lambda row, _first, _other: explain_sizes(_encoded(files), num_equal=row, source=source),
        identity=identify_files(files, image_size=options.image_size),
    )
    return gather_frames(frames, memory_limit=options.memory_limit)


def class_folders(path: Path) -> list[Path]:
    """The folders in `path` that are not hidden, in alphabetical order."""
    return sorted(entry for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith("."))


def find_images(path: Path) -> list[Path]:
    """The image files directly in `path`, in alphabetical order."""
    return sorted(entry for entry in path.iterdir() if is_image(entry.name) and entry.is_file())


def walk_images(path: Path) -> Iterator[Path]:
    """The image files anywhere below `path`, in alphabetical order of folders and files."""
    for folder, subfolders, names in os.walk(path):
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        yield from (Path(folder) / name for name in sorted(names) if is_image(name))


def is_image(name: str) -> bool:
    """Whether a file's name is that of an image and not hidden."""
    return not name.startswith(".") and os.path.splitext(name)[1].lower() in SUFFIXES


def list_samples(root: Path, names: Sequence[str]) -> list[tuple[Path, int]]:
    """Every image below the class folders of `root` with the number of its class."""
    unknown = [folder.name for folder in class_folders(root) if folder.name not in names]
    require(
        not unknown,
        "every class has a training folder",
        f"the class folder `{next(iter(unknown), '')}` in `{root}` only",
        "Correct its name, or add a training folder of that name.",
    )
    return [
        (file, number)
        for number, name in enumerate(names)
        if (root / name).is_dir()
        for file in walk_images(root / name)
    ]


def check_no_empty_class(root: Path, names: Sequence[str], samples: Sequence[tuple[Path, int]]) -> None:
    """Raise `InputError` when a class has no training image."""
    counts = np.bincount([label for _, label in samples], minlength=len(names))
    empty = [name for name, count in zip(names, counts, strict=True) if count == 0]
    if empty:
        raise InputError(
            f"`every class folder holds images` must hold, but got none in `{root / empty[0]}`. "
            f"Add images ({', '.join(sorted(SUFFIXES))}), or remove the folder."
        )


def _encoded(files: Sequence[Path]) -> Iterator[EncodedImage]:
    for file in files:
        yield EncodedImage(content=file, file=file, name="this file")


def _decode_files(files: Sequence[Path], image_size: int | None) -> Iterator[np.ndarray]:
    for encoded in _encoded(files):
        yield decode_image(encoded, image_size=image_size)
