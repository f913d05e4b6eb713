"""The starts `refit` and `mesh-refit`: a consolidated model whose last layer is solved from class statistics.

Averaged or distilled, a model made from clients with different classes has good features and a last layer
that favours some classes. Each client sends three sums over what that layer sees of its samples, and the
server solves the layer that the pooled samples would give (`limbeck.federate.class_statistics`). Cost: the
model down and the sums up, once.
"""

from collections.abc import Mapping

from limbeck.federate.class_statistics import ClassStatistics, add_up, find_head, refit_head
from limbeck.federate.client import fill, state_of
from limbeck.federate.federation import Federation
from limbeck.federate.messages import Message, State, as_group
from limbeck.federate.server_distillation import at_server
from limbeck.federate.starts.mesh import start_from_mesh
from limbeck.federate.starts.naive import start_from_weight_average
from limbeck.federate.starts.record import Consolidation, Start
from limbeck.federate.starts.tasks import MODEL, STATISTICS


def refit(consolidation: Consolidation, models: Mapping[str, State]) -> dict[str, State]:
    """The models with last layers solved from the statistics of the clients of their architecture."""
    federation, refitted = consolidation.federation, {}
    for arch, state in models.items():
        request = Message(task=STATISTICS, round=0, tensors=as_group(MODEL, state))
        indices = [party.index for party in federation.parties if party.arch == arch]
        replies = consolidation.ask(dict.fromkeys(indices, request))
        with at_server():
            total = add_up(ClassStatistics(**replies[index].group(STATISTICS)) for index in indices)
            model = fill(federation.build_fn(arch), state)
            refit_head(model, total)
        refitted[arch] = state_of(model)
    return refitted


def start_from_refit(consolidation: Consolidation) -> dict[str, State]:
    """The weight average with its last layer solved anew."""
    return refit(consolidation, start_from_weight_average(consolidation))


def start_from_mesh_refit(consolidation: Consolidation) -> dict[str, State]:
    """What `mesh` makes, with its last layer solved anew."""
    return refit(consolidation, start_from_mesh(consolidation))


def check_heads(federation: Federation) -> None:
    """Raise `InputError` when a model does not end in a layer that can be solved."""
    for arch in federation.archs:
        find_head(federation.build_fn(arch), federation.num_classes)


REFIT = Start(
    name="refit",
    summary="the weight average, its last layer solved from all clients' class statistics",
    make_fn=start_from_refit,
    mixes_architectures=True,
    takes_aggregation=False,
    check_fn=check_heads,
)
MESH_REFIT = Start(
    name="mesh-refit",
    summary="what `mesh` makes, its last layer solved from all clients' class statistics",
    make_fn=start_from_mesh_refit,
    is_distilled=True,
    takes_aggregation=False,
    check_fn=check_heads,
)
