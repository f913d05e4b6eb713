"""Means, medians and trimmed means equal NumPy and SciPy; a few bad clients do not move the latter two."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from limbeck.core.errors import InputError
from limbeck.engine import Training
from limbeck.federate import Plan
from limbeck.federate.aggregation import aggregate

RULES = ["mean", "median", "trimmed-mean"]
laws = settings(deadline=None, max_examples=40)


def plan_with(aggregation, trim=0.1):
    return Plan(rounds=1, local=Training(epochs=1), aggregation=aggregation, trim=trim)


def draw_states(num_states, seed):
    generator = torch.Generator().manual_seed(seed)
    return [
        {
            "weight": torch.randn(3, 4, generator=generator),
            "half": torch.randn(5, generator=generator).half(),
            "num_batches_tracked": torch.tensor(number),
        }
        for number in range(num_states)
    ]


def stack(states, name="weight"):
    return np.stack([state[name].numpy().astype(np.float64) for state in states])


def test_each_rule_by_hand():
    states = [{"w": torch.tensor([value, -value])} for value in (1.0, 2.0, 4.0, 8.0, 100.0)]
    # The mean by samples 5, 1, 1, 1, 2 is (5 + 2 + 4 + 8 + 200) / 10; without each end (2 + 4 + 8) / 3.
    expected = {"mean": 21.9, "median": 4.0, "trimmed-mean": 14 / 3}
    for rule, value in expected.items():
        ours = aggregate(states, [5, 1, 1, 1, 2], plan_with(rule, trim=0.2))
        torch.testing.assert_close(ours["w"], torch.tensor([value, -value]))


@laws
@given(num_states=st.integers(1, 9), seed=st.integers(0, 99))
def test_the_mean_equals_numpy(num_states, seed):
    states, shares = draw_states(num_states, seed), list(range(1, num_states + 1))
    ours = aggregate(states, shares, plan_with("mean"))
    np.testing.assert_allclose(
        ours["weight"].numpy(), np.average(stack(states), axis=0, weights=shares), rtol=1e-6, atol=1e-7
    )


@laws
@given(num_states=st.integers(1, 9), seed=st.integers(0, 99))
def test_the_median_equals_numpy(num_states, seed):
    states = draw_states(num_states, seed)
    ours = aggregate(states, [1] * num_states, plan_with("median"))
    expected = np.median(stack(states), axis=0).astype(np.float32)
    np.testing.assert_array_equal(ours["weight"].numpy(), expected)


@laws
@given(num_states=st.integers(1, 9), seed=st.integers(0, 99), trim=st.sampled_from([0, 0.1, 0.25, 0.4, 0.49]))
def test_the_trimmed_mean_equals_scipy(num_states, seed, trim):
    states = draw_states(num_states, seed)
    ours = aggregate(states, [1] * num_states, plan_with("trimmed-mean", trim))
    # scipy cuts nobody off where the share is less than one; we cut one, if two are left besides.
    share = max(trim, 1 / num_states) if trim > 0 and num_states >= 3 else trim
    expected = stats.trim_mean(stack(states), share + 1e-9 if share > trim else share, axis=0)
    np.testing.assert_allclose(ours["weight"].numpy(), expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("rule", RULES)
def test_equal_states_make_that_state_in_its_own_types(rule):
    state = draw_states(1, 0)[0]
    ours = aggregate([state, state, state], [1, 5, 7], plan_with(rule))
    for name, tensor in state.items():
        assert ours[name].dtype == tensor.dtype
        torch.testing.assert_close(ours[name], tensor, rtol=0, atol=1e-7)


@pytest.mark.parametrize("rule", RULES)
def test_counters_take_the_largest_value(rule):
    assert aggregate(draw_states(4, 0), [1] * 4, plan_with(rule))["num_batches_tracked"] == 3


@laws
@given(order=st.permutations(range(5)), rule=st.sampled_from(["median", "trimmed-mean"]))
def test_order_and_shares_do_not_matter_to_robust_rules(order, rule):
    states, plan = draw_states(5, 1), plan_with(rule, 0.2)
    ours = aggregate(states, [1] * 5, plan)
    theirs = aggregate([states[place] for place in order], [3, 1, 4, 1, 5], plan)
    assert torch.equal(ours["weight"], theirs["weight"])


@laws
@given(num_states=st.integers(3, 9), seed=st.integers(0, 99), value=st.sampled_from([-3e38, -7.0, 7.0, 3e38]))
def test_fewer_than_half_cannot_move_the_median_beyond_the_others(num_states, seed, value):
    states = draw_states(num_states, seed)
    num_bad = (num_states - 1) // 2
    honest = stack(states[num_bad:])
    bad = [{**state, "weight": torch.full((3, 4), value)} for state in states[:num_bad]]
    ours = aggregate([*bad, *states[num_bad:]], [1] * num_states, plan_with("median"))["weight"].numpy()
    assert (ours >= honest.min(axis=0)).all()
    assert (ours <= honest.max(axis=0)).all()


@laws
@given(seed=st.integers(0, 99), value=st.sampled_from([-3e38, 3e38]))
def test_a_trimmed_share_cannot_move_the_trimmed_mean_beyond_the_others(seed, value):
    states = draw_states(10, seed)
    honest = stack(states[2:])
    bad = [{**state, "weight": torch.full((3, 4), value)} for state in states[:2]]
    ours = aggregate([*bad, *states[2:]], [1] * 10, plan_with("trimmed-mean", 0.2))["weight"].numpy()
    assert (ours >= honest.min(axis=0) - 1e-6).all()
    assert (ours <= honest.max(axis=0) + 1e-6).all()


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(
    "states",
    [
        [],
        [{"a": torch.zeros(1)}, {"a": torch.zeros(2)}],
        [{"a": torch.zeros(1)}, {"b": torch.zeros(1)}],
    ],
)
def test_what_cannot_be_aggregated_is_refused(rule, states):
    with pytest.raises(InputError, match="must hold"):
        aggregate(states, [1.0] * len(states), plan_with(rule))
