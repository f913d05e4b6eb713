"""An architecture by reference: its name in the zoo or another library, or code that makes it.

========================  ================================================================================
`resnet20`                a name of the zoo
`timm:NAME`               a model of timm
`torchvision:NAME`        a classification model of torchvision
`hf:FOLDER`               what the `config.json` of a transformers folder describes; its code is never run
`path/file.py:function`   a function (or class) of the user's file, called with `num_classes` and
                          `input_shape` where it takes them
========================  ================================================================================
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from limbeck.core.errors import InputError, count, require, require_known, suggest
from limbeck.core.seeds import derive_seed
from limbeck.models import transformers_folder, user_files, weights, zoo
from limbeck.models.libraries import require_library
from limbeck.models.shapes import MLP, SIZED, require_guess

TIMM, TORCHVISION, HF, FILE, ZOO = "timm", "torchvision", "hf", "file", "zoo"
DEFAULT_CHANNELS = 3
# Where the shape is unknown, a network that only needs the number of channels is built for any size.
ANY_IMAGE = (DEFAULT_CHANNELS, 32, 32)
# Classes and channels to try; a parameter whose shape differs between the two depends on the number.
TRIAL_CLASSES = (5, 7)
TRIAL_CHANNELS = (1, 3)
# Without it these warn that their initialisation will change; it is the present one.
TORCHVISION_SETTINGS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {"googlenet": {"init_weights": True}, "inception_v3": {"init_weights": True}}
)


def split_reference(ref: str) -> tuple[str, str]:
    """The kind of an architecture reference and the name within it.

    Raises:
        InputError: When it is none of the known kinds; the nearest name of the zoo is named.
    """
    head, _, tail = ref.partition(":")
    if head in (TIMM, TORCHVISION, HF) and tail:
        return head, tail
    path, _, function = ref.rpartition(":")
    if path.endswith(".py") and function:
        return FILE, ref
    file = ref.removesuffix(":")
    if file.endswith(".py"):
        raise InputError(
            f"`{ref}` must name a function, but it names a file alone. Write `{file}:NAME`, with the "
            "function or class in it that returns the model."
        )
    if ref not in zoo.ARCHITECTURES:
        raise InputError(
            f"Unknown architecture `{ref}`. {suggest(ref, zoo.ARCHITECTURES)} Or write timm:NAME, "
            "torchvision:NAME, hf:FOLDER or path/to/file.py:function."
        )
    return ZOO, ref


def build_architecture(
    ref: str, *, num_classes: int, input_shape: tuple[int, ...] | None = None, seed: int = 0
) -> nn.Module:
    """A freshly initialised model; global random state is left as it was.

    Args:
        ref: See the head of this file.
        num_classes: Number of logits.
        input_shape: Shape of one sample, (channels, height, width) for images; where it is missing, three
            channels.
        seed: Seed of the initial weights.

    Returns:
        The model in training mode on the CPU.

    Raises:
        InputError: When the reference is unknown, its library is missing, or its shape or code does not fit.
    """
    kind, name = split_reference(ref)
    if kind == ZOO:
        return zoo.build(name, input_shape=_zoo_shape(name, input_shape), num_classes=num_classes, seed=seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(seed, "weights", ref))
        return _build(kind, name, num_classes=num_classes, input_shape=input_shape)


def _build(kind: str, name: str, *, num_classes: int, input_shape: tuple[int, ...] | None) -> nn.Module:
    if kind == TIMM:
        return _build_timm(name, num_classes=num_classes, input_shape=input_shape)
    if kind == TORCHVISION:
        return _build_torchvision(name, num_classes=num_classes)
    if kind == HF:
        return transformers_folder.build_from_config(Path(name), num_classes=num_classes)
    path, _, function = name.rpartition(":")
    known = {"num_classes": num_classes, "input_shape": input_shape}
    arguments = {argument: value for argument, value in known.items() if value is not None}
    return user_files.build_from_file(Path(path), function, arguments=arguments)


def _zoo_shape(name: str, input_shape: tuple[int, ...] | None) -> tuple[int, ...]:
    require(
        input_shape is not None or name not in SIZED,
        f"the shape of the inputs is known for {name}",
        "input_shape=None",
        "Pass input_shape=(channels, height, width), or data to take it from.",
    )
    return ANY_IMAGE if input_shape is None else tuple(input_shape)


def _build_timm(name: str, *, num_classes: int, input_shape: tuple[int, ...] | None) -> nn.Module:
    require_library("timm", extra="timm")
    import timm

    architecture, _, tag = name.partition(".")
    if not timm.is_model(architecture):
        require_known("timm model", architecture, timm.list_models())
    if tag:
        require_known("timm model", name, timm.list_pretrained(f"{architecture}.*"))
    channels = DEFAULT_CHANNELS if input_shape is None or len(input_shape) != 3 else input_shape[0]
    settings: dict[str, Any] = {} if channels == DEFAULT_CHANNELS else {"in_chans": channels}
    return timm.create_model(name, pretrained=False, num_classes=num_classes, **settings)


def _build_torchvision(name: str, *, num_classes: int) -> nn.Module:
    import torchvision

    require_known("torchvision model", name, torchvision.models.list_models(module=torchvision.models))
    settings = TORCHVISION_SETTINGS.get(name, {})
    return torchvision.models.get_model(name, weights=None, num_classes=num_classes, **settings)


@dataclass(frozen=True, kw_only=True)
class Built:
    """A model made to hold given weights.

    Attributes:
        module: The model on the CPU, with its weights.
        num_classes: How many it has; None where the architecture fixes its own.
        shape: What it sees of one sample, as its weights say; of other models than `mlp` and `cnn` only the
            number of channels means something. None where the weights do not say.
    """

    module: nn.Module
    num_classes: int | None
    shape: tuple[int, ...] | None


def build_for_state(
    ref: str, state: Mapping[str, Tensor], *, source: object, input_shape: tuple[int, ...] | None = None
) -> Built:
    """The architecture with as many classes and inputs as its weights have, holding them.

    Args:
        ref: See the head of this file.
        state: The weights by name.
        source: What to call them in messages.
        input_shape: Shape of what it sees of one sample, which `mlp` and `cnn` need; where the weights say
            otherwise, they are believed.

    Raises:
        InputError: When the weights do not fit the architecture.
    """
    sketch, head = _find_head(ref, input_shape=input_shape)
    num_classes = _count_classes(ref, state, sketch=sketch, head=head, source=source) if head else None
    shape = _infer_shape(ref, state, input_shape=input_shape, source=source)
    module = build_architecture(ref, num_classes=num_classes or TRIAL_CLASSES[0], input_shape=shape)
    weights.load_weights(module, state, source=source)
    is_known = split_reference(ref)[0] in (ZOO, TIMM)
    return Built(module=module, num_classes=num_classes, shape=shape if is_known else None)


def infer_num_classes(
    ref: str,
    state: Mapping[str, Tensor],
    *,
    input_shape: tuple[int, ...] | None = None,
    source: object = "the checkpoint",
) -> int:
    """How many classes the weights of an architecture have, read where its shapes depend on that number.

    The architecture is built twice without memory for its weights; the parameters whose shapes differ are the
    head.

    Raises:
        InputError: When the head is not among the weights, has another form, or is of a fixed size.
    """
    sketch, head = _find_head(ref, input_shape=input_shape)
    require(
        len(head) > 0,
        f"{ref} can be built for any number of classes",
        "an architecture of fixed size",
        "Accept num_classes in its function.",
    )
    return _count_classes(ref, state, sketch=sketch, head=head, source=source)


def _find_head(
    ref: str, *, input_shape: tuple[int, ...] | None
) -> tuple[dict[str, torch.Size], dict[str, int]]:
    """The shape of every weight, and the axis that counts classes in each that has one."""
    first, second = (_sketch(ref, num_classes=n, input_shape=input_shape) for n in TRIAL_CLASSES)
    return first, _differing(first, second)


def _count_classes(
    ref: str,
    state: Mapping[str, Tensor],
    *,
    sketch: Mapping[str, torch.Size],
    head: Mapping[str, int],
    source: object,
) -> int:
    state = weights.align_names(state, sketch)
    counts = _read_counts(state, sketch, head)
    if not counts:
        known = sum(name in sketch for name in state)
        raise InputError(
            f"`{source}` must hold the weights of `{ref}` with its head (`{next(iter(head))}`), but {known} "
            "of its "
            f"{count(len(state), 'tensor')} belong there; it holds {weights.name_some(state)}. Check `arch`."
        )
    require(
        len(counts) == 1,
        "all heads have the same number of classes",
        f"{sorted(counts)} in `{source}`",
        "Check `arch`.",
    )
    return counts.pop()


def _read_counts(
    state: Mapping[str, Tensor], sketch: Mapping[str, torch.Size], head: Mapping[str, int]
) -> set[int]:
    """The number of classes in each tensor of the head that has as many axes as the architecture's."""
    fitting = {n: axis for n, axis in head.items() if n in state and state[n].ndim == len(sketch[n])}
    return {int(state[name].shape[axis]) for name, axis in fitting.items()}


