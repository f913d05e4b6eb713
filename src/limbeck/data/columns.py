"""Which columns of a table hold the inputs and the labels, chosen by name and type."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from limbeck.core.errors import InputError, enumerate_words, require_known
from limbeck.data.options import ReadOptions

IMAGE_COLUMNS = ("img", "image")
TEXT_COLUMNS = (
    "text",
    "sentence",
    "content",
    "review",
    "document",
    "question",
    "utterance",
    "tweet",
    "title",
)
LABEL_COLUMNS = ("label", "labels", "fine_label", "class", "target", "category", "intent")


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column of a table.

    Attributes:
        name: Its name.
        kind: What it may serve as.
        type_name: Its type in words, for errors.
        is_written_out: Whether its values are stored as texts whatever they stand for, as in a CSV file.
    """

    name: str
    kind: Literal["image", "string", "integer", "other"]
    type_name: str
    is_written_out: bool = False

    @property
    def can_be_text(self) -> bool:
        """Whether its values can be read as texts just as they are stored."""
        return self.kind == "string" or self.is_written_out


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The chosen columns.

    Attributes:
        image: The column of images, None where the inputs are texts.
        text: The column of texts, None where the inputs are images.
        label: The column of labels, None where there is none.
    """

    image: str | None
    text: str | None
    label: str | None

    @property
    def input(self) -> str:
        """The column of inputs."""
        name = self.image or self.text
        assert name is not None
        return name


def choose_columns(columns: Sequence[Column], *, options: ReadOptions, source: object) -> Choice:
    """The columns the options name, else those found by name and type.

    Images come before texts. A text column is found by its name or as the only column of strings beside the
    label.

    Args:
        columns: Every column of the table.
        options: `text_column` and `label_column` where the caller names them.
        source: Where the table lies, for errors.

    Raises:
        InputError: When a named column is absent or of another type, or no column of inputs can be told from
            the others; the message lists what is there.
    """
    label = choose_label(columns, options=options, source=source)
    image = None if options.text_column else _find(columns, IMAGE_COLUMNS, lambda c: c.kind == "image")
    if image is not None:
        return Choice(image=image, text=None, label=label)
    text = choose_text(columns, label=label, options=options, source=source)
    return Choice(image=None, text=text, label=label)


def choose_label(columns: Sequence[Column], *, options: ReadOptions, source: object) -> str | None:
    """The column of integer or string labels; None where none is named or called so."""
    if options.label_column is not None:
        return _check_named(
            columns,
            options.label_column,
            accepts_fn=lambda column: column.kind in ("integer", "string"),
            rule="is of integers or strings",
            source=source,
        )
    by_name = {column.name.lower(): column for column in columns if column.kind in ("integer", "string")}
    return next((by_name[name].name for name in LABEL_COLUMNS if name in by_name), None)


def choose_text(columns: Sequence[Column], *, label: str | None, options: ReadOptions, source: object) -> str:
    """The column of texts."""
    if options.text_column is not None:
        return _check_named(
            columns,
            options.text_column,
            accepts_fn=lambda column: column.can_be_text,
            rule="is of strings",
            source=source,
        )
    by_name = {column.name.lower(): column.name for column in columns if column.can_be_text}
    named = next((by_name[name] for name in TEXT_COLUMNS if name in by_name and by_name[name] != label), None)
    strings = [column for column in columns if column.kind == "string" and column.name != label]
    if named is None and len(strings) != 1:
        raise InputError(
            "`a column holds images (binary or struct {bytes, path}) or texts (strings)` must hold, but got "
            f"{list_columns(columns)} in `{source}`. Name the column of texts with text_column."
        )
    return named or strings[0].name


def require_label(choice: Choice, columns: Sequence[Column], *, source: object) -> str:
    """The column of labels.

    Raises:
        InputError: When there is none; the message lists what is there.
    """
    if choice.label is None:
        raise InputError(
            f"`a column of integers or strings is called {' or '.join(LABEL_COLUMNS)}` must hold, but got "
            f"{list_columns(columns)} in `{source}`. Name the column of labels with label_column."
        )
    return choice.label


def list_columns(columns: Sequence[Column]) -> str:
    """The columns with their types, as a sentence lists them."""
    return enumerate_words([f"{column.name} ({column.type_name})" for column in columns]) or "no column"


def _find(
    columns: Sequence[Column], names: Sequence[str], accepts_fn: Callable[[Column], bool]
) -> str | None:
    """The accepted column with the first of `names`, else the first accepted one."""
    accepted = [column.name for column in columns if accepts_fn(column)]
    return next((name for name in names if name in accepted), next(iter(accepted), None))


def _check_named(
    columns: Sequence[Column],
    name: str,
    *,
    accepts_fn: Callable[[Column], bool],
    rule: str,
    source: object,
) -> str:
    by_name = {column.name: column for column in columns}
    require_known("column", name, by_name)
    if not accepts_fn(by_name[name]):
        raise InputError(
            f"`the column {name} {rule}` must hold, but got {list_columns(columns)} in `{source}`. "
            "Name another column."
        )
    return name
