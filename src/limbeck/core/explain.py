"""Validation errors as one sentence that names the place, the value and the nearest valid key."""

import dataclasses
import types
import typing
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from limbeck.core.errors import suggest


def explain_validation(error: ValidationError, model: type[BaseModel], *, origin: str) -> str:
    """The first error of a validation in words.

    Args:
        error: What pydantic raised.
        model: The model that was validated.
        origin: Where the input comes from.
    """
    first = _most_specific(error)
    location = [part for part in first["loc"] if isinstance(part, int) or not _is_branch(part)]
    place = _join(location)
    more = error.error_count() - 1
    rest = f" ({more} more after this one.)" if more else ""
    if first["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        valid = _keys_at(model, location[:-1])
        return f"Unknown key `{place}` in `{origin}`. {suggest(location[-1], valid)}{rest}"
    if first["type"] == "missing":
        return f"Missing key `{place}` in `{origin}`. Add it; valid specs name it.{rest}"
    message = str(first["msg"]).removeprefix("Value error, ")
    where = f"at `{place}` in `{origin}`" if place else f"in `{origin}`"
    if first["type"] == "value_error":
        return f"{message} (Found {where}.){rest}"
    return f"{message}, but got {first['input']!r} {where}. Correct that value.{rest}"


def _most_specific(error: ValidationError) -> Any:
    unknown = [
        entry
        for entry in error.errors()
        if entry["type"] in ("extra_forbidden", "unexpected_keyword_argument")
    ]
    return unknown[0] if unknown else error.errors()[0]


def _is_branch(part: str) -> bool:
    """Whether a part of a location names a branch of a union, not a key."""
    return "[" in part or part.startswith("literal")


def _join(location: Sequence[int | str]) -> str:
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.lstrip(".")


def _keys_at(model: type[Any], location: Sequence[int | str]) -> list[str]:
    current: Any = model
    for part in location:
        current = _descend(current, part)
    return list(_fields(current))


def _fields(model: Any) -> dict[str, Any]:
    if isinstance(model, type) and issubclass(model, BaseModel):
        return {name: info.annotation for name, info in model.model_fields.items()}
    if dataclasses.is_dataclass(model) and isinstance(model, type):
        hints = typing.get_type_hints(model)
        return {field.name: hints[field.name] for field in dataclasses.fields(model)}
    return {}


def _descend(model: Any, part: int | str) -> Any:
    annotation = model if isinstance(part, int) else _fields(model).get(part)
    return _record_in(annotation)


def _record_in(annotation: Any) -> Any:
    """The record type inside `tuple[Record, ...]`, `Record | None` and the like."""
    if _fields(annotation):
        return annotation
    if typing.get_origin(annotation) in (tuple, list, types.UnionType, typing.Union):
        inner = [_record_in(argument) for argument in typing.get_args(annotation)]
        return next((record for record in inner if record is not None), None)
    return None