def _infer_shape(
    ref: str, state: Mapping[str, Tensor], *, input_shape: tuple[int, ...] | None, source: object
) -> tuple[int, ...] | None:
    """`input_shape` with as many channels, and for `mlp` and `cnn` as many values, as the weights take."""
    shape = _infer_channels(ref, state, input_shape=input_shape)
    weight = state.get(SIZED.get(ref, ""))
    if shape is None or weight is None or weight.ndim != 2:
        return shape
    return require_guess(ref, weight.shape[1], shape, source=source)


def _infer_channels(
    ref: str, state: Mapping[str, Tensor], *, input_shape: tuple[int, ...] | None
) -> tuple[int, ...] | None:
    """`input_shape` with as many channels as the weights have: grey images are repeated for a model."""
    if ref == MLP or split_reference(ref)[0] not in (ZOO, TIMM):
        return input_shape
    size = ANY_IMAGE[1:] if input_shape is None or len(input_shape) != 3 else tuple(input_shape[1:])
    sketches = [_sketch(ref, num_classes=TRIAL_CLASSES[0], input_shape=(n, *size)) for n in TRIAL_CHANNELS]
    stem = _differing(*sketches)
    channels = _read_counts(weights.align_names(state, sketches[0]), sketches[0], stem)
    return (channels.pop(), *size) if len(channels) == 1 else input_shape


def _sketch(ref: str, *, num_classes: int, input_shape: tuple[int, ...] | None) -> dict[str, torch.Size]:
    """The shape of every weight of an architecture, without memory for them where it can be had."""
    try:
        with torch.device("meta"):
            module = build_architecture(ref, num_classes=num_classes, input_shape=input_shape)
    except InputError:
        if split_reference(ref)[0] != FILE:
            raise
        module = None
    except (NotImplementedError, RuntimeError, TypeError, ValueError):
        module = None
    # Some code looks at values while it builds, which needs real ones.
    if module is None:
        module = build_architecture(ref, num_classes=num_classes, input_shape=input_shape)
    return {name: tensor.shape for name, tensor in module.state_dict().items()}


def _differing(first: Mapping[str, torch.Size], second: Mapping[str, torch.Size]) -> dict[str, int]:
    """The names whose shapes differ, each with the first axis that does."""
    changed = {name for name in first if name in second and first[name] != second[name]}
    return {
        name: next(axis for axis, size in enumerate(first[name]) if size != second[name][axis])
        for name in sorted(changed)
    }
