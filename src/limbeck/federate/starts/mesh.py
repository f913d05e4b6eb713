"""The start `mesh`: every client teaches the average what the ensemble of all says about its samples.

A model counts for a class by its share of all samples of that class (`limbeck.losses.share_mean`). The models
go round once; each pass then sends the average down and what a client made of it up.
"""

from collections.abc import Mapping

from torch import Tensor

from limbeck.federate.aggregation import aggregate
from limbeck.federate.federation import AskFn, Federation
from limbeck.federate.messages import Message, State, as_group
from limbeck.federate.starts.naive import average_by_arch, upload_all
from limbeck.federate.starts.record import Consolidation, Start
from limbeck.federate.starts.tasks import DISTIL, GATHER, MODEL, STUDENT, TEACHER
from limbeck.federate.starts.travelling import distil_facts


def start_from_mesh(consolidation: Consolidation) -> dict[str, State]:
    """The average, distilled at every client towards the ensemble of all and averaged, pass by pass."""
    federation, distillation = consolidation.federation, consolidation.require_distillation()
    uploaded = upload_all(consolidation)
    gather_ensembles(federation, consolidation.ask, uploaded, temperature=distillation.temperature)
    (arch, student), *_ = average_by_arch(consolidation, uploaded).items()
    for visit in range(distillation.visits):
        request = Message(
            task=DISTIL,
            round=0,
            tensors=as_group(STUDENT, student),
            facts=distil_facts(consolidation, visit=visit, from_ensemble=True),
        )
        replies = consolidation.ask({party.index: request for party in federation.parties})
        states = [replies[party.index].group(MODEL) for party in federation.parties]
        shares = [float(party.num_samples) for party in federation.parties]
        student = aggregate(states, shares, federation.plan)
    return {arch: student}


def gather_ensembles(
    federation: Federation, ask: AskFn, uploaded: Mapping[int, State], *, temperature: float
) -> None:
    """Send every client the models of all others; each keeps what the ensemble says about its samples.

    Args:
        federation: What the server has.
        ask: Asks clients.
        uploaded: Every client's own model.
        temperature: T of the ensemble.
    """
    requests = {}
    for party in federation.parties:
        others = [other for other in federation.parties if other.index != party.index]
        tensors: dict[str, Tensor] = {}
        for number, other in enumerate(others):
            tensors |= as_group(f"{TEACHER}.{number}", uploaded[other.index])
        shares = [list(other.class_counts) for other in (*others, party)]
        facts = {"shares": shares, "temperature": temperature}
        requests[party.index] = Message(task=GATHER, round=0, tensors=tensors, facts=facts)
    ask(requests)


MESH = Start(
    name="mesh",
    summary="the average, taught at every client by the coverage-weighted ensemble of all, and averaged",
    make_fn=start_from_mesh,
    is_distilled=True,
)
