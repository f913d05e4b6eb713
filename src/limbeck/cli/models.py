"""Models and data as `compare` and `transfer` take them on the command line."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
import yaml

from limbeck.core.errors import InputError, require

if TYPE_CHECKING:
    from limbeck.data import DataSet, Inputs
    from limbeck.models import Classifier

KEEP_OWN = "-"
NONE = "none"
WEIGHT_STEMS = ("model", "pytorch_model", "checkpoint", "weights", "best", "last")

MODEL = "a folder with card.json or config.json, or a file of weights with --arch"

StudentOption = Annotated[str, typer.Option("--student", help=f"The model that learns: {MODEL}.")]
TeacherOption = Annotated[
    list[str] | None,
    typer.Option("--teacher", help="A model it learns from, likewise; repeatable."),
]
BatchSizeOption = Annotated[int, typer.Option("--batch-size", help="Samples per step.")]
OptimizerOption = Annotated[
    str | None,
    typer.Option("--optimizer", help="sgd or adam. [default: adam for text, else sgd]"),
]
LrOption = Annotated[
    float | None,
    typer.Option("--lr", help="Learning rate. [default: sgd 0.01, adam 0.001, adam on text 0.00005]"),
]
WeightDecayOption = Annotated[float, typer.Option("--weight-decay", help="L2 coefficient.")]
ArchOption = Annotated[
    list[str] | None,
    typer.Option(
        "--arch",
        help="Architecture of bare weights: a name of the zoo, timm:NAME, torchvision:NAME, hf:FOLDER or "
        "path/to/file.py:function.",
    ),
]
NormalizeOption = Annotated[
    list[str] | None,
    typer.Option(
        "--normalize",
        help="How images are normalized: imagenet, cifar10, none, or MEAN/STD in one word, such as "
        "0.5,0.5,0.5/0.25,0.25,0.25.",
    ),
]
InputSizeOption = Annotated[
    list[str] | None,
    typer.Option("--input-size", help="What images are resized to: pixels, HEIGHT,WIDTH or none."),
]
ClassesOption = Annotated[
    list[str] | None,
    typer.Option(
        "--classes",
        help="File with the class names in the order of the logits: one per line, or a JSON or YAML list.",
    ),
]
MaxLengthOption = Annotated[
    list[str] | None,
    typer.Option("--max-length", help="Tokens after which a text is cut."),
]
DataOption = Annotated[
    str, typer.Option("--data", help="A data set's name or path, such as digits or a folder.")
]
SplitOption = Annotated[
    Path | None,
    typer.Option(
        "--split", help="A map written by `limbeck partition`: learn from one client's samples alone."
    ),
]
ClientOption = Annotated[
    int | None, typer.Option("--client", help="That client's number, counted from 0; goes with --split.")
]
DataDirOption = Annotated[
    Path | None, typer.Option("--data-dir", help="Folder with a copy of the named data set.")
]
ImageSizeOption = Annotated[
    int | None,
    typer.Option("--image-size", help="Read images at this height and width in pixels.", show_default=False),
]
TextColumnOption = Annotated[
    str | None, typer.Option("--text-column", help="Column with the texts, where it cannot be told by name.")
]
LabelColumnOption = Annotated[
    str | None,
    typer.Option("--label-column", help="Column with the labels, where it cannot be told by name."),
]
ClassMapOption = Annotated[
    Path | None,
    typer.Option("--class-map", help="JSON or YAML file that maps names of others to names here."),
]
MapOption = Annotated[
    list[str] | None,
    typer.Option("--map", help="One such pair, OTHER=HERE, such as automobile=car; repeatable."),
]
NoCacheOption = Annotated[
    bool,
    typer.Option("--no-cache", help="Ask every model anew, and keep nothing it says for later runs."),
]
PrecisionOption = Annotated[
    str,
    typer.Option(
        "--precision",
        help="Of forward passes in training: float32, bfloat16, or auto for the faster one by measurement.",
    ),
]
MemoryFormatOption = Annotated[
    str,
    typer.Option(
        "--memory-format",
        help="How weights of convolutions lie in memory: as-is, contiguous, channels-last, or auto.",
    ),
]
AugmentOption = Annotated[
    str, typer.Option("--augment", help="How images change from epoch to epoch: none, flip, crop, crop-flip.")
]
ThreadsOption = Annotated[
    int | None,
    typer.Option("--threads", help="Threads of the CPU. [default: as many as are faster]"),
]
CompileOption = Annotated[
    str,
    typer.Option("--compile", help="Compile the forward pass, for half a minute or more: off, on or auto."),
]
DeviceOption = Annotated[str, typer.Option("--device", help="auto, cpu or cuda.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]


@dataclass(frozen=True, kw_only=True)
class DataOptions:
    """Where data lie and how they are read; see `limbeck.data.load`."""

    data_dir: Path | None
    image_size: int | None
    text_column: str | None
    label_column: str | None

    def load(self, source: str, *, split: Path | None = None, client: int | None = None) -> "DataSet":
        """The labelled data set; of a split, with the training samples of one client alone.

        Raises:
            InputError: When only one of split and client is given, the split was made from other data, or it
                has no such client.
        """
        require(
            (split is None) == (client is None),
            "--split and --client go together",
            f"--split {split} and --client {client}",
            "Give both, or none of them.",
        )
        whole = self._load_whole(source)
        return whole if split is None or client is None else _take_client(whole, split, client)

    def load_others(self, source: str, *, split: Path | None, client: int | None) -> "list[DataSet]":
        """The data of every client of a split but one, for what a federation measures together.

        Raises:
            InputError: When there is no split, or as for `load`.
        """
        from limbeck import partition

        require(
            split is not None and client is not None,
            "--objective federated goes with --split and --client",
            f"--split {split} and --client {client}",
            "Name the split and the student's client, or choose another objective.",
        )
        assert split is not None
        whole = self._load_whole(source)
        clients = partition.load(split, data_fingerprint=whole.fingerprint)
        others = [number for number in range(clients.num_clients) if number != client]
        return [_take_client(whole, split, number) for number in others if len(clients.indices[number])]

    def _load_whole(self, source: str) -> "DataSet":
        from limbeck import data as data_sets

        return data_sets.load(
            source,
            data_dir=self.data_dir,
            image_size=self.image_size,
            text_column=self.text_column,
            label_column=self.label_column,
        )

    def load_proxy(self, source: str) -> "Inputs":
        """The unlabelled set."""
        from limbeck import data as data_sets

        return data_sets.load_inputs(
            source, data_dir=self.data_dir, image_size=self.image_size, text_column=self.text_column
        )


def _take_client(whole: "DataSet", split: Path, client: int) -> "DataSet":
    from limbeck import data as data_sets
    from limbeck import partition

    clients = partition.load(split, data_fingerprint=whole.fingerprint)
    require(
        0 <= client < clients.num_clients,
        f"0 <= client < {clients.num_clients}",
        f"client={client}",
        "Clients are counted from 0.",
    )
    own = whole.subset(clients.indices[client])
    return data_sets.make_data_set(f"{whole.name}, client {client}", own, whole.test, whole.class_names)


@dataclass(frozen=True, kw_only=True)
class ModelOptions:
    """The words of the options that belong to a model, each given never, once, or once per model."""

    arch: Sequence[str] | None
    normalize: Sequence[str] | None
    input_size: Sequence[str] | None
    classes: Sequence[str] | None
    max_length: Sequence[str] | None

    def of_each(self, num_models: int) -> list[dict[str, Any]]:
        """What `limbeck.models.load_classifier` is told of each model.

        Raises:
            InputError: When a word makes no sense, or there are neither one nor as many as models.
        """
        columns = {
            "arch": map(_check_arch, _spread("--arch", self.arch, num_models)),
            "normalize": map(_parse_normalization, _spread("--normalize", self.normalize, num_models)),
            "input_size": map(_parse_input_size, _spread("--input-size", self.input_size, num_models)),
            "class_names": map(_read_class_names, _spread("--classes", self.classes, num_models)),
            "max_length": map(_parse_length, _spread("--max-length", self.max_length, num_models)),
        }
        return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def load_models(
    sources: Sequence[str], settings: Sequence[Mapping[str, Any]], data: "DataSet"
) -> "list[Classifier]":
    """The classifiers at `sources`, for the inputs of `data`."""
    from limbeck import models

    return [
        models.load_classifier(source, **known, input_shape=data.input_shape or None)
        for source, known in zip(sources, settings, strict=True)
    ]


def name_models(sources: Sequence[str]) -> list[str]:
    """What to call the models: the names of their files or folders, whole paths where these are equal.

    Law: the names are distinct.
    """
    names = [_name_model(Path(source)) for source in sources]
    if len(set(names)) < len(names):
        names = list(sources)
    return [name if name not in names[:place] else f"{name} #{place + 1}" for place, name in enumerate(names)]


def read_class_map(path: Path | None, pairs: Sequence[str] | None) -> dict[str, str]:
    """The class map of a file and of single pairs, which win.

    Raises:
        InputError: When the file is no mapping of names to names, or a pair is not OTHER=HERE.
    """
    content = {} if path is None else _read_plain(path)
    require(
        isinstance(content, dict),
        "--class-map is a file with a mapping",
        f"a {type(content).__name__} in `{path}`",
        'Write one pair per line as YAML (automobile: car), or {"automobile": "car"} as JSON.',
    )
    return {
        **{str(other): str(here) for other, here in content.items()},
        **dict(split_pair("--map", pair, "automobile=car") for pair in pairs or ()),
    }


def split_pair(option: str, word: str, example: str) -> tuple[str, str]:
    """The two sides of NAME=VALUE.

    Raises:
        InputError: When one is missing.
    """
    name, _, value = (part.strip() for part in word.partition("="))
    require(bool(name and value), f"{option} takes NAME=VALUE", f"`{word}`", f"Write for example {example}.")
    return name, value


def _spread(option: str, words: Sequence[str] | None, num_models: int) -> list[str | None]:
    """One word per model, None where the model speaks for itself."""
    given = list(words or [KEEP_OWN])
    require(
        len(given) in (1, num_models),
        f"{option} is given once or once per model",
        f"{len(given)} times for {num_models} models",
        f"Give it once for all, or {num_models} times in the order of the models, `{KEEP_OWN}` where a model "
        "needs none.",
    )
    spread = given * num_models if len(given) == 1 else given
    return [None if word == KEEP_OWN else word for word in spread]


def _check_arch(word: str | None) -> str | None:
    """The word, unless it lists several architectures."""
    first, comma, _ = (word or "").partition(",")
    if comma:
        require(
            not (first == KEEP_OWN or _is_reference(first)) or _names_folder(word or ""),
            "--arch is one architecture",
            f"`{word}`",
            "Repeat --arch, once per model in order, such as --arch resnet20 --arch mlp.",
        )
    return word


def _names_folder(word: str) -> bool:
    """Whether the reference is to a folder that exists, whose name may have a comma."""
    _, colon, folder = word.partition(":")
    return bool(colon) and Path(folder).is_dir()


def _is_reference(word: str) -> bool:
    from limbeck.models.architectures import split_reference

    try:
        split_reference(word)
    except InputError:
        return False
    return True


def _parse_normalization(word: str | None) -> Any:
    from limbeck.models import NORMALIZATIONS, parse_normalization

    if word is None:
        return None
    parts = word.split("/")
    is_name = len(parts) == 1 and "," not in word
    require(
        is_name or len(parts) == 2,
        f"--normalize is {', '.join(NORMALIZATIONS)}, {NONE} or MEAN/STD",
        f"`{word}`",
        "Write one number per channel, such as 0.5,0.5,0.5/0.25,0.25,0.25.",
    )
    return parse_normalization(parts)


def _parse_input_size(word: str | None) -> str | int | tuple[int, int] | None:
    if word in (None, NONE):
        return word
    sizes = [int(part) for part in word.split(",") if part.isdecimal()]
    require(
        len(sizes) == word.count(",") + 1 <= 2,
        "--input-size is pixels, HEIGHT,WIDTH or none",
        f"`{word}`",
        "Write for example 224 or 224,320.",
    )
    return sizes[0] if len(sizes) == 1 else (sizes[0], sizes[1])


def _parse_length(word: str | None) -> int | None:
    if word is None:
        return None
    require(
        word.isdecimal() and int(word) > 0,
        "--max-length is a whole number above 0",
        f"`{word}`",
        "Write for example 128.",
    )
    return int(word)


def _read_class_names(word: str | None) -> tuple[str, ...] | None:
    """The names in a file: a list in JSON or YAML, else its lines that are not empty."""
    if word is None:
        return None
    path = Path(word)
    if path.suffix not in (".json", ".yaml", ".yml"):
        return tuple(line.strip() for line in _read_text(path).splitlines() if line.strip())
    names = _read_plain(path)
    require(
        isinstance(names, list),
        "--classes is a file with a list of names",
        f"a {type(names).__name__} in `{path}`",
        "Write a list, or a text file with one name per line.",
    )
    return tuple(map(str, names))


def _read_plain(path: Path) -> Any:
    """What a JSON or YAML file holds."""
    text = _read_text(path)
    try:
        return json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    except (ValueError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"`{path}` must be valid JSON or YAML, but it is not: {reason}. Correct the file."
        ) from error


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise InputError(f"`{path}` must be a readable text file, but {reason}. Check the path.") from error


def _name_model(path: Path) -> str:
    """A file's name without its ending, or its folder's where that says more."""
    place = path.resolve()
    if place.is_dir():
        return place.name
    return place.parent.name if place.stem in WEIGHT_STEMS else place.stem
