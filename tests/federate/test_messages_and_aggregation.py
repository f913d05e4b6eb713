"""Messages are really encoded, and averages are what the formula says."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from limbeck.core.errors import InputError
from limbeck.federate import Ledger, decode, encode
from limbeck.models import weighted_average


def make_state(seed):
    generator = torch.Generator().manual_seed(seed)
    return {
        "weight": torch.randn(3, 4, generator=generator),
        "half": torch.randn(5, generator=generator).half(),
        "num_batches_tracked": torch.tensor(seed),
    }


def test_a_message_comes_back_bit_for_bit():
    state = make_state(3)
    received = decode(encode(state))
    assert received.keys() == state.keys()
    assert all(torch.equal(received[name], state[name]) for name in state)


def test_the_ledger_counts_the_bytes_of_the_real_encoding():
    state, ledger = make_state(0), Ledger()
    ledger.send(state, round_number=1, client=4, direction="up")
    ledger.deliver(encode(state), round_number=1, client=2, direction="down")
    assert ledger.total_bytes() == 2 * len(encode(state))
    # 12 float32, 5 float16 and one int64 are 66 bytes; the rest is the header.
    assert 66 < len(encode(state)) < 66 + 400
    assert [(entry.round, entry.client, entry.direction) for entry in ledger.entries] == [
        (1, 4, "up"),
        (1, 2, "down"),
    ]


@pytest.mark.parametrize("message", [b"", b"garbage", b"\x80\x04K\x01."])
def test_a_damaged_message_is_refused(message):
    with pytest.raises(InputError, match="safetensors"):
        decode(message)


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
