"""Views show what augmenting and normalising the whole set would, batch by batch."""

import copy
import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from limbeck.core.errors import InputError
from limbeck.data import (
    AUGMENTATIONS,
    Normalization,
    Samples,
    StoredImages,
    View,
    augment,
    count_samples,
    input_shape,
    load_batch,
    make_data_set,
    normalize,
    take_samples,
)
from limbeck.data.inputs import describe_kind, move_inputs, require_tensor, split_inputs

NUM_IMAGES = 12
COLOURS = Normalization(mean=(0.1, 0.5, 0.3), std=(0.2, 0.3, 0.7))
GREYS = Normalization(mean=(0.3,), std=(0.7,))
ROWS = st.lists(st.integers(0, NUM_IMAGES - 1), max_size=20)


def make_images(channels=3):
    values = np.random.default_rng(1).integers(0, 256, (NUM_IMAGES, channels, 10, 9), dtype=np.uint8)
    return torch.from_numpy(values)


IMAGES = make_images()


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    file = tmp_path_factory.mktemp("stored") / "images.uint8"
    file.write_bytes(IMAGES.numpy().tobytes())
    return StoredImages(file=file, file_shape=(NUM_IMAGES, 3, 10, 9))


def load_all(view):
    return load_batch(view, torch.arange(len(view)), "cpu")


@settings(max_examples=40, deadline=None)
@given(rows=ROWS, channels=st.sampled_from([1, 3]), is_float=st.booleans(), channels_last=st.booleans())
def test_a_batch_has_the_bits_and_the_memory_of_the_whole_set_normalised(
    rows, channels, is_float, channels_last
):
    images = make_images(channels).float() if is_float else make_images(channels)
    if channels_last:
        images = images.contiguous(memory_format=torch.channels_last)
    normalization = GREYS if channels == 1 else COLOURS
    ids = torch.tensor(rows, dtype=torch.int64)
    shown = load_batch(View(inputs=images, normalization=normalization), ids, "cpu")
    expected = load_batch(normalize(images, normalization), ids, "cpu")
    assert torch.equal(shown, expected)
    assert shown.dtype == torch.float32
    if rows:  # an empty batch has no memory to lay out
        assert shown.is_contiguous(memory_format=torch.channels_last)
        assert shown.stride() == expected.stride()


def test_tables_are_normalised_too():
    table = torch.from_numpy(np.random.default_rng(0).normal(size=(NUM_IMAGES, 3)).astype(np.float32))
    view = View(inputs=table, normalization=COLOURS)
    ids = torch.tensor([5, 0, 5])
    assert torch.equal(load_batch(view, ids, "cpu"), normalize(table, COLOURS)[ids])


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=ROWS,
    augmentation=st.sampled_from(AUGMENTATIONS),
    epoch=st.integers(0, 5),
    seed=st.integers(0, 5),
    is_normalised=st.booleans(),
)
def test_a_batch_is_gathered_augmented_and_then_normalised(
    stored, rows, augmentation, epoch, seed, is_normalised
):
    expected = augment(IMAGES, torch.arange(NUM_IMAGES), augmentation=augmentation, epoch=epoch, seed=seed)
    if is_normalised:
        expected = normalize(expected, COLOURS)
    for inputs in (IMAGES, stored):
        view = View(
            inputs=inputs,
            augmentation=augmentation,
            epoch=epoch,
            seed=seed,
            normalization=COLOURS if is_normalised else None,
        )
        batch = load_batch(view, torch.tensor(rows, dtype=torch.int64), "cpu")
        assert batch.dtype == view.dtype == expected.dtype
        assert torch.equal(batch, expected[rows])


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(first=ROWS.filter(len), data=st.data())
def test_a_subset_of_a_view_is_the_same_view(stored, first, data):
    second = data.draw(st.lists(st.integers(0, len(first) - 1), max_size=6))
    for inputs in (IMAGES, stored):
        view = View(inputs=inputs, augmentation="crop-flip", epoch=2, seed=3, normalization=COLOURS)
        taken = take_samples(take_samples(view, torch.tensor(first)), np.array(second, dtype=np.int64))
        rows = [first[row] for row in second]
        assert (count_samples(taken), taken.sample_ids.tolist()) == (len(second), rows)
        assert torch.equal(load_all(taken), load_all(view)[rows])


def test_ids_that_are_given_decide_what_happens_to_a_sample():
    ids = torch.arange(NUM_IMAGES).flip(0) + 1000
    view = View(inputs=IMAGES, augmentation="crop-flip", ids=ids)
    assert torch.equal(load_all(view), augment(IMAGES, ids, augmentation="crop-flip", epoch=0, seed=0))
    assert not torch.equal(load_all(view), load_all(replace(view, ids=None)))


