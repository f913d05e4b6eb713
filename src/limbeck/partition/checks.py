"""What a strategy demands of its settings: each check returns a plain value or says what is wrong."""

import math
import numbers
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from limbeck.core.errors import InputError, enumerate_words, require, suggest

MAX_LISTED_CLASSES = 10
SHARES_TOLERANCE = 1e-6

CheckFn = Callable[[str, Any], Any]


def check_alpha(name: str, value: Any) -> float:
    """A Dirichlet concentration: a finite number above 0; the smaller, the stronger the skew.

    Raises:
        InputError: When it is something else.
    """
    remedy = "Use 0.1 for strong skew, 100 for almost none, or the strategy `uniform` for an even split."
    require(is_finite_number(value), f"{name} is a finite number", f"{name}={value!r}", remedy)
    require(value > 0, f"{name} > 0", f"{name}={value}", remedy)
    return float(value)


def check_imbalance_ratio(name: str, value: Any) -> float:
    """How many times larger the head class is than the tail class: a finite number, at least 1.

    Raises:
        InputError: When it is something else.
    """
    remedy = "Use 1 for equal classes; 10 to 100 are common."
    require(is_finite_number(value), f"{name} is a finite number", f"{name}={value!r}", remedy)
    require(value >= 1, f"{name} >= 1", f"{name}={value}", remedy)
    return float(value)


def check_count(name: str, value: Any) -> int:
    """A whole number of at least 1.

    Raises:
        InputError: When it is something else.
    """
    return check_whole_number(name, value, minimum=1)


def check_count_or_zero(name: str, value: Any) -> int:
    """A whole number of at least 0.

    Raises:
        InputError: When it is something else.
    """
    return check_whole_number(name, value, minimum=0)


def check_whole_number(name: str, value: Any, *, minimum: int) -> int:
    """A whole number of at least `minimum`.

    Raises:
        InputError: When it is something else.
    """
    remedy = f"Use a whole number, {minimum} or more."
    require(is_whole_number(value), f"{name} is a whole number", f"{name}={value!r}", remedy)
    require(value >= minimum, f"{name} >= {minimum}", f"{name}={value}", remedy)
    return int(value)


def check_flag(name: str, value: Any) -> bool:
    """True or false, and nothing that merely counts as such.

    Raises:
        InputError: When it is something else.
    """
    is_flag = isinstance(value, bool | np.bool_)
    require(is_flag, f"{name} is true or false", f"{name}={value!r}", "Use true or false.")
    return bool(value)


def check_head(name: str, value: Any) -> str:
    """Whose order of classes a long tail follows: ``same`` or ``client``.

    Raises:
        InputError: When it is something else.
    """
    choices = ("same", "client")
    is_choice = isinstance(value, str) and value in choices
    require(is_choice, f"{name} is `same` or `client`", f"{name}={value!r}", suggest(value, choices))
    return str(value)


def check_shares(name: str, value: Any) -> tuple[float, ...]:
    """Positive numbers that sum to 1, one per client.

    Raises:
        InputError: When they are something else.
    """
    remedy = "Give one positive share per client, such as [0.5, 0.3, 0.2]."
    has_numbers = is_listing(value) and all(map(is_finite_number, value))
    require(has_numbers, f"{name} is a list of numbers", f"{name}={value!r}", remedy)
    require(all(share > 0 for share in value), f"each of {name} > 0", f"{name}={list(value)}", remedy)
    total = math.fsum(value)
    sums_to_one = math.isclose(total, 1.0, rel_tol=0.0, abs_tol=SHARES_TOLERANCE)
    require(sums_to_one, f"sum({name}) = 1", f"sum({name})={total:g}", "Divide every share by their sum.")
    return tuple(float(share) for share in value)


def check_sizes(name: str, value: Any) -> tuple[int, ...]:
    """Whole numbers of at least 1, one per client.

    Raises:
        InputError: When they are something else.
    """
    remedy = "Give one number of samples per client, each at least 1, such as [500, 300]."
    is_valid = is_listing(value) and all(is_whole_number(size) and size >= 1 for size in value)
    require(is_valid, f"{name} is a list of whole numbers >= 1", f"{name}={value!r}", remedy)
    return tuple(int(size) for size in value)


def check_one_per_client(name: str, values: Sequence[object], num_clients: int) -> None:
    """Nothing, when there is one value per client.

    Raises:
        InputError: When there are more or fewer.
    """
    require(
        len(values) == num_clients,
        f"len({name}) = num_clients",
        f"len({name})={len(values)}, num_clients={num_clients}",
        f"Give one of {name} per client.",
    )


def check_every_class_held(table: np.ndarray, class_ids: np.ndarray, *, remedy: str) -> None:
    """Nothing, when each class has a client that holds it.

    Args:
        table: Samples, or whether any are held, of shape [clients, classes].
        class_ids: The class of each column.
        remedy: A full sentence that says what to do.

    Raises:
        InputError: When a class is held by nobody; the message names the classes.
    """
    unheld = class_ids[~table.any(axis=0)]
    if len(unheld) == 0:
        return
    listed = [str(class_id) for class_id in unheld[:MAX_LISTED_CLASSES]]
    if len(unheld) > MAX_LISTED_CLASSES:
        listed.append(f"{len(unheld) - MAX_LISTED_CLASSES} more")
    noun = "class" if len(unheld) == 1 else "classes"
    raise InputError(
        f"`every class is held by a client` must hold, but got {noun} {enumerate_words(listed)} "
        f"held by nobody among {table.shape[0]} clients. {remedy}"
    )


def is_whole_number(value: object) -> bool:
    """Whether `value` is an integer of Python or NumPy; true and false are not."""
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def is_finite_number(value: object) -> bool:
    """Whether `value` is a finite real number of Python or NumPy; true and false are not."""
    return isinstance(value, numbers.Real) and not isinstance(value, bool) and math.isfinite(value)


def is_listing(value: object) -> bool:
    """Whether `value` is a list, a tuple or a NumPy array with one axis, and not empty."""
    return isinstance(value, list | tuple | np.ndarray) and np.ndim(value) == 1 and len(value) > 0
