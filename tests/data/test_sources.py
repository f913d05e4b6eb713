"""The one door to data: names, paths and the embedded digits."""

import numpy as np
import pytest
import torch

from limbeck.core.errors import InputError
from limbeck.data import SOURCES, load, load_inputs


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
    (tmp_path / "table.xlsx").write_text("a,b")
    for load_fn in (load, load_inputs):
        with pytest.raises(InputError, match=r"parquet.*table\.xlsx"):
            load_fn(str(tmp_path / "table.xlsx"))


@pytest.mark.parametrize("setting", [{"image_size": 32}, {"text_column": "a"}, {"label_column": "b"}])
def test_a_setting_the_source_has_no_use_for_is_refused(setting, tmp_path):
    np.savez(tmp_path / "a.npz", x=np.zeros((10, 2)), y=np.array([0, 1] * 5))
    (tmp_path / "a.txt").write_text("one\n")
    for source, load_fn in (("digits", load), (tmp_path / "a.npz", load), (tmp_path / "a.txt", load_inputs)):
        with pytest.raises(InputError, match=f"{next(iter(setting))} fits the source"):
            load_fn(source, **setting)


@pytest.mark.parametrize("setting", [{"image_size": 0}, {"memory_limit": -1}])
def test_a_setting_out_of_range_is_refused(setting):
    with pytest.raises(InputError, match=next(iter(setting))):
        load("digits", **setting)


def test_the_inputs_of_a_labelled_source_are_its_training_inputs(digits):
    assert torch.equal(load_inputs("digits"), digits.train.inputs)


def test_an_archive_without_labels_gives_its_inputs(tmp_path):
    values = np.arange(40, dtype=np.float64).reshape(10, 4)
    np.savez(tmp_path / "bare.npz", x=values)
    np.savez(tmp_path / "whole.npz", x=values, y=np.array([0, 1] * 5))
    assert load_inputs(tmp_path / "bare.npz").flatten().tolist() == list(range(40))
    assert torch.equal(load_inputs(tmp_path / "whole.npz"), load(tmp_path / "whole.npz").train.inputs)
    with pytest.raises(InputError, match="no y in"):
        load(tmp_path / "bare.npz")


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({}, "no x in"),
        ({"x": np.full((3, 2), np.nan)}, "3 unlabelled samples"),
        ({"x": np.zeros(3)}, "features"),
    ],
)
def test_an_archive_without_labels_keeps_the_rules_of_inputs(arrays, message, tmp_path):
    np.savez(tmp_path / "bare.npz", **arrays)
    with pytest.raises(InputError, match=message):
        load_inputs(tmp_path / "bare.npz")


def test_a_text_file_gives_one_text_per_line(tmp_path):
    (tmp_path / "proxy.txt").write_bytes("first line\r\n\n  zweite Zeile ü\n".encode())
    assert load_inputs(tmp_path / "proxy.txt").strings == ("first line", "  zweite Zeile ü")
    with pytest.raises(InputError, match="a data set has labels"):
        load(tmp_path / "proxy.txt")


@pytest.mark.parametrize(("content", "message"), [(b"\n \n", "holds no text"), (b"\xff\xfe\x00", "UTF-8")])
def test_a_text_file_without_texts_is_an_input_error(content, message, tmp_path):
    (tmp_path / "proxy.txt").write_bytes(content)
    with pytest.raises(InputError, match=message):
        load_inputs(tmp_path / "proxy.txt")
