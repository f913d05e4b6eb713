"""The starts: ways to make the model that federated learning begins with."""

from collections.abc import Mapping
from types import MappingProxyType

from limbeck.core.errors import require_known
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


__all__ = ["STARTS", "Consolidation", "Distillation", "Start", "get_start"]
