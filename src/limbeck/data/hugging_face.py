"""Data sets of the Hugging Face library `datasets`: by name, or from a folder it saved.

The library runs no code of a data set (from version 4 on), and the one reader it has for pickled files is
refused here whatever its version.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from limbeck.core.errors import InputError, describe_error, enumerate_words, require
from limbeck.data.columns import Choice, Column, choose_columns, require_label
from limbeck.data.damage import explain_damage
from limbeck.data.data_set import DataSet, make_data_set
from limbeck.data.gathering import Frames, gather_frames
from limbeck.data.hold_out import hold_out
from limbeck.data.images import EncodedImage, decode_image, explain_sizes
from limbeck.data.inputs import Inputs, Texts, split_inputs
from limbeck.data.labels import number_labels
from limbeck.data.lookup import Lookup
from limbeck.data.options import ReadOptions
from limbeck.data.samples import Samples

PREFIX = "hf:"
SAVED_FILES = ("state.json", "dataset_dict.json")
TEST_SPLITS = ("test", "validation", "valid", "val", "dev")
PICKLE_READER = "packaged_modules.pandas"
LOAD_REMEDY = "Check the name, run once with network, or save it with `save_to_disk` and pass that folder."

Splits = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Repository:
    """A data set by name: the repository, and the configuration within it where there are several."""

    name: str
    config: str | None


def load_hugging_face(source: str, lookup: Lookup, *, options: ReadOptions) -> DataSet:
    """The data set called ``hf:NAME`` or ``hf:NAME/CONFIG``; see `load_splits`.

    Args:
        source: The name with its prefix.
        lookup: `data_dir` is the library's own cache folder, which is read without network.
        options: Columns, image size and memory limit.
    """
    return load_splits(fetch_splits(source, lookup), name=source, options=options)


def is_saved(path: Path) -> bool:
    """Whether the library saved a data set to the folder `path`."""
    return any((path / name).is_file() for name in SAVED_FILES)


def read_saved(path: Path) -> Splits:
    """The splits in a folder that `save_to_disk` wrote.

    Raises:
        InputError: When the library is missing or the folder is damaged.
    """
    datasets = import_datasets()
    with explain_damage(path, "a data set written by `save_to_disk`", *_reading_errors()):
        return as_splits(datasets.load_from_disk(str(path)))


def fetch_splits(source: str, lookup: Lookup) -> Splits:
    """The splits of a named data set, from the library's cache or the network.

    Raises:
        InputError: When the library is missing, or the data set is unknown or out of reach.
    """
    datasets = import_datasets()
    failures = []
    for repository in list_repositories(source):
        try:
            with pretend_offline(is_offline=not lookup.may_download):
                builder = datasets.load_dataset_builder(
                    repository.name,
                    repository.config,
                    cache_dir=None if lookup.data_dir is None else str(lookup.data_dir),
                )
                refuse_pickles(builder, source=source)
                builder.download_and_prepare()
                return as_splits(builder.as_dataset())
        except InputError:
            raise
        except Exception as error:  # It raises errors of many other libraries.
            failures.append(describe_error(error))
    raise InputError(f"`{source}` must be a data set that can be loaded, but {failures[0]}. {LOAD_REMEDY}")


def list_repositories(source: str) -> list[Repository]:
    """What a name may mean, in the order in which it is tried.

    ``a`` is a repository, ``a/b`` the repository ``a/b`` or else configuration ``b`` of ``a``, and ``a/b/c``
    the configuration ``c`` of ``a/b``.

    Raises:
        InputError: When the name has no or more than three parts.
    """
    parts = source.removeprefix(PREFIX).split("/")
    require(
        1 <= len(parts) <= 3 and all(parts),
        "a Hugging Face name is NAME, OWNER/NAME or OWNER/NAME/CONFIG",
        f"`{source}`",
        "Write it as in `hf:nyu-mll/glue/sst2`.",
    )
    if len(parts) == 1:
        return [Repository(name=parts[0], config=None)]
    if len(parts) == 3:
        return [Repository(name="/".join(parts[:2]), config=parts[2])]
    return [
        Repository(name="/".join(parts), config=None),
        Repository(name=parts[0], config=parts[1]),
    ]


def as_splits(loaded: Any) -> Splits:
    """The splits by name; a single one without a name is ``train``."""
    return dict(loaded) if isinstance(loaded, Mapping) else {"train": loaded}


def load_splits(splits: Splits, *, name: str, options: ReadOptions) -> DataSet:
    """The data set in the splits: images or texts by the type of the column, class names of the label column.

    The test part is the first of test and validation splits that has labels, else a fifth of each class is
    held out.

    Raises:
        InputError: When splits, columns, labels or images are missing or damaged.
    """
    train = choose_train(splits, name=name)
    columns = read_features(train)
    choice = choose_columns(columns, options=options, source=name)
    label = require_label(choice, columns, source=name)
    test = choose_test(splits, label)
    parts = [train] if test is None else [train, test]
    labels, names = number_labels(
        [read_labels(part, label) for part in parts],
        class_names=getattr(train.features[label], "names", None) or (),
    )
    inputs = read_inputs(parts, choice, name=name, options=options)
    train_inputs, test_inputs = split_inputs(inputs, first=len(labels[0]))
    samples = Samples(inputs=train_inputs, labels=labels[0])
    if test is None:
        return make_data_set(name, *hold_out(samples), names)
    return make_data_set(name, samples, Samples(inputs=test_inputs, labels=labels[1]), names)


def load_unlabelled_splits(splits: Splits, *, name: str, options: ReadOptions) -> Inputs:
    """The training inputs of splits, whether or not they have labels."""
    train = choose_train(splits, name=name)
    choice = choose_columns(read_features(train), options=options, source=name)
    if choice.label is not None:
        return load_splits(splits, name=name, options=options).train.inputs
    return read_inputs([train], choice, name=name, options=options)


def choose_train(splits: Splits, *, name: str) -> Any:
    """The split ``train``, or the only one there is."""
    require(
        "train" in splits or len(splits) == 1,
        "a data set has a split `train`",
        f"{enumerate_words(sorted(splits)) or 'none'} in `{name}`",
        "Rename the splits, or save one of them alone.",
    )
    return splits["train"] if "train" in splits else next(iter(splits.values()))


def choose_test(splits: Splits, label: str) -> Any | None:
    """The first test or validation split with labels; hidden labels are all -1."""
    found = [splits[name] for name in TEST_SPLITS if name in splits and label in splits[name].features]
    return next((split for split in found if {*split[label]} - {-1, None}), None)


def read_features(split: Any) -> list[Column]:
    """Every column of a split."""
    return [
        Column(name=name, kind=_kind_of(feature), type_name=_type_of(feature))
        for name, feature in split.features.items()
    ]


def read_labels(split: Any, label: str) -> np.ndarray:
    """The labels of a split: integers, or strings."""
    labels = list(split[label])
    missing = labels.count(None)
    require(
        missing == 0, "every row holds a label", f"{missing} rows without one", "Fill in or drop these rows."
    )
    return np.array(labels)


def read_inputs(parts: Sequence[Any], choice: Choice, *, name: str, options: ReadOptions) -> Inputs:
    """The texts or images of all parts, in order."""
    if choice.text is not None:
        options.refuse("image_size", source=name)
        return Texts(strings=tuple(text for part in parts for text in part[choice.text]))
    column = choice.input
    datasets = import_datasets()
    encoded = [part.cast_column(column, datasets.Image(decode=False)) for part in parts]
    frames = Frames(
        name=name,
        count=sum(map(len, parts)),
        read_fn=partial(_decode_parts, encoded, column, name, options.image_size),
        explain_fn=lambda row, _first, _other: explain_sizes(
            _encoded_images(encoded, column, name), num_equal=row, source=Path(name)
        ),
        identity={
            "parts": [part._fingerprint for part in parts], "column": column, "image_size": options.image_size
        },
    )  # fmt: skip
    return gather_frames(frames, memory_limit=options.memory_limit)


def import_datasets() -> Any:
    """The library.

    Raises:
        InputError: When it is not installed.
    """
    try:
        import datasets
    except ImportError as error:
        raise InputError(
            "`datasets is installed` must hold for data sets of Hugging Face, but it is not. "
            "Run `pip install 'limbeck[hf]'`."
        ) from error
    return datasets


def refuse_pickles(builder: Any, *, source: str) -> None:
    """Raise `InputError` when the library would read pickled files, which run code."""
    if any(PICKLE_READER in kind.__module__ for kind in type(builder).__mro__):
        raise InputError(
            f"`a data set holds no pickled files` must hold, but got `{source}`, whose files are pickled. "
            "Convert them to parquet where they can be trusted."
        )


@contextmanager
def pretend_offline(*, is_offline: bool) -> Iterator[None]:
    """Keep the library off the network inside the block where `is_offline`."""
    if not is_offline:
        yield
        return
    from datasets import config
    from huggingface_hub import constants

    saved = config.HF_HUB_OFFLINE, constants.HF_HUB_OFFLINE
    config.HF_HUB_OFFLINE = constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        config.HF_HUB_OFFLINE, constants.HF_HUB_OFFLINE = saved


def _kind_of(feature: Any) -> Any:
    dtype = str(getattr(feature, "dtype", ""))
    kind = type(feature).__name__
    if kind == "Image":
        return "image"
    if kind == "ClassLabel" or (kind == "Value" and dtype.startswith(("int", "uint"))):
        return "integer"
    return "string" if kind == "Value" and dtype in ("string", "large_string") else "other"


def _type_of(feature: Any) -> str:
    kind = type(feature).__name__
    return str(feature.dtype) if kind == "Value" else kind


def _encoded_images(parts: Sequence[Any], column: str, name: str) -> Iterator[EncodedImage]:
    for part in parts:
        for row, sample in enumerate(part.select_columns([column])):
            stored = sample[column] or {}
            content = stored.get("bytes") or (Path(stored["path"]) if stored.get("path") else None)
            yield EncodedImage(content=content, file=Path(name), name=f"row {row}")


def _decode_parts(
    parts: Sequence[Any], column: str, name: str, image_size: int | None
) -> Iterator[np.ndarray]:
    for encoded in _encoded_images(parts, column, name):
        yield decode_image(encoded, image_size=image_size)


def _reading_errors() -> tuple[type[BaseException], ...]:
    import pyarrow

    return (ValueError, KeyError, TypeError, AttributeError, pyarrow.ArrowException)
