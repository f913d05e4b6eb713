"""fedmd: clients keep their models and learn from the mean of all clients' logits on public samples.

Reference: Li and Wang 2019, https://arxiv.org/abs/1910.03581, algorithm 1. The loss of `digest` is that of
the authors' code, the mean absolute error of the logits.
Deviations from the paper: the public set has no labels, so models do not learn its classes before the first
round; they begin as the client's own, or untrained. Digest and revisit open the next round instead of closing
this one, so that a round is one message each way; the first round has nothing to digest and nobody digests
the last. Clients count as the plan says, alike in the paper.
Cost: a row of logits per public sample each way; a client trains on the public samples too and says what it
thinks of the next.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from limbeck.core.errors import require
from limbeck.federate.client import Answer, Client
from limbeck.federate.federation import Federation
from limbeck.federate.local_training import train_locally
from limbeck.federate.messages import Message
from limbeck.federate.strategies.averaging import describe_round
from limbeck.federate.strategies.private_model import recall_private
from limbeck.federate.strategies.public_logits import (
    CONSENSUS,
    aggregate_rows,
    answer_with_rows,
    check_public,
    check_public_samples,
    follow_consensus,
    send_consensus,
    shapes_of_rows,
)
from limbeck.federate.strategies.record import Reply, ServerState, Strategy


@dataclass(frozen=True, kw_only=True)
class FedMDSettings:
    """Settings of FedMD.

    Attributes:
        public_samples: Public samples per round, drawn anew in each; None for the whole proxy set.
        digest_epochs: Passes over them towards the consensus, at least 1.
    """

    public_samples: int | None = None
    digest_epochs: int = 1

    def __post_init__(self) -> None:
        check_public_samples(self.public_samples)
        require(
            self.digest_epochs >= 1,
            "digest_epochs >= 1",
            f"digest_epochs={self.digest_epochs}",
            "The authors' code does 1.",
        )


def logit_distance(logits: Tensor, consensus: Tensor) -> Tensor:
    """The mean absolute error of each sample, mean_c |z_c - z'_c|; 0 only where the logits are equal."""
    return (logits - consensus).abs().mean(dim=-1)


def digest_and_revisit(client: Client, request: Message, settings: FedMDSettings) -> Answer:
    """Train towards the consensus, then on the client's own samples, and say what comes of it."""
    model = recall_private(client, request)
    follow_consensus(
        client,
        model,
        request,
        logit_distance,
        epochs=settings.digest_epochs,
        public_samples=settings.public_samples,
    )
    course = train_locally(client, [model], request)
    facts = describe_round(course.losses, client.measure(model))
    return answer_with_rows(client, request, model, public_samples=settings.public_samples, facts=facts)


def combine_logits(
    federation: Federation, state: ServerState, replies: Sequence[Reply], settings: FedMDSettings
) -> ServerState:
    """The state whose consensus is the mean of the clients' logits."""
    del settings
    return state.advance(memory={CONSENSUS: aggregate_rows(federation, replies)})


FEDMD = Strategy[FedMDSettings](
    name="fedmd",
    title="FedMD",
    summary="clients keep their models and learn the mean of all clients' logits on public samples",
    reference="Li and Wang 2019, arXiv 1910.03581, algorithm 1",
    deviations="an unlabelled public set; digest and revisit open the next round",
    cost="a row of logits per public sample down and up; the client also trains on the public samples",
    defaults=FedMDSettings(),
    request_fn=send_consensus("fedmd"),
    local_fn=digest_and_revisit,
    combine_fn=combine_logits,
    shapes_fn=shapes_of_rows,
    shares="logits",
    has_global_model=False,
    mixes_architectures=True,
    clients_need_proxy=True,
    check_fn=check_public,
)
