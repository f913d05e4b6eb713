"""A reply that is of no use is recognised, and the reason names what is wrong with it."""

from dataclasses import replace

import pytest
import torch

from limbeck.federate import Message
from limbeck.federate.inspection import LARGEST_LOGIT, find_failure, find_fault, find_unfit_number
from limbeck.federate.strategies import get_strategy

FEDAVG = get_strategy("fedavg")
SENT = {"model/w": torch.tensor([[3.0, 0.0, 4.0]]), "model/steps": torch.tensor(2)}
REQUEST = Message(task="fedavg", round=4, tensors=SENT)


def reply_with(**tensors):
    changed = {f"model/{name}": tensor for name, tensor in tensors.items()}
    return Message(task="fedavg", round=4, tensors={**SENT, **changed})


def inspect(reply, *, strategy=FEDAVG, change_limit=100.0):
    return find_fault(REQUEST, reply, strategy, change_limit=change_limit)


def test_an_honest_reply_is_good():
    assert inspect(reply_with(w=torch.tensor([[1.0, -2.0, 5.0]]), steps=torch.tensor(7))) is None


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (reply_with(w=torch.tensor([[1.0, torch.nan, 0.0]])), "`model/w` has a value that is not finite"),
        (reply_with(w=torch.tensor([[1.0, -torch.inf, 0.0]])), "`model/w` has a value that is not finite"),
        (reply_with(w=torch.zeros(3)), "`model/w` has shape [3] instead of [1, 3]"),
        (reply_with(w=torch.zeros(1, 4)), "`model/w` has shape [1, 4] instead of [1, 3]"),
        (reply_with(w=torch.zeros(1, 3).half()), "`model/w` is torch.float16 instead of torch.float32"),
        (reply_with(w=torch.zeros(1, 3).long()), "`model/w` is torch.int64 instead of torch.float32"),
        (reply_with(steps=torch.tensor(2.0)), "`model/steps` is torch.float32 instead of torch.int64"),
        (reply_with(extra=torch.zeros(1)), "nobody asked for `model/extra`"),
        (Message(task="fedavg", round=4), "it lacks `model/steps`"),
        (replace(reply_with(), task="fedprox"), "it answers `fedprox` of round 4"),
        (replace(reply_with(), round=3), "it answers `fedavg` of round 3"),
        (Message(task="failed", round=4, facts={"reason": "the disk is full"}), "the disk is full"),
        (Message(task="failed", round=4), "the client failed and did not say why"),
        (replace(reply_with(), facts={"accuracy": "high"}), "it says accuracy='high'"),
        (replace(reply_with(), facts={"accuracy": float("nan")}), "it says accuracy=nan"),
        (replace(reply_with(), facts={"accuracy": 1.5}), "it says accuracy=1.5"),
    ],
)
def test_a_bad_reply_is_named(reply, reason):
    assert inspect(reply) == reason


def test_a_reply_may_move_so_many_norms_and_no_further():
    # What was sent has norm 5; (3, 0, 4) + 10 (0.6, 0, 0.8) is two norms away.
    moved = reply_with(w=torch.tensor([[9.0, 0.0, 12.0]]))
    assert inspect(moved, change_limit=2.001) is None
    assert "moved by 10, beyond 1.9 times the norm 5" in inspect(moved, change_limit=1.9)


def test_a_huge_reply_whose_norm_overflows_is_rejected():
    assert "moved by inf" in inspect(reply_with(w=torch.full((1, 3), 3e38)))


def test_what_was_sent_with_a_small_norm_counts_as_norm_1():
    request = Message(task="fedavg", round=4, tensors={"model/w": torch.zeros(2)})
    near, far = (replace(request, tensors={"model/w": torch.tensor([size, 0.0])}) for size in (99.0, 101.0))
    assert find_fault(request, near, FEDAVG, change_limit=100) is None
    assert "norm 1" in find_fault(request, far, FEDAVG, change_limit=100)


def test_what_was_not_sent_may_hold_no_absurd_value():
    strategy = replace(FEDAVG, shares="logits", shapes_fn=lambda request: {"logits": (2, 2)})
    good, bad = (
        Message(task="fedavg", round=4, tensors={"logits": torch.full((2, 2), value)})
        for value in (LARGEST_LOGIT, -2 * LARGEST_LOGIT)
    )
    assert inspect(good, strategy=strategy) is None
    assert inspect(bad, strategy=strategy) == "`logits` has the value 2e+04, beyond 10000"


@pytest.mark.parametrize("dtype", [torch.int64, torch.complex64, torch.float8_e4m3fn])
def test_what_was_not_sent_comes_in_a_type_that_something_is_sent_in(dtype):
    strategy = replace(FEDAVG, shares="logits", shapes_fn=lambda request: {"logits": (2, 2)})
    reply = Message(task="fedavg", round=4, tensors={"logits": torch.zeros(2, 2, dtype=dtype)})
    assert inspect(reply, strategy=strategy) == f"`logits` is {dtype}, which nothing is sent in"


def test_an_empty_tensor_is_no_absurdity():
    strategy = replace(FEDAVG, shapes_fn=lambda request: {"logits": (0, 2)})
    reply = Message(task="fedavg", round=4, tensors={"logits": torch.zeros(0, 2)})
    assert inspect(reply, strategy=strategy) is None


def test_failures_and_unfit_numbers_can_be_looked_for_alone():
    assert find_failure(REQUEST, reply_with()) is None
    assert (
        find_failure(REQUEST, Message(task="failed", round=4, facts={"reason": "no samples"})) == "no samples"
    )
    assert find_unfit_number(reply_with()) is None
    assert "not finite" in find_unfit_number(reply_with(anything=torch.tensor([torch.inf])))
