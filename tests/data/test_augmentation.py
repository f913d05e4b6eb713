"""Augmentation against a plain loop over samples, its hash against the published one, and its laws."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2_contingency, chisquare

from limbeck.core.errors import InputError
from limbeck.core.seeds import derive_seed
from limbeck.data import AUGMENTATIONS, augment
from limbeck.data.augmentation import draw_changes, pad_size, splitmix64

CHANGING = ["flip", "crop", "crop-flip"]
MANY = 20_000
MASK = 2**64 - 1


def make_images(num_images, channels, height, width, dtype=torch.uint8):
    values = np.random.default_rng(0).integers(1, 256, (num_images, channels, height, width))
    return torch.from_numpy(values).to(dtype)


def plain_splitmix64(start, steps):
    """The published C code, one number after the other, in Python's integers."""
    numbers, state = [], start
    for _ in range(steps):
        state = (state + 0x9E3779B97F4A7C15) & MASK
        bits = state
        bits = ((bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        bits = ((bits ^ (bits >> 27)) * 0x94D049BB133111EB) & MASK
        numbers.append(bits ^ (bits >> 31))
    return numbers


def plain_augment(images, ids, augmentation, epoch, seed):
    """Pad, slice and flip, one image at a time."""
    height, width = images.shape[2:]
    draws = draw_changes(ids, height=height, width=width, epoch=epoch, seed=seed)
    rows, columns = pad_size(height), pad_size(width)
    changed = []
    padded = np.pad(images.numpy(), ((0, 0), (0, 0), (rows, rows), (columns, columns)))
    for number, image in enumerate(images.numpy()):
        top, left = int(draws.top[number]), int(draws.left[number])
        cut = padded[number, :, top : top + height, left : left + width]
        moved = cut if "crop" in augmentation else image
        is_flipped = "flip" in augmentation and bool(draws.is_flipped[number])
        changed.append(moved[:, :, ::-1] if is_flipped else moved)
    return torch.from_numpy(np.stack(changed))


def test_the_hash_gives_the_published_numbers():
    said = [number & MASK for number in splitmix64(1234567, torch.arange(5)).tolist()]
    assert said == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]


@settings(max_examples=30, deadline=None)
@given(start=st.integers(0, 2**63 - 1), steps=st.integers(1, 50))
def test_the_hash_of_an_id_is_that_number_of_the_generator(start, steps):
    said = splitmix64(start, torch.arange(steps))
    assert [number & MASK for number in said.tolist()] == plain_splitmix64(start, steps)


def test_what_happens_follows_from_named_bits_of_the_hash():
    draws = draw_changes(torch.arange(200), height=32, width=28, epoch=3, seed=5)
    numbers = plain_splitmix64(derive_seed(5, "augmentation", 3), 200)
    assert draws.top.tolist() == [(number >> 33) * 9 >> 31 for number in numbers]
    assert draws.left.tolist() == [(number % 2**31) * 7 >> 31 for number in numbers]
    assert draws.is_flipped.tolist() == [bool(number >> 32 & 1) for number in numbers]


@settings(max_examples=60, deadline=None)
@given(
    num_images=st.integers(1, 6),
    channels=st.integers(1, 4),
    height=st.integers(1, 20),
    width=st.integers(1, 20),
    augmentation=st.sampled_from(CHANGING),
    epoch=st.integers(0, 1000),
    seed=st.integers(0, 2**62),
    dtype=st.sampled_from([torch.uint8, torch.float32]),
    memory_format=st.sampled_from([torch.contiguous_format, torch.channels_last]),
    data=st.data(),
)
def test_a_batch_equals_the_plain_loop_bit_for_bit(
    *, num_images, channels, height, width, augmentation, epoch, seed, dtype, memory_format, data
):
    ids = torch.tensor(data.draw(st.lists(st.integers(0, 2**40), min_size=num_images, max_size=num_images)))
    images = make_images(num_images, channels, height, width, dtype)
    given_images = images.contiguous(memory_format=memory_format)
    changed = augment(given_images, ids, augmentation=augmentation, epoch=epoch, seed=seed)
    assert changed.dtype == dtype
    assert torch.equal(changed, plain_augment(images, ids, augmentation, epoch, seed))
    assert changed.is_contiguous(memory_format=memory_format)
    assert torch.equal(given_images, images)


@settings(max_examples=30, deadline=None)
@given(rows=st.lists(st.integers(0, 11), min_size=1, max_size=15), augmentation=st.sampled_from(CHANGING))
def test_an_image_comes_out_the_same_in_any_batch(rows, augmentation):
    images, ids = make_images(12, 3, 10, 9), torch.arange(100, 112)
    whole = augment(images, ids, augmentation=augmentation, epoch=1, seed=2)
    part = augment(images[rows], ids[rows], augmentation=augmentation, epoch=1, seed=2)
    assert torch.equal(part, whole[rows])


def test_a_crop_with_a_flip_is_the_crop_and_then_the_flip():
    images, ids = make_images(50, 3, 16, 16), torch.arange(50)
    crop = augment(images, ids, augmentation="crop", epoch=1, seed=2)
    both = augment(crop, ids, augmentation="flip", epoch=1, seed=2)
    assert torch.equal(both, augment(images, ids, augmentation="crop-flip", epoch=1, seed=2))


def test_each_offset_and_each_flip_comes_up_as_often_as_it_should():
    draws = draw_changes(torch.arange(MANY), height=32, width=28, epoch=0, seed=0)
    tops, lefts = draws.top.numpy(), draws.left.numpy()
    flips = draws.is_flipped.long().numpy()
    assert chisquare(np.bincount(tops, minlength=9)).pvalue > 0.01
    assert chisquare(np.bincount(lefts, minlength=7)).pvalue > 0.01
    assert chisquare(np.bincount(flips, minlength=2)).pvalue > 0.01
    places = np.bincount((tops * 7 + lefts) * 2 + flips, minlength=9 * 7 * 2)
    assert len(places) == 9 * 7 * 2
    assert chisquare(places).pvalue > 0.01


@pytest.mark.parametrize(("epoch", "seed", "step"), [(1, 0, 0), (0, 1, 0), (0, 0, 1)])
def test_another_epoch_seed_or_id_draws_independently(epoch, seed, step):
    first = draw_changes(torch.arange(MANY), height=32, width=32, epoch=0, seed=0)
    second = draw_changes(torch.arange(MANY) + step, height=32, width=32, epoch=epoch, seed=seed)
    for name, size in (("top", 9), ("left", 9), ("is_flipped", 2)):
        pairs = getattr(first, name).long() * size + getattr(second, name).long()
        table = np.bincount(pairs.numpy(), minlength=size * size).reshape(size, size)
        assert chi2_contingency(table).pvalue > 0.01


def test_another_epoch_or_seed_gives_another_view():
    images, ids = make_images(64, 1, 32, 32), torch.arange(64)
    views = [
        augment(images, ids, augmentation="crop", epoch=epoch, seed=seed)
        for epoch, seed in ((0, 0), (1, 0), (0, 1))
    ]
    for first, second in ((0, 1), (0, 2), (1, 2)):
        assert (views[first] != views[second]).flatten(1).any(1).float().mean() > 0.9


def test_the_usual_padding_is_4_for_32_and_3_for_28():
    assert [pad_size(size) for size in (1, 7, 8, 28, 32, 224)] == [1, 1, 1, 3, 4, 28]


def test_global_randomness_is_neither_read_nor_moved_on():
    images, ids = make_images(8, 3, 16, 16), torch.arange(8)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = augment(images, ids, augmentation="crop-flip", epoch=0, seed=0)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert torch.equal(augment(images, ids, augmentation="crop-flip", epoch=0, seed=0), first)


@pytest.mark.parametrize("augmentation", CHANGING)
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_the_device_is_never_asked_for_an_answer(augmentation, memory_format):
    # A tensor on the meta device has no values, so that asking for one is an error.
    images = make_images(4, 3, 16, 16).contiguous(memory_format=memory_format).to("meta")
    changed = augment(images, torch.arange(4, device="meta"), augmentation=augmentation, epoch=0, seed=0)
    assert (changed.shape, changed.dtype) == ((4, 3, 16, 16), torch.uint8)


def test_none_gives_the_inputs_themselves_of_whatever_shape():
    inputs = torch.zeros(3, 5)
    assert augment(inputs, torch.arange(3), augmentation="none", epoch=0, seed=0) is inputs


@pytest.mark.parametrize("augmentation", AUGMENTATIONS)
def test_no_images_are_no_mistake(augmentation):
    nothing = torch.zeros(0, 3, 8, 8, dtype=torch.uint8)
    changed = augment(nothing, torch.zeros(0, dtype=torch.int64), augmentation=augmentation, epoch=0, seed=0)
    assert changed.shape == nothing.shape


def test_what_cannot_be_augmented_is_refused():
    with pytest.raises(
        InputError, match=r"augmented inputs are images .* augmentation=flip for shape=\(3, 5\)"
    ):
        augment(torch.zeros(3, 5), torch.arange(3), augmentation="flip", epoch=0, seed=0)
    with pytest.raises(InputError, match=r"Unknown augmentation `flips`\. Did you mean `flip`"):
        augment(torch.zeros(3, 1, 5, 5), torch.arange(3), augmentation="flips", epoch=0, seed=0)
    for ids in (torch.arange(2), torch.zeros(3), torch.zeros(3, 1, dtype=torch.int64)):
        with pytest.raises(InputError, match="one int64 id per image"):
            augment(torch.zeros(3, 1, 5, 5), ids, augmentation="flip", epoch=0, seed=0)
