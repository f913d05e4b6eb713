"""Several teachers as one: means, weights and coverage."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from tests.losses import reference
from tests.losses.draws import BATCH, CLASSES, class_ids, finite, laws, orders, temperatures, weights

from limbeck.core.errors import InputError
from limbeck.losses import (
    coverage_mean,
    mean_logits,
    mean_probabilities,
    share_mean,
    teacher_weights,
    weighted_probabilities,
)

NUM_TEACHERS = 3
stacks = arrays(np.float64, (NUM_TEACHERS, BATCH, CLASSES), elements=finite)
coverages = arrays(np.bool_, (NUM_TEACHERS, CLASSES))


def soften(logits: torch.Tensor, temperature: float) -> np.ndarray:
    return reference.softmax(logits.numpy(), temperature)


@laws
@given(zs_t=stacks, y=class_ids)
def test_teacher_weights_equal_the_reference_and_sum_to_1(zs_t, y):
    ours = teacher_weights(list(torch.from_numpy(zs_t)), torch.from_numpy(y)).numpy()
    np.testing.assert_allclose(ours, reference.teacher_weights(list(zs_t), y), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(ours.sum(axis=0), 1, rtol=1e-12)
    assert (ours <= 1 / (NUM_TEACHERS - 1) + 1e-12).all()


@laws
@given(zs_t=stacks, y=class_ids, order=orders)
def test_teacher_weights_treat_samples_alone(zs_t, y, order):
    whole = teacher_weights(list(torch.from_numpy(zs_t)), torch.from_numpy(y))
    permuted = teacher_weights(list(torch.from_numpy(zs_t[:, order])), torch.from_numpy(y[order]))
    torch.testing.assert_close(permuted, whole[:, order])


def test_equal_teachers_weigh_the_same(teacher_logits, labels):
    weights = teacher_weights([teacher_logits, teacher_logits + 5, teacher_logits], labels)
    torch.testing.assert_close(weights, torch.full((3, 3), 1 / 3, dtype=torch.float64))


def test_one_teacher_weighs_1_and_none_is_refused(teacher_logits, labels):
    assert teacher_weights([teacher_logits], labels).tolist() == [[1, 1, 1]]
    with pytest.raises(InputError, match=r"`teachers >= 1` must hold, but got teachers=0\."):
        teacher_weights([], labels)


@laws
@given(zs_t=stacks, raw=arrays(np.float64, (NUM_TEACHERS, BATCH), elements=weights), temperature=temperatures)
def test_weighted_probabilities_equal_the_reference(zs_t, raw, temperature):
    raw[0] += 1e-3  # so that some weight is left
    shares = raw / raw.sum(axis=0)
    ours = weighted_probabilities(torch.from_numpy(zs_t), torch.from_numpy(shares), temperature=temperature)
    expected = reference.weighted_probabilities(zs_t, shares, temperature)
    np.testing.assert_allclose(soften(ours, temperature), expected, rtol=1e-9, atol=1e-12)


@laws
@given(zs_t=stacks, temperature=temperatures)
def test_equal_weights_give_the_mean_of_probabilities(zs_t, temperature):
    stacked = torch.from_numpy(zs_t)
    equal = torch.full((NUM_TEACHERS, BATCH), 1 / NUM_TEACHERS, dtype=torch.float64)
    torch.testing.assert_close(
        weighted_probabilities(stacked, equal, temperature=temperature),
        mean_probabilities(stacked, temperature=temperature),
    )


@laws
@given(zs_t=stacks, temperature=temperatures)
def test_the_whole_weight_on_one_teacher_gives_its_probabilities(zs_t, temperature):
    one = torch.tensor([[0.0], [1.0], [0.0]], dtype=torch.float64).expand(-1, BATCH)
    ours = weighted_probabilities(torch.from_numpy(zs_t), one, temperature=temperature)
    np.testing.assert_allclose(
        soften(ours, temperature), reference.softmax(zs_t[1], temperature), rtol=1e-9, atol=1e-12
    )


@laws
@given(zs_t=stacks, shift=finite)
def test_the_mean_of_logits_is_the_geometric_mean_of_probabilities(zs_t, shift):
    geometric = np.exp(np.mean([np.log(reference.softmax(z)) for z in zs_t], axis=0))
    shifted = torch.from_numpy(zs_t + shift * np.arange(NUM_TEACHERS)[:, None, None])
    expected = geometric / geometric.sum(axis=-1, keepdims=True)
    np.testing.assert_allclose(soften(mean_logits(shifted), 1), expected, rtol=1e-9, atol=1e-12)


@laws
@given(zs_t=stacks, known=coverages, temperature=temperatures)
def test_the_mean_by_coverage_equals_the_reference(zs_t, known, temperature):
    ours = coverage_mean(torch.from_numpy(zs_t), torch.from_numpy(known), temperature=temperature)
    expected = reference.coverage_probabilities(zs_t, known, temperature)
    np.testing.assert_allclose(soften(ours, temperature), expected, rtol=1e-9, atol=1e-12)


@laws
@given(zs_t=stacks, temperature=temperatures, is_known=st.booleans())
def test_teachers_that_know_all_or_nothing_count_by_the_mean_of_probabilities(zs_t, temperature, is_known):
    stacked = torch.from_numpy(zs_t)
    known = torch.full((NUM_TEACHERS, CLASSES), is_known)
    torch.testing.assert_close(
        coverage_mean(stacked, known, temperature=temperature),
        mean_probabilities(stacked, temperature=temperature),
    )


def test_classes_are_judged_by_those_who_know_them():
    first = torch.tensor([[0.6, 0.3, 0.1]], dtype=torch.float64).log()
    second = torch.tensor([[0.2, 0.2, 0.6]], dtype=torch.float64).log()
    known = torch.tensor([[True, True, False], [False, True, False]])
    ours = coverage_mean(torch.stack([first, second]), known, temperature=1)
    # By hand: .6 of the first alone, (.3 + .2) / 2 of both, (.1 + .6) / 2 where none knows; they sum to 1.2.
    assert soften(ours, 1)[0] == pytest.approx([0.5, 0.25 / 1.2, 0.35 / 1.2])


amounts = arrays(np.float64, (NUM_TEACHERS, CLASSES), elements=st.integers(0, 500).map(float))


@laws
@given(zs_t=stacks, shares=amounts, temperature=temperatures)
def test_the_mean_by_shares_equals_the_reference(zs_t, shares, temperature):
    ours = share_mean(torch.from_numpy(zs_t), torch.from_numpy(shares), temperature=temperature)
    expected = reference.share_probabilities(zs_t, shares, temperature)
    np.testing.assert_allclose(soften(ours, temperature), expected, rtol=1e-9, atol=1e-12)


def test_a_class_is_judged_by_the_shares_of_its_samples():
    first = torch.tensor([[0.6, 0.3, 0.1]], dtype=torch.float64).log()
    second = torch.tensor([[0.2, 0.2, 0.6]], dtype=torch.float64).log()
    shares = torch.tensor([[30.0, 5.0, 0.0], [10.0, 0.0, 0.0]], dtype=torch.float64)
    ours = share_mean(torch.stack([first, second]), shares, temperature=1)
    # By hand: .75 x .6 + .25 x .2 = .5; .3 of the first alone; (.1 + .6) / 2 where none has any; sum 1.15.
    assert soften(ours, 1)[0] == pytest.approx([0.5 / 1.15, 0.3 / 1.15, 0.35 / 1.15])


@laws
@given(zs_t=stacks, shares=amounts, scale=st.floats(1e-3, 1e3), temperature=temperatures)
def test_only_the_ratio_of_shares_matters(zs_t, shares, scale, temperature):
    stacked, amount = torch.from_numpy(zs_t), torch.from_numpy(shares)
    torch.testing.assert_close(
        share_mean(stacked, amount * scale, temperature=temperature),
        share_mean(stacked, amount, temperature=temperature),
    )


@laws
@given(zs_t=stacks, known=coverages, temperature=temperatures)
def test_equal_shares_count_as_coverage_does(zs_t, known, temperature):
    stacked = torch.from_numpy(zs_t)
    torch.testing.assert_close(
        share_mean(stacked, 42.0 * torch.from_numpy(known), temperature=temperature),
        coverage_mean(stacked, torch.from_numpy(known), temperature=temperature),
    )


@laws
@given(zs_t=stacks, shares=amounts, temperature=temperatures, shift=finite)
def test_which_of_two_classes_is_likelier_is_said_by_those_with_a_share_alone(
    zs_t, shares, temperature, shift
):
    shares[:, :2], shares[0, :2] = 0.0, (3.0, 7.0)
    other = zs_t.copy()
    other[1:] += shift * np.arange(CLASSES)
    ours, theirs = (
        share_mean(torch.from_numpy(said), torch.from_numpy(shares), temperature=temperature)
        for said in (zs_t, other)
    )
    torch.testing.assert_close(ours[:, 0] - ours[:, 1], theirs[:, 0] - theirs[:, 1], rtol=1e-6, atol=1e-6)


@laws
@given(zs_t=stacks, shares=amounts, order=st.permutations(range(NUM_TEACHERS)))
def test_the_order_of_teachers_does_not_matter_to_shares(zs_t, shares, order):
    torch.testing.assert_close(
        share_mean(torch.from_numpy(zs_t[order]), torch.from_numpy(shares[order]), temperature=2),
        share_mean(torch.from_numpy(zs_t), torch.from_numpy(shares), temperature=2),
    )


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_extreme_half_precision_teachers_stay_finite(dtype):
    rows = [[3e4, -3e4, 0.0], [-3e4, 3e4, 3e4]]
    stacked = torch.tensor([rows, rows[::-1]], dtype=dtype, requires_grad=True)
    known = torch.tensor([[True, False, False], [False, True, False]])
    weights = torch.tensor([[1.0, 0.0], [0.0, 1.0]], dtype=dtype)
    for target in (
        mean_logits(stacked),
        mean_probabilities(stacked, temperature=1),
        weighted_probabilities(stacked, weights, temperature=1),
        coverage_mean(stacked, known, temperature=1),
        share_mean(stacked, 1e4 * known.to(dtype), temperature=1),
        teacher_weights(list(stacked), torch.tensor([0, 1])),
    ):
        stacked.grad = None
        target.sum().backward()
        assert torch.isfinite(target).all()
        assert torch.isfinite(stacked.grad).all()


def test_gradients_of_every_mean_are_right(teacher_logits, initial_logits, labels):
    stacked = torch.stack([teacher_logits, initial_logits]).requires_grad_()
    known = torch.tensor([[True, True, False, False], [False, True, True, False]])
    shares = torch.tensor([[3.0, 1.0, 0.0, 0.0], [0.0, 2.0, 5.0, 0.0]], dtype=torch.float64)
    weights = torch.tensor([[0.0, 0.4, 1.0], [1.0, 0.6, 0.0]], dtype=torch.float64)
    for function in (
        mean_logits,
        lambda z: mean_probabilities(z, temperature=2),
        lambda z: weighted_probabilities(z, weights, temperature=2),
        lambda z: coverage_mean(z, known, temperature=2),
        lambda z: share_mean(z, shares, temperature=2),
        lambda z: teacher_weights(list(z), labels),
    ):
        assert torch.autograd.gradcheck(function, (stacked,))


def test_weights_pass_no_gradient(teacher_logits, initial_logits):
    weights = torch.full((2, 3), 0.5, dtype=torch.float64, requires_grad=True)
    stacked = torch.stack([teacher_logits, initial_logits])
    assert not weighted_probabilities(stacked, weights, temperature=1).requires_grad
