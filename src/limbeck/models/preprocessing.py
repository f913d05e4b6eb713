"""How a classifier sees inputs: the published normalizations by name, and the size images are brought to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from limbeck.core.errors import InputError, require, require_known
from limbeck.data import Normalization

# imagenet: the transforms of torchvision's pre-trained weights,
# https://docs.pytorch.org/vision/stable/models.html cifar10: mean and std over all pixels of the 50,000
# training images, as in Krizhevsky 2009's data and the code of Jordan 2024, https://arxiv.org/abs/2404.00498.
NORMALIZATIONS: Mapping[str, Normalization] = MappingProxyType(
    {
        "imagenet": Normalization(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)),
        "cifar10": Normalization(mean=(0.4914, 0.4822, 0.4465), std=(0.2470, 0.2435, 0.2616)),
    }
)
NONE = "none"

NormalizationLike = str | tuple[Sequence[float], Sequence[float]] | Normalization
InputSizeLike = str | int | tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """What happens to raw inputs before a model sees them; by default they are only scaled to [0, 1].

    Attributes:
        normalization: Subtracted and divided per channel after scaling uint8 to [0, 1]; None for neither.
        input_size: Height and width in pixels that images are resized to; None for the size they have.

    Raises:
        InputError: When the size is not two positive whole numbers.
    """

    normalization: Normalization | None = None
    input_size: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        size = self.input_size
        require(
            size is None or (len(size) == 2 and min(size) >= 1),
            "input_size is a height and a width, both >= 1",
            f"input_size={size}",
            "Give for example 224,224.",
        )


def resolve_normalization(normalize: NormalizationLike | None) -> Normalization | None:
    """The normalization that a name, a pair (mean, std) or a record stands for; None for `none` and None.

    Raises:
        InputError: When the name is unknown, or mean and std do not fit each other.
    """
    if normalize is None or isinstance(normalize, Normalization):
        return normalize
    if isinstance(normalize, str):
        require_known("normalization", normalize, [*NORMALIZATIONS, NONE])
        return NORMALIZATIONS.get(normalize)
    require(
        len(normalize) == 2,
        "normalize is a name or a pair (mean, std)",
        f"normalize={normalize}",
        "Give for example ((0.5,), (0.25,)).",
    )
    mean, std = normalize
    return Normalization(mean=tuple(map(float, mean)), std=tuple(map(float, std)))


def parse_normalization(words: Sequence[str]) -> NormalizationLike:
    """What the words of ``--normalize`` mean: one name, or MEAN and STD as comma-separated numbers.

    Args:
        words: Such as ``["imagenet"]``, ``["none"]`` or ``["0.49,0.48,0.45", "0.25,0.24,0.26"]``.

    Returns:
        ``"none"``, which unlike None takes a normalization away, or the normalization.

    Raises:
        InputError: When there are other words than these.
    """
    if list(words) == [NONE]:
        return NONE
    if len(words) == 1:
        resolved = resolve_normalization(words[0])
        assert resolved is not None
        return resolved
    require(
        len(words) == 2,
        "--normalize takes one name, or MEAN and STD",
        f"{len(words)} words: {' '.join(words)}",
        "Write for example `--normalize imagenet` or `--normalize 0.5,0.5,0.5/0.25,0.25,0.25`.",
    )
    mean, std = (_parse_numbers(word) for word in words)
    return Normalization(mean=mean, std=std)


def _parse_numbers(word: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in word.split(","))
    except ValueError as error:
        raise InputError(
            f"MEAN and STD must be numbers separated by commas, but got `{word}`. "
            "Write one number per channel without spaces, such as 0.5,0.5,0.5."
        ) from error


def resolve_input_size(input_size: InputSizeLike | None) -> tuple[int, int] | None:
    """Height and width of an image size; one number stands for a square, `none` and None for no resizing.

    Raises:
        InputError: When it is another word than `none`.
    """
    if input_size is None or input_size == NONE:
        return None
    require(
        not isinstance(input_size, str),
        "input_size is a number, a pair (height, width) or the word none",
        f"input_size={input_size!r}",
        "Give for example 224.",
    )
    if isinstance(input_size, int):
        return (input_size, input_size)
    height, width = input_size
    return (int(height), int(width))


def override(
    preprocessing: Preprocessing,
    *,
    normalize: NormalizationLike | None = None,
    input_size: InputSizeLike | None = None,
) -> Preprocessing:
    """`preprocessing` with what is given replaced; None keeps, `none` takes away."""
    return Preprocessing(
        normalization=preprocessing.normalization if normalize is None else resolve_normalization(normalize),
        input_size=preprocessing.input_size if input_size is None else resolve_input_size(input_size),
    )
