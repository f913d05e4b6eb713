"""A folder as transformers writes it: `config.json`, weights, and perhaps a tokenizer or an image processor.

Everything is read from the folder alone: no network, no code from the folder, no unpickling.
"""

import contextlib
import json
from collections.abc import Iterator, Mapping
from logging import CRITICAL
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from limbeck.core.errors import InputError, describe_error, require
from limbeck.data import Normalization
from limbeck.models.checkpoints import check_finite, read_content
from limbeck.models.libraries import require_library
from limbeck.models.preprocessing import Preprocessing
from limbeck.models.weights import name_some

CONFIG_FILE = "config.json"
PROCESSOR_FILE = "preprocessor_config.json"
WEIGHTS_FILES = ("model.safetensors", "pytorch_model.bin")
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "vocab.txt", "vocab.json", "spiece.model")
IMAGES, TEXTS = "ForImageClassification", "ForSequenceClassification"
FULL_SCALE = 255.0
# No network and no code from the folder, whatever its config asks for.
LOCAL: Mapping[str, Any] = {"local_files_only": True, "trust_remote_code": False}


def read_config(folder: Path) -> Any:
    """The transformers configuration in a folder.

    Raises:
        InputError: When transformers is missing, or the folder has no config that it can read.
    """
    require_library("transformers", extra="hf")
    from transformers import AutoConfig

    require(
        (folder / CONFIG_FILE).is_file(),
        f"the folder holds {CONFIG_FILE}",
        f"`{folder}` without it",
        "Pass the folder that save_pretrained wrote.",
    )
    with _explained(f"`{folder / CONFIG_FILE}` must describe a model of transformers"):
        return AutoConfig.from_pretrained(folder, **LOCAL)


def build_from_config(folder: Path, *, num_classes: int | None = None) -> nn.Module:
    """A freshly initialised classifier for images or texts, as the config in `folder` describes it.

    Args:
        folder: Where `config.json` is.
        num_classes: Number of logits; None for that of the config.

    Raises:
        InputError: When the config describes no classifier.
    """
    config = read_config(folder)
    if num_classes is not None and num_classes != config.num_labels:
        config.num_labels = num_classes
    factory = _find_factory(config, folder)
    with _explained(f"`{folder / CONFIG_FILE}` must describe a classifier"):
        return factory.from_config(config, trust_remote_code=False)


def _find_factory(config: Any, folder: Path) -> Any:
    """The transformers class for what a config describes, by its `architectures`, else by its type."""
    from transformers import AutoModelForImageClassification, AutoModelForSequenceClassification
    from transformers.models.auto import modeling_auto

    names = " ".join(config.architectures or ())
    takes_images = config.model_type in modeling_auto.MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES
    takes_texts = config.model_type in modeling_auto.MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES
    if IMAGES in names or (takes_images and TEXTS not in names):
        return AutoModelForImageClassification
    require(
        takes_texts,
        "the config describes an image or sequence classifier",
        f"model_type={config.model_type} with architectures={config.architectures} in `{folder}`",
        "Choose a model of one of these kinds.",
    )
    return AutoModelForSequenceClassification


def load_folder(folder: Path) -> nn.Module:
    """The classifier with its weights, name by name, in float32 and evaluation mode.

    Raises:
        InputError: When a file is missing or damaged, or weights are missing, unexpected or of another shape:
            what transformers would fill with random numbers, such as the head of a model without one.
    """
    with torch.device("meta"):
        sketch: Any = build_from_config(folder)
    state = read_weights(folder)
    with _explained(f"`{folder}` must hold a classifier"), _quiet():
        # Its class renames the weights of older versions, which copying them by name would not.
        model, report = type(sketch).from_pretrained(
            None,
            config=sketch.config,
            state_dict=state,
            output_loading_info=True,
            ignore_mismatched_sizes=True,
            dtype="float32",
            **LOCAL,
        )
    misshapen = [entry[0] if isinstance(entry, tuple) else entry for entry in report["mismatched_keys"]]
    parts = (
        ("missing", sorted(report["missing_keys"])),
        ("unexpected", sorted(report["unexpected_keys"])),
        ("of another shape", sorted(misshapen)),
    )
    found = "; ".join(f"{len(names)} {what}: {name_some(names)}" for what, names in parts if names)
    require(
        not found,
        f"the folder has all weights of its {type(model).__name__}",
        f"{found} in `{folder}`",
        "Train the model with its classification head first and save it again.",
    )
    return model.eval()


