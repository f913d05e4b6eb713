"""fading-pull: local training keeps pulling to what was consolidated, with a weight that fades over rounds.

A sample's loss in round r is (1 - w_r) CE + w_r T^2 KL(target || local) with w_r = w fade^(r-1). The target
is what the coverage-weighted ensemble of all clients' own models says about it, or what the starting model
says. What distillation gathered is then not thrown away by the first rounds of client drift, and does not
hold back the last ones.

Reference: none that is exactly this; a constant pull to the global model is FedGKD, Yao et al. 2021,
https://arxiv.org/abs/2107.00051.
Deviations from the paper: not one paper's method.
Cost: that of FedAvg, and once per client one forward pass of each target model over its samples. Towards the
ensemble, where the start has not sent them: every client's model up once and to every client once.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from limbeck.core.errors import require, require_known
from limbeck.engine import predict_logits
from limbeck.federate.client import Answer, Client
from limbeck.federate.federation import AskFn, Federation, Party
from limbeck.federate.local_training import LocalLossFn
from limbeck.federate.messages import Message, as_group
from limbeck.federate.starts.mesh import gather_ensembles
from limbeck.federate.starts.naive import ask_for_models
from limbeck.federate.starts.tasks import HAS_ENSEMBLE, LOGITS, recall_ensemble
from limbeck.federate.strategies.averaging import average_replies, train_received
from limbeck.federate.strategies.record import (
    MODEL,
    Reply,
    ServerState,
    Strategy,
    make_request,
    shapes_of_model,
)
from limbeck.losses import check_settings, cross_entropy, kd

TOWARDS = ("ensemble", "start")
START, TOLD = "start", "told"


@dataclass(frozen=True, kw_only=True)
class FadingPullSettings:
    """Settings of the fading pull.

    Attributes:
        weight: w, the pull's weight in the first round, in [0, 1].
        fade: What the weight is multiplied with from round to round, in [0, 1].
        temperature: T > 0 of the pull, and of the ensemble where the start has not gathered one; one that it
            has keeps the start's temperature.
        towards: `ensemble` or `start`.
    """

    weight: float = 0.5
    fade: float = 0.7
    temperature: float = 2.0
    towards: str = "ensemble"

    def __post_init__(self) -> None:
        check_settings(temperature=self.temperature, weight=self.weight)
        require(
            0 <= self.fade <= 1, "0 <= fade <= 1", f"fade={self.fade}", "0.7 is usual; 1 keeps the weight."
        )
        require_known("target of the pull", self.towards, TOWARDS)


def pulls_to_ensemble(settings: FadingPullSettings) -> bool:
    """Whether the pull is to the ensemble, which is made of the clients' own models."""
    return settings.towards == "ensemble"


def check_target(federation: Federation, settings: FadingPullSettings) -> None:
    """Check that clients may send what the target is made of.

    Raises:
        InputError: When the federation is private: for the ensemble, models travel as they are.
    """
    require(
        federation.plan.privacy is None or not pulls_to_ensemble(settings),
        "`privacy` protects what clients send in rounds",
        "towards=ensemble, for which they send their models as they are",
        "Set `towards` to `start`, or leave `privacy` out.",
    )


def gather_where_missing(federation: Federation, ask: AskFn, settings: FadingPullSettings) -> None:
    """Let clients gather the ensemble unless the start has done so."""
    if not pulls_to_ensemble(settings):
        return
    request = Message(task=HAS_ENSEMBLE, round=0)
    replies = ask({party.index: request for party in federation.parties})
    if not all(reply.facts[HAS_ENSEMBLE] for reply in replies.values()):
        uploaded = ask_for_models(federation, ask)
        gather_ensembles(federation, ask, uploaded, temperature=settings.temperature)


def send_model_and_start(
    federation: Federation, state: ServerState, party: Party, settings: FadingPullSettings
) -> Message:
    """The shared model and, to a client that has not seen the starting model yet, that."""
    tensors = as_group(MODEL, state.models[party.arch])
    if settings.towards == "start" and state.round > 0 and not bool(state.memory[TOLD][party.index]):
        start = {name: value for name, value in state.memory.items() if name != TOLD}
        tensors |= as_group(START, start)
    weight = settings.weight * settings.fade**state.round
    return make_request("fading-pull", federation, state, tensors=tensors, facts={"weight": weight})


def train_pulled(client: Client, request: Message, settings: FadingPullSettings) -> Answer:
    """Cross-entropy and the pull of this round."""
    target, weight = _find_target(client, request, settings), float(request.facts["weight"])

    def make_loss(received: nn.Module) -> LocalLossFn:
        del received

        def loss(logits: list[Tensor], ids: Tensor) -> list[Tensor]:
            (own,) = logits
            supervised = cross_entropy(own, client.labels[ids])
            pull = kd(own, target[ids], temperature=settings.temperature)
            return [(1 - weight) * supervised + weight * pull]

        return loss

    answer = train_received(client, request, make_loss_fn=make_loss)
    kept = {START: {LOGITS: target}} if settings.towards == "start" else {}
    return Answer(tensors=answer.tensors, facts=answer.facts, kept=kept)


def _find_target(client: Client, request: Message, settings: FadingPullSettings) -> Tensor:
    """What the client's samples are pulled to, [samples, classes]."""
    if pulls_to_ensemble(settings):
        target = recall_ensemble(client)
        require(target is not None, "the client has gathered the ensemble", "none", "Begin the run anew.")
        assert target is not None
        return target
    kept = client.memory.read(START, before=request.round)
    if kept is not None:
        return kept[LOGITS].to(client.labels.device)
    start = request.group(START) or request.group(MODEL)
    return predict_logits(client.make_model(start), client.inputs).clone()


def combine_and_tell(
    federation: Federation, state: ServerState, replies: Sequence[Reply], settings: FadingPullSettings
) -> ServerState:
    """The aggregate; the server remembers the starting model and who has seen it."""
    models = average_replies(federation, state, replies)
    if pulls_to_ensemble(settings):
        return state.advance(models=models)
    told = state.memory.get(TOLD, torch.zeros(len(federation.parties), dtype=torch.uint8)).clone()
    told[[reply.party.index for reply in replies]] = 1
    (start,) = state.models.values()
    return state.advance(models=models, memory={**(state.memory or start), TOLD: told})


FADING_PULL = Strategy[FadingPullSettings](
    name="fading-pull",
    title="Fading pull",
    summary="FedAvg whose local loss pulls to the ensemble or the starting model, less from round to round",
    reference="a constant pull is FedGKD, Yao et al. 2021, arXiv 2107.00051",
    deviations="not one paper's method; see the card",
    cost="the model down and up; once, one forward pass of the target models over the samples",
    defaults=FadingPullSettings(),
    request_fn=send_model_and_start,
    local_fn=train_pulled,
    combine_fn=combine_and_tell,
    prepare_fn=gather_where_missing,
    shapes_fn=shapes_of_model,
    requests_differ=True,
    needs_models_fn=pulls_to_ensemble,
    takes_augmentation=False,
    check_fn=check_target,
)
