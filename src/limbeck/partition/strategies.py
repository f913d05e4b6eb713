"""The table of strategies: what each is called, what it means, and which parameters it takes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from limbeck.core.errors import InputError, require_known, suggest
from limbeck.partition.checks import (
    CheckFn,
    check_alpha,
    check_count,
    check_count_or_zero,
    check_flag,
    check_head,
    check_imbalance_ratio,
    check_shares,
    check_sizes,
)
from limbeck.partition.class_sets import classes, disjoint, overlapping
from limbeck.partition.class_shares import dirichlet
from limbeck.partition.client_mixes import client_dirichlet, mixed
from limbeck.partition.exponential_tail import long_tail
from limbeck.partition.same_mix import check_one_given, quantity, uniform
from limbeck.partition.sorted_shards import shards

MAX_LISTED_VALUES = 5


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """One parameter of a strategy.

    Attributes:
        name: What it is called.
        summary: What it means.
        check_fn: Takes name and value, returns the value in one plain type or raises `InputError`.
        required: Whether it has no default.
        default: Its value when it is not given; None stands for "not given".
        is_always_shown: Whether a title names it even at its default.
    """

    name: str
    summary: str
    check_fn: CheckFn
    required: bool = False
    default: Any = None
    is_always_shown: bool = False


@dataclass(frozen=True, kw_only=True)
class Strategy:
    """One way to divide labels between clients.

    Attributes:
        name: Its kebab-case name.
        summary: What it does, in one line.
        split_fn: Takes labels, `num_clients`, `seed` and the parameters by name; returns indices per client.
        parameters: What else it takes.
        rule_fn: Takes the complete parameters and raises `InputError` when they do not go together.
    """

    name: str
    summary: str
    split_fn: Callable[..., list[np.ndarray]]
    parameters: tuple[Parameter, ...] = ()
    rule_fn: Callable[[Mapping[str, Any]], None] | None = None


def check_quantity(parameters: Mapping[str, Any]) -> None:
    """Nothing, when exactly one of `alpha` and `shares` is given.

    Raises:
        InputError: When both or neither are.
    """
    check_one_given(alpha=parameters["alpha"], shares=parameters["shares"])


ALPHA = Parameter(
    name="alpha",
    summary="Dirichlet concentration, > 0: small is strong skew",
    check_fn=check_alpha,
    required=True,
)

_ALL = (
    Strategy(name="uniform", summary="equal sizes, equal label mixes", split_fn=uniform),
    Strategy(
        name="quantity",
        summary="unequal sizes, equal label mixes",
        split_fn=quantity,
        parameters=(
            Parameter(name="alpha", summary="sizes ~ Dir(alpha), > 0", check_fn=check_alpha),
            Parameter(name="shares", summary="stated shares, summing to 1", check_fn=check_shares),
        ),
        rule_fn=check_quantity,
    ),
    Strategy(
        name="classes",
        summary="each client holds a fixed number of classes",
        split_fn=classes,
        parameters=(
            Parameter(
                name="classes_per_client",
                summary="classes each client holds, >= 1",
                check_fn=check_count,
                required=True,
            ),
            Parameter(
                name="overlap",
                summary="whether several clients may hold a class",
                check_fn=check_flag,
                default=True,
            ),
        ),
    ),
    Strategy(
        name="shards",
        summary="pieces of the label-sorted samples, some per client",
        split_fn=shards,
        parameters=(
            Parameter(
                name="shards_per_client",
                summary="pieces each client holds, >= 1",
                check_fn=check_count,
                required=True,
            ),
        ),
    ),
    Strategy(name="disjoint", summary="groups of classes, no class shared", split_fn=disjoint),
    Strategy(
        name="overlapping",
        summary="some classes held by all clients, the others dealt out",
        split_fn=overlapping,
        parameters=(
            Parameter(
                name="num_shared_classes",
                summary="classes that all clients hold, >= 0",
                check_fn=check_count_or_zero,
                required=True,
            ),
        ),
    ),
    Strategy(
        name="dirichlet",
        summary="each class divided in Dirichlet-drawn shares",
        split_fn=dirichlet,
        parameters=(
            ALPHA,
            Parameter(
                name="balance",
                summary="whether full clients get nothing more",
                check_fn=check_flag,
                default=True,
                is_always_shown=True,
            ),
            Parameter(
                name="min_samples",
                summary="samples each client holds at least, >= 1",
                check_fn=check_count,
                default=1,
            ),
        ),
    ),
    Strategy(
        name="client-dirichlet",
        summary="fixed sizes, each client's label mix drawn from a Dirichlet",
        split_fn=client_dirichlet,
        parameters=(
            ALPHA,
            Parameter(name="sizes", summary="samples per client; by default equal", check_fn=check_sizes),
        ),
    ),
    Strategy(
        name="long-tail",
        summary="class counts that fall exponentially",
        split_fn=long_tail,
        parameters=(
            Parameter(
                name="imbalance_ratio",
                summary="head count over tail count, >= 1",
                check_fn=check_imbalance_ratio,
                required=True,
            ),
            Parameter(
                name="head",
                summary="`same` order of classes for all clients, or one per `client`",
                check_fn=check_head,
                default="same",
                is_always_shown=True,
            ),
        ),
    ),
    Strategy(
        name="mixed",
        summary="drawn label mixes and drawn sizes together",
        split_fn=mixed,
        parameters=(
            ALPHA,
            Parameter(
                name="quantity_alpha",
                summary="sizes ~ Dir(quantity_alpha), > 0",
                check_fn=check_alpha,
                required=True,
            ),
        ),
    ),
)

STRATEGIES: Mapping[str, Strategy] = MappingProxyType({strategy.name: strategy for strategy in _ALL})


def check_parameters(strategy: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The complete parameters of a strategy: checked, in plain types, defaults filled in.

    What depends on the labels or the number of clients is checked when they are known, by the strategy
    itself.

    Args:
        strategy: Its kebab-case name.
        parameters: What was given.

    Returns:
        Every parameter of the strategy, in the order of `STRATEGIES`.

    Raises:
        InputError: When the strategy or a parameter is unknown, a required one is missing or a value breaks
            its rule.
    """
    require_known("partition strategy", strategy, STRATEGIES)
    known = {parameter.name: parameter for parameter in STRATEGIES[strategy].parameters}
    for name in parameters:
        check_parameter_name(strategy, name, known)
    complete = {name: check_parameter(strategy, known[name], parameters) for name in known}
    rule_fn = STRATEGIES[strategy].rule_fn
    if rule_fn is not None:
        rule_fn(complete)
    return complete


