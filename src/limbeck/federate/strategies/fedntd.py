"""fedntd: local training keeps what the received model says about the classes that a sample does not have.

A sample's loss is CE + beta T^2 KL(q_received || q_local), q over the classes other than its label.

Reference: Lee et al. 2022, https://arxiv.org/abs/2106.03097, equations 4 to 6; T^2 as in its program.
Deviations from the paper: the received model is asked in evaluation mode and about every sample once a round,
before training, so samples cannot be augmented.
Cost: that of FedAvg, and one forward pass over the client's samples per round.
"""

import math
from dataclasses import dataclass

from torch import Tensor, nn

from limbeck.core.errors import require
from limbeck.engine.evaluation import predict_logits
from limbeck.federate.client import Answer, Client
from limbeck.federate.local_training import LocalLossFn
from limbeck.federate.messages import Message
from limbeck.federate.strategies.averaging import combine_mean, send_model, train_received
from limbeck.federate.strategies.record import Strategy
from limbeck.losses import cross_entropy, ntd


@dataclass(frozen=True, kw_only=True)
class FedNTDSettings:
    """Settings of FedNTD.

    Attributes:
        beta: Weight of the divergence, at least 0; 0 is FedAvg.
        temperature: T > 0.
    """

    beta: float = 1.0
    temperature: float = 1.0

    def __post_init__(self) -> None:
        require(0 <= self.beta < math.inf, "beta >= 0", f"beta={self.beta}", "The paper takes 1.")
        require(
            0 < self.temperature < math.inf,
            "temperature > 0",
            f"temperature={self.temperature}",
            "The paper takes 1.",
        )


def train_preserving(client: Client, request: Message, settings: FedNTDSettings) -> Answer:
    """Cross-entropy and not-true distillation from the received model."""

    def preserve(received: nn.Module) -> LocalLossFn:
        told = predict_logits(received, client.inputs)

        def loss(logits: list[Tensor], ids: Tensor) -> list[Tensor]:
            (own,), labels = logits, client.labels[ids]
            pull = ntd(own, told[ids], labels, temperature=settings.temperature)
            return [cross_entropy(own, labels) + settings.beta * pull]

        return loss

    return train_received(client, request, make_loss_fn=preserve)


FEDNTD = Strategy[FedNTDSettings](
    name="fedntd",
    title="FedNTD",
    summary="FedAvg whose local loss keeps the received model's classes other than the label",
    reference="Lee et al. 2022, arXiv 2106.03097, equations 4 to 6",
    deviations="the received model is asked once a round, so samples cannot be augmented",
    cost="the model down and up, one forward pass over the samples",
    defaults=FedNTDSettings(),
    request_fn=send_model("fedntd"),
    local_fn=train_preserving,
    combine_fn=combine_mean,
    takes_augmentation=False,
)
