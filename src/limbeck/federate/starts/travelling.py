"""Starts in which models travel between clients: `hub` and `chain`.

Every message passes through the server.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from limbeck.federate.federation import Party
from limbeck.federate.messages import State, as_group
from limbeck.federate.starts.naive import average_by_arch, upload_all
from limbeck.federate.starts.record import Consolidation, Distillation, Order, Start
from limbeck.federate.starts.tasks import DISTIL, MODEL, STUDENT, TEACHER, UPLOAD


def start_from_hub(consolidation: Consolidation) -> dict[str, State]:
    """The largest client's model, taught on its own data by all others at once, whose models travel there."""
    hub, *others = in_order(consolidation.parties, "size")
    teachers: dict[str, Tensor] = {}
    for number, party in enumerate(others):
        uploaded = consolidation.ask_one(party.index, UPLOAD).group(MODEL)
        teachers |= as_group(f"{TEACHER}.{number}", uploaded)
    reply = consolidation.ask_one(hub.index, DISTIL, tensors=teachers, facts=distil_facts(consolidation))
    return {hub.arch: reply.group(MODEL)}


def start_from_chain(consolidation: Consolidation) -> dict[str, State]:
    """A model that visits every client, whose own model teaches it there on the client's data.

    It begins as the first client's model, which is then not its own teacher on the first visit, or as the
    weight average.
    """
    distillation = consolidation.require_distillation()
    parties = in_order(consolidation.parties, distillation.order)
    student, first_stops = _begin_chain(consolidation, distillation, parties)
    for visit in range(distillation.visits):
        for party in parties if visit else first_stops:
            reply = consolidation.ask_one(
                party.index,
                DISTIL,
                tensors=as_group(STUDENT, student),
                facts=distil_facts(consolidation, visit=visit),
            )
            student = reply.group(MODEL)
    return {parties[0].arch: student}


def _begin_chain(
    consolidation: Consolidation, distillation: Distillation, parties: Sequence[Party]
) -> tuple[State, Sequence[Party]]:
    """The student before its travel, and whom it visits first."""
    if distillation.origin == "average":
        return average_by_arch(consolidation, upload_all(consolidation))[parties[0].arch], parties
    return consolidation.ask_one(parties[0].index, UPLOAD).group(MODEL), parties[1:]


def in_order(parties: Sequence[Party], order: Order) -> list[Party]:
    """The clients by number of samples or by index."""
    if order == "index":
        return list(parties)
    sign = -1 if order == "size" else 1
    return sorted(parties, key=lambda party: (sign * party.num_samples, party.index))


def distil_facts(
    consolidation: Consolidation, *, visit: int = 0, from_ensemble: bool = False
) -> Mapping[str, Any]:
    """What a request to distil says."""
    return {
        "distillation": consolidation.require_distillation().to_dict(),
        "seed": consolidation.federation.plan.seed,
        "visit": visit,
        "from_ensemble": from_ensemble,
    }


HUB = Start(
    name="hub",
    summary="the largest client's model, taught by all others on its data",
    make_fn=start_from_hub,
    is_distilled=True,
)
CHAIN = Start(
    name="chain",
    summary="a model that visits every client and is taught by its model on its data",
    make_fn=start_from_chain,
    is_distilled=True,
)
