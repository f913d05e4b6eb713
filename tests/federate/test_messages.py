"""Messages are really encoded, and the ledger adds up what was."""

import json
import math

import pytest
import safetensors.torch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from limbeck.core.errors import InputError
from limbeck.federate import Entry, Ledger, Message, decode, encode
from limbeck.federate.messages import FACTS, as_group, count_bytes

words = st.text(max_size=8)
numbers = st.integers(-(2**40), 2**40) | st.floats(allow_nan=False, allow_infinity=False) | st.booleans()
facts = st.recursive(
    st.none() | numbers | words, lambda inner: st.lists(inner) | st.dictionaries(words, inner)
)


def make_state(seed=3):
    generator = torch.Generator().manual_seed(seed)
    return {
        "weight": torch.randn(3, 4, generator=generator),
        "half": torch.randn(5, generator=generator).half(),
        "brain": torch.randn(2, generator=generator).bfloat16(),
        "levels": torch.arange(-3, 3, dtype=torch.int8),
        "num_batches_tracked": torch.tensor(seed),
        "empty": torch.zeros(0, 4),
    }


def test_tensors_come_back_bit_for_bit():
    state = make_state()
    received = decode(encode(Message(task="fedavg", round=7, tensors=state)))
    assert (received.task, received.round, received.facts) == ("fedavg", 7, {})
    assert received.tensors.keys() == state.keys()
    for name, tensor in state.items():
        assert received.tensors[name].dtype == tensor.dtype
        assert torch.equal(received.tensors[name], tensor)


@settings(deadline=None, max_examples=60)
@given(st.dictionaries(words, facts))
def test_facts_come_back_as_they_were(said):
    assert decode(encode(Message(task="t", round=1, facts=said))).facts == said


def test_a_float_fact_keeps_every_bit():
    loss = math.pi / 7e12
    assert decode(encode(Message(task="t", round=1, facts={"loss": loss}))).facts["loss"] == loss


def test_a_message_is_a_plain_safetensors_file():
    content = encode(Message(task="fedavg", round=2, tensors={"a": torch.ones(2)}, facts={"b": 1}))
    tensors = safetensors.torch.load(content)
    assert torch.equal(tensors["a"], torch.ones(2))
    assert json.loads(bytes(tensors[FACTS].tolist())) == {"task": "fedavg", "round": 2, "facts": {"b": 1}}


def test_equal_messages_have_equal_bytes_whatever_the_order_of_facts():
    one = Message(task="t", round=1, tensors=make_state(), facts={"a": 1, "b": [2]})
    other = Message(task="t", round=1, tensors=make_state(), facts={"b": [2], "a": 1})
    assert encode(one) == encode(other)


def test_a_message_is_little_longer_than_its_tensors():
    state = make_state()
    # 12 float32, 5 float16, 2 bfloat16, 6 int8 and one int64 are 76 bytes; the rest is header and facts.
    assert 76 < len(encode(Message(task="t", round=1, tensors=state))) < 76 + 700


@settings(deadline=None, max_examples=60)
@given(
    st.dictionaries(words, st.tuples(st.sampled_from(list(make_state())), st.integers(0, 3))),
    st.dictionaries(words, facts),
)
def test_the_bytes_of_a_message_are_counted_without_encoding_it(names, said):
    tensors = {
        name: make_state()[kind].expand(times, *make_state()[kind].shape)
        for name, (kind, times) in names.items()
    }
    message = Message(task="t", round=1, tensors=tensors, facts=said)
    assert count_bytes(message) == len(encode(message))


def test_tensors_that_share_memory_are_counted_under_all_their_names():
    shared = torch.ones(3)
    message = Message(task="t", round=1, tensors={"a": shared, "b": shared[:2]})
    assert count_bytes(message) == len(encode(message))


def test_tensors_that_share_memory_travel_under_all_their_names():
    shared = torch.ones(3)
    received = decode(encode(Message(task="t", round=1, tensors={"a": shared, "b": shared}))).tensors
    assert torch.equal(received["a"], shared)
    assert torch.equal(received["b"], shared)


def test_weights_in_any_memory_layout_arrive_with_their_values():
    image = torch.arange(24.0).reshape(1, 2, 3, 4).contiguous(memory_format=torch.channels_last)
    assert torch.equal(decode(encode(Message(task="t", round=1, tensors={"a": image}))).tensors["a"], image)


def test_a_group_holds_what_was_put_into_it_and_nothing_of_others():
    state = {"0.weight": torch.ones(2), "0.bias": torch.zeros(1)}
    tensors = {**as_group("model", state), **as_group("model.1", {"x": torch.ones(1)})}
    message = Message(task="t", round=1, tensors=tensors)
    assert message.group("model").keys() == state.keys()
    assert message.group("model.1").keys() == {"x"}
    assert message.group("mod") == {}


def with_text(text):
    return safetensors.torch.save({FACTS: torch.frombuffer(bytearray(text), dtype=torch.uint8)})


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"garbage",
        b"\x80\x04K\x01.",
        safetensors.torch.save({"a": torch.ones(2)}),
        with_text(b"\xff\xfe"),
        with_text(b"[1, 2]"),
        with_text(b'{"task": "t", "round": 1}'),
        with_text(b'{"task": "t", "round": "1", "facts": {}}'),
        with_text(b'{"task": 3, "round": 1, "facts": {}}'),
        with_text(b'{"task": "t", "round": 1, "facts": [1]}'),
        with_text(b"[" * 100_000),
    ],
)
def test_damaged_bytes_are_refused(content):
    with pytest.raises(InputError, match=r"safetensors format, but its [0-9]+ bytes are not"):
        decode(content)


def test_half_a_message_is_refused():
    content = encode(Message(task="t", round=1, tensors=make_state()))
    with pytest.raises(InputError, match="same version"):
        decode(content[: len(content) // 2])


def test_the_ledger_adds_up_the_lengths_of_what_was_encoded():
    ledger = Ledger()
    small, large = (encode(Message(task="t", round=1, tensors={"a": torch.ones(n)})) for n in (1, 1000))
    ledger.note(small, round_number=0, client=4, direction="up")
    ledger.note(large, round_number=1, client=2, direction="down")
    ledger.note(small, round_number=1, client=2, direction="up")
    assert ledger.total_bytes() == 2 * len(small) + len(large)
    assert ledger.total_bytes(round_number=1) == len(small) + len(large)
    assert ledger.total_bytes(round_number=2) == 0
    assert ledger.entries[1] == Entry(round=1, client=2, direction="down", message_bytes=len(large))