def read_weights(folder: Path) -> dict[str, Tensor]:
    """All weights in a folder, in one file or in several with an index.

    Raises:
        InputError: When there are none, or a file is damaged or holds anything but tensors.
    """
    for name in WEIGHTS_FILES:
        if (folder / name).exists():
            return _read_files(folder, [name])
        index = folder / f"{name}.index.json"
        if index.exists():
            with _explained(f"`{index}` must name the files of the weights"):
                files = sorted({str(file) for file in json.loads(index.read_text())["weight_map"].values()})
            return _read_files(folder, files)
    raise InputError(
        f"`{folder}` must hold {' or '.join(WEIGHTS_FILES)}, but there is neither. Save the model with "
        "save_pretrained."
    )


def _read_files(folder: Path, names: list[str]) -> dict[str, Tensor]:
    state: dict[str, Tensor] = {}
    for name in names:
        path = folder / Path(name).name
        content = read_content(path)
        holds_tensors = isinstance(content, Mapping) and all(isinstance(v, Tensor) for v in content.values())
        require(holds_tensors, "the file holds tensors by name", f"`{path}`", "Save it with save_pretrained.")
        state |= content
    check_finite(state, source=folder)
    return state


def read_tokenizer(folder: Path) -> Any:
    """The tokenizer in a folder; None where there is none.

    Raises:
        InputError: When there are tokenizer files that transformers cannot read, or none of them holds words:
            of a config alone transformers makes a tokenizer that takes every word for an unknown one.
    """
    if not any((folder / name).exists() for name in TOKENIZER_FILES):
        return None
    from transformers import AutoTokenizer

    with _explained(f"`{folder}` must hold a tokenizer of transformers"):
        tokenizer: Any = AutoTokenizer.from_pretrained(folder, **LOCAL)
    require(
        not set(tokenizer.get_vocab()) <= set(tokenizer.all_special_tokens),
        "the tokenizer knows words",
        f"none in `{folder}`",
        "Save it there again with save_pretrained, or copy its tokenizer.json or vocabulary.",
    )
    return tokenizer


def read_preprocessing(folder: Path) -> Preprocessing:
    """What the image processor in a folder does to images; nothing where there is none.

    Sizes are read as one resizing to what the model sees: cropping and other ways of interpolation are left
    out.

    Raises:
        InputError: When the file is damaged.
    """
    path = folder / PROCESSOR_FILE
    if not path.exists():
        return Preprocessing()
    with _explained(f"`{path}` must describe an image processor"):
        settings = json.loads(path.read_text(encoding="utf-8"))
        return Preprocessing(normalization=_read_normalization(settings), input_size=_read_size(settings))


def _read_normalization(settings: Mapping[str, Any]) -> Normalization | None:
    """(x * factor - mean) / std of a byte x, in units of x / 255."""
    unit = FULL_SCALE * float(settings.get("rescale_factor", 1.0 / FULL_SCALE))
    unit = unit if settings.get("do_rescale", True) else FULL_SCALE
    mean, std = settings.get("image_mean"), settings.get("image_std")
    if not settings.get("do_normalize", True) or mean is None or std is None:
        return None
    return Normalization(mean=tuple(value / unit for value in mean), std=tuple(value / unit for value in std))


def _read_size(settings: Mapping[str, Any]) -> tuple[int, int] | None:
    size = settings.get("size") if settings.get("do_resize", True) else None
    if settings.get("do_center_crop") and settings.get("crop_size"):
        size = settings["crop_size"]
    if size is None:
        return None
    if isinstance(size, int):
        return (size, size)
    edge = size.get("shortest_edge")
    return (int(size.get("height", edge)), int(size.get("width", edge)))


@contextlib.contextmanager
def _explained(rule: str) -> Iterator[None]:
    """Turn what transformers raises about a folder into one sentence."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        raise InputError(
            f"{rule}, but it cannot be read ({describe_error(error)}). Code in the folder is never run; "
            "check the folder, or build the model in Python and pass it to `adapt`."
        ) from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without transformers' progress bars and its table of weights, which `load_folder` reports itself."""
    from transformers.utils import logging

    level, had_bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity(CRITICAL)
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if had_bars:
            logging.enable_progress_bar()
