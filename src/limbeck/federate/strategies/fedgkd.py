"""fedgkd: local training is pulled to the average of the last global models.

A sample's loss is CE + (gamma / 2) KL(p_teacher || p_local); the teacher's weights are the mean of those of
the last M global models, the received one among them.

Reference: Yao et al. 2021, https://arxiv.org/abs/2107.00051, FedGKD (not FedGKD-VOTE, which sends M models).
Deviations from the paper: the teacher is asked in evaluation mode and about every sample once a round, before
training, so samples cannot be augmented; statistics of batch normalisation are averaged like weights.
Cost: that of FedAvg, one forward pass over the client's samples per round and, for M > 1, the teacher down
from the second round on; the server keeps M - 1 models.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from limbeck.core.errors import require
from limbeck.engine.evaluation import predict_logits
from limbeck.federate.client import Answer, Client
from limbeck.federate.federation import Federation, Party
from limbeck.federate.local_training import LocalLossFn
from limbeck.federate.messages import Message, State, as_group
from limbeck.federate.strategies.averaging import average_replies, train_received
from limbeck.federate.strategies.record import (
    MODEL,
    Reply,
    ServerState,
    Strategy,
    make_request,
    shapes_of_model,
)
from limbeck.losses import cross_entropy, kd
from limbeck.models.averaging import weighted_average

TEACHER = "teacher"


@dataclass(frozen=True, kw_only=True)
class FedGKDSettings:
    """Settings of FedGKD.

    Attributes:
        gamma: Twice the weight of the divergence, at least 0; 0 is FedAvg.
        num_models: M, how many of the last global models the teacher is the mean of, at least 1.
    """

    gamma: float = 0.2
    num_models: int = 5

    def __post_init__(self) -> None:
        require(0 <= self.gamma < math.inf, "gamma >= 0", f"gamma={self.gamma}", "The paper takes 0.2.")
        require(self.num_models >= 1, "num_models >= 1", f"num_models={self.num_models}", "5 is usual.")


def send_model_and_teacher(
    federation: Federation, state: ServerState, party: Party, settings: FedGKDSettings
) -> Message:
    """The shared model, and the teacher where it is another."""
    del settings
    model, past = state.models[party.arch], list_past(state.memory)
    tensors = as_group(MODEL, model)
    if past:
        tensors |= as_group(TEACHER, weighted_average([model, *past], [1.0] * (1 + len(past))))
    return make_request("fedgkd", federation, state, tensors=tensors)


def train_taught(client: Client, request: Message, settings: FedGKDSettings) -> Answer:
    """Cross-entropy and a pull to the teacher."""

    def teach(received: nn.Module) -> LocalLossFn:
        group = request.group(TEACHER)
        told = predict_logits(client.make_model(group) if group else received, client.inputs)

        def loss(logits: list[Tensor], ids: Tensor) -> list[Tensor]:
            (own,) = logits
            pull = kd(own, told[ids], temperature=1)
            return [cross_entropy(own, client.labels[ids]) + settings.gamma / 2 * pull]

        return loss

    return train_received(client, request, make_loss_fn=teach)


def list_past(memory: State) -> list[State]:
    """The global models that the server remembers, the newest first."""
    past: dict[int, dict[str, Tensor]] = {}
    for key, value in memory.items():
        age, _, name = key.partition("/")
        past.setdefault(int(age), {})[name] = value
    return [past[age] for age in sorted(past)]


def combine_and_remember(
    federation: Federation, state: ServerState, replies: Sequence[Reply], settings: FedGKDSettings
) -> ServerState:
    """The aggregate; the model before it joins the last M - 1."""
    (model,) = state.models.values()
    past = [model, *list_past(state.memory)][: settings.num_models - 1]
    memory = {f"{age}/{name}": value for age, one in enumerate(past) for name, value in one.items()}
    return state.advance(models=average_replies(federation, state, replies), memory=memory)


FEDGKD = Strategy[FedGKDSettings](
    name="fedgkd",
    title="FedGKD",
    summary="FedAvg whose local loss pulls to the average of the last global models",
    reference="Yao et al. 2021, arXiv 2107.00051, FedGKD",
    deviations="the teacher is asked once a round, so samples cannot be augmented",
    cost="the model down and up, the teacher down for M > 1, one forward pass over the samples",
    defaults=FedGKDSettings(),
    request_fn=send_model_and_teacher,
    local_fn=train_taught,
    combine_fn=combine_and_remember,
    shapes_fn=shapes_of_model,
    takes_augmentation=False,
)
