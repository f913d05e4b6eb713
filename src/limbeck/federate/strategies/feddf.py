"""feddf: the server distils its average towards the ensemble of the models it received.

Reference: Lin et al. 2020, https://arxiv.org/abs/2006.07242, algorithm 1, and algorithm 3 for clients of
several architectures: each has an average of its own, and all learn from the ensemble of all.
With another `aggregation` than the mean the ensemble's logits, too, are the median or the trimmed mean.
Deviations from the paper: at most 1,000 steps and a patience of 100 by default, a tenth of the paper's;
validation after every pass over the proxy set, to which both are rounded up; the average is kept where
distilling does not raise the validation accuracy. An architecture nobody replied for still learns from the
others.
Cost: the messages of FedAvg; at the server one pass of every model over the proxy set and the distillation.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from limbeck.core.errors import require
from limbeck.core.seeds import derive_seed
from limbeck.data import Inputs, count_samples
from limbeck.engine import Training, predict_logits
from limbeck.federate.aggregation import aggregate
from limbeck.federate.client import Answer, Client, fill, state_of
from limbeck.federate.federation import Federation
from limbeck.federate.messages import Message, State
from limbeck.federate.plan import Plan
from limbeck.federate.server_distillation import at_server, distil_on_proxy, predict_mean
from limbeck.federate.strategies.averaging import average_replies, send_model, train_received
from limbeck.federate.strategies.record import MODEL, Reply, ServerState, Strategy
from limbeck.losses import check_settings

LOGITS = "logits"


@dataclass(frozen=True, kw_only=True)
class FedDFSettings:
    """Settings of FedDF: what the server spends on distilling in a round.

    Attributes:
        steps: The most optimiser steps per architecture; 0 is FedAvg.
        patience: Steps without a higher validation accuracy after which it ends, at least 1.
        lr: Adam's learning rate at the start; a cosine over all `steps` lowers it to 0.
        batch_size: Proxy samples per step.
        temperature: T > 0 of the divergence.
    """

    steps: int = 1_000
    patience: int = 100
    lr: float = 1e-3
    batch_size: int = 128
    temperature: float = 1.0

    def __post_init__(self) -> None:
        require(self.steps >= 0, "steps >= 0", f"steps={self.steps}", "The paper's value is 10000.")
        require(
            self.patience >= 1, "patience >= 1", f"patience={self.patience}", "The paper's value is 1000."
        )
        check_settings(temperature=self.temperature, weight=1.0)
        self.training_on(1)  # checks the others

    def training_on(self, num_samples: int) -> Training:
        """The steps as passes over so many proxy samples."""
        return Training(
            epochs=self.count_epochs(self.steps, num_samples),
            batch_size=self.batch_size,
            optimizer="adam",
            lr=self.lr,
        )

    def count_epochs(self, steps: int, num_samples: int) -> int:
        """In how many passes over so many samples there are at least that many steps."""
        return math.ceil(steps / math.ceil(num_samples / self.batch_size)) if self.batch_size > 0 else 0


def train_on_own_samples(client: Client, request: Message, settings: FedDFSettings) -> Answer:
    """Cross-entropy from the received model, as in FedAvg."""
    del settings
    return train_received(client, request)


def combine_by_distilling(
    federation: Federation, state: ServerState, replies: Sequence[Reply], settings: FedDFSettings
) -> ServerState:
    """The state whose models are the averages, each distilled towards the received models' ensemble.

    Law: none is worse on the validation samples than its average.
    """
    averages = average_replies(federation, state, replies)
    if settings.steps == 0:
        return state.advance(models=averages)
    assert federation.proxy is not None
    with at_server():
        received = (
            fill(federation.build_fn(reply.party.arch), reply.message.group(MODEL)) for reply in replies
        )
        targets = predict_ensemble(received, federation.proxy, federation.plan)
        models = {
            arch: _fuse(federation, average, targets, settings, arch=arch, round_number=state.round + 1)
            for arch, average in averages.items()
        }
    return state.advance(models=models)


def predict_ensemble(teachers: Iterable[nn.Module], proxy: Inputs, plan: Plan) -> Tensor:
    """What several models say together, [samples, classes]; all count alike.

    Law: with the median, fewer than half of the models cannot move a logit beyond those of the others.

    Args:
        teachers: At least one.
        proxy: What they are asked about.
        plan: Says whether of each logit the mean, the median or the trimmed mean is taken.
    """
    if plan.aggregation == "mean":
        return predict_mean(teachers, proxy)
    said = [{LOGITS: predict_logits(teacher, proxy)} for teacher in teachers]
    return aggregate(said, [1.0] * len(said), plan)[LOGITS]


def _fuse(
    federation: Federation,
    average: State,
    targets: Tensor,
    settings: FedDFSettings,
    *,
    arch: str,
    round_number: int,
) -> State:
    assert federation.proxy is not None
    student, num_samples = fill(federation.build_fn(arch), average), count_samples(federation.proxy)
    distil_on_proxy(
        student,
        federation.proxy,
        targets,
        training=settings.training_on(num_samples),
        temperature=settings.temperature,
        patience=settings.count_epochs(settings.patience, num_samples),
        score_fn=federation.validation_fn,
        seed=derive_seed(federation.plan.seed, "server", round_number, arch),
    )
    return state_of(student)


FEDDF = Strategy[FedDFSettings](
    name="feddf",
    title="FedDF",
    summary="FedAvg whose server distils the ensemble of the received models into the average",
    reference="Lin et al. 2020, arXiv 2006.07242, algorithms 1 and 3",
    deviations="a tenth of the steps by default; the average stays where validation prefers it",
    cost="the model down and up; distillation on the proxy set at the server",
    defaults=FedDFSettings(),
    request_fn=send_model("feddf"),
    local_fn=train_on_own_samples,
    combine_fn=combine_by_distilling,
    mixes_architectures=True,
    server_needs_proxy=True,
)
