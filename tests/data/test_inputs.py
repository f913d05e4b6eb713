"""The kinds of inputs, and the functions that ask which one they are."""

import copy
import pickle

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from limbeck.core.errors import InputError
from limbeck.data import (
    Normalization,
    Samples,
    StoredImages,
    Texts,
    Tokens,
    count_samples,
    input_shape,
    load_batch,
    make_data_set,
    measure_normalization,
    normalize,
    take_samples,
    write_data_set,
)

IMAGES = torch.arange(4 * 3 * 2 * 5, dtype=torch.uint8).reshape(4, 3, 2, 5)
WORDS = Texts(strings=("a", "bb", "", "d"))


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    file = tmp_path_factory.mktemp("stored") / "images.uint8"
    file.write_bytes(bytes(range(120)))
    return StoredImages(file=file, file_shape=(4, 3, 2, 5))


def tokens():
    return Tokens(columns={"input_ids": torch.arange(8).reshape(4, 2), "length": torch.tensor([1, 2, 3, 4])})


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(first=st.lists(st.integers(0, 3), max_size=6), data=st.data())
def test_a_batch_of_a_subset_is_the_batch_of_the_ids_it_stands_for(stored, first, data):
    second = data.draw(st.lists(st.integers(0, len(first) - 1), max_size=6)) if first else []
    expected = [first[row] for row in second]
    for inputs in (IMAGES, stored, tokens()):
        taken = take_samples(inputs, torch.tensor(first, dtype=torch.int64))
        assert count_samples(taken) == len(first)
        batch = load_batch(taken, torch.tensor(second, dtype=torch.int64), "cpu")
        whole = load_batch(inputs, torch.tensor(expected, dtype=torch.int64), "cpu")
        if isinstance(batch, dict):
            assert batch["input_ids"].tolist() == [[2 * row, 2 * row + 1] for row in expected]
        else:
            assert torch.equal(batch, whole)
            assert batch.shape == (len(expected), 3, 2, 5)
            assert batch.flatten(1).float().mean(1).tolist() == [30 * row + 14.5 for row in expected]


def test_each_kind_says_how_many_it_holds_and_of_what_shape(stored):
    assert [count_samples(inputs) for inputs in (IMAGES, stored, tokens(), WORDS)] == [4, 4, 4, 4]
    assert [input_shape(inputs) for inputs in (IMAGES, stored, tokens(), WORDS)] == [
        (3, 2, 5),
        (3, 2, 5),
        (),
        (),
    ]
    assert (stored.shape, stored.dtype) == ((4, 3, 2, 5), torch.uint8)


def test_texts_are_read_like_a_list():
    taken = take_samples(WORDS, torch.tensor([1, 1, 3]))
    assert (list(taken), taken[2], len(taken)) == (["bb", "bb", "d"], "d", 3)
    assert Texts(strings=["x"]) == Texts(strings=("x",))


def test_texts_in_a_batch_are_refused_with_the_remedy():
    with pytest.raises(InputError, match="Tokenize the texts first"):
        load_batch(WORDS, torch.tensor([0]), "cpu")


@pytest.mark.parametrize("strings", ["abc", ["a", 1], None])
def test_texts_are_strings_and_nothing_else(strings):
    with pytest.raises(InputError, match="texts are a list of strings"):
        Texts(strings=strings)


@pytest.mark.parametrize("columns", [{}, {"a": torch.zeros(2), "b": torch.zeros(3)}, {"a": torch.tensor(1)}])
def test_tokens_have_columns_of_one_length(columns):
    with pytest.raises(InputError, match="at least one column, and all are of one length"):
        Tokens(columns=columns)


def test_images_in_a_file_stay_there_and_can_be_sent_to_another_process(stored):
    taken = stored.take([3, 0]).take(np.array([1, 0, 1]))
    assert taken.rows.tolist() == [0, 3, 0]
    # The record is sent to workers as a name and row numbers.
    assert len(pickle.dumps(taken)) < 2_000
    again = copy.deepcopy(taken)
    assert torch.equal(again.read([1]), IMAGES[3:])


def test_a_file_of_another_size_is_refused(stored, tmp_path):
    (tmp_path / "short.uint8").write_bytes(bytes(119))
    for file in (tmp_path / "short.uint8", tmp_path / "absent.uint8"):
        with pytest.raises(InputError, match="one byte per value"):
            StoredImages(file=file, file_shape=(4, 3, 2, 5))


