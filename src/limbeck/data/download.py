"""Downloads that are checked, quiet, bounded in time, and leave a file whole or not at all."""

import hashlib
import http.client
import logging
import shutil
import tarfile
import tempfile
import urllib.request
import zlib
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from limbeck.core.errors import describe_error

# How long the network may stay silent before the attempt ends.
SILENCE_S = 10.0
BLOCK_BYTES = 2**20
FAILURES = (OSError, RuntimeError, EOFError, http.client.HTTPException, tarfile.TarError, zlib.error)

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class RemoteFile:
    """A file on the network and the MD5 checksum its authors publish."""

    url: str
    md5: str

    @property
    def filename(self) -> str:
        """The last part of the address."""
        return self.url.rsplit("/", 1)[-1]


def attempt_download(fetch_fn: Callable[[Path], None], folder: Path) -> str:
    """Why `fetch_fn` could not fill `folder`, in words; empty where it could."""
    try:
        fetch_fn(folder)
    except FAILURES as error:
        return describe_error(error)
    return ""


@contextmanager
def stage_files(folder: Path) -> Iterator[Path]:
    """A temporary folder whose files move into `folder` when the block ends without an error."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".partial-") as name:
        staging = Path(name)
        yield staging
        for file in staging.iterdir():
            file.replace(folder / file.name)


def download_file(remote: RemoteFile, folder: Path) -> Path:
    """Download one file into `folder` and compare its checksum.

    Raises:
        OSError: When the network or the disk refuses, or the network stays silent for `SILENCE_S`.
        RuntimeError: When the checksum differs.
    """
    logger.info("Downloading %s", remote.url)
    path = folder / remote.filename
    digest = hashlib.md5(usedforsecurity=False)
    with urllib.request.urlopen(remote.url, timeout=SILENCE_S) as response, path.open("wb") as file:
        while block := response.read(BLOCK_BYTES):
            file.write(block)
            digest.update(block)
    if digest.hexdigest() != remote.md5:
        raise RuntimeError(f"{remote.url} has the MD5 checksum {digest.hexdigest()} instead of {remote.md5}")
    return path


def unpack_files(archive: Path, folder: Path, *, names: Collection[str]) -> None:
    """Unpack the regular files called `names` from a tar archive into `folder`, and nothing else.

    Raises:
        tarfile.TarError: When the archive is damaged.
    """
    with tarfile.open(archive) as tar:
        for member in tar:
            name = Path(member.name).name
            if name not in names or not member.isreg():
                continue
            content = tar.extractfile(member)
            assert content is not None
            with (folder / name).open("wb") as target:
                shutil.copyfileobj(content, target)
