"""scaffold: controls at server and clients say how a client's gradients differ, and every step is corrected.

A client's step follows g + c - c_i; afterwards c_i is the mean of its own gradients g over the round's steps.
The server adds |S| / N times the mean change of the c_i to c, for S of N clients.

Reference: Karimireddy et al. 2020, https://arxiv.org/abs/1910.06378, algorithm 1.
Deviations from the paper: a new c_i is the mean gradient along the local steps. For plain SGD at a constant
rate without weight decay that is option II, c_i - c + (x - y_i) / (K lr); unlike it, it is well defined with
momentum, schedules and Adam too, where the correction goes through the optimiser like a gradient. Models are
aggregated as the federation says, weighted by samples by default, with server learning rate 1, and controls
with equal weights. A client whose reply is lost or rejected has renewed its control all the same, unknown to
the server: c is the mean of the c_i only while all replies of a round count.
Cost: twice FedAvg's messages; a client keeps one number per weight and passes over them twice per step.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from limbeck.federate.aggregation import aggregate
from limbeck.federate.client import Answer, Client
from limbeck.federate.federation import Federation, Party
from limbeck.federate.local_training import answer_with_model, train_locally
from limbeck.federate.messages import Message, State, as_group
from limbeck.federate.strategies.averaging import average_replies, describe_round, receive_model
from limbeck.federate.strategies.record import MODEL, NoSettings, Reply, ServerState, Strategy, make_request

CONTROL = "control"


def name_weights(model: nn.Module) -> dict[str, nn.Parameter]:
    """The weights that a control has a part for: those that learn, tied ones once."""
    return {name: weight for name, weight in model.named_parameters() if weight.requires_grad}


@dataclass
class Correction:
    """Adds c - c_i to a model's gradients before every step and adds up what they were.

    Attributes:
        weights: The model's, by name.
        shift: c - c_i, by name.
        totals: The sum of the uncorrected gradients so far, by name.
        num_steps: How many steps that sum is over.
    """

    weights: Mapping[str, nn.Parameter]
    shift: Mapping[str, Tensor]
    totals: Mapping[str, Tensor]
    num_steps: int = 0

    @torch.no_grad()
    def adjust(self) -> None:
        """Correct the gradients as they are now; a weight without one stands still in this step."""
        for name, weight in self.weights.items():
            if weight.grad is not None:
                self.totals[name].add_(weight.grad)
                weight.grad.add_(self.shift[name])
        self.num_steps += 1

    def mean_gradients(self) -> dict[str, Tensor]:
        """The mean of the uncorrected gradients over the steps, of which there must have been one."""
        return {name: total / self.num_steps for name, total in self.totals.items()}


def send_model_and_control(
    federation: Federation, state: ServerState, party: Party, settings: NoSettings
) -> Message:
    """The shared model and the server's control, which is 0 before the first round."""
    del settings
    model = state.models[party.arch]
    control = state.memory or {
        name: torch.zeros_like(model[name]) for name in name_weights(federation.build_fn(party.arch))
    }
    return make_request(
        "scaffold", federation, state, tensors={**as_group(MODEL, model), **as_group(CONTROL, control)}
    )


def train_corrected(client: Client, request: Message, settings: NoSettings) -> Answer:
    """Cross-entropy from the received model with corrected gradients; the client's control is renewed."""
    del settings
    model = receive_model(client, request)
    measured = client.measure(model)
    weights = name_weights(model)
    own = recall_control(client, request, weights)
    shared = request.group(CONTROL)
    correction = Correction(
        weights=weights,
        shift={name: shared[name].to(control.device) - control for name, control in own.items()},
        totals={name: torch.zeros_like(weight) for name, weight in weights.items()},
    )
    course = train_locally(client, [model], request, adjust_fn=correction.adjust)
    renewed = correction.mean_gradients() if correction.num_steps else own
    return answer_with_model(
        client,
        request,
        group=MODEL,
        model=model,
        tensors=as_group(CONTROL, {name: renewed[name] - control for name, control in own.items()}),
        facts=describe_round(course.losses, measured),
        kept={CONTROL: renewed},
    )


def recall_control(
    client: Client, request: Message, weights: Mapping[str, nn.Parameter]
) -> Mapping[str, Tensor]:
    """The client's control before the round, where the weights lie; 0 when it has not trained yet."""
    kept: State | None = client.memory.read(CONTROL, before=request.round)
    if kept is None:
        return {name: torch.zeros_like(weight) for name, weight in weights.items()}
    return {name: kept[name].to(weight.device) for name, weight in weights.items()}


def combine_with_controls(
    federation: Federation, state: ServerState, replies: Sequence[Reply], settings: NoSettings
) -> ServerState:
    """The aggregate of the models, and c moved by the share of clients asked times their mean change."""
    del settings
    changes = [reply.message.group(CONTROL) for reply in replies]
    change = aggregate(changes, [1.0] * len(replies), federation.plan)
    share = len(replies) / len(federation.parties)
    before = replies[0].request.group(CONTROL)
    control = {name: before[name].to(moved.device) + share * moved for name, moved in change.items()}
    return state.advance(models=average_replies(federation, state, replies), memory=control)


SCAFFOLD = Strategy[NoSettings](
    name="scaffold",
    title="SCAFFOLD",
    summary="clients correct each step by how their gradients differ from everybody's",
    reference="Karimireddy et al. 2020, arXiv 1910.06378, algorithm 1",
    deviations="a control is the mean of the round's gradients; the server's learning rate is 1",
    cost="the model and a control of its size down and up",
    defaults=NoSettings(),
    request_fn=send_model_and_control,
    local_fn=train_corrected,
    combine_fn=combine_with_controls,
    takes_privacy=False,
)
