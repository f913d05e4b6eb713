"""Couriers whose clients answer what a test wants them to: broken replies, or none."""

from dataclasses import dataclass, field, replace

import torch

from limbeck.federate import Message, Simulation, decode, encode


@dataclass(frozen=True)
class Meddler:
    """Carries messages to honest clients and changes some of the replies of rounds on the way back.

    Attributes:
        inner: Carries to the honest clients.
        damage: By client, a function from an honest reply to what arrives, None where nothing does.
        rounds: The rounds in which it meddles, None for all after the start.
    """

    inner: Simulation
    damage: dict = field(default_factory=dict)
    rounds: tuple | None = None

    def carry(self, requests, ledger):
        honest = self.inner.carry(requests, ledger)
        arrived = {index: self._meddle(index, reply) for index, reply in honest.items()}
        return {index: reply for index, reply in arrived.items() if reply is not None}

    def _meddle(self, index, reply):
        is_time = reply.round > 0 if self.rounds is None else reply.round in self.rounds
        return self.damage[index](reply) if index in self.damage and is_time else reply


@dataclass(frozen=True)
class Scripted:
    """Answers every request by a function of client and request; every message really travels as bytes.

    Attributes:
        answer_fn: (client, request) to its reply.
        seen: Every request by round and client.
    """

    answer_fn: object
    seen: dict = field(default_factory=dict)

    def carry(self, requests, ledger):
        arrived = {}
        for index, request in requests.items():
            content = encode(request)
            ledger.note(content, round_number=request.round, client=index, direction="down")
            self.seen[request.round, index] = decode(content)
            reply = encode(self.answer_fn(index, decode(content)))
            ledger.note(reply, round_number=request.round, client=index, direction="up")
            arrived[index] = decode(reply)
        return arrived


def change_tensors(change_fn):
    """Damage that changes every floating-point tensor of a reply."""

    def damage(reply):
        tensors = {
            name: change_fn(tensor) if tensor.is_floating_point() else tensor
            for name, tensor in reply.tensors.items()
        }
        return replace(reply, tensors=tensors)

    return damage


def fail(reason):
    """Damage that lets a client say it failed."""
    return lambda reply: Message(task="failed", round=reply.round, facts={"reason": reason})


def poison(tensor):
    """The tensor with a NaN in one place."""
    changed = tensor.clone()
    changed.view(-1)[0] = torch.nan
    return changed
