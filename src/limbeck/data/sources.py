"""Sources by name or by path: `load` is the one door to data."""

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
from limbeck.data.lookup import Lookup
from limbeck.data.npz import load_npz

PATH_KINDS = "a folder with parquet files, a `.parquet` file or an `.npz` file"


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


def load(source: str | Path, *, data_dir: Path | None = None, download: bool = True) -> DataSet:
    """The data set called `source`, or the one that lies at that path.

    Args:
        source: A name in `SOURCES`, or the path of a folder with parquet files, a `.parquet` or `.npz` file.
        data_dir: For a named source, the only folder to look in. When left out, the per-user cache and the
            folders of system packages are searched, and the files are downloaded into the cache if need be.
        download: Whether the network may be asked; it never is where `data_dir` is given.

    Returns:
        A checked data set on the CPU.

    Raises:
        InputError: When the source is unknown, is nowhere, is damaged, or breaks a rule of `DataSet`.
    """
    name = str(source)
    if name in NAMED_SOURCES:
        lookup = Lookup(data_dir=None if data_dir is None else Path(data_dir).expanduser(), download=download)
        return NAMED_SOURCES[name].load_fn(lookup)
    return load_path(Path(name).expanduser(), name=name)


def load_path(path: Path, *, name: str) -> DataSet:
    """The data set that lies at `path`, which the caller wrote as `name`."""
    if not path.exists():
        raise InputError(
            f"Unknown data source `{name}`: no file or folder lies there, and no source is called so. "
            f"{suggest(name, NAMED_SOURCES)}"
        )
    if path.suffix == ".npz":
        return load_npz(path)
    if path.is_dir() or path.suffix == ".parquet":
        from limbeck.data.parquet import load_parquet

        return load_parquet(path)
    raise InputError(f"A data path must be {PATH_KINDS}, but got `{name}`. Convert it to one of these.")
