"""Errors that name the rule, the value and the remedy in one sentence.

`InputError` is the caller's mistake (exit status 2 on the command line), `RunError` is a failure of
the machine or of a run (exit status 1). Anything else that escapes is a bug of limbeck.
"""

import difflib
from collections.abc import Iterable, Sequence

# A list longer than the first is cut to the second.
MOST_LISTED = 20
NUM_NEAREST = 10


class InputError(ValueError):
    """A mistake in what the caller passed; the message says the rule, the value and the remedy."""


class RunError(RuntimeError):
    """A failure of the machine or of a run that correct input does not prevent (disk full, interrupted)."""


class DivergedError(RunError):
    """A training whose loss stopped being finite.

    Attributes:
        epoch: The epoch in which it did; the first is 1.
        losses: Per earlier epoch and model, the mean loss.
    """

    def __init__(self, message: str, *, epoch: int, losses: Sequence[tuple[float, ...]]) -> None:
        super().__init__(message)
        self.epoch = epoch
        self.losses = tuple(losses)


def require(holds: bool, rule: str, value: object, remedy: str) -> None:
    """Raise `InputError` with one sentence unless `holds`.

    The rule is put into backticks, unless it has some of its own.

    Args:
        holds: Whether the rule is kept.
        rule: The rule as an expression, such as ``alpha > 0``.
        value: What was given, such as ``alpha=-0.1``.
        remedy: A full sentence that says what to do.

    Raises:
        InputError: When `holds` is false.
    """
    if not holds:
        quoted = rule if "`" in rule else f"`{rule}`"
        raise InputError(f"{quoted} must hold, but got {value}. {remedy}")


def suggest(name: object, valid: Iterable[str]) -> str:
    """Say which valid name is nearest to `name`, and list all of them, or of many the ten nearest.

    Args:
        name: What was given.
        valid: Every valid name.

    Returns:
        A sentence such as ``Did you mean `dirichlet`? Valid: a, b, c.``
    """
    names = sorted(valid)
    close = difflib.get_close_matches(str(name), names, n=NUM_NEAREST, cutoff=0.5)
    listing = _list_names(names, close=close)
    return f"Did you mean `{close[0]}`? {listing}" if close else listing


def _list_names(names: Sequence[str], *, close: Sequence[str]) -> str:
    if len(names) <= MOST_LISTED:
        return f"Valid: {', '.join(names)}."
    shown = close or names[:NUM_NEAREST]
    return f"Valid: {', '.join(shown)} and {len(names) - len(shown):,} more."


def require_known(kind: str, name: str, valid: Iterable[str]) -> None:
    """Raise `InputError` with the nearest valid name unless `name` is one of `valid`.

    Args:
        kind: What is named, such as ``technique``.
        name: What was given.
        valid: Every valid name.

    Raises:
        InputError: When `name` is unknown.
    """
    names = list(valid)
    if name not in names:
        raise InputError(f"Unknown {kind} `{name}`. {suggest(name, names)}")


def enumerate_words(words: Sequence[object]) -> str:
    """Join words as a sentence does: ``a, b and c``."""
    if len(words) < 2:
        return "".join(map(str, words))
    return f"{', '.join(map(str, words[:-1]))} and {words[-1]}"


def count(number: int, noun: str) -> str:
    """A number with its noun, which takes an s: ``1 sample``, ``2 samples``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def name_type(value: object) -> str:
    """The type of a value with its article: ``an int``, ``a str``."""
    name = type(value).__name__
    return f"{'an' if name[0] in 'aeioAEIO' else 'a'} {name}"


def describe_error(error: BaseException) -> str:
    """The first line of an error's message without its full stop, or its type where it has none.

    What the system says comes without its number, and in lower case to stand within a sentence.
    """
    if isinstance(error, OSError) and error.strerror:
        reason = error.strerror[0].lower() + error.strerror[1:]
        return reason if error.filename is None else f"{reason}: {error.filename!r}"
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".: ") if lines else type(error).__name__
