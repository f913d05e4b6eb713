"""What every tracking service can do, and the notes that it is given."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from limbeck.core.errors import InputError, require

Point = tuple[int, Mapping[str, float]]
"""(step, numbers by name)."""
Status = Literal["done", "failed", "interrupted"]
Value = str | int | float | bool


@dataclass(frozen=True, kw_only=True)
class Note:
    """News of a run.

    Attributes:
        key: The 16 hexadecimal digits that a service knows the run by, today and after a restart.
        name: What people call it.
        config: Everything it depends on; may be nested.
        points: What was measured since the last note, in the order of its steps; in the first note after a
            start all there is.
        is_whole: Whether this is all there will ever be of the run.
    """

    key: str
    name: str
    config: Mapping[str, Any]
    points: tuple[Point, ...]
    is_whole: bool = False


class TrackedRun(Protocol):
    """A run as a service shows it."""

    @property
    def next_step(self) -> int:
        """The first step that the service did not have when the run was started."""
        ...

    def log(self, points: Sequence[Point]) -> None:
        """Add what was measured."""
        ...

    def finish(self, status: Status) -> None:
        """Say how the run ended."""
        ...


class Tracker(Protocol):
    """A service that shows runs. Its methods may raise whatever the service's library does.

    Attributes:
        place: The service and where it keeps the runs, for messages.
    """

    place: str

    def find_finished(self) -> set[str]:
        """The keys of runs that the service has to their end."""
        ...

    def start(self, note: Note) -> TrackedRun:
        """Begin the run of a note, or go on with what the service has of it."""
        ...


def flatten(config: Mapping[str, Any], prefix: str = "") -> dict[str, Value]:
    """A configuration without nesting: names are joined by dots, lists become JSON, None is left out."""
    flat: dict[str, Value] = {}
    for name, value in config.items():
        if isinstance(value, Mapping):
            flat.update(flatten(value, f"{prefix}{name}."))
        elif value is not None:
            flat[f"{prefix}{name}"] = value if isinstance(value, Value) else json.dumps(value)
    return flat


def explain_missing(service: str) -> InputError:
    """The error of a service whose package, which has its name, is not installed."""
    return InputError(
        f"Tracking with {service} needs the package `{service}`, which is not installed. "
        f"Run `pip install 'limbeck[{service}]'`."
    )


def require_folder(service: str, destination: str) -> Path:
    """The folder that a destination names.

    Raises:
        InputError: When it is an address.
    """
    require(
        "://" not in destination,
        f"{service} is tracked in a folder",
        f"`{destination}`",
        f"Give `--track {service}=FOLDER`, or leave the folder out.",
    )
    return Path(destination)
