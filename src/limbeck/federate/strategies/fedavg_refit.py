"""fedavg-refit: FedAvg that serves its average with a last layer solved from the clients' class statistics.

Clients with different classes agree on features long before their average agrees on a last layer. With its
reply every client sends means over its samples of what the last layer of the model it received sees of them;
from these the server solves the layer that the pooled samples would give and serves the received model with
it. Training goes on from the plain average, one round ahead of what is served.

Reference: none that is exactly this; Luo et al. 2021, https://arxiv.org/abs/2106.05001, calibrate the last
    layer once after training, with virtual features.
Deviations from the paper: not one paper's method; see `limbeck.federate.class_statistics`.
Cost: that of FedAvg, one forward pass over the client's samples per round, and (classes + features) x
    features numbers of 8 bytes up.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from limbeck.core.errors import require
from limbeck.federate.class_statistics import (
    SHRINKAGE,
    ClassStatistics,
    add_up,
    find_head,
    refit_head,
    sum_up,
)
from limbeck.federate.client import Answer, Client, fill, state_of
from limbeck.federate.federation import Federation, Party
from limbeck.federate.messages import Message, as_group
from limbeck.federate.server_distillation import at_server
from limbeck.federate.strategies.averaging import average_replies, receive_model, train_received
from limbeck.federate.strategies.record import (
    MODEL,
    Reply,
    ServerState,
    Shapes,
    Strategy,
    make_request,
    shapes_of_request,
)

STATISTICS = "statistics"


@dataclass(frozen=True, kw_only=True)
class RefitSettings:
    """Settings of the refit.

    Attributes:
        shrinkage: Share of the identity in the covariance, in (0, 1].
    """

    shrinkage: float = SHRINKAGE

    def __post_init__(self) -> None:
        require(
            0 < self.shrinkage <= 1, "0 < shrinkage <= 1", f"shrinkage={self.shrinkage}", "0.05 is usual."
        )


def check_head(federation: Federation, settings: RefitSettings) -> None:
    """Raise `InputError` when the shared model does not end in a layer that can be solved."""
    del settings
    find_head(federation.build_fn(federation.archs[0]), federation.num_classes)


def send_average(
    federation: Federation, state: ServerState, party: Party, settings: RefitSettings
) -> Message:
    """The average that training goes on from, and the size of what has to come back."""
    del settings
    model = state.memory or state.models[party.arch]
    head = find_head(fill(federation.build_fn(party.arch), model), federation.num_classes)
    facts = {"classes": head.out_features, "features": head.in_features}
    return make_request("fedavg-refit", federation, state, tensors=as_group(MODEL, model), facts=facts)


def shapes_of_model_and_statistics(request: Message) -> Shapes:
    """The model and the three means."""
    classes, features = request.facts["classes"], request.facts["features"]
    means = {"counts": (classes,), "sums": (classes, features), "products": (features, features)}
    return {**shapes_of_request(request), **{f"{STATISTICS}/{name}": shape for name, shape in means.items()}}


def find_impossible_sum(reply: Message) -> str | None:
    """Which of the statistics cannot be of any samples, None when all can."""
    statistics = reply.group(STATISTICS)
    if bool((statistics["counts"] < 0).any()) or not bool(statistics["counts"].sum() > 0):
        return "its class statistics count no samples"
    if bool((statistics["products"].diagonal() < 0).any()):
        return "its class statistics have a negative sum of squares"
    return None


def train_and_sum_up(client: Client, request: Message, settings: RefitSettings) -> Answer:
    """Cross-entropy from the received model, and the statistics of that model before, per sample.

    Sums would grow with the samples beyond what the server takes for a number that can be.
    """
    del settings
    received = receive_model(client, request)
    statistics = sum_up(received, client.inputs, client.labels, num_classes=client.num_classes)
    means = statistics.scale(1 / max(1, len(client)))
    answer = train_received(client, request)
    return Answer(tensors={**answer.tensors, **as_group(STATISTICS, means.to_state())}, facts=answer.facts)


def combine_and_refit(
    federation: Federation, state: ServerState, replies: Sequence[Reply], settings: RefitSettings
) -> ServerState:
    """The average to train on, and what was received with its last layer solved, to serve."""
    (arch,) = state.models
    trained = state.memory or state.models[arch]
    with at_server():
        total = add_up(
            ClassStatistics(**reply.message.group(STATISTICS)).scale(reply.party.num_samples)
            for reply in replies
        )
        served = fill(federation.build_fn(arch), trained)
        refit_head(served, total, shrinkage=settings.shrinkage)
    average = average_replies(federation, state, replies)[arch]
    return state.advance(models={arch: state_of(served)}, memory=average)


FEDAVG_REFIT = Strategy[RefitSettings](
    name="fedavg-refit",
    title="FedAvg, refit",
    summary="FedAvg that serves its average with a last layer solved from class statistics",
    reference="calibration once after training: Luo et al. 2021, arXiv 2106.05001",
    deviations="not one paper's method; see the card",
    cost="the model down and up, one forward pass, (classes + features) x features numbers up",
    defaults=RefitSettings(),
    request_fn=send_average,
    local_fn=train_and_sum_up,
    combine_fn=combine_and_refit,
    shapes_fn=shapes_of_model_and_statistics,
    fault_fn=find_impossible_sum,
    takes_privacy=False,
    takes_aggregation=False,
    check_fn=check_head,
)
