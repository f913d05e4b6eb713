"""The blend of labels and pull, which every technique with a target uses."""

import pytest
import torch

from limbeck.core.errors import InputError
from limbeck.losses import blend, cross_entropy


def forbidden():
    raise AssertionError("a term of weight 0 is not computed")


def test_it_weighs_both_terms(student_logits, labels):
    pull = torch.tensor([1.0, 2.0, 4.0], dtype=torch.float64)
    value = blend(student_logits, labels, lambda: pull, weight=0.25)
    torch.testing.assert_close(value, 0.75 * cross_entropy(student_logits, labels) + 0.25 * pull)


def test_without_weight_the_pull_is_not_computed(student_logits, labels):
    assert torch.equal(
        blend(student_logits, labels, forbidden, weight=0), cross_entropy(student_logits, labels)
    )


def test_one_number_for_the_batch_counts_for_every_sample(student_logits):
    value = blend(student_logits, None, lambda: torch.tensor(2.0), weight=1)
    assert value.tolist() == [2.0, 2.0, 2.0]


def test_labels_are_needed_below_weight_one(student_logits):
    with pytest.raises(InputError, match="weight == 1 without labels"):
        blend(student_logits, None, forbidden, weight=0.9)
