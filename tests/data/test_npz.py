"""NumPy archives: layouts, types and damage."""

import numpy as np
import pytest
import torch

from limbeck.core.errors import InputError
from limbeck.data import load, load_inputs

LABELS = np.array([0, 1] * 5)


def write(path, **arrays):
    np.savez(path, **arrays)
    return str(path)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((10, 6, 5), (1, 6, 5)),
        ((10, 6, 5, 1), (1, 6, 5)),
        ((10, 6, 5, 3), (3, 6, 5)),
        ((10, 3, 6, 5), (3, 6, 5)),
        ((10, 1, 6, 5), (1, 6, 5)),
        ((10, 3, 3, 3), (3, 3, 3)),
        ((10, 3, 6, 1), (3, 6, 1)),
    ],
)
def test_every_image_layout_becomes_channels_first(shape, expected, tmp_path):
    values = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    data = load(write(tmp_path / "a.npz", x=values, y=LABELS, x_test=values[:4], y_test=LABELS[:4]))
    assert data.input_shape == expected
    is_channels_last = len(shape) == 4 and shape[1] == 6
    first = values[0].transpose(2, 0, 1) if is_channels_last else values[0]
    np.testing.assert_array_equal(data.train.inputs[0].numpy(), first.reshape(expected))
    assert len(data.test) == 4


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", ">f4"])
def test_floats_become_float32_in_their_own_shape(dtype, tmp_path):
    values = np.arange(40, dtype=dtype).reshape(10, 4)
    data = load(
        write(tmp_path / "table.npz", x=values, y=LABELS.astype(np.uint8), x_test=values, y_test=LABELS)
    )
    assert (data.name, data.class_names) == ("table", ("0", "1"))
    assert data.train.inputs.dtype == torch.float32
    assert data.train.inputs.flatten().tolist() == list(range(40))


def test_without_a_test_part_a_fifth_of_each_class_is_held_out(tmp_path):
    data = load(write(tmp_path / "a.npz", x=np.arange(10.0)[:, None], y=LABELS))
    assert (len(data.train), sorted(data.test.labels.tolist())) == (8, [0, 1])


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": np.zeros((10, 2))}, "no y in"),
        ({"x_train": np.zeros((10, 2)), "labels": LABELS}, "no y in .*, which holds labels and x_train"),
        ({"images": np.zeros((10, 2))}, "no x and no y in .*, which holds images"),
        ({"y": LABELS}, "no x in"),
        ({"x": np.zeros((10, 2)), "y": LABELS, "x_test": np.zeros((2, 2))}, "no y_test in"),
        ({"x": np.zeros((9, 2)), "y": LABELS}, "one integer per sample"),
        ({"x": np.zeros((10, 2)), "y": LABELS[:, None]}, "one integer per sample"),
        ({"x": np.zeros((10, 2)), "y": LABELS * 1.0}, "float64"),
        ({"x": np.zeros((10, 2)), "y": LABELS - 1}, "label -1"),
        ({"x": np.zeros((10, 2)), "y": LABELS * 10**12}, "label 1000000000000"),
        ({"x": np.zeros((10, 2), dtype=np.int64), "y": LABELS}, "type int64"),
        ({"x": np.zeros((10, 2), dtype=np.uint8), "y": LABELS}, "channels, height, width"),
        ({"x": np.full((10, 2), np.nan), "y": LABELS}, "NaN or infinity in 10 training samples"),
        ({"x": np.full((10, 2), 1e300), "y": LABELS}, "NaN or infinity"),
        ({"x": np.array([{}] * 10, dtype=object), "y": LABELS}, "allow_pickle=False"),
        ({"x": np.array(1.0), "y": np.array(1)}, "features"),
        ({"x": np.zeros((10, 2)), "y": LABELS * 0}, "at least 2 classes"),
    ],
)
def test_an_archive_that_breaks_a_rule_is_an_input_error(arrays, message, tmp_path):
    with pytest.raises(InputError, match=message):
        load(write(tmp_path / "a.npz", **arrays))


@pytest.mark.parametrize("damage", ["truncated", "flipped", "text", "empty", "single", "folder"])
def test_a_damaged_archive_is_named(damage, tmp_path):
    path = tmp_path / "a.npz"
    write(path, x=np.random.default_rng(0).normal(size=(10, 20)), y=LABELS)
    content = path.read_bytes()
    flipped = bytearray(content)
    flipped[500] ^= 255
    np.save(tmp_path / "single.npy", LABELS)
    single = (tmp_path / "single.npy").read_bytes()
    broken = {
        "truncated": content[:-30],
        "flipped": flipped,
        "text": b"hello",
        "empty": b"",
        "single": single,
    }
    path.unlink()
    path.mkdir() if damage == "folder" else path.write_bytes(broken[damage])
    with pytest.raises(InputError, match=r"a\.npz"):
        load(str(path))


@pytest.mark.parametrize("row", range(10))
def test_a_broken_sample_is_named_by_its_row_in_the_file(tmp_path, row):
    values = np.zeros((10, 2))
    values[row, 1] = np.nan
    with pytest.raises(InputError, match=f"NaN or infinity in 1 training sample, the first at {row}\\."):
        load(write(tmp_path / "a.npz", x=values, y=LABELS))


def test_the_names_of_keras_are_read_too(tmp_path):
    x, y = np.arange(20.0).reshape(10, 2), LABELS
    data = load(write(tmp_path / "a.npz", x_train=x, y_train=y, x_test=x[:4], y_test=y[:4]))
    own = load(write(tmp_path / "b.npz", x=x, y=y, x_test=x[:4], y_test=y[:4]))
    assert data.fingerprint == own.fingerprint
    assert load_inputs(write(tmp_path / "c.npz", x_train=x)).shape == (10, 2)


def test_an_archive_without_inputs_says_what_it_holds(tmp_path):
    with pytest.raises(InputError, match=r"no x and no y in .*, which holds nothing"):
        load(write(tmp_path / "a.npz"))
    with pytest.raises(InputError, match=r"no x in .*, which holds images"):
        load_inputs(write(tmp_path / "b.npz", images=np.zeros((3, 2))))
