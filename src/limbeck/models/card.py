"""A model on disk: `model.safetensors` for the weights and `card.json` for everything about them."""

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from limbeck.core.errors import InputError, describe_error, require
from limbeck.core.files import write_atomically, write_text
from limbeck.core.fingerprint import hash_state
from limbeck.core.tensors import copy_state
from limbeck.models.weights import load_weights
from limbeck.models.zoo import ARCHITECTURES, build

CARD_FORMAT = 1
WEIGHTS_FILE = "model.safetensors"
CARD_FILE = "card.json"
# Other libraries refuse a safetensors file that does not say whose tensors it holds.
METADATA = {"format": "pt"}


class Card(BaseModel):
    """What is known about a saved model.

    Attributes:
        format: Version of this layout.
        arch: Architecture reference (see `build_architecture`); ``hf:.`` is the config in the model's own
            folder, and None an architecture that only its maker knows.
        input_shape: Shape of one sample of the data; empty for texts.
        input_size: Height and width in pixels that images are resized to; None for the size they have.
        max_length: Tokens after which a text is cut; None where the model reads no text.
        class_names: Name of each logit, in order; empty where they are unknown.
        mean: Per channel, subtracted from inputs scaled to [0, 1]; empty for no normalization.
        std: Per channel, divided by afterwards.
        data_fingerprint: Hash of the data set the model was trained on.
        weights_hash: Hash of the weights, checked when the model is loaded.
        training: The settings it was trained with.
        accuracies: Measured accuracies by name, fractions in [0, 1].
        parents: Ids of the models it was made from.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int = CARD_FORMAT
    arch: str | None
    input_shape: tuple[int, ...]
    input_size: tuple[int, int] | None = None
    max_length: int | None = None
    class_names: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    data_fingerprint: str
    weights_hash: str = ""
    training: dict[str, Any]
    accuracies: dict[str, float]
    parents: tuple[str, ...] = ()


def save(model: nn.Module, card: Card, folder: Path) -> Card:
    """Write a model and its card into `folder`, each file whole or not at all, the card last.

    Returns:
        The card with the hash of the weights filled in.

    Raises:
        RunError: When the folder cannot be written.
    """
    state = copy_state(model.state_dict())
    complete = card.model_copy(update={"weights_hash": hash_state(state)})
    with write_atomically(folder / WEIGHTS_FILE) as temporary:
        save_file(state, temporary, metadata=METADATA)
    write_text(folder / CARD_FILE, complete.model_dump_json(indent=2) + "\n")
    return complete


def read_card(folder: Path) -> Card:
    """The card of a saved model.

    Raises:
        InputError: When there is no card, or it is damaged or of another format.
    """
    path = folder / CARD_FILE
    try:
        card = Card.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError as error:
        raise InputError(
            f"`{folder}` must hold a model, but there is no `{CARD_FILE}`. Check the path."
        ) from error
    except (OSError, ValueError, ValidationError) as error:
        raise InputError(
            f"`{path}` must be a limbeck model card, but it cannot be read ({describe_error(error)}). "
            "Restore the file or train the model again."
        ) from error
    require(
        card.format == CARD_FORMAT,
        f"format == {CARD_FORMAT}",
        f"format={card.format} in `{path}`",
        "Load it with the version of limbeck that wrote it.",
    )
    return card


def load(folder: Path) -> tuple[nn.Module, Card]:
    """The zoo model saved in `folder` (evaluation mode, on the CPU) and its card. Nothing is unpickled.

    Raises:
        InputError: When a file is missing, damaged, or does not belong to the other, or the model is not of
            the zoo.
    """
    card = read_card(folder)
    require(
        card.arch is not None and card.arch in ARCHITECTURES,
        "the model is one of the zoo",
        f"arch={card.arch} in `{folder}`",
        "Use `load_classifier`.",
    )
    assert card.arch is not None
    model = build(card.arch, input_shape=card.input_shape, num_classes=len(card.class_names), seed=0)
    state = read_saved_weights(folder, card)
    load_weights(model, state, source=folder / WEIGHTS_FILE)
    return model.eval(), card


def read_saved_weights(folder: Path, card: Card) -> dict[str, Tensor]:
    """The weights beside a card, checked against its hash.

    Raises:
        InputError: When the file is missing or damaged, or holds other weights.
    """
    path = folder / WEIGHTS_FILE
    try:
        state = load_file(path)
    except FileNotFoundError as error:
        raise InputError(
            f"`{folder}` must hold `{WEIGHTS_FILE}`, but it is missing. Check the path."
        ) from error
    except (OSError, SafetensorError) as error:
        raise InputError(
            f"`{path}` must be a safetensors file, but it cannot be loaded ({describe_error(error)}). "
            "Restore the file or train the model again."
        ) from error
    found = hash_state(state)
    require(
        found == card.weights_hash,
        "the weights match the card's hash",
        f"{found} instead of {card.weights_hash} in `{path}`",
        "Restore the file or train the model again.",
    )
    return state
