"""ds-fl: clients' probabilities on public samples are averaged and sharpened, and everyone learns from them.

Reference: Itahara et al. 2020, https://arxiv.org/abs/2008.06180, algorithm 1 with entropy reduction averaging
(ERA) or simple averaging (SA).
Deviations from the paper: a client learns from what the server made of a round at the beginning of the next,
so that a round is one message each way; its model begins as its own, or untrained. Clients count as the plan
says, alike in the paper.
Cost: a row of probabilities per public sample each way; clients and server train on the public samples too.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

from torch import Tensor

from limbeck.core.errors import require, require_known
from limbeck.core.seeds import derive_seed
from limbeck.data import count_samples, take_samples
from limbeck.federate.client import Answer, Client, fill, state_of
from limbeck.federate.federation import Federation
from limbeck.federate.local_training import train_locally
from limbeck.federate.messages import Message, State
from limbeck.federate.server_distillation import at_server
from limbeck.federate.strategies.averaging import describe_round
from limbeck.federate.strategies.private_model import recall_private
from limbeck.federate.strategies.public_logits import (
    CONSENSUS,
    aggregate_rows,
    answer_with_rows,
    as_probabilities,
    check_public,
    check_public_samples,
    draw_public,
    follow_consensus,
    learn_public,
    send_consensus,
    shapes_of_rows,
    soft_cross_entropy,
)
from limbeck.federate.strategies.record import Reply, ServerState, Strategy
from limbeck.losses import check_settings

Averaging = Literal["era", "sa"]


@dataclass(frozen=True, kw_only=True)
class DSFLSettings:
    """Settings of DS-FL.

    Attributes:
        averaging: `era` sharpens the mean of the probabilities, `sa` leaves it.
        temperature: T > 0 of `era`; the lower, the sharper.
        public_samples: Public samples per round, drawn anew in each; None for the whole proxy set.
        distil_epochs: Passes over them, at clients and at the server, at least 1.
    """

    averaging: Averaging = "era"
    temperature: float = 0.1
    public_samples: int | None = None
    distil_epochs: int = 1

    def __post_init__(self) -> None:
        require_known("averaging", self.averaging, get_args(Averaging))
        check_settings(temperature=self.temperature, weight=1.0)
        check_public_samples(self.public_samples)
        require(
            self.distil_epochs >= 1,
            "distil_epochs >= 1",
            f"distil_epochs={self.distil_epochs}",
            "Use another strategy to do without.",
        )


def sharpen(probabilities: Tensor, *, temperature: float) -> Tensor:
    """Entropy reduction: softmax(p / T) of every row, of probabilities, not of logits.

    Laws: it keeps the order of the classes; as T falls all probability goes to the likeliest class.

    Args:
        probabilities: p, [samples, classes].
        temperature: T > 0.
    """
    return (probabilities / temperature).softmax(dim=-1)


def pull_to_probabilities(logits: Tensor, consensus: Tensor) -> Tensor:
    """Cross-entropy with the consensus, one number per sample."""
    return soft_cross_entropy(logits, as_probabilities(consensus))


def follow_and_train(client: Client, request: Message, settings: DSFLSettings) -> Answer:
    """Learn from the consensus, then from the client's own samples, and send probabilities.

    What it reports is the accuracy of its model between the two.
    """
    model = recall_private(client, request)
    follow_consensus(
        client,
        model,
        request,
        pull_to_probabilities,
        epochs=settings.distil_epochs,
        public_samples=settings.public_samples,
    )
    measured = client.measure(model)
    course = train_locally(client, [model], request)
    return answer_with_rows(
        client,
        request,
        model,
        public_samples=settings.public_samples,
        facts=describe_round(course.losses, measured),
        say_fn=lambda logits: logits.softmax(dim=-1),
    )


def average_probabilities(federation: Federation, replies: Sequence[Reply], settings: DSFLSettings) -> Tensor:
    """The consensus on the round's public samples, [samples, classes]; every row sums to 1."""
    mean = as_probabilities(aggregate_rows(federation, replies, as_probabilities))
    return mean if settings.averaging == "sa" else sharpen(mean, temperature=settings.temperature)


def combine_by_learning(
    federation: Federation, state: ServerState, replies: Sequence[Reply], settings: DSFLSettings
) -> ServerState:
    """The state with a new consensus, from which the server's models have learned."""
    consensus = average_probabilities(federation, replies, settings)
    with at_server():
        models = {arch: _teach(federation, state, consensus, settings, arch=arch) for arch in state.models}
    return state.advance(models=models, memory={CONSENSUS: consensus})


def _teach(
    federation: Federation, state: ServerState, consensus: Tensor, settings: DSFLSettings, *, arch: str
) -> State:
    """The server's model of an architecture after learning from the consensus."""
    assert federation.proxy is not None
    plan, round_number = federation.plan, state.round + 1
    ids = draw_public(
        count_samples(federation.proxy), settings.public_samples, seed=plan.seed, round_number=round_number
    )
    model = fill(federation.build_fn(arch), state.models[arch])
    learn_public(
        model,
        take_samples(federation.proxy, ids),
        consensus,
        pull_to_probabilities,
        training=replace(plan.local_in(round_number), epochs=settings.distil_epochs),
        seed=derive_seed(plan.seed, "server", round_number, arch),
    )
    return state_of(model)


DS_FL = Strategy[DSFLSettings](
    name="ds-fl",
    title="DS-FL",
    summary="clients and server learn the sharpened mean of all probabilities on public samples",
    reference="Itahara et al. 2020, arXiv 2008.06180, algorithm 1",
    deviations="clients learn from a round's mean at the beginning of the next",
    cost="a row of probabilities per public sample down and up; clients and server train on these too",
    defaults=DSFLSettings(),
    request_fn=send_consensus("ds-fl"),
    local_fn=follow_and_train,
    combine_fn=combine_by_learning,
    shapes_fn=shapes_of_rows,
    shares="logits",
    mixes_architectures=True,
    server_needs_proxy=True,
    clients_need_proxy=True,
    check_fn=check_public,
)
