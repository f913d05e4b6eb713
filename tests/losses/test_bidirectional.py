"""bidirectional: on each sample the model that knows better teaches the other."""

import numpy as np
import torch
from hypothesis import given
from tests.losses import reference
from tests.losses.draws import BATCH, class_ids, laws, logits

from limbeck.losses import bidirectional, cross_entropy, kd


@laws
@given(z_a=logits, z_b=logits, y=class_ids)
def test_both_losses_equal_the_reference(z_a, z_b, y):
    p_a, p_b = (reference.softmax(z)[np.arange(BATCH), y] for z in (z_a, z_b))
    is_clear = ~np.isclose(p_a, p_b, rtol=1e-9, atol=0)
    ours = bidirectional(*map(torch.from_numpy, (z_a, z_b, y)))
    for value, expected in zip(ours, reference.bidirectional(z_a, z_b, y), strict=True):
        np.testing.assert_allclose(value.numpy()[is_clear], expected[is_clear], rtol=1e-9, atol=1e-9)


@laws
@given(z_a=logits, z_b=logits, y=class_ids)
def test_the_two_losses_sum_to_the_papers(z_a, z_b, y):
    first, second, labels = map(torch.from_numpy, (z_a, z_b, y))
    m = (cross_entropy(first, labels) < cross_entropy(second, labels)).double()
    paper = cross_entropy(first, labels) + cross_entropy(second, labels)
    paper = paper + m * kd(second, first, temperature=1) + (1 - m) * kd(first, second, temperature=1)
    torch.testing.assert_close(sum(bidirectional(first, second, labels)), paper)


def test_who_teaches_is_decided_by_hand(student_logits, initial_logits, labels):
    # p[y] of the first is .710, .520, .085 and of the second .748, .431, .332: b, a, b teach in turn.
    first, second = bidirectional(student_logits, initial_logits, labels)
    first_pull = first - cross_entropy(student_logits, labels)
    second_pull = second - cross_entropy(initial_logits, labels)
    assert (first_pull > 1e-12).tolist() == [True, False, True]
    assert (second_pull > 1e-12).tolist() == [False, True, False]


def test_equal_models_pull_nowhere(student_logits, labels):
    for loss in bidirectional(student_logits, student_logits.clone(), labels):
        torch.testing.assert_close(loss, cross_entropy(student_logits, labels))


def test_the_teaching_side_is_constant(student_logits, teacher_logits, labels):
    first, second = student_logits.requires_grad_(), teacher_logits.requires_grad_()
    of_first, of_second = bidirectional(first, second, labels)
    of_first.sum().backward()
    assert first.grad.abs().sum() > 0
    assert second.grad is None
    first.grad = None
    of_second.sum().backward()
    assert first.grad is None
    assert second.grad.abs().sum() > 0
