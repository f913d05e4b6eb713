"""Encoded images (PNG, JPEG, ...) decoded one by one into uint8 arrays."""

import io
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from PIL import Image

from limbeck.core.errors import InputError, describe_error
from limbeck.data.damage import damaged

# Only formats that Pillow decodes itself; others start foreign programs.
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM")
KIND = "a source of images that can be decoded"
DECODE_ERRORS = (OSError, ValueError, SyntaxError, Image.DecompressionBombError)
# How much larger than wanted an image stays before the last, smooth step; see Pillow's `reducing_gap`.
REDUCING_GAP = 2.0
# How many images are opened to list the sizes for an error.
MOST_LISTED = 1_000


@dataclass(frozen=True, kw_only=True)
class EncodedImage:
    """One image as it is stored.

    Attributes:
        content: The bytes of an image file, the path of one, or an open image; None where it is missing.
        file: The file it comes from, for errors.
        name: What it is called in that file, such as ``row 3``, for errors.
    """

    content: bytes | Path | Image.Image | None
    file: Path
    name: str


def decode_image(encoded: EncodedImage, *, image_size: int | None = None) -> np.ndarray:
    """One image, uint8 [channels, height, width]: 1 channel where it is grey, else 3 without transparency.

    One thread decodes: two took as long at 224 x 224 pixels and twice as long at 32 x 32.

    Args:
        encoded: The stored image.
        image_size: Where given, the shorter side is resized to it and the middle is cut out.

    Raises:
        InputError: When the image is missing, damaged, or deeper than 8 bits.
    """
    if not encoded.content:
        raise damaged(encoded.file, KIND, f"{encoded.name} holds no image bytes")
    try:
        with open_image(encoded.content) as image:
            is_deep = image.mode.startswith(("I", "F"))
            values = None if is_deep else np.array(fit_size(image, image_size))
    except DECODE_ERRORS as error:
        reason = f"the image of {encoded.name} is damaged ({describe_error(error)})"
        raise damaged(encoded.file, KIND, reason) from error
    if values is None:
        raise damaged(encoded.file, KIND, f"the image of {encoded.name} has more than 8 bits per value")
    return values[None] if values.ndim == 2 else np.ascontiguousarray(values.transpose(2, 0, 1))


def open_image(content: bytes | Path | Image.Image) -> Image.Image:
    """The image, whose pixels are not decoded yet where it comes from a file."""
    if isinstance(content, Image.Image):
        return content.copy()
    return Image.open(io.BytesIO(content) if isinstance(content, bytes) else content, formats=FORMATS)


def fit_size(image: Image.Image, image_size: int | None) -> Image.Image:
    """`image` without palette, its shorter side resized to `image_size` and its middle cut out.

    A JPEG image is decoded at a smaller scale where that suffices, which is several times faster.
    """
    if image_size is None:
        return without_palette(image)
    shorter = min(image.size)
    width, height = (max(image_size, round(side * image_size / shorter)) for side in image.size)
    image.draft(None, (round(width * REDUCING_GAP), round(height * REDUCING_GAP)))
    resized = without_palette(image).resize(
        (width, height), Image.Resampling.BILINEAR, reducing_gap=REDUCING_GAP
    )
    left, top = (width - image_size) // 2, (height - image_size) // 2
    return resized.crop((left, top, left + image_size, top + image_size))


def without_palette(image: Image.Image) -> Image.Image:
    """`image` in mode ``L`` where it is grey or black and white, else in mode ``RGB``."""
    if image.mode in ("L", "1"):
        return image.convert("L")
    # Pillow wants a palette's transparency spelled out before it is dropped.
    opaque = image.convert("RGBA") if "transparency" in image.info else image
    return opaque.convert("RGB")


def explain_sizes(images: Iterable[EncodedImage], *, num_equal: int, source: Path) -> InputError:
    """The error that lists the sizes of images, of which the first `num_equal` have one.

    Only headers are read, and no more than `MOST_LISTED` of them.
    """
    remaining = iter(images)
    first = next(remaining)
    sizes = Counter({_size_of(first): num_equal})
    sizes.update(map(_size_of, islice(remaining, num_equal - 1, num_equal - 1 + MOST_LISTED)))
    common = [f"{height}x{width} ({count} images)" for (height, width), count in sizes.most_common(4)]
    more = f" and {len(sizes) - 4} more" if len(sizes) > 4 else ""
    return InputError(
        f"`{source}` must be images of one height and width, but they are {', '.join(common)}{more}. "
        "Choose one size with image_size (`--image-size 64`): the shorter side is resized to it and the "
        "middle is cut out."
    )


def _size_of(encoded: EncodedImage) -> tuple[int, int]:
    """(height, width), (0, 0) where the image cannot be opened."""
    try:
        with open_image(encoded.content or b"") as image:
            width, height = image.size
    except DECODE_ERRORS:
        return 0, 0
    return height, width