def check_parameter_name(strategy: str, name: str, known: Mapping[str, Parameter]) -> None:
    """Nothing, when the strategy takes a parameter of this name.

    Raises:
        InputError: When it does not; the message says the nearest name.
    """
    if name in known:
        return
    remedy = suggest(name, known) if known else f"`{strategy}` takes no parameters."
    raise InputError(f"Unknown parameter `{name}` of partition strategy `{strategy}`. {remedy}")


def check_parameter(strategy: str, parameter: Parameter, given: Mapping[str, Any]) -> Any:
    """The checked value of one parameter, or its default.

    Raises:
        InputError: When it is required and missing, or its value breaks its rule.
    """
    if parameter.name in given:
        value = given[parameter.name]
        is_left_out = value is None and not parameter.required and parameter.default is None
        return None if is_left_out else parameter.check_fn(parameter.name, value)
    if parameter.required:
        raise InputError(
            f"Partition strategy `{strategy}` needs `{parameter.name}`, which is missing. "
            f"Give {parameter.name} ({parameter.summary})."
        )
    return parameter.default


def title(strategy: str, parameters: Mapping[str, Any]) -> str:
    """A strategy and its parameters in words, such as ``dirichlet (alpha=0.5, balance=True)``.

    Required parameters always appear, and so do those without which the others would mislead (`balance`
    beside `alpha`); any other appears when it is not at its default.

    Raises:
        InputError: As `check_parameters`.
    """
    complete = check_parameters(strategy, parameters)
    shown = [
        f"{parameter.name}={format_value(complete[parameter.name])}"
        for parameter in STRATEGIES[strategy].parameters
        if parameter.required or parameter.is_always_shown or complete[parameter.name] != parameter.default
    ]
    return f"{strategy} ({', '.join(shown)})" if shown else strategy


def format_value(value: Any) -> str:
    """A parameter's value as text: numbers without superfluous digits, the start of a list in brackets."""
    if isinstance(value, tuple):
        rest = f", ... {len(value)} in all" if len(value) > MAX_LISTED_VALUES else ""
        return f"[{', '.join(map(format_value, value[:MAX_LISTED_VALUES]))}{rest}]"
    return f"{value:g}" if isinstance(value, float) else str(value)
