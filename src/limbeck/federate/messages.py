"""Messages between clients and server: really encoded, so that their bytes are counted, not estimated."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from limbeck.core.errors import InputError

Direction = Literal["up", "down"]
State = Mapping[str, Tensor]


def encode(state: State) -> bytes:
    """A model's weights as the bytes of a safetensors file. Law: `decode(encode(state))` equals `state`."""
    return save({name: tensor.detach().cpu().contiguous() for name, tensor in state.items()})


def decode(message: bytes) -> dict[str, Tensor]:
    """The weights in a message, on the CPU.

    Raises:
        InputError: When the message is damaged or not of this format.
    """
    try:
        return load(message)
    except SafetensorError as error:
        raise InputError(
            f"a message must be in safetensors format, but its {len(message)} bytes are not ({error}). "
            "Check that client and server run the same version."
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
    """The account of every message sent, in order."""

    entries: list[Entry] = field(default_factory=list)

    def send(
        self, state: State, *, round_number: int, client: int, direction: Direction
    ) -> dict[str, Tensor]:
        """Encode, account for and decode one model, which is what its receiver gets."""
        return self.deliver(encode(state), round_number=round_number, client=client, direction=direction)

    def deliver(
        self, message: bytes, *, round_number: int, client: int, direction: Direction
    ) -> dict[str, Tensor]:
        """Account for and decode a message that was encoded once for several receivers."""
        entry = Entry(round=round_number, client=client, direction=direction, message_bytes=len(message))
        self.entries.append(entry)
        return decode(message)

    def total_bytes(self) -> int:
        """Bytes of all messages so far."""
        return sum(entry.message_bytes for entry in self.entries)
