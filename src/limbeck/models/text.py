"""Texts as tokens, once per distinct tokenizer, so that classifiers with different ones share a batch."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from limbeck.core.errors import InputError, name_type, require
from limbeck.models.classifier import Classifier


def encode_texts(classifiers: Iterable[Classifier], texts: Sequence[str]) -> dict[str, Tensor]:
    """The tokens of every text for every tokenizer of the classifiers, as one dict that all of them take.

    Texts are cut after a classifier's `max_length` tokens, see `measure_truncation`, and padded to the
    longest.

    Args:
        classifiers: Each with a tokenizer; those with equal `tokenizer_id` share columns.
        texts: At least one.

    Returns:
        int64 [texts, length] by ``"<tokenizer id>/<column>"``, such as ``"8c1.../input_ids"``; lengths differ
        between tokenizers.

    Raises:
        InputError: When there are no texts, one is not text or gives no token, or a classifier has no
            tokenizer.
    """
    columns: dict[str, Tensor] = {}
    for key, encoded in _encode(classifiers, texts):
        columns |= {f"{key}/{name}": torch.tensor(rows) for name, rows in encoded.items()}
    return columns


def measure_truncation(classifiers: Iterable[Classifier], texts: Sequence[str]) -> dict[str, float]:
    """The share of texts that are cut, in [0, 1], by tokenizer id.

    Raises:
        InputError: As for `encode_texts`.
    """
    return {key: _count_cut(encoded) / len(texts) for key, encoded in _encode(classifiers, texts)}


def _encode(classifiers: Iterable[Classifier], texts: Sequence[str]) -> Iterator[tuple[str, Any]]:
    """The id of each distinct tokenizer with what it makes of the texts."""
    listed = list(texts)
    _check_texts(listed)
    distinct = {_require_tokenizer(classifier): classifier for classifier in classifiers}
    for key, classifier in distinct.items():
        encoded = classifier.tokenizer(
            listed, truncation=True, max_length=classifier.max_length, padding="longest"
        )
        _check_tokens(encoded)
        yield key, encoded


def _require_tokenizer(classifier: Classifier) -> str:
    tokenizer = classifier.tokenizer
    if classifier.tokenizer_id is None:
        raise InputError(
            f"A classifier must have a tokenizer to read texts, but this {type(classifier.module).__name__} "
            "has none. "
            "Pass it to `adapt`, or put its files into the model's folder."
        )
    require(
        getattr(tokenizer, "is_fast", False) and tokenizer.pad_token is not None,
        "the tokenizer is a fast one with a padding token",
        f"{type(tokenizer).__name__} with pad_token={tokenizer.pad_token}",
        "Set its pad_token, or load it as a fast tokenizer.",
    )
    return classifier.tokenizer_id


def _check_texts(texts: list[str]) -> None:
    require(len(texts) > 0, "there is at least one text", "0 texts", "Pass some.")
    strange = [text for text in texts if not isinstance(text, str)]
    require(
        not strange,
        "texts are strings",
        name_type(strange[0]) if strange else "",
        "Convert it, or leave missing ones out.",
    )


def _check_tokens(encoded: Any) -> None:
    """Raise `InputError` where a text is nothing but padding, of which a model makes what it likes."""
    bare = [row for row, one in enumerate(encoded.encodings) if not any(one.attention_mask)]
    require(
        not bare,
        "every text gives at least one token",
        f"{len(bare)} texts without any, the first at {next(iter(bare), 0)}",
        "Leave empty texts out.",
    )


def _count_cut(encoded: Any) -> int:
    """How many texts lost tokens."""
    return sum(bool(one.overflowing) for one in encoded.encodings)
