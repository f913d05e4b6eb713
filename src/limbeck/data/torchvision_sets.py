"""Data sets that torchvision reads, by name; only those of plain images, tables and arrays.

What torchvision would unpickle is not offered: CIFAR has a reader of its own here, the others are refused.
"""

import tarfile
import urllib.error
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from limbeck.core.errors import InputError, describe_error, require_known
from limbeck.data.data_set import DataSet
from limbeck.data.lookup import Lookup, cache_folder
from limbeck.data.options import ReadOptions
from limbeck.data.python_data import Part, collect, read_classes

PREFIX = "torchvision:"
READ_ERRORS = (
    OSError,
    RuntimeError,
    ValueError,
    KeyError,
    TypeError,
    IndexError,
    EOFError,
    zipfile.BadZipFile,
)
FETCH_ERRORS = (*READ_ERRORS, urllib.error.URLError, tarfile.TarError)
# Names that have a reader of their own here.
OWN_READERS = MappingProxyType(
    {"CIFAR10": "cifar10", "CIFAR100": "cifar100", "FashionMNIST": "fashion-mnist"}
)
PICKLED = "its files are read by unpickling, which runs whatever they say"
REFUSED = MappingProxyType(
    {
        "LSUN": PICKLED,
        "PhotoTour": PICKLED,
        "QMNIST": "torchvision keeps it in a pickled form",
        "ImageNet": "its class list is read by unpickling; pass the path of the image folder itself",
        "PCAM": "it needs h5py, which limbeck does without",
        "CelebA": "it has forty labels per image and not one",
        "CocoDetection": "it has boxes and not one label per image",
        "VOCDetection": "it has boxes and not one label per image",
        "VOCSegmentation": "it has masks and not one label per image",
        "Kinetics": "it holds films",
    }
)


@dataclass(frozen=True, kw_only=True)
class Reader:
    """How torchvision is asked for the parts of a data set.

    Attributes:
        train: Keyword arguments for the training part.
        test: The same for the test part; None where the set has no parts.
        has_download: Whether torchvision can download it.
        has_root: Whether it lies in files at all.
    """

    train: Mapping[str, Any]
    test: Mapping[str, Any] | None
    has_download: bool = True
    has_root: bool = True


def by_split(train: str = "train", test: str = "test", **fixed: Any) -> Reader:
    """A set whose parts are told by the argument `split`."""
    return Reader(train={"split": train, **fixed}, test={"split": test, **fixed})


def by_flag(**fixed: Any) -> Reader:
    """A set whose parts are told by the argument `train`."""
    return Reader(train={"train": True, **fixed}, test={"train": False, **fixed})


WHOLE = Reader(train={}, test=None)
READERS: Mapping[str, Reader] = MappingProxyType(
    {
        "CLEVRClassification": by_split(test="val"),
        "Caltech101": WHOLE,
        "Caltech256": WHOLE,
        "Country211": by_split(),
        "DTD": by_split(),
        "EMNIST": by_flag(split="balanced"),
        "EuroSAT": WHOLE,
        "FGVCAircraft": by_split("trainval"),
        "FakeData": Reader(
            train={"size": 1_000, "image_size": (3, 32, 32), "num_classes": 10},
            test={"size": 200, "image_size": (3, 32, 32), "num_classes": 10, "random_offset": 1_000},
            has_download=False,
            has_root=False,
        ),
        "Flowers102": by_split(),
        "Food101": by_split(),
        "GTSRB": by_split(),
        "Imagenette": by_split(test="val"),
        "KMNIST": by_flag(),
        "MNIST": by_flag(),
        "OxfordIIITPet": by_split("trainval"),
        "RenderedSST2": by_split(),
        "SEMEION": WHOLE,
        "STL10": by_split(),
        "SUN397": WHOLE,
        "SVHN": by_split(),
        "StanfordCars": by_split(),
        "USPS": by_flag(),
    }
)


