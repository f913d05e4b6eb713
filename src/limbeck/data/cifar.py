"""CIFAR-10 and CIFAR-100: 60,000 colour images of 32 x 32 pixels.

From the binary version, from parquet, or from the Python version that torchvision keeps. The last is pickled
and therefore not loaded but scanned; see `pickled_batches`.

References:
    A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009; the format's description at
    https://www.cs.toronto.edu/~kriz/cifar.html.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch

from limbeck.core.errors import require
from limbeck.data.damage import damaged, explain_damage
from limbeck.data.data_set import DataSet, make_data_set
from limbeck.data.download import RemoteFile, download_file, stage_files, unpack_files
from limbeck.data.lookup import Lookup, Origin, find_data_set, list_folders
from limbeck.data.samples import Samples

IMAGE_SHAPE = (3, 32, 32)
IMAGE_BYTES = 3 * 32 * 32
CIFAR10_NAMES = "airplane automobile bird cat deer dog frog horse ship truck"
CIFAR100_NAMES = """
apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can
castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin
elephant flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard
lobster man maple_tree motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree pear
pickup_truck pine_tree plain plate poppy porcupine possum rabbit raccoon ray road rocket rose sea seal
shark shrew skunk skyscraper snail snake spider squirrel streetcar sunflower sweet_pepper table tank
telephone television tiger tractor train trout tulip turtle wardrobe whale willow_tree wolf woman worm
"""


@dataclass(frozen=True, kw_only=True)
class BinaryLayout:
    """How one of the two data sets is stored in its binary version, and in its Python version beside it.

    Attributes:
        name: The source.
        folder: Where the archive puts the files.
        pickled_folder: Where the Python version's archive puts its files, the same names without `.bin`.
        labels_key: Where the Python version keeps the labels.
        archive: The binary version on the network.
        train_files: The training files, in order.
        test_file: The test file.
        records_per_file: How many images a training file holds.
        label_bytes: Bytes before each image; the last of them is the label.
        class_names: One name per label.
        num_test: How many images the test file holds.
    """

    name: str
    folder: str
    pickled_folder: str
    labels_key: str
    archive: RemoteFile
    train_files: tuple[str, ...]
    test_file: str
    records_per_file: int
    label_bytes: int
    class_names: tuple[str, ...]
    num_test: int = 10_000

    @property
    def files(self) -> tuple[str, ...]:
        """Every file of the data set."""
        return (*self.train_files, self.test_file)


CIFAR10 = BinaryLayout(
    name="cifar10",
    folder="cifar-10-batches-bin",
    pickled_folder="cifar-10-batches-py",
    labels_key="labels",
    archive=RemoteFile(
        url="https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz", md5="c32a1d4ab5d03f1284b67883e8d87530"
    ),
    train_files=tuple(f"data_batch_{batch}.bin" for batch in range(1, 6)),
    test_file="test_batch.bin",
    records_per_file=10_000,
    label_bytes=1,
    class_names=tuple(CIFAR10_NAMES.split()),
)
CIFAR100 = BinaryLayout(
    name="cifar100",
    folder="cifar-100-binary",
    pickled_folder="cifar-100-python",
    labels_key="fine_labels",
    archive=RemoteFile(
        url="https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz", md5="03b5dce01913d631647c71ecec9e9cb8"
    ),
    train_files=("train.bin",),
    test_file="test.bin",
    records_per_file=50_000,
    label_bytes=2,
    class_names=tuple(CIFAR100_NAMES.split()),
)


def load_cifar(lookup: Lookup, *, layout: BinaryLayout) -> DataSet:
    """50,000 training and 10,000 test images, uint8 [n, 3, 32, 32].

    Images re-encoded as JPEG lose detail, and models accuracy: they load as ``<name>-jpeg``.

    Raises:
        InputError: When the files are nowhere, damaged, or another data set.
    """
    origin = Origin(
        read_fn=partial(read_below, layout=layout),
        fetch_fn=partial(fetch, layout=layout),
        explain_fn=partial(explain_missing, layout=layout),
        remedy=(
            f"Unpack the binary version ({layout.archive.url}) or put parquet files into a folder and pass "
            "it as data_dir (--data-dir), or run once with network and without data_dir."
        ),
    )
    return find_data_set(origin, lookup)


def read_below(root: Path, *, layout: BinaryLayout) -> DataSet | None:
    """The data set at or below `root` in binary, Python or parquet files, in this order; None without any."""
    from limbeck.data.table_files import find_tables

    for folder in (root / layout.folder, root):
        if all((folder / name).is_file() for name in layout.files):
            return read_binary(folder, layout=layout)
    for folder in (root / layout.pickled_folder, root):
        if all((folder / Path(name).stem).is_file() for name in layout.files):
            return read_pickled(folder, layout=layout)
    for folder in (root / layout.name, root):
        if [file for file in find_tables(folder) if file.suffix == ".parquet"]:
            return read_parquet(folder, layout=layout)
    return None


def read_binary(folder: Path, *, layout: BinaryLayout) -> DataSet:
    """The data set in the binary files of `folder`."""
    train = [
        read_records(folder / name, layout=layout, num_records=layout.records_per_file)
        for name in layout.train_files
    ]
    test = read_records(folder / layout.test_file, layout=layout, num_records=layout.num_test)
    return make_data_set(layout.name, join_records(train), join_records([test]), layout.class_names)


def read_pickled(folder: Path, *, layout: BinaryLayout) -> DataSet:
    """The data set in the Python version's files of `folder`, which are scanned and never unpickled."""
    from limbeck.data.pickled_batches import scan_batch

    def scan(name: str, num_images: int) -> np.ndarray:
        path = folder / Path(name).stem
        records = scan_batch(
            path, num_images=num_images, image_bytes=IMAGE_BYTES, labels_key=layout.labels_key
        )
        return check_labels(records, path, num_classes=len(layout.class_names))

    train = [scan(name, layout.records_per_file) for name in layout.train_files]
    test = scan(layout.test_file, layout.num_test)
    return make_data_set(layout.name, join_records(train), join_records([test]), layout.class_names)


