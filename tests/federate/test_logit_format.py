"""Logits travel in three formats, and come back as near as each promises."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from limbeck.federate.logit_format import pack_logits, packed_shapes, unpack_logits
from limbeck.federate.messages import Message, as_group, encode

FORMATS = ("float32", "float16", "int8")
LARGEST = float(np.finfo(np.float32).max)


def tables(largest):
    shapes = st.tuples(st.integers(1, 5), st.integers(1, 12))
    return arrays.arrays(np.float32, shapes, elements=st.floats(-largest, largest, width=32))


@settings(deadline=None)
@given(tables(LARGEST))
def test_float32_comes_back_bit_for_bit(table):
    np.testing.assert_array_equal(
        unpack_logits(pack_logits(torch.from_numpy(table), "float32")).numpy(), table
    )


@settings(deadline=None)
@given(tables(65_504))
def test_float16_is_within_one_part_in_2048(table):
    received = unpack_logits(pack_logits(torch.from_numpy(table), "float16")).numpy()
    error = np.abs(received.astype(np.float64) - table.astype(np.float64))
    assert (error <= np.maximum(np.abs(table.astype(np.float64)) / 2048, 3e-8)).all()


@settings(deadline=None)
@given(tables(1e6))
def test_int8_is_within_half_a_step_of_each_row(table):
    received = unpack_logits(pack_logits(torch.from_numpy(table), "int8")).numpy()
    wide = table.astype(np.float64)
    step = (wide.max(axis=1) - wide.min(axis=1)) / 255
    rounding = np.abs(wide).max(axis=1) * 2.0**-23 + 1e-35
    assert (np.abs(received - wide) <= (step / 2 * (1 + 1e-6) + rounding)[:, None]).all()


def test_int8_steps_are_those_of_a_calculation_by_hand():
    # From -1 to 4.1 there are 255 steps of 0.02, and 0 is step 50; a constant row has steps of 0.
    packed = pack_logits(torch.tensor([[-1.0, 0.0, 4.1], [2.0, 2.0, 2.0]]), "int8")
    assert packed["values"].tolist() == [[-128, -78, 127], [-128, -128, -128]]
    torch.testing.assert_close(packed["scale"], torch.tensor([0.02, 0.0]))
    torch.testing.assert_close(packed["offset"], torch.tensor([-1.0, 2.0]))
    torch.testing.assert_close(unpack_logits(packed), torch.tensor([[-1.0, 0.0, 4.1], [2.0, 2.0, 2.0]]))


@pytest.mark.parametrize("logit_format", FORMATS)
def test_extreme_logits_stay_finite(logit_format):
    table = torch.tensor([[-LARGEST, 0.0, LARGEST], [LARGEST, LARGEST, LARGEST], [0.0, 1e-45, -1e-45]])
    assert torch.isfinite(unpack_logits(pack_logits(table, logit_format))).all()


@pytest.mark.parametrize("logit_format", FORMATS)
def test_logits_that_are_not_finite_are_not_made_finite_where_the_server_looks(logit_format):
    packed = pack_logits(torch.tensor([[0.0, float("nan"), 1.0]]), logit_format)
    assert not all(bool(torch.isfinite(value).all()) for value in packed.values())


@pytest.mark.parametrize("logit_format", FORMATS)
def test_the_shapes_are_those_announced(logit_format):
    packed = pack_logits(torch.zeros(7, 4), logit_format)
    assert {name: tuple(value.shape) for name, value in packed.items()} == packed_shapes(7, 4, logit_format)


@pytest.mark.parametrize(
    ("logit_format", "payload"), [("float32", 200_000), ("float16", 100_000), ("int8", 90_000)]
)
def test_five_thousand_rows_of_ten_take_the_bytes_of_their_format(logit_format, payload):
    packed = pack_logits(torch.zeros(5_000, 10), logit_format)
    size = len(encode(Message(task="t", round=1, tensors=as_group("logits", packed))))
    assert payload < size < payload + 400
