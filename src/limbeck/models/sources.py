"""A classifier from wherever it lies: a limbeck folder, a transformers folder, or a checkpoint file."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from limbeck.core.errors import InputError, require
from limbeck.models.adapt import OWN_CONFIG, adapt, count_labels
from limbeck.models.architectures import HF, build_for_state, split_reference
from limbeck.models.card import CARD_FILE
from limbeck.models.checkpoints import read_state
from limbeck.models.classifier import Classifier, check_class_names
from limbeck.models.preprocessing import InputSizeLike, NormalizationLike, Preprocessing, override
from limbeck.models.saved import load_saved
from limbeck.models.shapes import check_shape, seen_shape
from limbeck.models.tokenizers import count_embeddings
from limbeck.models.transformers_folder import (
    CONFIG_FILE,
    load_folder,
    read_preprocessing,
    read_tokenizer,
    read_weights,
)
from limbeck.models.weights import load_weights

logger = logging.getLogger("limbeck")

# Embeddings are padded to round numbers by a few per cent at most; a vocabulary cut off lacks more.
LEAST_COVERED = 0.9


@dataclass(frozen=True, kw_only=True)
class Known:
    """A classifier as its files describe it.

    Attributes:
        classifier: The classifier.
        num_classes: How many classes it has, where that is known by now.
        trained: What it saw of one sample in training, where that is known (see `Built`).
    """

    classifier: Classifier
    num_classes: int | None = None
    trained: tuple[int, ...] | None = None


def load_classifier(
    source: str | Path,
    *,
    arch: str | None = None,
    module: nn.Module | None = None,
    normalize: NormalizationLike | None = None,
    input_size: InputSizeLike | None = None,
    class_names: tuple[str, ...] | None = None,
    input_shape: tuple[int, ...] | None = None,
    max_length: int | None = None,
) -> Classifier:
    """A trained classifier in evaluation mode on the CPU. What is given wins over what its files say.

    Args:
        source: A folder with `card.json`, a folder with transformers' `config.json`, a .safetensors file or a
            PyTorch checkpoint.
        arch: How to build it (see `build_architecture`); needed for files, and for cards that name code.
        module: The model to load the weights into, instead of `arch`.
        normalize: See `adapt`.
        input_size: See `adapt`.
        class_names: Name of each logit, in order.
        input_shape: Shape of one sample of the data, (channels, height, width), which files of the zoo's
            `mlp` and `cnn` need; theirs is compared with it.
        max_length: Tokens after which a text is cut.

    Raises:
        InputError: When something is missing, damaged, or does not fit the rest.
    """
    path = Path(source)
    require(path.exists(), "the model exists", f"`{path}`", "Check the path.")
    require(
        arch is None or module is None,
        "arch or module is given",
        "both",
        "Pass the one that fits the weights.",
    )
    given = override(Preprocessing(), normalize=normalize, input_size=input_size)
    found = _load_known(path, arch=arch, module=module, given=given, input_shape=input_shape)
    if found.num_classes is not None:
        check_class_names(class_names, num_logits=found.num_classes)
    known = adapt(
        found.classifier,
        class_names=class_names,
        normalize=normalize,
        input_size=input_size,
        max_length=max_length,
    ).eval()
    if found.trained is not None and known.arch is not None:
        check_shape(
            found.trained,
            arch=known.arch,
            input_shape=input_shape,
            preprocessing=known.preprocessing,
            source=path,
        )
    if known.preprocessing.normalization is None and normalize is None and path.is_file():
        logger.warning(
            "`%s` says nothing about normalization: images are only scaled to [0, 1] for it. Pass "
            "`normalize`.",
            path,
        )
    return known


def _load_known(
    path: Path,
    *,
    arch: str | None,
    module: nn.Module | None,
    given: Preprocessing,
    input_shape: tuple[int, ...] | None,
) -> Known:
    """The classifier as its files describe it; bare weights are built for inputs prepared as `given`."""
    if (path / CARD_FILE).exists():
        saved, trained = load_saved(path, arch=arch, module=module, input_shape=input_shape)
        return Known(classifier=saved, num_classes=saved.num_classes, trained=trained)
    if (path / CONFIG_FILE).exists() and arch is None and module is None:
        model = load_folder(path)
        return Known(classifier=_describe_folder(model, path), num_classes=count_labels(model))
    if path.is_dir() and not (path / CONFIG_FILE).exists():
        raise InputError(
            f"`{path}` must hold a model, but there is neither `{CARD_FILE}` nor `{CONFIG_FILE}`. Check the "
            "path, or "
            "pass the file with the weights and its `arch`."
        )
    return _load_weights_file(path, arch=arch, module=module, input_shape=seen_shape(input_shape, given))


def _load_weights_file(
    path: Path, *, arch: str | None, module: nn.Module | None, input_shape: tuple[int, ...] | None
) -> Known:
    """Weights without a description, in the architecture the user names."""
    if arch is not None:
        split_reference(arch)
    state = read_weights(path) if path.is_dir() else read_state(path)
    if module is not None:
        load_weights(module, state, source=path)
        return Known(classifier=adapt(module))
    if arch is None:
        raise InputError(
            f"The architecture of `{path}` must be given, because a file of weights does not name it. Pass "
            "`--arch` with a name of the zoo, timm:NAME, torchvision:NAME, hf:FOLDER or "
            "path/to/file.py:function."
        )
    built = build_for_state(arch, state, source=path, input_shape=input_shape)
    kind, name = split_reference(arch)
    known = _describe_folder(built.module, Path(name)) if kind == HF else adapt(built.module)
    described = Classifier(
        built.module,
        class_names=known.class_names if built.num_classes in (None, known.num_classes) else None,
        preprocessing=known.preprocessing,
        arch=known.arch if known.arch == OWN_CONFIG else arch,
        tokenizer=known.tokenizer,
        max_length=known.max_length,
    )
    return Known(classifier=described, num_classes=built.num_classes, trained=built.shape)


def _describe_folder(model: nn.Module, folder: Path) -> Classifier:
    """A transformers model as its folder describes its inputs."""
    settings = read_preprocessing(folder)
    known = adapt(model)
    tokenizer = read_tokenizer(folder)
    _warn_of_missing_tokens(tokenizer, model, folder)
    return Classifier(
        model,
        class_names=known.class_names,
        preprocessing=override(
            known.preprocessing, normalize=settings.normalization, input_size=settings.input_size
        ),
        arch=known.arch,
        tokenizer=tokenizer,
        max_length=known.max_length,
    )


def _warn_of_missing_tokens(tokenizer: Any, model: nn.Module, folder: Path) -> None:
    num_embeddings = count_embeddings(model)
    if tokenizer is None or num_embeddings is None or len(tokenizer) >= LEAST_COVERED * num_embeddings:
        return
    logger.warning(
        "The tokenizer in `%s` knows %d tokens, and the model %d: words it lacks are read as unknown. Check "
        "that its files are whole.",
        folder,
        len(tokenizer),
        num_embeddings,
    )
