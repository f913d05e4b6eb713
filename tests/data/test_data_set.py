"""Data sets: their rules, what they say about themselves, and their fingerprint."""

import dataclasses
import hashlib
import subprocess
import sys

import numpy as np
import pytest
import torch

import limbeck.data
from limbeck.core.errors import InputError
from limbeck.data import Samples, make_data_set

SCRIPT = """
import torch
from limbeck.data import Samples, make_data_set
train = Samples(inputs=torch.arange(8, dtype=torch.uint8).reshape(2, 1, 2, 2), labels=torch.tensor([0, 1]))
test = Samples(inputs=torch.full((1, 1, 2, 2), 9, dtype=torch.uint8), labels=torch.tensor([1]))
print(make_data_set("tiny", train, test, ["cat", "dog"]).fingerprint)
"""


def tiny(*, first_pixel=0, test_label=1, names=("cat", "dog"), name="tiny"):
    inputs = torch.arange(8, dtype=torch.uint8).reshape(2, 1, 2, 2)
    inputs[0, 0, 0, 0] = first_pixel
    train = Samples(inputs=inputs, labels=torch.tensor([0, 1]))
    test = Samples(inputs=torch.full((1, 1, 2, 2), 9, dtype=torch.uint8), labels=torch.tensor([test_label]))
    return make_data_set(name, train, test, names)


def floats(values, labels):
    return Samples(inputs=torch.tensor(values), labels=torch.tensor(labels))


def test_the_public_names_are_these():
    assert set(limbeck.data.__all__) == {
        "AUGMENTATIONS", "SOURCES", "Augmentation", "DataSet", "Inputs", "Normalization", "Samples",
        "StoredImages", "Texts", "Tokens", "View", "augment", "count_samples", "from_dataset", "input_shape",
        "load", "load_batch", "load_inputs", "make_data_set", "measure_normalization", "normalize",
        "read_data_set", "take_samples", "write_data_set",
    }  # fmt: skip


def test_a_data_set_describes_itself():
    data = tiny()
    assert data.num_classes == 2
    assert data.input_shape == (1, 2, 2)
    assert data.labels.dtype == np.int64
    assert data.labels.tolist() == [0, 1]
    assert data.missing_classes == ()
    assert data.subset([1]).labels.tolist() == [1]


def test_a_class_without_training_samples_is_named_as_missing():
    assert tiny(names=("cat", "dog", "emu")).missing_classes == ("emu",)


def test_records_cannot_be_edited():
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(tiny(), "name", "other")  # noqa: B010 - the assignment that must fail


def test_the_fingerprint_is_the_blake2b_hash_of_tensors_and_class_names():
    digest = hashlib.blake2b(digest_size=8)
    for header, content in [
        ("|u1(2, 1, 2, 2)", bytes(range(8))),
        ("<i8(2,)", bytes(8) + bytes([1, 0, 0, 0, 0, 0, 0, 0])),
        ("|u1(1, 1, 2, 2)", bytes([9] * 4)),
        ("<i8(1,)", bytes([1, 0, 0, 0, 0, 0, 0, 0])),
        ("|u1(13,)", b'["cat","dog"]'),
    ]:
        digest.update(header.encode())
        digest.update(content)
    assert tiny().fingerprint == digest.hexdigest()


def test_the_fingerprint_is_the_same_in_another_process():
    printed = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True
    ).stdout
    assert printed.strip() == tiny().fingerprint


@pytest.mark.parametrize("change", [{"first_pixel": 1}, {"test_label": 0}, {"names": ("cat", "dot")}])
def test_one_pixel_one_label_or_one_name_changes_the_fingerprint(change):
    assert tiny(**change).fingerprint != tiny().fingerprint


def test_the_name_of_a_data_set_does_not_change_its_fingerprint():
    assert tiny(name="other").fingerprint == tiny().fingerprint


def test_a_label_without_a_class_name_is_refused_with_label_and_count():
    with pytest.raises(InputError, match="test label 2 with 2 classes"):
        tiny(test_label=2)


@pytest.mark.parametrize(("names", "message"), [(["cat"], "at least 2"), (["cat", "cat"], "distinct")])
def test_class_names_are_at_least_two_and_distinct(names, message):
    with pytest.raises(InputError, match=message):
        make_data_set("one", floats([[1.0]], [0]), floats([[1.0]], [0]), names)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_floats_that_are_not_finite_are_refused_with_their_place(value):
    with pytest.raises(InputError, match="1 test sample, the first at 1"):
        make_data_set("x", floats([[1.0]], [0]), floats([[1.0], [value]], [0, 1]), ["a", "b"])


def test_both_parts_need_one_shape_and_at_least_one_sample():
    with pytest.raises(InputError, match="one shape and type"):
        make_data_set("x", floats([[1.0]], [0]), floats([[1.0, 2.0]], [0]), ["a", "b"])
    with pytest.raises(InputError, match="0 test samples"):
        make_data_set("x", floats([[1.0]], [0]), floats([[1.0]], [0]).subset([]), ["a", "b"])


def test_what_is_printed_of_a_data_set_is_short():
    data = tiny()
    assert repr(data) == (
        "DataSet('tiny', 2 training samples and 1 test sample of (1, 2, 2) torch.uint8, 2 classes, "
        f"fingerprint {data.fingerprint})"
    )
    assert repr(data.train) == "Samples(2 samples of (1, 2, 2) torch.uint8)"
