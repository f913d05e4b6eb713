"""Files that people write: YAML, validated whole before anything is computed."""

from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from limbeck.core.errors import InputError, require
from limbeck.core.explain import explain_validation


class Part(BaseModel):
    """A part of a file: unknown keys are refused, nothing changes after it is built."""

    model_config = ConfigDict(frozen=True, extra="forbid")


P = TypeVar("P", bound=Part)


def parse_part(text: str, model: type[P], *, origin: str, remedy: str) -> P:
    """The record in a YAML text.

    Args:
        text: YAML.
        model: What it has to be.
        origin: Where the text comes from, for error messages.
        remedy: A sentence that says where a valid one is to be seen.

    Raises:
        InputError: When the text is not YAML or the record is not valid.
    """
    try:
        content: Any = yaml.safe_load(text)
    except yaml.YAMLError as error:
        reason = " ".join(str(error).split())
        raise InputError(f"`{origin}` must be YAML, but: {reason}. Correct that line.") from error
    require(
        isinstance(content, dict),
        "a spec is a mapping of keys to values",
        f"{type(content).__name__} in `{origin}`",
        remedy,
    )
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise InputError(explain_validation(error, model, origin=origin)) from error


def read_part(path: Path, model: type[P], *, remedy: str) -> P:
    """The record in a YAML file.

    Raises:
        InputError: When the file cannot be read, is not YAML or the record is not valid.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"`{path}` must be a readable YAML file, but: {error}. Check the path.") from error
    return parse_part(text, model, origin=str(path), remedy=remedy)
