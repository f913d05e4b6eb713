"""Data that a Python object gives sample by sample, such as a `torch.utils.data.Dataset`."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from limbeck.core.errors import InputError, name_type, require
from limbeck.core.memory import default_limit, format_bytes
from limbeck.data.data_set import DataSet, check_finite, make_data_set
from limbeck.data.gathering import Frames, gather_frames
from limbeck.data.hold_out import hold_out
from limbeck.data.images import EncodedImage, decode_image
from limbeck.data.inputs import Inputs, Texts, Tokens, split_inputs
from limbeck.data.labels import number_labels
from limbeck.data.npz import is_channels_last
from limbeck.data.options import ReadOptions
from limbeck.data.samples import Samples

ACCEPTED = "a uint8 or float tensor or array, a Pillow image, a string or a dict of tensors"
UNNAMED = "samples"


class Items(Protocol):
    """Gives (input, label) pairs by index."""

    def __len__(self) -> int:
        """How many."""
        ...

    def __getitem__(self, index: int, /) -> Any:
        """The pair at `index`."""
        ...


@dataclass(frozen=True, kw_only=True)
class Part:
    """One part of the data: what it is called in errors, and its pairs."""

    name: str
    items: Items


def from_dataset(
    train: Any,
    test: Any = None,
    *,
    name: str | None = None,
    class_names: Sequence[str] | None = None,
    memory_limit: int | None = None,
) -> DataSet:
    """The data set in Python objects that give (input, label) pairs.

    An input is a uint8 image (tensor or array, [channels, height, width], arrays also with channels last), a
    float tensor or array, a Pillow image, a string, or a dict of tensors. Floats become float32.

    Args:
        train: A map-style `torch.utils.data.Dataset` or a sequence; anything else is read to its end.
        test: The same for the test; where left out, a fifth of each class is held out, always the same.
        name: What results call it; by default the class of `train`, or ``samples`` for lists and iterators.
        class_names: One per label; by default `train.classes`, else the labels' digits.
        memory_limit: Bytes of images that may lie in memory; by default half of what is available. More
            than that are decoded into a file and come as `StoredImages`.

    Returns:
        A checked data set on the CPU.

    Raises:
        InputError: When a sample is no such pair, has another type or shape than the first, or is not finite.
        RunError: When the images fit neither into memory nor onto the disk.
    """
    parts = [Part(name="training", items=as_items(train))]
    if test is not None:
        parts.append(Part(name="test", items=as_items(test)))
    known = tuple(class_names) if class_names is not None else read_classes(train)
    return collect(
        parts,
        name=name_data(train) if name is None else name,
        class_names=known,
        options=ReadOptions(memory_limit=memory_limit),
    )


def name_data(data: Any) -> str:
    """What data without a name are called: their class, unless it is one of Python's own."""
    kind = type(data)
    return UNNAMED if kind.__module__ == "builtins" else kind.__name__


def collect(
    parts: Sequence[Part], *, name: str, class_names: Sequence[str] = (), options: ReadOptions
) -> DataSet:
    """The data set in the training part and, where there is one, the test part."""
    for part in parts:
        require(
            len(part.items) > 0,
            "a data set gives at least one sample",
            f"0 {part.name} samples of `{name}`",
            "Leave an empty test part out, or choose other data.",
        )
    inputs, raw_labels = gather_items(parts, name=name, options=options)
    num_train = len(parts[0].items)
    label_parts = [raw_labels[:num_train], raw_labels[num_train:]][: len(parts)]
    labels, names = number_labels(label_parts, class_names=class_names)
    train_inputs, test_inputs = split_inputs(inputs, first=num_train)
    train = Samples(inputs=train_inputs, labels=labels[0])
    if len(parts) == 1:
        check_finite(train.inputs, part=parts[0].name)  # before the hold-out, which renumbers them
        return make_data_set(name, *hold_out(train), names)
    return make_data_set(name, train, Samples(inputs=test_inputs, labels=labels[1]), names)


