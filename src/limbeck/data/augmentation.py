"""Augmentation: whole batches of images, changed at random in a way that can be replayed.

What happens to an image depends on its sample id, the epoch and the seed alone: not on its batch, on the
device, on the order of calls or on any global state.

References:
    The counter-based hash is splitmix64: Steele, Lea and Flood 2014, "Fast splittable pseudorandom number
    generators", https://doi.org/10.1145/2660193.2660195, figure 17, with the constants of
    https://prng.di.unimi.it/splitmix64.c.
    The recipe (flip, pad and crop): He et al. 2016, https://arxiv.org/abs/1512.03385, section 4.2.
"""

from dataclasses import dataclass
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from limbeck.core.errors import require, require_known
from limbeck.core.seeds import derive_seed

Augmentation = Literal["none", "flip", "crop", "crop-flip"]
AUGMENTATIONS: tuple[Augmentation, ...] = get_args(Augmentation)

# Of a number of 64 bits, the upper 31 say how far down an image is cut, the lower 31 how far right, and one
# between them whether it is flipped.
FIELD_BITS = 31
FIELD_MASK = 2**FIELD_BITS - 1


@dataclass(frozen=True, kw_only=True, eq=False)
class Draws:
    """What happens to each image of a batch.

    Attributes:
        top: int64 [b], the row of the padded image where the cut begins, in [0, 2 * padding of the height].
        left: int64 [b], its column, in [0, 2 * padding of the width].
        is_flipped: bool [b], whether left and right change places after the cut.
    """

    top: Tensor
    left: Tensor
    is_flipped: Tensor


def augment(images: Tensor, ids: Tensor, *, augmentation: Augmentation, epoch: int, seed: int) -> Tensor:
    """The images as they are in an epoch.

    A flip is left-right, with probability 1/2. A crop adds `pad_size` zeros on each side and cuts back to the
    size at a random place. Both are integer arithmetic and copying, so every device gives the same bits; none
    is asked for an answer. Law: an image comes out the same in any batch, and ``crop-flip`` is ``crop``, then
    ``flip``.

    Args:
        images: uint8 or float32 [b, channels, height, width].
        ids: int64 [b] on the same device, the sample id of each image.
        augmentation: ``none`` gives `images` themselves.
        epoch: Another epoch changes each image in another way.
        seed: Named by the epoch, seeds the hash.

    Returns:
        The same shape and type; channels-last in memory when `images` are.

    Raises:
        InputError: When the augmentation is unknown, or the inputs are not images with one id each.
    """
    require_known("augmentation", augmentation, AUGMENTATIONS)
    if augmentation == "none":
        return images
    check_images(tuple(images.shape), augmentation=augmentation)
    require(
        tuple(ids.shape) == (len(images),) and ids.dtype == torch.int64,
        "there is one int64 id per image",
        f"{len(images)} images and ids of shape {tuple(ids.shape)} and {ids.dtype}",
        "Pass the sample ids of this batch.",
    )
    draws = draw_changes(ids, height=images.shape[2], width=images.shape[3], epoch=epoch, seed=seed)
    if "crop" in augmentation:
        images = _crop(images, draws)
    return _flip(images, draws) if "flip" in augmentation else images


def check_images(shape: tuple[int, ...], *, augmentation: Augmentation) -> None:
    """Raise `InputError` unless inputs of this shape can be augmented so."""
    require(
        augmentation == "none" or len(shape) == 4,
        "augmented inputs are images [n, channels, height, width]",
        f"augmentation={augmentation} for shape={shape}",
        "Use the augmentation `none`.",
    )


def draw_changes(ids: Tensor, *, height: int, width: int, epoch: int, seed: int) -> Draws:
    """What happens in an epoch to the images of these ids; their size decides how far they can move.

    Every offset is equally likely, to within the number of offsets divided by 2**31.

    Args:
        ids: int64 [b].
        height: In pixels.
        width: In pixels.
        epoch: See `augment`.
        seed: See `augment`.
    """
    bits = splitmix64(derive_seed(seed, "augmentation", epoch), ids)
    upper, lower = _shift_right(bits, 64 - FIELD_BITS), bits & FIELD_MASK
    return Draws(
        top=upper * (2 * pad_size(height) + 1) >> FIELD_BITS,
        left=lower * (2 * pad_size(width) + 1) >> FIELD_BITS,
        is_flipped=(bits >> 32 & 1).bool(),
    )


def pad_size(size: int) -> int:
    """The zeros a crop adds on each side of a height or width: an eighth, 4 for 32 and 3 for 28."""
    return max(1, size // 8)


def _as_signed(number: int) -> int:
    """The int64 with the bits of an unsigned number."""
    return number - 2**64 if number >= 2**63 else number


GAMMA, FIRST_FACTOR, SECOND_FACTOR = map(
    _as_signed, (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
)


def splitmix64(start: int, ids: Tensor) -> Tensor:
    """For each id the number that splitmix64, started at `start`, gives after `id` others.

    Args:
        start: In [0, 2**63).
        ids: int64, any shape.

    Returns:
        int64 of the same shape, all 64 bits random.
    """
    bits = (ids + 1) * GAMMA + start
    bits = (bits ^ _shift_right(bits, 30)) * FIRST_FACTOR
    bits = (bits ^ _shift_right(bits, 27)) * SECOND_FACTOR
    return bits ^ _shift_right(bits, 31)


def _shift_right(bits: Tensor, places: int) -> Tensor:
    """The shift of unsigned numbers, which fills with zeros."""
    return bits >> places & (2 ** (64 - places) - 1)


def _crop(images: Tensor, draws: Draws) -> Tensor:
    """Every place a crop can be cut at is a view of the padded batch: one gather copies those drawn."""
    height, width = images.shape[2:]
    rows, columns = pad_size(height), pad_size(width)
    padded = F.pad(images, (columns, columns, rows, rows))
    places = padded.unfold(2, height, 1).unfold(3, width, 1)
    drawn = (torch.arange(len(images), device=images.device), draws.top, draws.left)
    if is_channels_last(images):
        return places.permute(0, 2, 3, 4, 5, 1)[drawn].permute(0, 3, 1, 2)
    return places.permute(0, 2, 3, 1, 4, 5)[drawn]


def _flip(images: Tensor, draws: Draws) -> Tensor:
    if is_channels_last(images):
        return _flip_some(images.permute(0, 2, 3, 1), draws, width_axis=2).permute(0, 3, 1, 2)
    return _flip_some(images, draws, width_axis=3)


def _flip_some(images: Tensor, draws: Draws, *, width_axis: int) -> Tensor:
    """Whole images copied out of both versions, for uint8 on a CPU four times as fast as `torch.where`."""
    both = torch.cat([images, images.flip(width_axis)])
    numbers = torch.arange(len(images), device=images.device)
    return both.index_select(0, numbers + len(images) * draws.is_flipped)


def is_channels_last(images: Tensor) -> bool:
    """Whether the channels of a pixel, and not the pixels of a channel, are neighbours in memory."""
    return images.is_contiguous(memory_format=torch.channels_last) and not images.is_contiguous()
