"""`describe`: a split in numbers."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon
from scipy.stats import entropy as scipy_entropy

from limbeck.core.errors import InputError
from limbeck.partition import Partition, describe, split
from limbeck.partition.description import entropy, js_divergence

LABELS = np.array([0, 0, 1, 1, 2, 0, 1])


def divide(*lists):
    return Partition(
        strategy="uniform",
        parameters={},
        num_clients=len(lists),
        seed=0,
        indices=tuple(np.array(ids, dtype=np.int64) for ids in lists),
    )


def test_a_small_split_by_hand():
    # The clients hold labels (0, 0), (0, 1, 1) and (2) of 4 classes; nobody holds sample 6.
    description = describe(divide([0, 1], [5, 2, 3], [4]), LABELS, num_classes=4)
    assert description.sizes.tolist() == [2, 3, 1]
    assert description.histogram.tolist() == [[2, 0, 0, 0], [1, 2, 0, 0], [0, 0, 1, 0]]
    assert description.classes_held == ((0,), (0, 1), (2,))
    assert description.num_unused == 1
    # exp(-(1/3 log 1/3 + 2/3 log 2/3)) = 3 / 2^(2/3)
    assert description.effective_classes == pytest.approx([1.0, 3 / 2 ** (2 / 3), 1.0])
    assert description.title == "uniform, 3 clients, seed 0"


def test_the_divergence_by_hand():
    # JS((1, 0), (1/2, 1/2)) = H(3/4, 1/4) - 1/2 = 2 - 3/4 log2 3 - 1/2 bits.
    divergence = js_divergence(np.array([[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]]))
    half_way = 1.5 - 0.75 * np.log2(3)
    assert divergence == pytest.approx(
        np.array([[0, half_way, 1], [half_way, 0, half_way], [1, half_way, 0]])
    )


@settings(deadline=None, max_examples=60)
@given(st.lists(st.lists(st.integers(0, 20), min_size=4, max_size=4).filter(any), min_size=1, max_size=5))
def test_divergence_and_entropy_agree_with_scipy(rows):
    mixes = np.array(rows) / np.sum(rows, axis=1, keepdims=True)
    ours = js_divergence(mixes)
    # The square root magnifies scipy's own rounding near 0, and it may even be of a negative number there.
    with np.errstate(invalid="ignore"):
        theirs = np.array([[np.nan_to_num(jensenshannon(p, q, base=2)) ** 2 for q in mixes] for p in mixes])
    assert ours == pytest.approx(theirs, abs=1e-12)
    assert entropy(mixes) == pytest.approx(scipy_entropy(mixes, axis=1), abs=1e-12)
    assert (ours == ours.T).all()
    assert ((ours >= 0) & (ours <= 1)).all()
    assert (np.diag(ours) == 0).all()


def test_the_extremes_are_uniform_and_disjoint():
    labels = np.tile(np.arange(10), 100)
    even = describe(split(labels, "uniform", num_clients=5, seed=0), labels, num_classes=10)
    apart = describe(split(labels, "disjoint", num_clients=5, seed=0), labels, num_classes=10)
    assert even.divergence.max() == pytest.approx(0.0, abs=1e-12)
    assert even.effective_classes == pytest.approx(np.full(5, 10.0))
    assert apart.divergence == pytest.approx(1 - np.eye(5))
    assert apart.effective_classes == pytest.approx(np.full(5, 2.0))


def test_a_description_can_be_written_as_json():
    labels = np.tile(np.arange(3), 20)
    parts = split(labels, "dirichlet", num_clients=4, seed=0, alpha=0.5)
    description = describe(parts, labels, num_classes=3)
    read_back = json.loads(json.dumps(description.to_dict(), allow_nan=False))
    assert read_back == description.to_dict()
    assert read_back["title"] == "dirichlet (alpha=0.5, balance=True), 4 clients, seed 0"
    assert read_back["partition_hash"] == parts.hash
    assert sum(read_back["sizes"]) == 60


@pytest.mark.parametrize(
    ("parts", "num_classes", "rule"),
    [
        (divide([0, 1]), 2, "labels < num_classes"),
        (divide([0, 7]), 3, "indices < number of labels"),
        (divide([0], []), 3, "every client has a sample"),
    ],
)
def test_a_split_of_other_labels_is_refused(parts, num_classes, rule):
    with pytest.raises(InputError, match=rule):
        describe(parts, LABELS, num_classes=num_classes)