def as_items(data: Any) -> Items:
    """`data` where it has a length and indices, else all it gives, as a list."""
    has_index = hasattr(data, "__len__") and hasattr(data, "__getitem__")
    if has_index and not isinstance(data, Mapping | str):
        return data
    require(
        hasattr(data, "__iter__") and not isinstance(data, Mapping | str),
        "data give (input, label) pairs",
        name_type(data),
        "Pass a torch.utils.data.Dataset or a list of pairs.",
    )
    return list(data)


def read_classes(data: Any) -> tuple[str, ...]:
    """The class names in the attribute `classes`, empty where there is none; of several names the first."""
    classes = getattr(data, "classes", None) or ()
    return tuple(name if isinstance(name, str) else str(next(iter(name))) for name in classes)


def gather_items(
    parts: Sequence[Part], *, name: str, options: ReadOptions
) -> tuple[Inputs, list[int] | list[str]]:
    """The inputs and labels of all parts, one after the other."""
    first, _ = read_pair(parts[0], 0)
    if is_image(first):
        return gather_images(parts, name=name, options=options)
    inputs, labels = [], []
    for part in parts:
        for index in range(len(part.items)):
            value, label = read_pair(part, index)
            inputs.append(as_plain(value, part=part, index=index))
            labels.append(as_label(label, part=part, index=index))
            check_like_first(inputs, part=part, index=index)
            if len(inputs) == 1:
                check_fits(inputs[0], parts, name=name, options=options)
    return join_inputs(inputs), labels


def gather_images(
    parts: Sequence[Part], *, name: str, options: ReadOptions
) -> tuple[Inputs, list[int] | list[str]]:
    """The images of all parts, in memory or in a file, and their labels, which come with them."""
    labels: dict[int, int | str] = {}

    def decode() -> Iterator[np.ndarray]:
        for row, (part, index) in enumerate(rows(parts)):
            value, label = read_pair(part, index)
            labels[row] = as_label(label, part=part, index=index)
            yield as_frame(value, part=part, index=index, image_size=options.image_size)

    first, _ = read_pair(parts[0], 0)
    frames = Frames(
        name=name,
        count=sum(len(part.items) for part in parts),
        read_fn=decode,
        explain_fn=explain_shape(parts, takes_size=isinstance(first, Image.Image)),
        has_mixed_colours=isinstance(first, Image.Image),
    )
    inputs = gather_frames(frames, memory_limit=options.memory_limit)
    return inputs, [labels[row] for row in range(len(labels))]  # pyright: ignore[reportReturnType]


def rows(parts: Sequence[Part]) -> Iterator[tuple[Part, int]]:
    """Every part with every index, in order."""
    for part in parts:
        for index in range(len(part.items)):
            yield part, index


def read_pair(part: Part, index: int) -> tuple[Any, Any]:
    """The input and the label at `index`."""
    pair = part.items[index]
    require(
        isinstance(pair, tuple | list) and len(pair) == 2,
        "a sample is a pair (input, label)",
        f"{describe_value(pair)} at index {index} of the {part.name} part",
        "Wrap the data so that indexing gives such pairs.",
    )
    return pair[0], pair[1]


def is_image(value: Any) -> bool:
    """Whether an input is a Pillow image or uint8 values of two or three axes."""
    if isinstance(value, Image.Image):
        return True
    is_array = isinstance(value, Tensor | np.ndarray)
    return is_array and str(value.dtype).endswith("uint8") and value.ndim in (2, 3)


def as_frame(value: Any, *, part: Part, index: int, image_size: int | None) -> np.ndarray:
    """An image as uint8 [channels, height, width]."""
    if isinstance(value, Image.Image):
        encoded = EncodedImage(content=value, file=Path(part.name), name=f"index {index}")
        return decode_image(encoded, image_size=image_size)
    if not is_image(value):
        raise unlike_first(part, index, "an image", describe_value(value))
    array = value.detach().cpu().numpy() if isinstance(value, Tensor) else value
    if array.ndim == 2:
        return array[None]
    is_last = isinstance(value, np.ndarray) and is_channels_last((1, *array.shape))
    return array.transpose(2, 0, 1) if is_last else array


