"""What a client keeps between messages: private models, control variates, cached targets.

Every value is kept under the round it was made in. A server that lost a round asks for it again, and the
client then reads what it had before that round: the answer is the same.
"""

import re
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from limbeck.core.errors import RunError
from limbeck.core.files import write_atomically
from limbeck.core.tensors import copy_state
from limbeck.federate.messages import State

NUM_VERSIONS = 2


class Memory(Protocol):
    """Tensors by name and round."""

    def read(self, name: str, *, before: int) -> State | None:
        """The newest value made before a round, None when there is none."""
        ...

    def write(self, name: str, state: State, *, round_number: int) -> None:
        """Keep a value; of each name the newest `NUM_VERSIONS` are kept, and none made in a later round."""
        ...


@dataclass
class RamMemory:
    """A memory that ends with the process.

    Attributes:
        versions: Per name and round a value.
    """

    versions: dict[str, dict[int, State]] = field(default_factory=lambda: defaultdict(dict))

    def read(self, name: str, *, before: int) -> State | None:
        """The newest value made before a round, None when there is none."""
        rounds = [number for number in self.versions.get(name, {}) if number < before]
        return self.versions[name][max(rounds)] if rounds else None

    def write(self, name: str, state: State, *, round_number: int) -> None:
        """Keep a value; of each name the newest `NUM_VERSIONS` are kept, and none made in a later round."""
        versions = self.versions[name]
        versions[round_number] = {key: value.detach().clone() for key, value in state.items()}
        for number in _outdated(versions, round_number):
            del versions[number]


@dataclass(frozen=True)
class FolderMemory:
    """A memory in a folder on the client's own disk, one safetensors file per name and round.

    Attributes:
        folder: The folder; made when first written to.
    """

    folder: Path

    def read(self, name: str, *, before: int) -> State | None:
        """The newest value made before a round, None when there is none.

        Raises:
            RunError: When its file is damaged.
        """
        rounds = [number for number in self._list_rounds(name) if number < before]
        if not rounds:
            return None
        path = self._path(name, max(rounds))
        try:
            return load_file(path)
        except (OSError, SafetensorError) as error:
            raise RunError(
                f"`{path}` must be a whole safetensors file, but: {error}. Remove `{self.folder}` to let "
                "this client begin anew."
            ) from error

    def write(self, name: str, state: State, *, round_number: int) -> None:
        """Keep a value; of each name the newest `NUM_VERSIONS` are kept, and none made in a later round.

        Raises:
            RunError: When the disk refuses it.
        """
        with write_atomically(self._path(name, round_number)) as temporary:
            save_file(copy_state(state), temporary)
        for number in _outdated(self._list_rounds(name), round_number):
            self._path(name, number).unlink(missing_ok=True)

    def _path(self, name: str, round_number: int) -> Path:
        return self.folder / f"{name}-{round_number}.safetensors"

    def _list_rounds(self, name: str) -> list[int]:
        pattern = re.compile(rf"{re.escape(name)}-(\d+)\.safetensors")
        found = [pattern.fullmatch(path.name) for path in self.folder.glob("*.safetensors")]
        return [int(match[1]) for match in found if match]


def _outdated(rounds: "dict[int, State] | list[int]", newest: int) -> list[int]:
    kept = sorted(number for number in rounds if number <= newest)[-NUM_VERSIONS:]
    return [number for number in list(rounds) if number not in kept]