@pytest.mark.parametrize("first", [0, 5, NUM_IMAGES])
def test_a_split_view_shows_the_same_and_shares_the_memory(stored, first):
    for inputs in (IMAGES, stored):
        view = View(inputs=inputs, augmentation="crop", ids=torch.arange(NUM_IMAGES) * 7)
        parts = split_inputs(view, first=first)
        assert [count_samples(part) for part in parts] == [first, NUM_IMAGES - first]
        assert torch.equal(torch.cat([load_all(part) for part in parts]), load_all(view))
    share, _ = split_inputs(View(inputs=IMAGES), first=5)
    assert share.inputs.data_ptr() == IMAGES.data_ptr()


def test_a_view_says_what_a_batch_of_it_is(stored):
    for inputs in (IMAGES, stored):
        view = View(inputs=inputs, augmentation="crop", epoch=4)
        assert (view.shape, view.dtype, input_shape(view)) == ((12, 3, 10, 9), torch.uint8, (3, 10, 9))
        assert describe_kind(view) == describe_kind(IMAGES)
        normalised = replace(view, normalization=COLOURS)
        assert describe_kind(normalised) == describe_kind(normalize(IMAGES, COLOURS))
        assert repr(view) == (
            "View(12 samples of (3, 10, 9) torch.uint8, augmentation=crop, epoch=4, seed=0)"
        )


def test_a_view_moves_with_its_ids_and_files_stay(stored):
    view = View(inputs=IMAGES, ids=torch.arange(NUM_IMAGES)).to("meta")
    assert (view.inputs.device.type, view.ids.device.type) == ("meta", "meta")
    assert move_inputs(View(inputs=stored), "meta").inputs is stored
    assert move_inputs(View(inputs=IMAGES), "meta").sample_ids.device.type == "meta"


def test_loading_never_asks_the_device_for_an_answer():
    view = View(
        inputs=IMAGES, augmentation="crop-flip", normalization=COLOURS, ids=torch.arange(NUM_IMAGES)
    ).to("meta")
    batch = load_batch(view, torch.arange(4, device="meta"), "meta")
    assert (batch.shape, batch.dtype) == ((4, 3, 10, 9), torch.float32)


def test_a_batch_that_was_loaded_in_inference_can_be_trained_on_afterwards():
    normalization = Normalization(mean=(0.25, 0.5, 0.75), std=(0.5, 0.25, 0.125))
    view = View(inputs=IMAGES, normalization=normalization)
    with torch.inference_mode():
        load_all(view)
    weights = torch.ones(3, 10, 9, requires_grad=True)
    (load_all(view) * weights).sum().backward()
    assert torch.equal(weights.grad, normalize(IMAGES, normalization).sum(0))


def test_a_view_can_be_sent_to_another_process_and_copied(stored):
    view = View(inputs=stored, augmentation="crop", normalization=COLOURS).take([3, 1])
    assert len(pickle.dumps(view)) < 3_000
    assert torch.equal(load_all(copy.deepcopy(view)), load_all(view))


def test_samples_and_data_sets_take_a_view_and_know_it_for_what_it_shows(stored):
    labels = torch.arange(NUM_IMAGES) % 2
    shown = augment(IMAGES, torch.arange(NUM_IMAGES), augmentation="crop", epoch=1, seed=0)
    parts = (
        normalize(shown, COLOURS),
        View(inputs=IMAGES, augmentation="crop", epoch=1, normalization=COLOURS),
        View(inputs=stored, augmentation="crop", epoch=1, normalization=COLOURS),
        View(inputs=IMAGES, augmentation="crop", epoch=2, normalization=COLOURS),
    )
    samples = [Samples(inputs=inputs, labels=labels) for inputs in parts]
    prints = [make_data_set("x", part, part.subset([1, 0]), "ab").fingerprint for part in samples]
    assert prints[0] == prints[1] == prints[2] != prints[3]
    assert torch.equal(load_all(samples[1].subset([4, 2]).to("cpu").inputs), parts[0][[4, 2]])


def test_what_does_not_fit_is_refused_when_the_view_is_built():
    with pytest.raises(InputError, match="augmented inputs are images"):
        View(inputs=torch.zeros(3, 5), augmentation="flip")
    with pytest.raises(InputError, match="Unknown augmentation `crops`"):
        View(inputs=IMAGES, augmentation="crops")
    with pytest.raises(InputError, match="one channel per mean"):
        View(inputs=IMAGES, normalization=GREYS)
    for ids in (torch.arange(3), torch.zeros(NUM_IMAGES)):
        with pytest.raises(InputError, match="one int64 id per sample"):
            View(inputs=IMAGES, ids=ids)
    with pytest.raises(InputError, match="0 <= id < number of samples"):
        View(inputs=IMAGES).take([NUM_IMAGES])
    with pytest.raises(InputError, match="12 images in a view"):
        require_tensor(View(inputs=IMAGES))