@pytest.mark.parametrize("ids", [[4], [-1], [[0]], [0.5]])
def test_ids_that_are_no_ids_are_refused_whatever_the_kind(stored, ids):
    for inputs in (IMAGES, stored, tokens(), WORDS):
        with pytest.raises(InputError, match="id"):
            take_samples(inputs, torch.tensor(ids))


def test_samples_of_every_kind_have_subsets_and_move(stored):
    labels = torch.tensor([0, 1, 0, 1])
    for inputs in (IMAGES, stored, tokens(), WORDS):
        subset = Samples(inputs=inputs, labels=labels).subset([3, 0]).to("cpu")
        assert (len(subset), type(subset.inputs), subset.labels.tolist()) == (2, type(inputs), [1, 0])
    with pytest.raises(InputError, match="one label per input"):
        Samples(inputs=WORDS, labels=labels[:3])


def test_equal_images_have_one_fingerprint_in_memory_and_in_a_file(stored):
    labels = torch.tensor([0, 1, 0, 1])
    data = [
        make_data_set(
            "x",
            Samples(inputs=inputs, labels=labels),
            Samples(inputs=take_samples(inputs, torch.tensor([2, 1])), labels=labels[:2]),
            ["a", "b"],
        )
        for inputs in (IMAGES, stored)
    ]
    assert data[0].fingerprint == data[1].fingerprint
    assert data[1].input_shape == (3, 2, 5)


@pytest.mark.parametrize(("first", "second"), [(("ab", "c"), ("a", "bc")), (("a", "b"), ("b", "a"))])
def test_other_texts_have_another_fingerprint(first, second):
    prints = {
        make_data_set(
            "x",
            Samples(inputs=Texts(strings=strings), labels=torch.tensor([0, 1])),
            Samples(inputs=Texts(strings=("t",)), labels=torch.tensor([0])),
            ["a", "b"],
        ).fingerprint
        for strings in (first, second, first)
    }
    assert len(prints) == 2


def test_training_and_test_inputs_are_of_one_kind(stored):
    labels = torch.tensor([0, 1, 0, 1])
    with pytest.raises(InputError, match=r"one shape and type.*texts and \(3, 2, 5\) torch.uint8"):
        make_data_set("x", Samples(inputs=WORDS, labels=labels), Samples(inputs=stored, labels=labels), "ab")
    with pytest.raises(InputError, match="tokens"):
        make_data_set(
            "x", Samples(inputs=tokens(), labels=labels), Samples(inputs=WORDS, labels=labels), "ab"
        )


def test_a_normalization_is_measured_on_a_file_as_in_memory(stored):
    labels = torch.tensor([0, 1, 0, 1])
    in_memory, in_file = (
        measure_normalization(Samples(inputs=inputs, labels=labels)) for inputs in (IMAGES, stored)
    )
    assert in_memory == in_file


def test_what_does_not_lie_in_memory_is_refused_by_a_study(stored, tmp_path):
    labels = torch.tensor([0, 1, 0, 1])
    for inputs, kind in ((stored, "images in a file"), (tokens(), "tokens"), (WORDS, "texts")):
        samples = Samples(inputs=inputs, labels=labels)
        data = make_data_set("x", samples, samples, ["a", "b"])
        with pytest.raises(InputError, match=f"4 {kind}.*use transfer or compare"):
            normalize(inputs, Normalization(mean=(0.0,), std=(1.0,)))
        with pytest.raises(InputError, match=f"4 {kind}.*fit in memory"):
            write_data_set(data, tmp_path / "data.safetensors")
    with pytest.raises(InputError, match="4 texts"):
        measure_normalization(Samples(inputs=WORDS, labels=labels))


def test_what_is_printed_of_texts_and_tokens_is_short():
    assert repr(Texts(strings=("a", "b"))) == "Texts(2 texts)"
    tokens = Tokens(columns={"mask": torch.ones(1, 2), "ids": torch.ones(1, 2)})
    assert repr(tokens) == "Tokens(1 row of ids, mask)"
    assert repr(Samples(inputs=tokens, labels=torch.tensor([0]))) == "Samples(1 sample of tokens (ids, mask))"
