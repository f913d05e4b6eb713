"""Replies are looked at before anything is made of them: a bad one is rejected and the round goes on."""

import math

import torch
from torch import Tensor
from torch.nn.utils import get_total_norm

from limbeck.federate.messages import FAILED, Message, State
from limbeck.federate.strategies.record import Shapes, Strategy

LARGEST_LOGIT = 1e4
# What may come back that was not sent: logits in one of their formats, and class statistics.
DTYPES = (torch.float16, torch.float32, torch.float64, torch.int8, torch.uint8, torch.bool)


def find_fault(request: Message, reply: Message, strategy: Strategy, *, change_limit: float) -> str | None:
    """Why a reply is of no use, None when it is good.

    Args:
        request: What was asked.
        reply: What came back.
        strategy: Says what has to come back.
        change_limit: How far a tensor that was sent may have moved, in norms of what was sent (at least 1).
            Of a strategy that shares logits, what was not sent may hold no value beyond `LARGEST_LOGIT`.
    """
    numbers = _numbers_in(reply)
    return (
        find_failure(request, reply)
        or _find_fault_in_tensors(request.tensors, reply.tensors, strategy.shapes_fn(request))
        or find_unfit_number(reply)
        or _find_large_change(request.tensors, numbers, change_limit=change_limit)
        or (_find_large_logit(request.tensors, numbers) if strategy.shares == "logits" else None)
        or strategy.fault_fn(reply)
    )


def find_failure(request: Message, reply: Message) -> str | None:
    """Why a reply does not answer the request at all, None when it does."""
    if reply.task == FAILED:
        return str(reply.facts.get("reason", "the client failed and did not say why"))
    if (reply.task, reply.round) != (request.task, request.round):
        return f"it answers `{reply.task}` of round {reply.round}"
    return None


def find_unfit_number(reply: Message) -> str | None:
    """Which number of a reply cannot be: a tensor's that is not finite, an accuracy outside of [0, 1]."""
    numbers = _numbers_in(reply)
    if not math.isfinite(float(get_total_norm(numbers.values()))):  # one question instead of one per tensor
        for name, tensor in numbers.items():
            if not bool(torch.isfinite(tensor).all()):
                return f"`{name}` has a value that is not finite"
    accuracy = reply.facts.get("accuracy", 0.0)
    if not (isinstance(accuracy, int | float) and 0 <= accuracy <= 1):
        return f"it says accuracy={accuracy!r}"
    return None


def _numbers_in(reply: Message) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in reply.tensors.items() if tensor.is_floating_point()}


def _find_fault_in_tensors(sent: State, received: State, shapes: Shapes) -> str | None:
    missing, extra = sorted(shapes.keys() - received.keys()), sorted(received.keys() - shapes.keys())
    if missing or extra:
        name = (missing or extra)[0]
        return f"{'it lacks' if missing else 'nobody asked for'} `{name}`"
    for name, shape in shapes.items():
        tensor = received[name]
        if tuple(tensor.shape) != tuple(shape):
            return f"`{name}` has shape {list(tensor.shape)} instead of {list(shape)}"
        if name in sent and tensor.dtype != sent[name].dtype:
            return f"`{name}` is {tensor.dtype} instead of {sent[name].dtype}"
        if name not in sent and tensor.dtype not in DTYPES:
            return f"`{name}` is {tensor.dtype}, which nothing is sent in"
    return None


def _find_large_change(sent: State, numbers: dict[str, Tensor], *, change_limit: float) -> str | None:
    known = [name for name in numbers if name in sent]
    if known:
        size = max(1.0, float(get_total_norm([sent[name] for name in known])))
        moves = [numbers[name] - sent[name].to(numbers[name].device) for name in known]
        change = float(get_total_norm(moves))
        if change > change_limit * size:
            return f"it moved by {change:.3g}, beyond {change_limit:g} times the norm {size:.3g} it had"
    return None


def _find_large_logit(sent: State, numbers: dict[str, Tensor]) -> str | None:
    for name, tensor in numbers.items():
        largest = float(tensor.abs().max()) if tensor.numel() else 0.0
        if name not in sent and largest > LARGEST_LOGIT:
            return f"`{name}` has the value {largest:.3g}, beyond {LARGEST_LOGIT:g}"
    return None
