"""Samples: the rules of their tensors, and subsets."""

import numpy as np
import pytest
import torch

from limbeck.core.errors import InputError
from limbeck.data import Samples

IMAGES = torch.arange(3 * 1 * 2 * 2, dtype=torch.uint8).reshape(3, 1, 2, 2)


def test_samples_have_a_length_and_widen_their_labels():
    samples = Samples(inputs=IMAGES, labels=torch.tensor([2, 0, 1], dtype=torch.int32))
    assert len(samples) == 3
    assert samples.labels.dtype == torch.int64
    assert samples.labels.tolist() == [2, 0, 1]


@pytest.mark.parametrize(
    "ids",
    [[2, 0, 2], np.array([2, 0, 2], dtype=np.int32), torch.tensor([2, 0, 2])],
    ids=["list", "numpy", "torch"],
)
def test_a_subset_keeps_the_order_and_repeats_of_its_ids(ids):
    subset = Samples(inputs=IMAGES, labels=torch.tensor([5, 6, 7])).subset(ids)
    assert subset.labels.tolist() == [7, 5, 7]
    assert subset.inputs[:, 0, 0, 0].tolist() == [8, 0, 8]


def test_ids_may_be_a_reversed_or_read_only_array():
    samples = Samples(inputs=IMAGES, labels=torch.tensor([5, 6, 7]))
    read_only = np.array([1, 2], dtype=np.uint32)
    read_only.setflags(write=False)
    assert samples.subset(np.arange(3)[::-1]).labels.tolist() == [7, 6, 5]
    assert samples.subset(read_only).labels.tolist() == [6, 7]


def test_a_client_may_hold_no_samples_at_all():
    empty = Samples(inputs=IMAGES, labels=torch.tensor([0, 1, 2])).subset([])
    assert len(empty) == 0
    assert empty.inputs.shape == (0, 1, 2, 2)


def test_moving_to_a_device_keeps_the_values():
    samples = Samples(inputs=IMAGES, labels=torch.tensor([0, 1, 2])).to("cpu")
    assert torch.equal(samples.inputs, IMAGES)


@pytest.mark.parametrize("ids", [[3], [-1], [True, False, True], [0.0], [[0]]])
def test_a_subset_refuses_ids_that_are_no_ids(ids):
    with pytest.raises(InputError, match="id"):
        Samples(inputs=IMAGES, labels=torch.tensor([0, 1, 2])).subset(np.array(ids))


@pytest.mark.parametrize(
    ("inputs", "labels", "message"),
    [
        (IMAGES, torch.tensor([0, 1]), "3 inputs and labels of shape"),
        (IMAGES, torch.tensor([[0], [1], [2]]), "one label per input"),
        (IMAGES, torch.tensor([0, -1, 2]), "label -1"),
        (IMAGES, torch.tensor([0.0, 1.0, 2.0]), "labels are integers"),
        (IMAGES, torch.tensor([True, False, True]), "labels are integers"),
        (IMAGES[:, 0], torch.tensor([0, 1, 2]), "channels, height, width"),
        (IMAGES.double(), torch.tensor([0, 1, 2]), "float64"),
        (torch.zeros(3), torch.tensor([0, 1, 2]), "features"),
        (torch.zeros(3, 0), torch.tensor([0, 1, 2]), "features"),
    ],
)
def test_samples_refuse_tensors_that_break_a_rule(inputs, labels, message):
    with pytest.raises(InputError, match=message):
        Samples(inputs=inputs, labels=labels)
