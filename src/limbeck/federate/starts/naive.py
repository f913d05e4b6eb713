"""Starts that distil nothing: the yardsticks for those that do."""

from limbeck.core.errors import InputError, RunError
from limbeck.federate.aggregation import aggregate
from limbeck.federate.client import fill, state_of
from limbeck.federate.federation import AskFn, Federation, Party
from limbeck.federate.messages import Message, State
from limbeck.federate.server_distillation import at_server
from limbeck.federate.starts.record import Consolidation, Start
from limbeck.federate.starts.tasks import MODEL, UPLOAD


def upload_all(consolidation: Consolidation) -> dict[int, State]:
    """Every client's own model; one upload per client."""
    return ask_for_models(consolidation.federation, consolidation.ask)


def ask_for_models(federation: Federation, ask: AskFn) -> dict[int, State]:
    """Every client's own model; one upload per client."""
    request = Message(task=UPLOAD, round=0)
    replies = ask({party.index: request for party in federation.parties})
    return {party.index: _read_model(federation, party, replies[party.index]) for party in federation.parties}


def _read_model(federation: Federation, party: Party, reply: Message) -> State:
    state = reply.group(MODEL)
    try:
        fill(federation.build_fn(party.arch), state)
    except InputError as error:
        raise RunError(f"client {party.index} must send a model of its architecture, but: {error}") from error
    return state


def average_by_arch(consolidation: Consolidation, states: dict[int, State]) -> dict[str, State]:
    """Per architecture the aggregate of its clients' weights by their numbers of samples."""
    federation, models = consolidation.federation, {}
    for arch in federation.archs:
        parties = [party for party in federation.parties if party.arch == arch]
        shares = [float(party.num_samples) for party in parties]
        models[arch] = aggregate([states[party.index] for party in parties], shares, federation.plan)
    return models


def start_from_scratch(consolidation: Consolidation) -> dict[str, State]:
    """The untrained models; costs nothing."""
    federation = consolidation.federation
    return {arch: state_of(federation.build_fn(arch)) for arch in federation.archs}


def start_from_best_client(consolidation: Consolidation) -> dict[str, State]:
    """Per architecture the client's model with the highest validation accuracy at the server."""
    federation, states = consolidation.federation, upload_all(consolidation)
    with at_server():
        scores = {
            party.index: federation.validation_fn(fill(federation.build_fn(party.arch), states[party.index]))
            for party in federation.parties
        }
    best = {
        arch: max(
            (party for party in federation.parties if party.arch == arch), key=lambda one: scores[one.index]
        )
        for arch in federation.archs
    }
    return {arch: states[party.index] for arch, party in best.items()}


def start_from_weight_average(consolidation: Consolidation) -> dict[str, State]:
    """Per architecture the mean of the clients' weights by their numbers of samples."""
    return average_by_arch(consolidation, upload_all(consolidation))


SCRATCH = Start(
    name="scratch",
    summary="the untrained model",
    make_fn=start_from_scratch,
    needs_models=False,
    mixes_architectures=True,
)
BEST_CLIENT = Start(
    name="best-client",
    summary="the client's model that is best on the server's validation samples",
    make_fn=start_from_best_client,
    mixes_architectures=True,
)
WEIGHT_AVERAGE = Start(
    name="weight-average",
    summary="the mean of the clients' weights",
    make_fn=start_from_weight_average,
    mixes_architectures=True,
)