def as_plain(value: Any, *, part: Part, index: int) -> Any:
    """An input that is no image: a string, float32 of at least one axis, or a dict of tensors."""
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping) and value and all(_is_array(column) for column in value.values()):
        return {str(name): torch.as_tensor(column) for name, column in value.items()}
    is_float = _is_array(value) and torch.as_tensor(value).is_floating_point()
    require(
        is_float,
        f"an input is {ACCEPTED}",
        f"{describe_value(value)} at index {index} of the {part.name} part",
        "Convert it in the data's __getitem__.",
    )
    values = torch.as_tensor(value).detach().cpu().float()
    return values if values.ndim else values[None]


def as_label(label: Any, *, part: Part, index: int) -> int | str:
    """A label as a Python integer or string."""
    if isinstance(label, Tensor | np.ndarray) and label.ndim == 0:
        label = label.item()
    is_number = isinstance(label, int | np.integer) and not isinstance(label, bool)
    require(
        is_number or isinstance(label, str),
        "a label is an integer or a string",
        f"{describe_value(label)} at index {index} of the {part.name} part",
        "Give the number or the name of one class.",
    )
    return str(label) if isinstance(label, str) else int(label)


def check_like_first(inputs: Sequence[Any], *, part: Part, index: int) -> None:
    """Raise `InputError` unless the last input has the type and shape of the first."""
    expected, given = (describe_value(inputs[row]) for row in (0, -1))
    if expected != given:
        raise unlike_first(part, index, expected, given)


def check_fits(first: Any, parts: Sequence[Part], *, name: str, options: ReadOptions) -> None:
    """Raise `InputError` when float inputs as large as `first` do not fit into memory."""
    if not isinstance(first, Tensor):
        return
    limit = default_limit() if options.memory_limit is None else options.memory_limit
    num_bytes = first.numel() * first.element_size() * sum(len(part.items) for part in parts)
    require(
        num_bytes <= limit,
        "float inputs fit into memory",
        f"{format_bytes(num_bytes)} of `{name}` for a limit of {format_bytes(limit)}",
        "Give uint8 images, which are streamed from a file, or raise memory_limit.",
    )


def join_inputs(inputs: Sequence[Any]) -> Inputs:
    """Strings, float tensors or dicts of tensors, one per sample, as one record."""
    first = inputs[0]
    if isinstance(first, str):
        return Texts(strings=tuple(inputs))
    if isinstance(first, Mapping):
        return Tokens(columns={name: torch.stack([value[name] for value in inputs]) for name in first})
    return torch.stack(list(inputs))


def explain_shape(
    parts: Sequence[Part], *, takes_size: bool
) -> Callable[[int, tuple[int, ...], tuple[int, ...]], InputError]:
    """What tells that the image at a row has another shape than the first."""
    sizes = "Choose one size with image_size for a named source, or with a transform for your own data."
    remedy = sizes if takes_size else "Bring all to one shape."

    def explain(row: int, first: tuple[int, ...], other: tuple[int, ...]) -> InputError:
        num_train = len(parts[0].items)
        part, index = (parts[0], row) if row < num_train else (parts[1], row - num_train)
        return unlike_first(part, index, f"shape {first}", f"shape {other}", remedy=remedy)

    return explain


def unlike_first(
    part: Part, index: int, expected: str, given: str, *, remedy: str = "Bring all to one type and shape."
) -> InputError:
    """The error about a sample that is not like the first."""
    return InputError(
        f"`all samples are like the first, {expected}` must hold, but got {given} at index {index} of the "
        f"{part.name} part. {remedy}"
    )


def describe_value(value: Any) -> str:
    """The type and shape of a value, in words."""
    if isinstance(value, Mapping):
        columns = ", ".join(f"{name}: {describe_value(value[name])}" for name in sorted(value))
        return f"a dict of {columns}"
    if _is_array(value):
        return f"{str(value.dtype).removeprefix('torch.')} of shape {tuple(value.shape)}"
    if isinstance(value, tuple | list):
        return f"{name_type(value)} of {len(value)}"
    return name_type(value)


def _is_array(value: Any) -> bool:
    return isinstance(value, Tensor | np.ndarray)
