"""fedprox: the local loss holds a client near the shared model.

Reference: Li et al. 2020, https://arxiv.org/abs/1812.06127, algorithm 2 and equation 2.
Deviations from the paper: clients are weighted by their samples at averaging, as in FedAvg, not by how they
are sampled; a client does a fixed number of epochs, not a gamma-inexact solution.
Cost: that of FedAvg, and one pass over the weights per step.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from limbeck.core.errors import require
from limbeck.federate.client import Answer, Client
from limbeck.federate.messages import Message
from limbeck.federate.strategies.averaging import combine_mean, send_model, train_received
from limbeck.federate.strategies.record import Strategy


@dataclass(frozen=True, kw_only=True)
class FedProxSettings:
    """Settings of FedProx.

    Attributes:
        mu: Weight of (1/2) ||w - w_shared||^2, at least 0; 0 is FedAvg.
    """

    mu: float = 0.01

    def __post_init__(self) -> None:
        require(0 <= self.mu < math.inf, "mu >= 0", f"mu={self.mu}", "The paper tries 0.001 to 1.")


def hold_near(model: nn.Module, mu: float) -> Callable[[], None]:
    """What adds mu (w - w_0) to the gradients, where w_0 are the weights as they are now."""
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    anchors = [weight.detach().clone() for weight in weights]

    @torch.no_grad()
    def adjust() -> None:
        for weight, anchor in zip(weights, anchors, strict=True):
            if weight.grad is not None:
                weight.grad.add_(weight - anchor, alpha=mu)

    return adjust


def train_near(client: Client, request: Message, settings: FedProxSettings) -> Answer:
    """Cross-entropy and (mu/2) ||w - w_shared||^2."""
    return train_received(client, request, make_adjust_fn=lambda model: hold_near(model, settings.mu))


FEDPROX = Strategy[FedProxSettings](
    name="fedprox",
    title="FedProx",
    summary="FedAvg whose local loss holds clients near the shared model",
    reference="Li et al. 2020, arXiv 1812.06127, algorithm 2",
    deviations="clients are weighted by their samples; a fixed number of epochs",
    cost="the model down and up",
    defaults=FedProxSettings(),
    request_fn=send_model("fedprox"),
    local_fn=train_near,
    combine_fn=combine_mean,
)
