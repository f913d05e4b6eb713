"""Data that Python objects give: tensors, arrays, pictures, strings and dicts."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import Dataset, IterableDataset, TensorDataset

from limbeck.core.errors import InputError
from limbeck.data import Texts, Tokens, from_dataset


class Mapped(Dataset):
    """A map-style data set with class names."""

    def __init__(self, pairs, classes=None):
        self.pairs = pairs
        if classes is not None:
            self.classes = classes

    def __len__(self):
        return len(self.pairs)

    def __getitem__(self, index):
        return self.pairs[index]


class Streamed(IterableDataset):
    """An iterable-style data set."""

    def __init__(self, pairs):
        self.pairs = pairs

    def __iter__(self):
        return iter(self.pairs)


def pairs_of(make_fn, count=10):
    return [(make_fn(index), index % 2) for index in range(count)]


@pytest.mark.parametrize(
    ("make_fn", "shape"),
    [
        (lambda i: torch.full((3, 4, 5), i, dtype=torch.uint8), (3, 4, 5)),
        (lambda i: np.full((3, 4, 5), i, dtype=np.uint8), (3, 4, 5)),
        (lambda i: np.full((6, 5, 3), i, dtype=np.uint8), (3, 6, 5)),
        (lambda i: np.full((6, 5), i, dtype=np.uint8), (1, 6, 5)),
        (lambda i: Image.new("RGB", (5, 6), (i, i, i)), (3, 6, 5)),
        (lambda i: Image.new("L", (5, 6), i), (1, 6, 5)),
        (lambda i: torch.full((7,), float(i)), (7,)),
        (lambda i: np.full((2, 7), i, dtype=np.float64), (2, 7)),
        (lambda i: torch.tensor(float(i)), (1,)),
    ],
)
def test_numbers_and_pictures_become_tensors(make_fn, shape):
    data = from_dataset(Mapped(pairs_of(make_fn)), pairs_of(make_fn, 3), name="mine")
    assert (data.name, data.input_shape, data.class_names) == ("mine", shape, ("0", "1"))
    assert data.train.inputs.flatten(1).double().mean(1).tolist() == list(range(10))
    assert data.test.labels.tolist() == [0, 1, 0]
    assert data.train.inputs.dtype in (torch.uint8, torch.float32)


def test_strings_become_texts():
    data = from_dataset(pairs_of(lambda i: f"text {i}"), pairs_of(lambda i: "t", 2), name="x")
    assert isinstance(data.train.inputs, Texts)
    assert data.train.inputs[3] == "text 3"


def test_dicts_of_tensors_become_tokens():
    data = from_dataset(
        pairs_of(lambda i: {"ids": torch.tensor([i, i + 1]), "mask": np.ones(2)}),
        pairs_of(lambda i: {"ids": torch.tensor([i, i + 1]), "mask": np.ones(2)}, 2),
        name="x",
    )
    assert isinstance(data.train.inputs, Tokens)
    assert data.train.inputs.columns["ids"].tolist() == [[i, i + 1] for i in range(10)]


def test_without_a_test_part_a_fifth_is_held_out():
    data = from_dataset(TensorDataset(torch.arange(10.0)[:, None], torch.tensor([0, 1] * 5)), name="x")
    assert (len(data.train), sorted(data.test.labels.tolist())) == (8, [0, 1])


def test_an_iterable_is_read_to_its_end():
    pairs = pairs_of(lambda i: torch.tensor([float(i)]))
    expected = from_dataset(pairs, name="x").fingerprint
    assert from_dataset(Streamed(pairs), name="x").fingerprint == expected
    assert from_dataset(iter(pairs), name="x").fingerprint == expected


def test_class_names_are_given_or_taken_from_the_data():
    pairs = pairs_of(lambda i: torch.tensor([float(i)]))
    assert from_dataset(Mapped(pairs, ["cat", "dog"]), name="x").class_names == ("cat", "dog")
    assert from_dataset(Mapped(pairs, [("cat", "Felis"), "dog"]), name="x").class_names == ("cat", "dog")
    given = from_dataset(Mapped(pairs, ["cat", "dog"]), name="x", class_names=["a", "b"])
    assert given.class_names == ("a", "b")


def test_labels_may_be_names_or_numbers_of_any_library():
    kinds = (np.int16, torch.tensor, lambda label: np.array(label, dtype=np.uint8))
    expected = [0, 1, 0, 1]
    for kind in kinds:
        pairs = [(torch.tensor([0.0]), kind(label)) for label in expected]
        assert from_dataset(pairs, pairs, name="x").labels.tolist() == expected
    pairs = [(torch.tensor([0.0]), name) for name in ("dog", "cat", "dog")]
    data = from_dataset(pairs, pairs, name="x")
    assert (data.class_names, data.labels.tolist()) == (("cat", "dog"), [1, 0, 1])


GOOD = (torch.zeros(3, 4, 5, dtype=torch.uint8), 0)
FLOAT = (torch.zeros(2), 1)


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        (
            [GOOD, (GOOD[0][:, :3], 1)],
            r"first, shape \(3, 4, 5\).*\(3, 3, 5\) at index 1 of the training part",
        ),
        ([GOOD, (GOOD[0][:1], 1)], r"\(1, 4, 5\) at index 1"),
        ([GOOD, FLOAT], r"an image.*float32 of shape \(2,\) at index 1"),
        ([FLOAT, (torch.zeros(3), 1)], r"float32 of shape \(2,\).*shape \(3,\) at index 1"),
        ([FLOAT, ("text", 1)], "a str at index 1"),
        (
            [FLOAT, (torch.full((2,), float("nan")), 0)],
            "NaN or infinity in 1 training sample, the first at 1",
        ),
        ([FLOAT, (torch.zeros(2), 1, 2)], "a tuple of 3 at index 1"),
        ([torch.zeros(3)], r"a pair \(input, label\).*float32 of shape \(3,\)"),
        ([(torch.zeros(2), 0.5)], "a label is an integer or a string.*a float at index 0"),
        ([(torch.zeros(2), True)], "a bool"),
        ([(3, 0)], "an int at index 0"),
        ([(torch.zeros(2), torch.tensor([0, 1]))], r"int64 of shape \(2,\)"),
        ([(torch.zeros(2, dtype=torch.int64), 0)], "an input is a uint8 or float tensor"),
        ([(None, 0)], "a NoneType"),
        ([({"ids": torch.zeros(2)}, 0), ({"ids": torch.zeros(3)}, 0)], "dict of ids.*at index 1"),
        ([(torch.zeros(2), -1), FLOAT], "label -1"),
        ([], "0 training samples"),
    ],
)
def test_a_sample_unlike_the_others_is_named_by_its_index(pairs, message):
    with pytest.raises(InputError, match=message):
        from_dataset(pairs, pairs[:1], name="x")


def test_a_sample_of_the_test_part_is_named_as_such():
    with pytest.raises(InputError, match="at index 1 of the test part"):
        from_dataset([GOOD, GOOD], [GOOD, (GOOD[0][:, :2], 1)], name="x")
    with pytest.raises(InputError, match="0 test samples"):
        from_dataset([GOOD, GOOD], [], name="x")


def test_pictures_of_several_sizes_name_the_remedy():
    with pytest.raises(InputError, match="with a transform for your own data"):
        from_dataset([(Image.new("L", (4, 4)), 0), (Image.new("L", (4, 5)), 1)], name="x")


@pytest.mark.parametrize("data", ["text", 3, {"a": 1}])
def test_what_gives_no_pairs_is_refused(data):
    with pytest.raises(InputError, match="data give"):
        from_dataset(data, name="x")


def test_labels_beyond_the_class_names_are_refused():
    with pytest.raises(InputError, match="training label 2 with 2 classes"):
        from_dataset([(torch.zeros(2), label) for label in (0, 1, 2)] * 5, name="x", class_names=["a", "b"])
    with pytest.raises(InputError, match="the label `emu`"):
        from_dataset([(torch.zeros(2), "emu")] * 5, name="x", class_names=["a", "b"])


def test_floats_beyond_the_memory_limit_are_refused_before_they_are_read():
    with pytest.raises(InputError, match="float inputs fit into memory"):
        from_dataset([FLOAT] * 10, name="x", memory_limit=50)


@pytest.mark.parametrize("row", range(10))
def test_a_broken_sample_is_named_by_its_index_before_the_hold_out(row):
    values = torch.zeros(10, 2)
    values[row, 0] = float("inf")
    with pytest.raises(InputError, match=f"in 1 training sample, the first at {row}\\."):
        from_dataset([(values[index], index % 2) for index in range(10)])


def test_the_name_is_that_of_the_class_where_none_is_given():
    pairs = pairs_of(lambda i: torch.tensor([float(i)]))
    assert from_dataset(Mapped(pairs)).name == "Mapped"
    assert from_dataset(pairs).name == "samples"
    assert from_dataset(iter(pairs)).name == "samples"
    assert from_dataset(pairs, name="mine").name == "mine"
