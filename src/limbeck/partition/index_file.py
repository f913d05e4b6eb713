"""A split as a JSON file: written whole or not at all, and read back only when it is intact."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from limbeck.core.errors import InputError, require
from limbeck.core.files import write_text
from limbeck.core.fingerprint import canonical_json, hash_arrays
from limbeck.partition.checks import is_whole_number
from limbeck.partition.record import Partition
from limbeck.partition.strategies import check_parameters

FORMAT = 1
FIELD_TYPES = {
    "strategy": str,
    "parameters": dict,
    "num_clients": int,
    "seed": int,
    "data_fingerprint": str,
    "hash": str,
    "indices": list,
}


def save(partition: Partition, path: str | Path, *, data_fingerprint: str) -> None:
    """Write a split as JSON, whole or not at all.

    Args:
        partition: The split.
        path: The file to write; its folder is made when missing.
        data_fingerprint: Identifies the data that the indices point into.

    Raises:
        RunError: When the file cannot be written.
    """
    content = {
        "format": FORMAT,
        "strategy": partition.strategy,
        "parameters": dict(partition.parameters),
        "num_clients": partition.num_clients,
        "seed": partition.seed,
        "data_fingerprint": data_fingerprint,
        "hash": partition.hash,
        "indices": [ids.tolist() for ids in partition],
    }
    write_text(Path(path), canonical_json(content) + "\n")


def load(path: str | Path, *, data_fingerprint: str | None = None) -> Partition:
    """The split in a file that `save` wrote.

    Args:
        path: The file to read.
        data_fingerprint: When given, the file must have been saved for the data it identifies.

    Raises:
        InputError: When the file is missing, damaged, of another kind or format, or belongs to other data.
    """
    content = read_content(Path(path))
    indices = read_indices(content["indices"], path)
    intact = len(indices) == content["num_clients"] and hash_arrays(indices) == content["hash"]
    if not intact:
        raise damaged(path, "its indices do not match its hash")
    if data_fingerprint is not None:
        require(
            content["data_fingerprint"] == data_fingerprint,
            "a split is used with the data it was made from",
            f"data {data_fingerprint} for a split of {content['data_fingerprint']}",
            "Load that data or split this one anew.",
        )
    return Partition(
        strategy=content["strategy"],
        parameters=read_parameters(content, path),
        num_clients=content["num_clients"],
        seed=content["seed"],
        indices=indices,
    )


def read_content(path: Path) -> dict[str, Any]:
    """The fields of the file, each of its type.

    Raises:
        InputError: When the file cannot be read, is no JSON object, has another format, or lacks a field.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(
            f"`{path}` cannot be read: {reason}. Check the path of the partition file."
        ) from error
    except (ValueError, RecursionError) as error:
        raise damaged(path, "it is not JSON") from error
    if not isinstance(content, dict) or "format" not in content:
        raise damaged(path, "it has no format number")
    require(
        content["format"] == FORMAT,
        f"the format of a partition file is {FORMAT}",
        f"format={content['format']!r} in `{path}`",
        "Split the data again, or read the file with the version that wrote it.",
    )
    for field, field_type in FIELD_TYPES.items():
        if type(content.get(field)) is not field_type:
            raise damaged(path, f"its field `{field}` is missing or not of type {field_type.__name__}")
    return content


def read_indices(lists: list[Any], path: str | Path) -> tuple[np.ndarray, ...]:
    """One int64 array per client.

    Raises:
        InputError: When something else than lists of whole numbers >= 0 is found.
    """
    is_valid = all(isinstance(ids, list) and all(is_whole_number(i) and i >= 0 for i in ids) for ids in lists)
    if not is_valid:
        raise damaged(path, "its indices are not lists of whole numbers")
    try:
        return tuple(np.array(ids, dtype=np.int64) for ids in lists)
    except OverflowError as error:
        raise damaged(path, "an index is too large") from error


def read_parameters(content: dict[str, Any], path: str | Path) -> dict[str, Any]:
    """The strategy's parameters in plain types.

    Raises:
        InputError: When the strategy does not know them.
    """
    try:
        return check_parameters(content["strategy"], content["parameters"])
    except InputError as error:
        raise damaged(path, str(error).rstrip(".")) from error


def damaged(path: str | Path, reason: str) -> InputError:
    """The error for a file that is damaged or was not written by `save`."""
    return InputError(
        f"`{path}` is not an intact partition file: {reason}. Split the data again and save it."
    )
