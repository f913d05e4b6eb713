"""The fixed hold-out: exact size, each class in proportion, always the same."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from limbeck.core.errors import InputError
from limbeck.data import Samples
from limbeck.data.hold_out import hold_out, mark_hold_out, share_out

LABELS = st.lists(st.integers(0, 5), min_size=2, max_size=60)


@settings(max_examples=60, deadline=None)
@given(labels=LABELS, share=st.floats(0.05, 0.95))
def test_the_hold_out_has_its_size_and_each_class_its_share(labels, share):
    labels = np.array(labels)
    num_test = min(max(1, int(share * len(labels))), len(labels) - 1)
    is_test = mark_hold_out(labels, num_test=num_test)
    assert is_test.sum() == num_test
    for label in np.unique(labels):
        fair = Fraction(int((labels == label).sum()) * num_test, len(labels))
        assert abs(int(is_test[labels == label].sum()) - fair) < 1


@settings(max_examples=30, deadline=None)
@given(labels=LABELS)
def test_both_parts_together_are_the_samples(labels):
    inputs = torch.arange(len(labels), dtype=torch.float32)[:, None]
    train, test = hold_out(Samples(inputs=inputs, labels=torch.tensor(labels)))
    assert sorted(torch.cat([train.inputs, test.inputs]).flatten().tolist()) == list(range(len(labels)))
    assert len(test) == max(1, round(0.2 * len(labels)))


def test_the_split_is_always_the_same_and_leaves_global_randomness_alone():
    before = repr(np.random.get_state())  # noqa: NPY002 - the state that must not change
    first, second = (mark_hold_out(np.arange(50) % 3, num_test=10) for _ in range(2))
    assert first.tolist() == second.tolist()
    assert repr(np.random.get_state()) == before  # noqa: NPY002


def test_largest_remainders_get_what_is_left():
    # Exact shares of 4: 2.0, 1.2, 0.8.
    assert share_out(np.array([5, 3, 2]), total=4).tolist() == [2, 1, 1]


def test_a_single_sample_cannot_be_split():
    with pytest.raises(InputError, match="1 of 1 samples"):
        hold_out(Samples(inputs=torch.zeros(1, 1), labels=torch.tensor([0])))
