"""Averages of weights are what the formula says."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from limbeck.core.errors import InputError
from limbeck.models import weighted_average


def make_state(seed):
    generator = torch.Generator().manual_seed(seed)
    return {
        "weight": torch.randn(3, 4, generator=generator),
        "half": torch.randn(5, generator=generator).half(),
        "num_batches_tracked": torch.tensor(seed),
    }


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(1, 1000), min_size=1, max_size=5))
def test_the_average_equals_numpy_in_float64(shares):
    states = [make_state(seed) for seed in range(len(shares))]
    ours = weighted_average(states, shares)
    expected = np.average(
        [state["weight"].numpy().astype(np.float64) for state in states], axis=0, weights=shares
    )
    np.testing.assert_allclose(ours["weight"].numpy(), expected, rtol=1e-6, atol=1e-7)
    assert ours["half"].dtype == torch.float16
    assert ours["num_batches_tracked"].item() == len(shares) - 1


def test_the_average_of_equal_states_is_that_state():
    state = make_state(0)
    average = weighted_average([state, state, state], [1, 5, 7])
    torch.testing.assert_close(average["weight"], state["weight"], rtol=0, atol=1e-7)


@pytest.mark.parametrize(
    ("states", "shares", "rule"),
    [
        ([], [], "at least one state"),
        ([{"a": torch.zeros(1)}], [1, 2], "one share per state"),
        ([{"a": torch.zeros(1)}], [0], "not all 0"),
        ([{"a": torch.zeros(1)}, {"a": torch.zeros(2)}], [1, 1], "same names and shapes"),
        ([{"a": torch.zeros(1)}, {"b": torch.zeros(1)}], [1, 1], "same names and shapes"),
    ],
)
def test_what_cannot_be_averaged_is_refused(states, shares, rule):
    with pytest.raises(InputError, match=rule):
        weighted_average(states, shares)
