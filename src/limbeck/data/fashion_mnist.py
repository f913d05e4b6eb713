"""Fashion-MNIST: 70,000 grey images of clothing, 28 x 28 pixels, in four IDX files, plain or gzip.

References:
    H. Xiao, K. Rasul, R. Vollgraf, Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning
    Algorithms, arXiv:1708.07747.
"""

from collections.abc import Sequence
from pathlib import Path

import torch

from limbeck.data.damage import damaged
from limbeck.data.data_set import DataSet, make_data_set
from limbeck.data.download import RemoteFile, download_file, stage_files
from limbeck.data.idx import read_idx
from limbeck.data.lookup import Lookup, Origin, find_data_set, list_folders
from limbeck.data.samples import Samples

PARTS = ("train", "t10k")
FILES = tuple(f"{part}-{content}-ubyte" for part in PARTS for content in ("images-idx3", "labels-idx1"))
# The authors' own server, which offers no encryption: the checksums tell a wrong file.
MIRROR = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com"
CHECKSUMS = (
    "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
    "25c81989df183df01b3e8a0aad5dffbe",
    "bef4ecab320f06d8554ea6380940ec79",
    "bb300cfdad3c16e7a12a480ee83cd310",
)
PACKAGED = Path("/usr/share/datasets/fashion-mnist")
CLASS_NAMES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip
REMEDY = (
    "Run `apt install dataset-fashion-mnist`, pass the folder that holds the four files as data_dir "
    "(--data-dir), or run once with network and without data_dir."
)


def load_fashion_mnist(lookup: Lookup) -> DataSet:
    """60,000 training and 10,000 test images, uint8 [n, 1, 28, 28], in 10 classes.

    Raises:
        InputError: When the files are nowhere, or damaged.
    """
    origin = Origin(
        read_fn=read_below,
        fetch_fn=fetch,
        explain_fn=explain_missing,
        remedy=REMEDY,
        packaged=(PACKAGED,),
    )
    return find_data_set(origin, lookup)


def read_below(root: Path) -> DataSet | None:
    """The data set in torchvision's layout below `root` or directly in it; None without all four files."""
    complete = [folder for folder in layouts(root) if not missing_files(folder)]
    return read_folder(complete[0]) if complete else None


def read_folder(folder: Path) -> DataSet:
    """The data set in the four files of `folder`."""
    train, test = (read_part(folder, part) for part in PARTS)
    return make_data_set("fashion-mnist", train, test, CLASS_NAMES)


def read_part(folder: Path, part: str) -> Samples:
    """The samples of ``train`` or ``t10k``."""
    images_path, labels_path = (find_file(folder, name) for name in FILES if name.startswith(part))
    assert images_path is not None
    assert labels_path is not None
    images = read_idx(images_path, num_axes=3)
    labels = read_idx(labels_path, num_axes=1)
    if len(images) != len(labels):
        expected = f"the labels of the {len(images)} images beside it"
        raise damaged(labels_path, expected, f"it holds {len(labels)} labels")
    return Samples(inputs=torch.from_numpy(images[:, None]), labels=torch.from_numpy(labels))


def fetch(folder: Path) -> None:
    """Download the four files into torchvision's layout below `folder`."""
    with stage_files(folder / "FashionMNIST" / "raw") as staging:
        for name, md5 in zip(FILES, CHECKSUMS, strict=True):
            download_file(RemoteFile(url=f"{MIRROR}/{name}.gz", md5=md5), staging)


def explain_missing(roots: Sequence[Path]) -> str:
    """The first file that is missing where the most are there, and the folders that were searched."""
    folders = [folder for root in roots for folder in layouts(root)]
    fewest = min((missing_files(folder) for folder in folders), key=len)
    needed = f"`fashion-mnist` needs the file `{fewest[0]}` or `{fewest[0]}.gz`"
    return f"{needed}, looked for in {list_folders(folders)}"


def layouts(root: Path) -> tuple[Path, Path]:
    """The folders below `root` that may hold the files: torchvision's, then `root` itself."""
    return root / "FashionMNIST" / "raw", root


def missing_files(folder: Path) -> tuple[str, ...]:
    """Which of the four files `folder` holds neither plain nor gzip."""
    return tuple(name for name in FILES if find_file(folder, name) is None)


def find_file(folder: Path, name: str) -> Path | None:
    """The plain or else the gzip file called `name`."""
    return next((path for path in (folder / name, folder / f"{name}.gz") if path.is_file()), None)
