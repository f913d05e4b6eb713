"""fedadam: the server takes Adam's step on the mean change of the clients.

    m <- beta1 m + (1 - beta1) D,   v <- beta2 v + (1 - beta2) D^2,   x <- x + eta m / (sqrt(v) + tau)

with D = aggregate - x, m = 0 and v = tau^2 before the first round, and no correction of the bias.

Reference: Reddi et al. 2021, https://arxiv.org/abs/2003.00295, algorithm 2.
Deviations from the paper: D is the federation's aggregate, by default weighted by samples; buffers such as
batch normalisation's statistics become the plain aggregate.
Cost: that of FedAvg; the server keeps two float64 numbers per weight.
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

MEAN, SQUARE = "mean", "square"


@dataclass(frozen=True, kw_only=True)
class FedAdamSettings:
    """Settings of FedAdam.

    Attributes:
        server_lr: eta, above 0. A weight that rounds agree on and move by more than tau moves by
            about eta a round, however large the clients' own steps.
        beta1: Decay of the mean, in [0, 1).
        beta2: Decay of the mean square, in [0, 1).
        tau: How little a weight must move to count as still, above 0.
    """

    server_lr: float = 0.03
    beta1: float = 0.9
    beta2: float = 0.99
    tau: float = 1e-3

    def __post_init__(self) -> None:
        require(
            0 < self.server_lr < math.inf,
            "server_lr > 0",
            f"server_lr={self.server_lr}",
            "0.03 is usual; the paper tries 0.001 to 10.",
        )
        require(0 <= self.beta1 < 1, "0 <= beta1 < 1", f"beta1={self.beta1}", "The paper takes 0.9.")
        require(0 <= self.beta2 < 1, "0 <= beta2 < 1", f"beta2={self.beta2}", "The paper takes 0.99.")
        require(0 < self.tau < math.inf, "tau > 0", f"tau={self.tau}", "The paper takes 0.001.")


def combine_by_adam(
    federation: Federation, state: ServerState, replies: Sequence[Reply], settings: FedAdamSettings
) -> ServerState:
    """The state after a step of Adam; see `step_models`."""

    def step(change: Tensor, moments: Moments) -> tuple[Tensor, Moments]:
        mean = settings.beta1 * moments[MEAN] + (1 - settings.beta1) * change
        square = settings.beta2 * moments[SQUARE] + (1 - settings.beta2) * change.square()
        return settings.server_lr * mean / (square.sqrt() + settings.tau), {MEAN: mean, SQUARE: square}

    first = {MEAN: 0.0, SQUARE: settings.tau**2}
    return step_models(federation, state, replies, first_moments=first, step_fn=step)


FEDADAM = Strategy[FedAdamSettings](
    name="fedadam",
    title="FedAdam",
    summary="FedAvg whose server takes Adam's step",
    reference="Reddi et al. 2021, arXiv 2003.00295, algorithm 2",
    deviations="the change is weighted by samples; buffers become the plain aggregate",
    cost="the model down and up",
    defaults=FedAdamSettings(),
    request_fn=send_model("fedadam"),
    local_fn=train_on_own_samples,
    combine_fn=combine_by_adam,
)
