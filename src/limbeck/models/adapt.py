"""A model from Python as a classifier, with what timm and transformers know about its inputs.

Libraries are recognised by where a model's class comes from, so none of them is imported here.
"""

import re
from typing import Any

from torch import nn

from limbeck.core.errors import require
from limbeck.data import Normalization
from limbeck.models.classifier import DEFAULT_LENGTH, Classifier
from limbeck.models.preprocessing import InputSizeLike, NormalizationLike, Preprocessing, override

# A transformers model whose config travels with it, beside its weights.
OWN_CONFIG = "hf:."
MEANINGLESS = re.compile(r"LABEL_\d+")


def adapt(
    model: nn.Module,
    *,
    class_names: tuple[str, ...] | None = None,
    normalize: NormalizationLike | None = None,
    input_size: InputSizeLike | None = None,
    tokenizer: Any = None,
    max_length: int | None = None,
) -> Classifier:
    """Any model as a `Classifier`; the model itself is shared, not copied.

    timm models bring mean, std and input size (`pretrained_cfg`), transformers models their image size and
    class names. Of other models nothing is known: images are scaled to [0, 1] and no more unless you say so.

    Args:
        model: A module that returns logits; a `Classifier` comes back as it is, or with what is given
            replaced.
        class_names: Name of each logit, in order.
        normalize: A name, a pair (mean, std) or a record; `none` takes the model's own away.
        input_size: What images are resized to, one number or (height, width) in pixels; `none` for no
            resizing.
        tokenizer: A transformers tokenizer, for text.
        max_length: Tokens after which a text is cut; where it is not given 128, or as many as the model has
            positions.

    Raises:
        InputError: When a setting is wrong or does not fit the model.
    """
    given = (class_names, normalize, input_size, tokenizer, max_length)
    if isinstance(model, Classifier) and all(value is None for value in given):
        return model
    known = model if isinstance(model, Classifier) else _recognise(model)
    length = known.max_length if max_length is None else max_length
    has_text = tokenizer is not None or known.tokenizer is not None
    check_length(known.module, length if has_text else None)
    return Classifier(
        known.module,
        class_names=known.class_names if class_names is None else tuple(class_names),
        preprocessing=override(known.preprocessing, normalize=normalize, input_size=input_size),
        arch=known.arch,
        tokenizer=known.tokenizer if tokenizer is None else tokenizer,
        max_length=length,
    ).train(model.training)


def _recognise(model: nn.Module) -> Classifier:
    """A model with what its library says about it."""
    if comes_from(model, "timm"):
        return _adapt_timm(model)
    if comes_from(model, "transformers"):
        return Classifier(
            model,
            class_names=read_labels(model),
            preprocessing=Preprocessing(input_size=read_image_size(model)),
            arch=OWN_CONFIG if _top_package(type(model)) == "transformers" else None,
            max_length=min(DEFAULT_LENGTH, count_positions(model) or DEFAULT_LENGTH),
        )
    return Classifier(model)


def comes_from(model: nn.Module, library: str) -> bool:
    """Whether a model's class, or one it inherits from, is a library's."""
    return any(_top_package(kind) == library for kind in type(model).__mro__)


def _top_package(kind: type) -> str:
    return kind.__module__.partition(".")[0]


def _adapt_timm(model: nn.Module) -> Classifier:
    """A timm model as its `pretrained_cfg` describes it, made with the usual settings or not."""
    settings: Any = getattr(model, "pretrained_cfg", None) or {}
    mean, std = settings.get("mean"), settings.get("std")
    name = settings.get("architecture")
    return Classifier(
        model,
        preprocessing=Preprocessing(
            normalization=Normalization(mean=tuple(mean), std=tuple(std)) if mean and std else None,
            input_size=tuple(settings["input_size"][-2:]) if settings.get("input_size") else None,
        ),
        arch=f"timm:{name}" if name else None,
    )


def read_labels(model: nn.Module) -> tuple[str, ...] | None:
    """The class names in a transformers config, unless they are its stand-ins LABEL_0, LABEL_1 and so on."""
    config: Any = getattr(model, "config", None)
    labels = getattr(config, "id2label", None) or {}
    names = tuple(str(labels[number]) for number in sorted(labels))
    return None if all(MEANINGLESS.fullmatch(name) for name in names) else names


def count_labels(model: nn.Module) -> int | None:
    """How many classes a transformers config has; None where there is no config."""
    return getattr(getattr(model, "config", None), "num_labels", None)


def read_image_size(model: nn.Module) -> tuple[int, int] | None:
    """Height and width in pixels that a transformers config names; None where it names none."""
    size = getattr(getattr(model, "config", None), "image_size", None)
    if size is None:
        return None
    return (size, size) if isinstance(size, int) else (int(size[0]), int(size[1]))


def check_length(module: nn.Module, max_length: int | None) -> None:
    """Raise `InputError` where texts may be longer than a transformers model has positions for."""
    positions = count_positions(module)
    require(
        max_length is None or positions is None or max_length <= positions,
        "max_length <= the positions of the model",
        f"max_length={max_length} with {positions} positions",
        "Cut texts earlier.",
    )


def count_positions(module: nn.Module) -> int | None:
    """How many tokens a transformers config has positions for; None where it does not say."""
    positions = getattr(getattr(module, "config", None), "max_position_embeddings", None)
    return positions if isinstance(positions, int) and positions > 0 else None
