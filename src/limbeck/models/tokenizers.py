"""Tokenizers by what they do: equal ids mean equal tokens, so a text is tokenized once for all."""

import json
from typing import Any

from torch import nn

from limbeck.core.errors import require
from limbeck.core.fingerprint import hash_config

# A call to a tokenizer leaves these settings behind in it; they say nothing about the tokenizer itself.
CALL_SETTINGS = ("truncation", "padding")
SETTINGS = ("model_input_names", "padding_side", "truncation_side", "pad_token_id", "model_max_length")


def identify_tokenizer(tokenizer: Any, *, max_length: int) -> str:
    """The 16 hexadecimal digits of a tokenizer's vocabulary and settings and the length texts are cut to.

    Args:
        tokenizer: A transformers tokenizer.
        max_length: In tokens.
    """
    settings = {name: getattr(tokenizer, name, None) for name in SETTINGS}
    return hash_config({"max_length": max_length, "settings": settings, "tokenizer": _describe(tokenizer)})


def check_vocabulary(tokenizer: Any, module: nn.Module) -> None:
    """Raise `InputError` where the tokenizer makes a token that a transformers model has no embedding for."""
    num_embeddings = count_embeddings(module)
    if tokenizer is None or num_embeddings is None:
        return
    highest = max(tokenizer.get_vocab().values(), default=-1)
    require(
        highest < num_embeddings,
        "every token of the tokenizer has an embedding in the model",
        f"token number {highest} with {num_embeddings} embeddings in {type(module).__name__}",
        "Take the tokenizer that the model was trained with.",
    )


def count_embeddings(module: nn.Module) -> int | None:
    """How many tokens a transformers config has embeddings for; None where it does not say."""
    size = getattr(getattr(module, "config", None), "vocab_size", None)
    return size if isinstance(size, int) and size > 0 else None


def _describe(tokenizer: Any) -> Any:
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        return {"class": type(tokenizer).__name__, "vocabulary": tokenizer.get_vocab()}
    content = json.loads(backend.to_str())
    return {name: value for name, value in content.items() if name not in CALL_SETTINGS}
