"""Encoded images (PNG, JPEG, ...) decoded into one uint8 tensor."""

import io
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from limbeck.core.errors import describe_error
from limbeck.data.damage import damaged

# Only formats that Pillow decodes itself; others start foreign programs.
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
KIND = "a source of images that can be decoded"
DECODE_ERRORS = (OSError, ValueError, SyntaxError, Image.DecompressionBombError)


def decode_images(encoded: Sequence[bytes | None], *, source: Path) -> Tensor:
    """Every image, uint8 [n, channels, height, width]: 1 channel where all are grey, else 3.

    One thread decodes them: two took as long at 224 x 224 pixels and twice as long at 32 x 32.

    Args:
        encoded: The bytes of at least one image file each.
        source: The file or folder they come from, for errors.

    Raises:
        InputError: When an image is missing, damaged, deeper than 8 bits, or of another size than the others.
    """
    images = [decode_image(content, row=row, source=source) for row, content in enumerate(encoded)]
    check_one_size(images, source=source)
    if any(image.ndim == 3 for image in images):
        images = [image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2) for image in images]
        return torch.from_numpy(np.ascontiguousarray(np.stack(images).transpose(0, 3, 1, 2)))
    return torch.from_numpy(np.stack(images)[:, None])


def decode_image(content: bytes | None, *, row: int, source: Path) -> np.ndarray:
    """One image, uint8: [height, width] where it is grey, else [height, width, 3] without transparency."""
    if not content:
        raise damaged(source, KIND, f"row {row} holds no image bytes")
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            is_deep = image.mode.startswith(("I", "F"))
            values = None if is_deep else np.array(without_palette(image))
    except DECODE_ERRORS as error:
        raise damaged(source, KIND, f"the image of row {row} is damaged ({describe_error(error)})") from error
    if values is None:
        raise damaged(source, KIND, f"the image of row {row} has more than 8 bits per value")
    return values


def without_palette(image: Image.Image) -> Image.Image:
    """`image` in mode ``L`` where it is grey or black and white, else in mode ``RGB``."""
    if image.mode in ("L", "1"):
        return image.convert("L")
    # Pillow wants a palette's transparency spelled out before it is dropped.
    opaque = image.convert("RGBA") if "transparency" in image.info else image
    return opaque.convert("RGB")


def check_one_size(images: Sequence[np.ndarray], *, source: Path) -> None:
    """Raise `InputError` with the sizes unless all images have one."""
    sizes = Counter(image.shape[:2] for image in images)
    if len(sizes) == 1:
        return
    common = [f"{height}x{width} ({count} images)" for (height, width), count in sizes.most_common(4)]
    more = f" and {len(sizes) - 4} more" if len(sizes) > 4 else ""
    raise damaged(source, "images of one height and width", f"they are {', '.join(common)}{more}")
