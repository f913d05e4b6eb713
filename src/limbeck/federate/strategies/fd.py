"""fd: clients share only the mean logits of each label, and pull towards the others' means.

Reference: Jeong et al. 2018, https://arxiv.org/abs/1811.11479, algorithm 1 (federated distillation, without
federated augmentation).
Deviations from the paper: a client takes its means after training, in evaluation mode, over all its samples,
not over the batches as it trains; a label the client has none of is absent instead of zero; clients' means
count as the plan says, by their samples of the label or alike as in the paper.
Cost: a row of logits per label each way; a client passes over its samples once more.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from limbeck.core.errors import require
from limbeck.engine import predict_logits
from limbeck.federate.client import Answer, Client, state_of
from limbeck.federate.federation import Federation, Party
from limbeck.federate.local_training import LocalLossFn, train_locally
from limbeck.federate.logit_format import pack_logits, packed_shapes, unpack_logits
from limbeck.federate.messages import Message, State, as_group
from limbeck.federate.strategies.averaging import describe_round
from limbeck.federate.strategies.private_model import PRIVATE, recall_private
from limbeck.federate.strategies.public_logits import (
    LOGITS,
    soft_cross_entropy,
)
from limbeck.federate.strategies.record import Reply, ServerState, Shapes, Strategy, make_request
from limbeck.losses import cross_entropy

OTHERS, OTHERS_KNOWN, KNOWN = "others", "others-known", "known"
TOTAL, WEIGHT = "total", "weight"


@dataclass(frozen=True, kw_only=True)
class FDSettings:
    """Settings of FD.

    Attributes:
        gamma: Weight of the pull towards the others' mean logits of a sample's label, at least 0.
    """

    gamma: float = 1.0

    def __post_init__(self) -> None:
        require(0 <= self.gamma < math.inf, "gamma >= 0", f"gamma={self.gamma}", "0 trains alone.")


def send_means_of_others(
    federation: Federation, state: ServerState, party: Party, settings: FDSettings
) -> Message:
    """The request with the mean logits of each label over the other clients; the first has none."""
    del settings
    facts = {"num_classes": federation.num_classes}
    if not state.memory:
        return make_request("fd", federation, state, tensors={}, facts=facts)
    means, known = mean_of_others(state.memory, party.index)
    packed = as_group(OTHERS, pack_logits(means, federation.plan.logit_format))
    return make_request("fd", federation, state, tensors={**packed, OTHERS_KNOWN: known}, facts=facts)


def mean_of_others(memory: State, index: int) -> tuple[Tensor, Tensor]:
    """What the other clients say of each label on average, and of which labels any does.

    F'_l = (sum_j w_jl F_jl - w_il F_il) / (sum_j w_jl - w_il), where w_jl is how much client j counts for
    label l.
    Law: what client i said itself has no influence.

    Args:
        memory: The server's, of the last round.
        index: i.

    Returns:
        Mean logits [labels, classes] in float32, 0 where there are none, and whether there are, bool
        [labels].
    """
    total, weight = memory[TOTAL], memory[WEIGHT]
    if f"{WEIGHT}.{index}" in memory:
        own = memory[f"{WEIGHT}.{index}"]
        total, weight = total - own[:, None] * memory[f"{LOGITS}.{index}"], weight - own
    known = weight > 0
    means = (total / weight.where(known, 1.0)[:, None]).where(known[:, None], 0.0)
    return means.float(), known


def train_with_means(client: Client, request: Message, settings: FDSettings) -> Answer:
    """Train the private model on the client's samples and send its mean logits of each label."""
    model = recall_private(client, request)
    loss_fn = pull_to_means(client, request, settings.gamma) if request.tensors else None
    course = train_locally(client, [model], request, loss_fn=loss_fn)
    means, known = mean_by_label(predict_logits(model, client.inputs).clone(), client.labels)
    packed = as_group(LOGITS, pack_logits(means, request.facts["logit_format"]))
    return Answer(
        tensors={**packed, KNOWN: known},
        facts=describe_round(course.losses, client.measure(model)),
        kept={PRIVATE: state_of(model)},
    )


def pull_to_means(client: Client, request: Message, gamma: float) -> LocalLossFn:
    """The loss CE(z, y) + gamma CE(softmax(F'_y), z); the second only for labels that others know."""
    device, labels = client.labels.device, client.labels
    probabilities = unpack_logits(request.group(OTHERS)).to(device).softmax(dim=-1)
    weights = gamma * request.tensors[OTHERS_KNOWN].to(device).float()

    def loss(logits: list[Tensor], ids: Tensor) -> list[Tensor]:
        wanted = labels[ids]
        pull = soft_cross_entropy(logits[0], probabilities[wanted])
        return [cross_entropy(logits[0], wanted) + weights[wanted] * pull]

    return loss


def mean_by_label(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """The mean of the logits over the samples of each label, and which labels there are.

    Args:
        logits: [samples, classes].
        labels: [samples].

    Returns:
        [labels, classes] in float32, 0 for a label without samples, and bool [labels].
    """
    num_classes = logits.shape[1]
    counts = torch.bincount(labels, minlength=num_classes)
    sums = torch.zeros(num_classes, num_classes, dtype=torch.float64, device=logits.device)
    sums.index_add_(0, labels, logits.double())
    return (sums / counts.clamp_min(1)[:, None]).float(), counts > 0


def combine_means(
    federation: Federation, state: ServerState, replies: Sequence[Reply], settings: FDSettings
) -> ServerState:
    """The state that remembers what each client said of each label, how much it counts, and the sums."""
    del settings
    memory: dict[str, Tensor] = {}
    for reply in replies:
        index, known = reply.party.index, reply.message.tensors[KNOWN].bool().double()
        counts = torch.tensor(reply.party.class_counts, dtype=torch.float64, device=known.device)
        memory[f"{LOGITS}.{index}"] = unpack_logits(reply.message.group(LOGITS)).double()
        memory[f"{WEIGHT}.{index}"] = known * counts if federation.plan.weighting == "samples" else known
    indices = [reply.party.index for reply in replies]
    weights = torch.stack([memory[f"{WEIGHT}.{index}"] for index in indices])
    said = torch.stack([memory[f"{LOGITS}.{index}"] for index in indices])
    sums = {TOTAL: (weights[..., None] * said).sum(dim=0), WEIGHT: weights.sum(dim=0)}
    return state.advance(memory={**memory, **sums})


def shapes_of_means(request: Message) -> Shapes:
    """The names and shapes of a row per label and of which labels have one."""
    num_classes = request.facts["num_classes"]
    packed = packed_shapes(num_classes, num_classes, request.facts["logit_format"])
    return {**{f"{LOGITS}/{name}": shape for name, shape in packed.items()}, KNOWN: (num_classes,)}


FD = Strategy[FDSettings](
    name="fd",
    title="FD",
    summary="clients keep their models and pull towards the other clients' mean logits of each label",
    reference="Jeong et al. 2018, arXiv 1811.11479, algorithm 1",
    deviations="means are taken after training; a label without samples is absent",
    cost="a row of logits per label down and up; one more pass over the client's samples",
    defaults=FDSettings(),
    request_fn=send_means_of_others,
    local_fn=train_with_means,
    combine_fn=combine_means,
    shapes_fn=shapes_of_means,
    shares="logits",
    has_global_model=False,
    mixes_architectures=True,
    requests_differ=True,
    takes_aggregation=False,
)
