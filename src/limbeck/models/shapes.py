"""The shape of what a model of the zoo was trained on, and whether data have it.

`mlp` and `cnn` are built for one shape, so that data of another would look like wrong weights.
"""

import math
from collections.abc import Iterator, Mapping
from types import MappingProxyType

from limbeck.core.errors import InputError, count, require
from limbeck.models.preprocessing import Preprocessing
from limbeck.models.zoo import count_features

Shape = tuple[int, ...]

MLP, CNN = "mlp", "cnn"
# The weight of each whose columns are the values of one sample, for `cnn` after its convolutions.
SIZED: Mapping[str, str] = MappingProxyType({MLP: "1.weight", CNN: "5.weight"})
USUAL_CHANNELS = (1, 3)


def seen_shape(input_shape: Shape | None, preprocessing: Preprocessing) -> Shape | None:
    """What a model sees of a sample: resized, and a grey image repeated for each mean.

    Args:
        input_shape: Shape of the sample, (channels, height, width) for images; None where it is unknown.
        preprocessing: What happens to it first.

    Returns:
        None where `input_shape` is needed and unknown.
    """
    if input_shape is not None and len(input_shape) != 3:
        return input_shape
    means = preprocessing.normalization.mean if preprocessing.normalization else ()
    channels = len(means) or (input_shape[0] if input_shape else None)
    size = preprocessing.input_size or (input_shape[1:] if input_shape else None)
    return None if channels is None or size is None else (channels, *size)


def guess_shape(arch: str, columns: int, shape: Shape) -> Shape | None:
    """The shape an `mlp` or a `cnn` was trained on: `shape` where that fits, else the likeliest that does.

    Args:
        arch: `mlp` or `cnn`.
        columns: Of the weight in `SIZED`.
        shape: What it would see of the data.

    Returns:
        None where neither `shape`, nor its size with 1 or 3 channels, nor a square fits.
    """
    if len(shape) != 3:
        return shape if math.prod(shape) == columns else (columns,)
    return next(
        (guess for guess in _list_guesses(arch, columns, shape) if _count(arch, guess) == columns), None
    )


def _list_guesses(arch: str, columns: int, shape: Shape) -> Iterator[Shape]:
    yield shape
    if arch == CNN:  # its channels are known from its first convolution
        yield (shape[0], *[4 * math.isqrt(columns // 32)] * 2)
        return
    yield from ((channels, *shape[1:]) for channels in USUAL_CHANNELS)
    for channels in (shape[0], *USUAL_CHANNELS):
        yield (channels, *[math.isqrt(columns // channels)] * 2)


def _count(arch: str, shape: Shape) -> int:
    """The columns of the weight in `SIZED` for a shape."""
    return count_features(*shape[1:]) if arch == CNN else math.prod(shape)


def require_guess(arch: str, columns: int, shape: Shape, *, source: object) -> Shape:
    """What `guess_shape` gives.

    Raises:
        InputError: When nothing fits.
    """
    guess = guess_shape(arch, columns, shape)
    if guess is None:
        raise InputError(
            f"`{source}` must be asked about what it was trained on, but its `{SIZED[arch]}` takes {columns} "
            f"values, and data of {show_shape(shape)} give it {_count(arch, shape)}. Pass `--input-size` "
            "with the size it was trained on (`input_size` in Python), or bring the images to that size."
        )
    return guess


def check_shape(
    trained: Shape, *, arch: str, input_shape: Shape | None, preprocessing: Preprocessing, source: object
) -> None:
    """Raise `InputError` unless the data, or the normalization, are such as a model was trained on.

    Args:
        trained: What the model saw of a sample; of others than `mlp` and `cnn` the channels alone count.
        arch: Architecture reference.
        input_shape: Shape of one sample of the data; None where there are none.
        preprocessing: What happens to it first.
        source: What to call the model.
    """
    if arch not in SIZED or input_shape is None:
        check_means(trained, preprocessing, source=source)
        return
    # Where both the data and the normalization are coloured, the data are the cause.
    if not _has_other_colours(trained, input_shape):
        check_means(trained, preprocessing, source=source)
    if not _fits(trained, arch=arch, input_shape=input_shape, preprocessing=preprocessing):
        raise _unlike_trained(trained, input_shape, preprocessing, source=source)


def _has_other_colours(trained: Shape, input_shape: Shape) -> bool:
    """Whether images have channels that no normalization brings to those of the training."""
    return len(input_shape) == len(trained) == 3 and input_shape[0] not in (1, trained[0])


def _fits(trained: Shape, *, arch: str, input_shape: Shape, preprocessing: Preprocessing) -> bool:
    """Whether a model sees what it saw in training; an `mlp` flattens what is no image."""
    seen = seen_shape(input_shape, preprocessing)
    if seen is None or _has_other_colours(trained, input_shape):
        return False
    is_flattened = arch == MLP and len(seen) != len(trained)
    return math.prod(seen) == math.prod(trained) if is_flattened else seen == trained


def check_means(trained: Shape, preprocessing: Preprocessing, *, source: object) -> None:
    """Raise `InputError` unless a normalization has as many means as a model has channels."""
    normalization = preprocessing.normalization
    if normalization is None or len(trained) != 3:
        return
    require(
        len(normalization.mean) == trained[0],
        "a normalization has one mean per channel",
        f"{count(len(normalization.mean), 'mean')} for `{source}`, whose first weights take "
        f"{count(trained[0], 'channel')}",
        f"Pass `--normalize` (`normalize` in Python) with {count(trained[0], 'mean')}, or `none`.",
    )


def _unlike_trained(
    trained: Shape, input_shape: Shape, preprocessing: Preprocessing, *, source: object
) -> InputError:
    size = preprocessing.input_size
    resized = f", resized to {show_shape(size)}" if size and len(input_shape) == 3 else ""
    advice = _advise(trained, input_shape, preprocessing)
    return InputError(
        f"`{source}` was trained on {show_shape(trained)}, but the data are {show_shape(input_shape)}"
        f"{resized}. {advice}"
    )


def _advise(trained: Shape, input_shape: Shape, preprocessing: Preprocessing) -> str:
    """How data come to the channels and the size of the training."""
    seen = seen_shape(input_shape, preprocessing)
    if seen is None or len(seen) != 3 or len(trained) != 3:
        return "Bring the data to that shape."
    advice = []
    if input_shape[0] not in (1, trained[0]):
        advice.append(f"Bring the images to {count(trained[0], 'channel')}.")
    elif seen[0] != trained[0]:
        advice.append(f"Pass a normalization with {trained[0]} means, with which grey images are repeated.")
    if seen[1:] != trained[1:]:
        height, width = trained[1:]
        word, number = (
            (f"{height}", f"{height}") if height == width else (f"{height},{width}", f"{trained[1:]}")
        )
        advice.append(
            f"Pass `--input-size {word}` (`input_size={number}` in Python), or bring the images to "
            f"{show_shape(trained[1:])}."
        )
    return " ".join(advice)


def show_shape(shape: Shape) -> str:
    """A shape in words: ``1x8x8``."""
    return "x".join(map(str, shape))
