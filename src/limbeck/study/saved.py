"""Whether the model of a run is there: at a glance, or by reading it."""

from pathlib import Path

from safetensors import SafetensorError, safe_open

from limbeck import models
from limbeck.core.errors import InputError
from limbeck.models.card import WEIGHTS_FILE, read_card


def seems_whole(folder: Path, weights_hash: str) -> bool:
    """Whether a model's card names these weights, and its file is as long as its header says.

    Reads no weights: a changed byte among them is not seen; see `can_be_loaded`.
    """
    try:
        with safe_open(folder / WEIGHTS_FILE, framework="numpy"):
            return read_card(folder).weights_hash == weights_hash
    except (OSError, SafetensorError, InputError):
        return False


def can_be_loaded(folder: Path) -> bool:
    """Whether a model can be loaded and its weights have the hash on its card."""
    try:
        models.load(folder)
    except InputError:
        return False
    return True
