"""A classifier from wherever it lies: a limbeck folder, a transformers folder, or a checkpoint file."""

import logging
from pathlib import Path
from typing import Any

from torch import nn

from limbeck.core.errors import InputError, require
from limbeck.models.adapt import OWN_CONFIG, adapt, count_labels
from limbeck.models.architectures import HF, build_for_state, split_reference
from limbeck.models.card import CARD_FILE
from limbeck.models.checkpoints import read_state
from limbeck.models.classifier import Classifier, check_class_names
from limbeck.models.preprocessing import InputSizeLike, NormalizationLike, override
from limbeck.models.saved import load_saved
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
        input_shape: Shape of one sample, (channels, height, width), which the zoo's `mlp` and `cnn` need.
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
    found, num_classes = _load_known(path, arch=arch, module=module, input_shape=input_shape)
    if num_classes is not None:
        check_class_names(class_names, num_logits=num_classes)
    known = adapt(
        found,
        class_names=class_names,
        normalize=normalize,
        input_size=input_size,
        max_length=max_length,
    ).eval()
    if known.preprocessing.normalization is None and normalize is None and path.is_file():
        logger.warning(
            "`%s` says nothing about normalization: images are only scaled to [0, 1] for it. Pass "
            "`normalize`.",
            path,
        )
    return known


def _load_known(
    path: Path, *, arch: str | None, module: nn.Module | None, input_shape: tuple[int, ...] | None
) -> tuple[Classifier, int | None]:
    """The classifier as its files describe it, and its number of classes where that is known by now."""
    if (path / CARD_FILE).exists():
        saved = load_saved(path, arch=arch, module=module, input_shape=input_shape)
        return saved, saved.num_classes
    if (path / CONFIG_FILE).exists() and arch is None and module is None:
        model = load_folder(path)
        return _describe_folder(model, path), count_labels(model)
    if path.is_dir() and not (path / CONFIG_FILE).exists():
        raise InputError(
            f"`{path}` must hold a model, but there is neither `{CARD_FILE}` nor `{CONFIG_FILE}`. Check the "
            "path, or "
            "pass the file with the weights and its `arch`."
        )
    return _load_weights_file(path, arch=arch, module=module, input_shape=input_shape)


def _load_weights_file(
    path: Path, *, arch: str | None, module: nn.Module | None, input_shape: tuple[int, ...] | None
) -> tuple[Classifier, int | None]:
    """Weights without a description, in the architecture the user names."""
    if arch is not None:
        split_reference(arch)
    state = read_weights(path) if path.is_dir() else read_state(path)
    if module is not None:
        load_weights(module, state, source=path)
        return adapt(module), None
    if arch is None:
        raise InputError(
            f"The architecture of `{path}` must be given, because a file of weights does not name it. Pass "
            "`--arch` with a name of the zoo, timm:NAME, torchvision:NAME, hf:FOLDER or "
            "path/to/file.py:function."
        )
    built, num_classes = build_for_state(arch, state, source=path, input_shape=input_shape)
    kind, name = split_reference(arch)
    known = _describe_folder(built, Path(name)) if kind == HF else adapt(built)
    described = Classifier(
        built,
        class_names=known.class_names if num_classes in (None, known.num_classes) else None,
        preprocessing=known.preprocessing,
        arch=known.arch if known.arch == OWN_CONFIG else arch,
        tokenizer=known.tokenizer,
        max_length=known.max_length,
    )
    return described, num_classes


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
