"""fml: each client's private model and the shared one teach each other, and only the shared one travels.

On the same batches, with each other's output as a constant:

    private: alpha CE + (1 - alpha) KL(p_shared || p_private)
    shared:  beta  CE + (1 - beta)  KL(p_private || p_shared)

Reference: Shen et al. 2020, https://arxiv.org/abs/2006.16765, section 3; its "meme" model is the shared one.
Deviations from the paper: both models step at once, from the outputs before their steps; the aggregate is the
federation's, by default weighted by samples.
Cost: FedAvg's messages for the shared model; a client trains two models and keeps one.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from limbeck.core.errors import require, require_known
from limbeck.federate.aggregation import aggregate
from limbeck.federate.client import Answer, Client, fill, state_of
from limbeck.federate.federation import Federation, Party
from limbeck.federate.local_training import answer_with_model, train_locally
from limbeck.federate.messages import Message, as_group
from limbeck.federate.strategies.averaging import count_shares, describe_round
from limbeck.federate.strategies.private_model import PRIVATE, recall_private
from limbeck.federate.strategies.record import MODEL, Reply, ServerState, Strategy, make_request
from limbeck.losses import distillation


@dataclass(frozen=True, kw_only=True)
class FMLSettings:
    """Settings of FML.

    Attributes:
        alpha: Weight of the labels for the private model, in [0, 1]; 1 lets it learn alone.
        beta: Weight of the labels for the shared model, in [0, 1]; with 1 the shared model is FedAvg's.
        shared_arch: Architecture of the shared model, that of some client; the first client's when empty.
    """

    alpha: float = 0.5
    beta: float = 0.5
    shared_arch: str = ""

    def __post_init__(self) -> None:
        require(0 <= self.alpha <= 1, "0 <= alpha <= 1", f"alpha={self.alpha}", "0.5 weighs both alike.")
        require(0 <= self.beta <= 1, "0 <= beta <= 1", f"beta={self.beta}", "0.5 weighs both alike.")


def choose_shared(federation: Federation, settings: FMLSettings) -> str:
    """The architecture of the shared model.

    Raises:
        InputError: When no client has the one that was asked for: the start has made no model of it.
    """
    shared = settings.shared_arch or federation.archs[0]
    require_known("architecture of a client", shared, federation.archs)
    return shared


def check_shared(federation: Federation, settings: FMLSettings) -> None:
    """Raise `InputError` when no client has the architecture of the shared model."""
    choose_shared(federation, settings)


def send_shared(federation: Federation, state: ServerState, party: Party, settings: FMLSettings) -> Message:
    """The shared model and its architecture, the same for every client."""
    del party
    shared = choose_shared(federation, settings)
    return make_request(
        "fml", federation, state, tensors=as_group(MODEL, state.models[shared]), facts={"arch": shared}
    )


def train_mutually(client: Client, request: Message, settings: FMLSettings) -> Answer:
    """Train both models and send the shared one; the loss and accuracy told are the private model's."""
    private = recall_private(client, request)
    shared = fill(client.build_fn(request.facts["arch"]), request.group(MODEL))

    def loss(logits: list[Tensor], ids: Tensor) -> list[Tensor]:
        (of_private, of_shared), labels = logits, client.labels[ids]
        return [
            distillation(of_private, of_shared.detach(), labels, temperature=1, weight=1 - settings.alpha),
            distillation(of_shared, of_private.detach(), labels, temperature=1, weight=1 - settings.beta),
        ]

    course = train_locally(client, [private, shared], request, loss_fn=loss)
    return answer_with_model(
        client,
        request,
        group=MODEL,
        model=shared,
        facts=describe_round(course.losses, client.measure(private)),
        kept={PRIVATE: state_of(private)},
    )


def combine_shared(
    federation: Federation, state: ServerState, replies: Sequence[Reply], settings: FMLSettings
) -> ServerState:
    """The aggregate of what all clients sent, whatever their own architecture; it is the only model left."""
    states = [reply.message.group(MODEL) for reply in replies]
    model = aggregate(states, count_shares(federation, replies), federation.plan)
    return state.advance(models={choose_shared(federation, settings): model})


FML = Strategy[FMLSettings](
    name="fml",
    title="FML",
    summary="each client's private model and the shared one teach each other",
    reference="Shen et al. 2020, arXiv 2006.16765, section 3",
    deviations="both models step at once; the shared models are weighted by samples",
    cost="the shared model down and up; clients train two models",
    defaults=FMLSettings(),
    request_fn=send_shared,
    local_fn=train_mutually,
    combine_fn=combine_shared,
    mixes_architectures=True,
    check_fn=check_shared,
)