def read_records(path: Path, *, layout: BinaryLayout, num_records: int) -> np.ndarray:
    """The records of one file, uint8 [num_records, label_bytes + 3072]: labels, red, green and blue plane."""
    kind = f"a CIFAR file of {num_records} records"
    record_bytes = layout.label_bytes + IMAGE_BYTES
    size = path.stat().st_size
    if size != num_records * record_bytes:
        raise damaged(path, kind, f"it holds {size} bytes instead of {num_records * record_bytes}")
    with explain_damage(path, kind):
        records = np.fromfile(path, dtype=np.uint8).reshape(num_records, record_bytes)
    return check_labels(records, path, num_classes=len(layout.class_names))


def check_labels(records: np.ndarray, path: Path, *, num_classes: int) -> np.ndarray:
    """The records as they are, when the label before each image is one of the classes."""
    highest = int(records[:, -IMAGE_BYTES - 1].max())
    if highest >= num_classes:
        raise damaged(path, "a CIFAR file", f"it holds the label {highest} of {num_classes} classes")
    return records


def join_records(parts: Sequence[np.ndarray]) -> Samples:
    """The samples of records that end in a label byte and an image."""
    images = np.concatenate([part[:, -IMAGE_BYTES:] for part in parts]).reshape(-1, *IMAGE_SHAPE)
    labels = np.concatenate([part[:, -IMAGE_BYTES - 1] for part in parts])
    return Samples(inputs=torch.from_numpy(images), labels=torch.from_numpy(labels))


def read_parquet(folder: Path, *, layout: BinaryLayout) -> DataSet:
    """The data set in the parquet files of `folder`, checked to be this one and renamed where it is JPEG."""
    from limbeck.data.tables import holds_jpeg, load_table

    data = load_table(folder, name=layout.name)
    num_classes = len(layout.class_names)
    require(
        data.input_shape == IMAGE_SHAPE and data.num_classes == num_classes,
        f"`{layout.name}` has images of shape {IMAGE_SHAPE} in {num_classes} classes",
        f"{data.input_shape} in {data.num_classes} classes from `{folder}`",
        "Load another data set by the path of its folder.",
    )
    return replace(data, name=f"{layout.name}-jpeg") if holds_jpeg(folder) else data


def fetch(folder: Path, *, layout: BinaryLayout) -> None:
    """Download the binary version and unpack its files below `folder`."""
    with stage_files(folder / layout.folder) as staging:
        archive = download_file(layout.archive, staging)
        unpack_files(archive, staging, names=layout.files)
        archive.unlink()


def explain_missing(roots: Sequence[Path], *, layout: BinaryLayout) -> str:
    """The missing file and the folders that were searched."""
    folders = [folder for root in roots for folder in (root / layout.folder, root)]
    fewest = min(([name for name in layout.files if not (f / name).is_file()] for f in folders), key=len)
    needed = f"`{layout.name}` needs the file `{fewest[0]}` or parquet files"
    return f"{needed}, looked for in {list_folders(folders)}"
