"""A data set as one safetensors file, so that worker processes share its memory instead of copying it."""

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from limbeck.core.files import write_atomically
from limbeck.core.fingerprint import canonical_json
from limbeck.data.content_hash import hash_content
from limbeck.data.damage import damaged, explain_damage
from limbeck.data.data_set import DataSet
from limbeck.data.inputs import require_tensor
from limbeck.data.samples import Samples

CARD_KEY = "limbeck_data_set"
TENSORS = ("train_inputs", "train_labels", "test_inputs", "test_labels")
KIND = "a data set written by `write_data_set`"


def write_data_set(data: DataSet, path: Path) -> None:
    """Write a data set whole or not at all; `read_data_set` gives it back with its fingerprint.

    Raises:
        InputError: When the inputs are not a tensor in memory.
        RunError: When the disk refuses the file.
    """
    card = {"name": data.name, "class_names": data.class_names, "fingerprint": data.fingerprint}
    inputs = [require_tensor(samples.inputs) for samples in (data.train, data.test)]
    parts = (inputs[0], data.train.labels, inputs[1], data.test.labels)
    # Cloned, because the format refuses tensors that are views of one memory.
    tensors = {key: part.cpu().contiguous().clone() for key, part in zip(TENSORS, parts, strict=True)}
    with write_atomically(path) as temporary:
        save_file(tensors, temporary, metadata={CARD_KEY: canonical_json(card)})


def read_data_set(path: Path) -> DataSet:
    """The data set in `path`, its tensors mapped from the file: processes on one machine share the memory.

    Its content is hashed once and compared with the stored fingerprint.

    Raises:
        InputError: When the file is missing, damaged or something else.
    """
    with explain_damage(path, KIND, SafetensorError, ValueError, KeyError, TypeError):
        card = read_card(path)
        mapped = load_file(path)
        tensors = [mapped[key] for key in TENSORS]
        names = tuple(card["class_names"])
        fingerprint = hash_content(tensors, names)
        if fingerprint != card["fingerprint"]:
            raise damaged(path, KIND, f"its content hashes to {fingerprint} and not {card['fingerprint']}")
        train_inputs, train_labels, test_inputs, test_labels = tensors
        return DataSet(
            name=card["name"],
            train=Samples(inputs=train_inputs, labels=train_labels),
            test=Samples(inputs=test_inputs, labels=test_labels),
            class_names=names,
            fingerprint=fingerprint,
        )


def read_card(path: Path) -> dict[str, Any]:
    """The name, class names and fingerprint in the file's metadata."""
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata() or {}
    if CARD_KEY not in metadata:
        raise damaged(path, KIND, "its metadata names no data set")
    return json.loads(metadata[CARD_KEY])
