"""The one door to data: names, paths and the embedded digits."""

import numpy as np
import pytest
import torch

from limbeck.core.errors import InputError
from limbeck.data import SOURCES, load


@pytest.fixture(scope="module")
def digits():
    return load("digits")


def test_digits_are_1797_real_images_in_10_classes(digits):
    assert (len(digits.train), len(digits.test), digits.num_classes) == (1437, 360, 10)
    assert digits.input_shape == (1, 8, 8)
    assert digits.train.inputs.dtype == torch.uint8
    assert (int(digits.train.inputs.min()), int(digits.train.inputs.max())) == (0, 255)
    # The counts of each digit in the data set's description.
    counts = np.bincount(digits.labels) + np.bincount(digits.test.labels.numpy())
    assert counts.tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]


def test_digits_values_are_sixteenths_of_255(digits):
    assert set(digits.train.inputs.unique().tolist()) == {round(value * 255 / 16) for value in range(17)}


def test_the_digits_hold_out_has_each_class_in_proportion(digits):
    assert set(np.bincount(digits.test.labels.numpy()).tolist()) <= {34, 35, 36, 37}


def test_digits_are_the_same_every_time(digits):
    assert load("digits").fingerprint == digits.fingerprint


def test_every_source_has_one_line_about_it():
    assert set(SOURCES) == {"digits", "fashion-mnist", "cifar10", "cifar100"}
    assert all(line and "\n" not in line for line in SOURCES.values())


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(InputError, match=r"`fashion_mnist`.*Did you mean `fashion-mnist`"):
        load("fashion_mnist")


def test_a_path_that_is_absent_or_of_another_kind_is_refused(tmp_path):
    with pytest.raises(InputError, match="no file or folder lies there"):
        load(str(tmp_path / "absent.npz"))
    (tmp_path / "table.csv").write_text("a,b")
    with pytest.raises(InputError, match=r"parquet.*table\.csv"):
        load(str(tmp_path / "table.csv"))
