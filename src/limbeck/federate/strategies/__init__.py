"""The strategies: ways to run federated learning, one file each."""

from collections.abc import Mapping
from dataclasses import fields
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from pydantic import TypeAdapter, ValidationError

from limbeck.core.errors import InputError, require_known
from limbeck.federate.federation import Federation
from limbeck.federate.strategies.ds_fl import DS_FL
from limbeck.federate.strategies.fading_pull import FADING_PULL
from limbeck.federate.strategies.fd import FD
from limbeck.federate.strategies.fedadam import FEDADAM
from limbeck.federate.strategies.fedavg import FEDAVG
from limbeck.federate.strategies.fedavg_refit import FEDAVG_REFIT
from limbeck.federate.strategies.fedavgm import FEDAVGM
from limbeck.federate.strategies.feddf import FEDDF
from limbeck.federate.strategies.fedgkd import FEDGKD
from limbeck.federate.strategies.fedlc import FEDLC
from limbeck.federate.strategies.fedmd import FEDMD
from limbeck.federate.strategies.fedntd import FEDNTD
from limbeck.federate.strategies.fedprox import FEDPROX
from limbeck.federate.strategies.fml import FML
from limbeck.federate.strategies.record import (
    MODEL,
    NoSettings,
    Reply,
    ServerState,
    Strategy,
)
from limbeck.federate.strategies.scaffold import SCAFFOLD

STRATEGIES: Mapping[str, Strategy[Any]] = MappingProxyType(
    {
        strategy.name: strategy
        for strategy in (
            FEDAVG,
            FEDPROX,
            FEDAVGM,
            FEDADAM,
            SCAFFOLD,
            FEDNTD,
            FEDGKD,
            FEDLC,
            FADING_PULL,
            FEDAVG_REFIT,
            FML,
            FEDDF,
            FEDMD,
            DS_FL,
            FD,
        )
    }
)


def get_strategy(name: str) -> Strategy[Any]:
    """The strategy called `name`.

    Raises:
        InputError: When there is none.
    """
    require_known("strategy", name, STRATEGIES)
    return STRATEGIES[name]


def check_strategy(strategy: Strategy[Any], federation: Federation, settings: Any) -> None:
    """Check, before anything is computed, that a federation has what a strategy needs.

    Args:
        strategy: How a round goes.
        federation: What the server has.
        settings: The strategy's own.

    Raises:
        InputError: When it has not.
    """
    if not strategy.mixes_architectures:
        mixing = [name for name, one in STRATEGIES.items() if one.mixes_architectures]
        federation.require_one_architecture(f"`{strategy.name}`", instead=mixing)
    strategy.check(federation, settings)


def make_strategy_settings(strategy: Strategy[Any], changes: Mapping[str, Any]) -> Any:
    """The strategy's settings with some of them changed.

    Raises:
        InputError: When it has no such setting, or a value is out of range.
    """
    known = [entry.name for entry in fields(strategy.defaults)]
    for name in changes:
        require_known(f"setting of `{strategy.name}`", name, known)
    try:
        return _make_adapter(type(strategy.defaults)).validate_python(dict(changes))
    except ValidationError as error:
        first = error.errors()[0]
        cause = first.get("ctx", {}).get("error")
        if isinstance(cause, InputError):
            raise cause from error
        place = ".".join(map(str, first["loc"]))
        raise InputError(
            f"`{place}` of `{strategy.name}` must have its type, but got {first['input']!r}: {first['msg']}. "
            "Correct it."
        ) from error


@lru_cache(None)
def _make_adapter(kind: type) -> TypeAdapter[Any]:
    """What checks settings of a kind; making it takes as long as training a small model."""
    return TypeAdapter(kind)


__all__ = [
    "MODEL",
    "STRATEGIES",
    "NoSettings",
    "Reply",
    "ServerState",
    "Strategy",
    "check_strategy",
    "get_strategy",
    "make_strategy_settings",
]