def find_own_reader(source: str) -> str | None:
    """The named source that stands for ``torchvision:NAME``, None where torchvision reads it.

    Raises:
        InputError: When the name is unknown, or its files cannot be read without running what they say.
    """
    name = proper_name(source.removeprefix(PREFIX))
    if name in REFUSED:
        raise InputError(
            f"`a torchvision data set can be used here` must hold, but got `{name}`: {REFUSED[name]}. "
            f"Valid: {', '.join([*OWN_READERS, *READERS])}."
        )
    require_known("torchvision data set", name, [*OWN_READERS, *READERS])
    return OWN_READERS.get(name)


def load_torchvision(source: str, lookup: Lookup, *, options: ReadOptions) -> DataSet:
    """The data set ``torchvision:NAME``; class names are torchvision's where it has some.

    Args:
        source: The name with its prefix, in capitals or not.
        lookup: `data_dir` is torchvision's root folder, which is never downloaded into; by default the cache.
        options: Image size and memory limit.

    Raises:
        InputError: When the files are nowhere or damaged, or images differ in size without an `image_size`.
    """
    name = proper_name(source.removeprefix(PREFIX))
    reader = READERS[name]
    options.refuse("text_column", "label_column", source=source)
    train, test = (open_part(name, keywords, lookup) for keywords in (reader.train, reader.test))
    parts = [Part(name="training", items=train)]
    if test is not None:
        parts.append(Part(name="test", items=test))
    try:
        return collect(parts, name=name.lower(), class_names=class_names_of(train), options=options)
    except InputError:
        raise
    except READ_ERRORS as error:
        raise InputError(
            f"`{source}` must be whole, but {describe_error(error)}. Copy or download its files again."
        ) from error


def proper_name(name: str) -> str:
    """`name` as torchvision writes it, whatever its case; as it is where it is unknown."""
    known = {known.lower(): known for known in (*OWN_READERS, *READERS, *REFUSED)}
    return known.get(name.lower(), name)


def class_names_of(data: Any) -> tuple[str, ...]:
    """The class names in `classes` or `categories`, empty where there are none."""
    return read_classes(data) or tuple(getattr(data, "categories", ()))


def open_part(name: str, keywords: Mapping[str, Any] | None, lookup: Lookup) -> Any:
    """One part as torchvision opens it, downloaded where it is absent and that is allowed; None for None."""
    if keywords is None:
        return None
    from torchvision import datasets

    reader, build_fn = READERS[name], getattr(datasets, name)
    if not reader.has_root:
        return build_fn(**keywords)
    root = (cache_folder() / "torchvision") if lookup.data_dir is None else lookup.data_dir
    refuse_processed(root / name / "processed", source=f"{PREFIX}{name}")
    # Said in either case, because some sets of torchvision ask the network unless they are told not to.
    offline, online = ({"download": wanted} if reader.has_download else {} for wanted in (False, True))
    try:
        return build_fn(root, **offline, **keywords)
    except READ_ERRORS as error:
        missing = error
    if lookup.may_download and reader.has_download:
        try:
            root.mkdir(parents=True, exist_ok=True)
            return build_fn(root, **online, **keywords)
        except FETCH_ERRORS as error:
            missing = error
    raise InputError(
        f"`torchvision:{name}` must lie in `{root}` as torchvision keeps it, but {first_sentence(missing)}. "
        "Pass torchvision's root folder as data_dir (--data-dir), or run once with network and without it."
    ) from missing


def refuse_processed(folder: Path, *, source: str) -> None:
    """Raise `InputError` when `folder` holds what an old torchvision pickled, which it would load first."""
    if any(folder.glob("*.pt")):
        raise InputError(
            f"`a data set holds no pickled files` must hold, but got those in `{folder}` for `{source}`. "
            "Delete that folder; the files in `raw` beside it are enough."
        )


def first_sentence(error: Exception) -> str:
    """What an error says, without the advice that follows it."""
    return describe_error(error).split(". ")[0]
