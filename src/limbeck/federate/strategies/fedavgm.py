"""fedavgm: the server goes on in the direction of the rounds before.

    v <- beta v + (aggregate - x),   x <- x + server_lr v

Reference: Hsu et al. 2019, https://arxiv.org/abs/1909.06335, section 4.2 (its gradient is x - aggregate).
Deviations from the paper: momentum is that of the paper's formula, where its experiments use Nesterov's; a
server learning rate, 1 in the paper; buffers such as batch normalisation's statistics become the plain
aggregate.
Cost: that of FedAvg; the server keeps one float64 number per weight.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from limbeck.core.errors import require
from limbeck.federate.federation import Federation
from limbeck.federate.strategies.averaging import send_model
from limbeck.federate.strategies.fedavg import train_on_own_samples
from limbeck.federate.strategies.record import Reply, ServerState, Strategy
from limbeck.federate.strategies.server_step import Moments, step_models

VELOCITY = "velocity"


@dataclass(frozen=True, kw_only=True)
class FedAvgMSettings:
    """Settings of FedAvgM.

    Attributes:
        beta: Momentum of the server, in [0, 1).
        server_lr: Learning rate of the server, above 0; 1 and no momentum is FedAvg.
    """

    beta: float = 0.9
    server_lr: float = 1.0

    def __post_init__(self) -> None:
        require(0 <= self.beta < 1, "0 <= beta < 1", f"beta={self.beta}", "The paper tries 0.7 to 0.997.")
        require(
            0 < self.server_lr < math.inf,
            "server_lr > 0",
            f"server_lr={self.server_lr}",
            "The paper takes 1.",
        )


def combine_with_momentum(
    federation: Federation, state: ServerState, replies: Sequence[Reply], settings: FedAvgMSettings
) -> ServerState:
    """The state after a step of heavy-ball momentum; see `step_models`."""

    def step(change: Tensor, moments: Moments) -> tuple[Tensor, Moments]:
        velocity = settings.beta * moments[VELOCITY] + change
        return settings.server_lr * velocity, {VELOCITY: velocity}

    return step_models(federation, state, replies, first_moments={VELOCITY: 0.0}, step_fn=step)


FEDAVGM = Strategy[FedAvgMSettings](
    name="fedavgm",
    title="FedAvgM",
    summary="FedAvg whose server moves with momentum",
    reference="Hsu et al. 2019, arXiv 1909.06335, section 4.2",
    deviations="heavy-ball momentum, not Nesterov's; buffers become the plain aggregate",
    cost="the model down and up",
    defaults=FedAvgMSettings(),
    request_fn=send_model("fedavgm"),
    local_fn=train_on_own_samples,
    combine_fn=combine_with_momentum,
)
