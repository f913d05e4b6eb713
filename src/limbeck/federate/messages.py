"""Messages between clients and server: really encoded, so that their bytes are counted, not estimated.

A message is a safetensors file: tensors by name, and its facts (task, round, numbers, words) as the bytes of
a JSON text under the name `FACTS`. Both engines send the same bytes.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import takewhile
from types import MappingProxyType
from typing import Any, Literal

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from limbeck.core.errors import InputError
from limbeck.core.tensors import copy_state

Direction = Literal["up", "down"]
State = Mapping[str, Tensor]
FACTS = "facts"
FAILED = "failed"
NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, kw_only=True)
class Message:
    """What a server asks of a client, or what a client answers.

    Attributes:
        task: What is asked or was done; an answer repeats the request's, or is `failed`.
        round: Communication round; 0 for what happens before the first.
        tensors: By name; a group of them, such as a model's weights, shares the part before the slash.
        facts: What JSON can express, by name.
    """

    task: str
    round: int
    tensors: State = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)

    def group(self, name: str) -> dict[str, Tensor]:
        """The tensors of a group by the rest of their names, none when there is no such group."""
        prefix = f"{name}/"
        return {
            key.removeprefix(prefix): value for key, value in self.tensors.items() if key.startswith(prefix)
        }


def as_group(name: str, state: State) -> dict[str, Tensor]:
    """A model's weights, or any tensors that belong together, as a group of a message."""
    return {f"{name}/{key}": value for key, value in state.items()}


def encode(message: Message) -> bytes:
    """The bytes of a message. Law: `decode(encode(message))` equals `message`."""
    facts = torch.frombuffer(bytearray(_write_facts(message)), dtype=torch.uint8)
    return save({**copy_state(message.tensors), FACTS: facts})


def count_bytes(message: Message) -> int:
    """Length of the encoded message, for one that does not travel. Law: it is `len(encode(message))`.

    It follows from names, types, shapes and the length of the facts; messages that agree in these are encoded
    once, which spares a simulation the copying of every model.
    """
    layout = tuple((name, value.dtype, value.shape) for name, value in message.tensors.items())
    return _count_bytes_of(layout, len(_write_facts(message)))


@lru_cache(maxsize=1024)
def _count_bytes_of(layout: tuple[tuple[str, torch.dtype, torch.Size], ...], facts_bytes: int) -> int:
    blank = {name: torch.zeros(shape, dtype=dtype) for name, dtype, shape in layout}
    return len(save({**blank, FACTS: torch.zeros(facts_bytes, dtype=torch.uint8)}))


def _write_facts(message: Message) -> bytes:
    facts = {"task": message.task, "round": message.round, "facts": dict(message.facts)}
    return json.dumps(facts, sort_keys=True, separators=(",", ":")).encode()


def decode(content: bytes) -> Message:
    """The message in some bytes, its tensors on the CPU.

    Raises:
        InputError: When the bytes are damaged or not of this format.
    """
    try:
        tensors = load(content)
        content_facts = json.loads(tensors.pop(FACTS).numpy().tobytes())
        task, number, facts = (content_facts[name] for name in ("task", "round", "facts"))
        if not (isinstance(task, str) and type(number) is int and isinstance(facts, dict)):
            raise TypeError("task, round and facts are not a word, a whole number and an object")
        return Message(task=task, round=number, tensors=tensors, facts=facts)
    except (SafetensorError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise InputError(
            f"a message must be in limbeck's safetensors format, but its {len(content)} bytes are not "
            f"({error}). Check that client and server run the same version."
        ) from error


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One message: when, between the server and whom, which way and how large.

    Attributes:
        round: Communication round; 0 for what happens before the first.
        client: Index of the client at the other end.
        direction: `up` to the server or `down` from it.
        message_bytes: Length of the encoded message.
    """

    round: int
    client: int
    direction: Direction
    message_bytes: int


@dataclass
class Ledger:
    """The account of every message sent, in order.

    Attributes:
        entries: One per message.
    """

    entries: list[Entry] = field(default_factory=list)

    def note(self, content: bytes, *, round_number: int, client: int, direction: Direction) -> None:
        """Account for an encoded message."""
        self.note_length(len(content), round_number=round_number, client=client, direction=direction)

    def note_length(
        self, message_bytes: int, *, round_number: int, client: int, direction: Direction
    ) -> None:
        """Account for a message that is so many bytes when it is encoded."""
        self.entries.append(
            Entry(round=round_number, client=client, direction=direction, message_bytes=message_bytes)
        )

    def total_bytes(self, *, round_number: int | None = None) -> int:
        """Bytes of all messages so far, or of those of a round."""
        if round_number is None:
            return sum(entry.message_bytes for entry in self.entries)
        # Rounds follow each other: looking back from the last message, all others need not be counted.
        later = takewhile(lambda entry: entry.round >= round_number, reversed(self.entries))
        return sum(entry.message_bytes for entry in later if entry.round == round_number)
