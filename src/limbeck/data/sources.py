"""Sources by name or by path: `load` and `load_inputs` are the doors to data."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType

from limbeck.core.errors import InputError, suggest
from limbeck.data.cifar import CIFAR10, CIFAR100, load_cifar
from limbeck.data.data_set import DataSet
from limbeck.data.digits import load_digits
from limbeck.data.fashion_mnist import load_fashion_mnist
from limbeck.data.hugging_face import PREFIX as HF_PREFIX
from limbeck.data.hugging_face import (
    fetch_splits,
    is_saved,
    load_hugging_face,
    load_splits,
    load_unlabelled_splits,
    read_saved,
)
from limbeck.data.image_folder import find_image_folder, find_images, load_flat_folder, load_image_folder
from limbeck.data.inputs import Inputs
from limbeck.data.lookup import Lookup
from limbeck.data.npz import has_labels, load_npz, load_npz_inputs
from limbeck.data.options import ReadOptions
from limbeck.data.text_file import load_text_file
from limbeck.data.torchvision_sets import PREFIX as TORCHVISION_PREFIX
from limbeck.data.torchvision_sets import find_own_reader, load_torchvision

TABLE_SUFFIXES = (".parquet", ".csv", ".tsv")
TEXT_SUFFIX = ".txt"
READ_SETTINGS = ("image_size", "text_column", "label_column")
FOLDER_KINDS = (
    "parquet, CSV or TSV files, one folder of images per class (alone or in `train` and `test`), "
    "or what the library `datasets` saves"
)
PATH_KINDS = f"an `.npz`, `.parquet`, `.csv` or `.tsv` file, or a folder with {FOLDER_KINDS}"


@dataclass(frozen=True, kw_only=True)
class Source:
    """A named source: one line about it, and how it is loaded."""

    description: str
    load_fn: Callable[[Lookup], DataSet]


NAMED_SOURCES = {
    "digits": Source(
        description="1,797 handwritten digits, 8 x 8 grey, 10 classes; built in, needs no network",
        load_fn=lambda _: load_digits(),
    ),
    "fashion-mnist": Source(
        description="70,000 images of clothing, 28 x 28 grey, 10 classes", load_fn=load_fashion_mnist
    ),
    "cifar10": Source(
        description="60,000 photographs, 32 x 32 colour, 10 classes",
        load_fn=partial(load_cifar, layout=CIFAR10),
    ),
    "cifar100": Source(
        description="60,000 photographs, 32 x 32 colour, 100 classes",
        load_fn=partial(load_cifar, layout=CIFAR100),
    ),
}
SOURCES: Mapping[str, str] = MappingProxyType(
    {name: source.description for name, source in NAMED_SOURCES.items()}
)


def load(
    source: str | Path,
    *,
    data_dir: Path | None = None,
    download: bool = True,
    image_size: int | None = None,
    text_column: str | None = None,
    label_column: str | None = None,
    memory_limit: int | None = None,
) -> DataSet:
    """The data set called `source`, or the one that lies at that path.

    Args:
        source: A name in `SOURCES`, ``torchvision:NAME``, ``hf:NAME`` or ``hf:NAME/CONFIG``; or a path: an
            ``.npz``, ``.parquet``, ``.csv`` or ``.tsv`` file, or a folder with such tables, with one folder
            of images per class, or with what the library ``datasets`` saves.
        data_dir: For a named source, the only folder to look in. When left out, the per-user cache and the
            folders of system packages are searched, and the files are downloaded into the cache if need be.
        download: Whether the network may be asked; it never is where `data_dir` is given.
        image_size: For encoded images: the shorter side is resized to it and the middle is cut out.
        text_column: For tables: the column of texts, where it cannot be told by name.
        label_column: For tables: the column of labels, where it cannot be told by name.
        memory_limit: Bytes of decoded images that may lie in memory; by default half of what is available.
            More than that are decoded into a file in the cache and come as `StoredImages`.

    Returns:
        A checked data set on the CPU.

    Raises:
        InputError: When the source is unknown, is nowhere, is damaged, or breaks a rule of `DataSet`.
        RunError: When decoded images fit neither into memory nor onto the disk.
    """
    options = ReadOptions(
        image_size=image_size, text_column=text_column, label_column=label_column, memory_limit=memory_limit
    )
    name = str(source)
    if is_named(name):
        return load_named(name, make_lookup(data_dir, download=download), options=options)
    path = find_path(name)
    # A folder called so is no archive, and the reader of archives says that best.
    if path.is_dir() and path.suffix != ".npz":
        return load_folder(path, options=options)
    return load_file(path, name=name, options=options)


def load_inputs(
    source: str | Path,
    *,
    data_dir: Path | None = None,
    download: bool = True,
    image_size: int | None = None,
    text_column: str | None = None,
    label_column: str | None = None,
    memory_limit: int | None = None,
) -> Inputs:
    """The inputs of a set without labels, such as a proxy set; of a set with labels, its training inputs.

    Args:
        source: What `load` takes, or without labels: a folder of images, an ``.npz`` file with `x` only, a
            table with no column of labels, or a ``.txt`` file with one text per line.
        data_dir: As for `load`, like all the others.
        download: Whether the network may be asked.
        image_size: Height and width of every image.
        text_column: The column of texts.
        label_column: The column of labels.
        memory_limit: Bytes of decoded images that may lie in memory.

    Returns:
        A tensor, `StoredImages` or `Texts`.

    Raises:
        InputError: When the source is unknown, is nowhere, or is damaged.
        RunError: When decoded images fit neither into memory nor onto the disk.
    """
    options = ReadOptions(
        image_size=image_size, text_column=text_column, label_column=label_column, memory_limit=memory_limit
    )
    name = str(source)
    if is_named(name):
        return load_named_inputs(name, make_lookup(data_dir, download=download), options=options)
    path = find_path(name)
    if path.is_dir() and path.suffix != ".npz":
        return load_folder_inputs(path, options=options)
    return load_file_inputs(path, name=name, options=options)


def is_named(name: str) -> bool:
    """Whether `name` is no path."""
    return name in NAMED_SOURCES or name.startswith((HF_PREFIX, TORCHVISION_PREFIX))


def make_lookup(data_dir: Path | None, *, download: bool) -> Lookup:
    """Where a named source is looked for."""
    folder = None if data_dir is None else Path(data_dir).expanduser()
    return Lookup(data_dir=folder, download=download)


def load_named(name: str, lookup: Lookup, *, options: ReadOptions) -> DataSet:
    """The data set of a named source."""
    if name.startswith(HF_PREFIX):
        return load_hugging_face(name, lookup, options=options)
    if name.startswith(TORCHVISION_PREFIX):
        own = find_own_reader(name)
        return (
            load_torchvision(name, lookup, options=options)
            if own is None
            else load_named(own, lookup, options=options)
        )
    options.refuse(*READ_SETTINGS, source=name)
    return NAMED_SOURCES[name].load_fn(lookup)


def load_named_inputs(name: str, lookup: Lookup, *, options: ReadOptions) -> Inputs:
    """The training inputs of a named source, which may lack labels where it is of Hugging Face."""
    if not name.startswith(HF_PREFIX):
        return load_named(name, lookup, options=options).train.inputs
    return load_unlabelled_splits(fetch_splits(name, lookup), name=name, options=options)


def find_path(name: str) -> Path:
    """The file or folder that the caller wrote as `name`.

    Raises:
        InputError: When nothing lies there; the nearest named source is suggested.
    """
    path = Path(name).expanduser()
    if not path.exists():
        raise InputError(
            f"Unknown data source `{name}`: no file or folder lies there, and no source is called so. "
            f"{suggest(name, [*NAMED_SOURCES, 'hf:NAME', 'torchvision:NAME'])}"
        )
    return path


def load_file(path: Path, *, name: str, options: ReadOptions) -> DataSet:
    """The data set in one file, which the caller wrote as `name`."""
    if path.suffix in TABLE_SUFFIXES:
        from limbeck.data.tables import load_table

        return load_table(path, options=options)
    if path.suffix == ".npz":
        options.refuse(*READ_SETTINGS, source=name)
        return load_npz(path)
    if path.suffix == TEXT_SUFFIX:
        raise InputError(
            f"`a data set has labels` must hold, but got the texts of `{name}`. "
            "Write texts and labels as CSV, or use the file as an unlabelled set (load_inputs)."
        )
    raise InputError(f"A data path must be {PATH_KINDS}, but got `{name}`. Convert it to one of these.")


def load_folder(path: Path, *, options: ReadOptions) -> DataSet:
    """The data set in a folder, by what it holds."""
    from limbeck.data.tables import load_table

    if is_saved(path):
        return load_splits(read_saved(path), name=path.resolve().name, options=options)
    found = find_image_folder(path)
    if is_table_folder(path, has_images=found is not None):
        return load_table(path, options=options)
    if found is None:
        raise InputError(f"`{path}` must hold {FOLDER_KINDS}, but there are none. {_suggest_for(path)}")
    return load_image_folder(path, found, options=options)


def load_file_inputs(path: Path, *, name: str, options: ReadOptions) -> Inputs:
    """The inputs in one file, with or without labels."""
    if path.suffix in TABLE_SUFFIXES:
        from limbeck.data.tables import load_unlabelled_table

        return load_unlabelled_table(path, options=options)
    if path.suffix not in (".npz", TEXT_SUFFIX):
        return load_file(path, name=name, options=options).train.inputs
    options.refuse(*READ_SETTINGS, source=name)
    if path.suffix == TEXT_SUFFIX:
        return load_text_file(path)
    return load_npz(path).train.inputs if has_labels(path) else load_npz_inputs(path)


def load_folder_inputs(path: Path, *, options: ReadOptions) -> Inputs:
    """The inputs in a folder, with or without labels."""
    from limbeck.data.tables import load_unlabelled_table

    if is_saved(path):
        return load_unlabelled_splits(read_saved(path), name=path.resolve().name, options=options)
    if is_table_folder(path, has_images=bool(find_images(path)) or find_image_folder(path) is not None):
        return load_unlabelled_table(path, options=options)
    if find_images(path):
        return load_flat_folder(path, options=options)
    return load_folder(path, options=options).train.inputs


def is_table_folder(path: Path, *, has_images: bool) -> bool:
    """Whether the tables in a folder are its data: parquet always, CSV where no images lie there."""
    from limbeck.data.table_files import find_tables

    files = find_tables(path)
    return bool(files) and (files[0].suffix == ".parquet" or not has_images)


def _suggest_for(path: Path) -> str:
    if find_images(path):
        return "Sort the images into one folder per class, or use them as an unlabelled set (load_inputs)."
    return "Name the folder that does."
