"""Where a named source lies: the caller's folder, or the usual ones, or the network as a last resort."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from limbeck.core.errors import InputError, require
from limbeck.core.files import cache_root
from limbeck.data.data_set import DataSet
from limbeck.data.download import attempt_download


@dataclass(frozen=True, kw_only=True)
class Lookup:
    """Where the files of a named source are looked for.

    Attributes:
        data_dir: The only folder to look in, never downloaded into; None for the usual ones.
        download: Whether the network may be asked where the usual folders hold nothing.

    Raises:
        InputError: When `data_dir` is no folder.
    """

    data_dir: Path | None
    download: bool

    def __post_init__(self) -> None:
        require(
            self.data_dir is None or self.data_dir.is_dir(),
            "data_dir is a folder",
            f"data_dir={self.data_dir}",
            "Name the folder that holds the files, or leave data_dir out.",
        )

    @property
    def may_download(self) -> bool:
        """Whether the network may be asked: only where the caller named no folder."""
        return self.download and self.data_dir is None

    def folders(self, packaged: Sequence[Path]) -> tuple[Path, ...]:
        """The folders to look in, in order; `packaged` are those of the system's packages."""
        return (cache_folder(), *packaged) if self.data_dir is None else (self.data_dir,)


@dataclass(frozen=True, kw_only=True)
class Origin:
    """What a named source needs to be found.

    Attributes:
        read_fn: Folder -> data set, or None where the folder does not hold the source's files.
        fetch_fn: Downloads the files into a folder where `read_fn` finds them.
        explain_fn: Folders -> what is missing there, as the start of a sentence.
        remedy: A full sentence that says how to get the files.
        packaged: Folders that a system's package fills.
    """

    read_fn: Callable[[Path], DataSet | None]
    fetch_fn: Callable[[Path], None]
    explain_fn: Callable[[Sequence[Path]], str]
    remedy: str
    packaged: tuple[Path, ...] = ()


def find_data_set(origin: Origin, lookup: Lookup) -> DataSet:
    """The source's data set from the first folder that holds it, or from the network.

    Raises:
        InputError: When it is nowhere: one sentence with the missing file, the folders and the remedy.
    """
    folders = lookup.folders(origin.packaged)
    found = next((data for data in map(origin.read_fn, folders) if data is not None), None)
    if found is not None:
        return found
    failure = attempt_download(origin.fetch_fn, cache_folder()) if lookup.may_download else ""
    fetched = origin.read_fn(cache_folder()) if lookup.may_download and not failure else None
    if fetched is not None:
        return fetched
    attempt = f", and the download failed ({failure})" if failure else ""
    raise InputError(f"{origin.explain_fn(folders)}{attempt}. {origin.remedy}")


def cache_folder() -> Path:
    """Where downloads go: ``$XDG_CACHE_HOME/limbeck/data``, by default ``~/.cache/limbeck/data``."""
    return cache_root() / "data"


def list_folders(folders: Sequence[Path]) -> str:
    """Folders as a sentence lists them."""
    return ", ".join(f"`{folder}`" for folder in folders)
