"""The starts: ways to make the model that federated learning begins with."""

from collections.abc import Mapping
from types import MappingProxyType

from limbeck.core.errors import require_known
from limbeck.federate.federation import Federation
from limbeck.federate.starts.ensemble import ENSEMBLE
from limbeck.federate.starts.mesh import MESH
from limbeck.federate.starts.naive import BEST_CLIENT, SCRATCH, WEIGHT_AVERAGE
from limbeck.federate.starts.record import Consolidation, Distillation, Start
from limbeck.federate.starts.refit import MESH_REFIT, REFIT
from limbeck.federate.starts.travelling import CHAIN, HUB

STARTS: Mapping[str, Start] = MappingProxyType(
    {
        start.name: start
        for start in (
            SCRATCH,
            BEST_CLIENT,
            WEIGHT_AVERAGE,
            REFIT,
            HUB,
            CHAIN,
            MESH,
            MESH_REFIT,
            ENSEMBLE,
        )
    }
)


def get_start(name: str) -> Start:
    """The start called `name`.

    Raises:
        InputError: When there is none.
    """
    require_known("start", name, STARTS)
    return STARTS[name]


def check_start(start: Start, federation: Federation) -> None:
    """Check, before anything is computed, that a federation has what a start needs.

    Raises:
        InputError: When it has not.
    """
    if not start.mixes_architectures:
        mixing = [name for name, one in STARTS.items() if one.mixes_architectures]
        federation.require_one_architecture(f"the start `{start.name}`", instead=mixing)
    start.check(federation)


__all__ = ["STARTS", "Consolidation", "Distillation", "Start", "check_start", "get_start"]
