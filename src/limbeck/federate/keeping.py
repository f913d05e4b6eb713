"""A run's own folder: where it stands after each round, in one file that is whole or absent."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from limbeck.core.errors import InputError, describe_error, require
from limbeck.core.files import write_atomically
from limbeck.core.tensors import copy_state
from limbeck.federate.federation import Party
from limbeck.federate.messages import Entry, Ledger, Message, State, as_group, decode, encode
from limbeck.federate.server import Round, Standing
from limbeck.federate.strategies.record import ServerState

CHECKPOINT_FILE = "checkpoint.safetensors"
FORMAT = 1


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A run as it was kept.

    Attributes:
        standing: Where it stood.
        ledger: Every message until then.
    """

    standing: Standing
    ledger: Ledger


def keep(folder: Path, standing: Standing, ledger: Ledger, *, spec_hash: str) -> None:
    """Write down where a run stands.

    Args:
        folder: The run's folder.
        standing: Where it stands.
        ledger: Every message so far.
        spec_hash: Identifies the spec.

    Raises:
        RunError: When the disk is full, or refuses the file; what was kept before stays.
    """
    archs = list(standing.state.models)
    tensors = as_group("memory", standing.state.memory) | as_group("ledger", _write_ledger(ledger))
    for number, arch in enumerate(archs):
        tensors |= as_group(f"model.{number}", standing.state.models[arch])
    best_archs = list(standing.best_models)
    for number, arch in enumerate(best_archs):
        tensors |= as_group(f"best.{number}", standing.best_models[arch])
    facts = {
        "format": FORMAT,
        "spec": spec_hash,
        "archs": archs,
        "best_archs": best_archs,
        "parties": [asdict(party) for party in standing.parties],
        "history": [this.to_dict() for this in standing.history],
        "best_round": standing.best_round,
        "start_bytes": standing.start_bytes,
        "start_seconds": standing.start_seconds,
        "start_settings": dict(standing.start_settings),
    }
    message = Message(task="checkpoint", round=standing.state.round, tensors=copy_state(tensors), facts=facts)
    with write_atomically(folder / CHECKPOINT_FILE) as temporary:
        temporary.write_bytes(encode(message))


def recall(folder: Path, *, spec_hash: str) -> Checkpoint | None:
    """Where a run in a folder stood, None when there is none.

    Raises:
        InputError: When the file is damaged, of another version, or belongs to another spec.
    """
    path = folder / CHECKPOINT_FILE
    if not path.exists():
        return None
    try:
        message = decode(path.read_bytes())
    except (OSError, InputError) as error:
        raise _damaged(path, describe_error(error)) from error
    facts = message.facts
    require(
        facts.get("format") == FORMAT,
        f"a checkpoint has format {FORMAT}",
        f"{facts.get('format')!r} in `{path}`",
        "Go on with the version of limbeck that wrote it, or remove it to begin anew.",
    )
    require(
        facts.get("spec") == spec_hash,
        "a folder holds one run",
        f"`{folder}`, which holds that of another spec",
        "Choose another folder, or remove it.",
    )
    try:
        ledger = Ledger(entries=_read_ledger(message.group("ledger")))
        return Checkpoint(standing=_read_standing(message), ledger=ledger)
    except KeyError as error:
        raise _damaged(path, f"it lacks `{error.args[0]}`") from error
    except (AttributeError, TypeError, ValueError) as error:
        raise _damaged(path, describe_error(error)) from error


def _damaged(path: Path, reason: str) -> InputError:
    return InputError(f"`{path}` must be a whole checkpoint, but: {reason}. Remove it to begin anew.")


def _read_standing(message: Message) -> Standing:
    facts = message.facts
    return Standing(
        parties=tuple(
            Party(**{**party, "class_counts": tuple(party["class_counts"])}) for party in facts["parties"]
        ),
        state=ServerState(
            round=message.round,
            models={arch: message.group(f"model.{place}") for place, arch in enumerate(facts["archs"])},
            memory=message.group("memory"),
        ),
        history=tuple(_read_round(entry) for entry in facts["history"]),
        best_round=facts["best_round"],
        best_models={arch: message.group(f"best.{place}") for place, arch in enumerate(facts["best_archs"])},
        start_bytes=facts["start_bytes"],
        start_seconds=facts["start_seconds"],
        start_settings=facts["start_settings"],
    )


def _write_ledger(ledger: Ledger) -> dict[str, Tensor]:
    """The account of messages as columns: quick to write after every round, however long it has become."""
    entries = ledger.entries
    return {
        "round": torch.tensor([entry.round for entry in entries]),
        "client": torch.tensor([entry.client for entry in entries]),
        "is_up": torch.tensor([entry.direction == "up" for entry in entries]),
        "message_bytes": torch.tensor([entry.message_bytes for entry in entries]),
    }


def _read_ledger(columns: State) -> list[Entry]:
    rows = zip(
        *(columns[name].tolist() for name in ("round", "client", "is_up", "message_bytes")), strict=True
    )
    return [
        Entry(round=number, client=client, direction="up" if is_up else "down", message_bytes=size)
        for number, client, is_up, size in rows
    ]


def _read_round(content: dict[str, Any]) -> Round:
    """A round as JSON gives it back: lists for tuples, words for the numbers of clients."""
    by_client = {
        name: {int(index): value for index, value in content[name].items()}
        for name in ("rejected", "client_accuracies")
    }
    lists = {name: tuple(content[name]) for name in ("participants", "missing")}
    return Round(**{**content, **by_client, **lists})
