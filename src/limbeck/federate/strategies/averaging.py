"""What strategies that share a model have in common: send it, train it at clients, average what returns."""

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor, nn

from limbeck.federate.aggregation import aggregate
from limbeck.federate.client import Answer, Client
from limbeck.federate.federation import Federation, Party
from limbeck.federate.local_training import LocalLossFn, answer_with_model, train_locally
from limbeck.federate.messages import Message, as_group
from limbeck.federate.strategies.record import (
    MODEL,
    Reply,
    RequestFn,
    ServerState,
    make_request,
)


def send_model(strategy: str) -> RequestFn:
    """The request that sends a client the shared model of its architecture."""

    def request(federation: Federation, state: ServerState, party: Party, settings: Any) -> Message:
        del settings
        return make_request(strategy, federation, state, tensors=as_group(MODEL, state.models[party.arch]))

    return request


def receive_model(client: Client, request: Message) -> nn.Module:
    """The shared model as the client received it."""
    return client.make_model(request.group(MODEL))


def train_received(
    client: Client,
    request: Message,
    *,
    make_loss_fn: Callable[[nn.Module], LocalLossFn] | None = None,
    make_adjust_fn: Callable[[nn.Module], Callable[[], None]] | None = None,
) -> Answer:
    """Train the received model on the client's samples and send it back.

    Args:
        client: The client.
        request: What it received.
        make_loss_fn: From the received model, before training, to the loss; cross-entropy when None.
        make_adjust_fn: From the model that trains to what changes its gradients before every step.
    """
    model = receive_model(client, request)
    measured = client.measure(model)
    loss_fn = None if make_loss_fn is None else make_loss_fn(model)
    adjust_fn = None if make_adjust_fn is None else make_adjust_fn(model)
    course = train_locally(client, [model], request, loss_fn=loss_fn, adjust_fn=adjust_fn)
    return answer_with_model(
        client, request, group=MODEL, model=model, facts=describe_round(course.losses, measured)
    )


def describe_round(losses: Sequence[tuple[float, ...]], accuracy: float | None) -> dict[str, float]:
    """What a client says of its round: the last epoch's loss, and an accuracy on its held-out samples."""
    facts = {"loss": losses[-1][0]} if losses else {}
    return facts if accuracy is None else {**facts, "accuracy": accuracy}


def average_replies(
    federation: Federation, state: ServerState, replies: Sequence[Reply], group: str = MODEL
) -> dict[str, dict[str, Tensor]]:
    """Per architecture the aggregate of what its clients sent; an architecture nobody replied for stays."""
    models = {arch: dict(own) for arch, own in state.models.items()}
    for arch in models:
        heard = [reply for reply in replies if reply.party.arch == arch]
        if heard:
            states = [reply.message.group(group) for reply in heard]
            models[arch] = aggregate(states, count_shares(federation, heard), federation.plan)
    return models


def count_shares(federation: Federation, replies: Sequence[Reply]) -> list[float]:
    """How much each reply counts."""
    return [
        float(reply.party.num_samples) if federation.plan.weighting == "samples" else 1.0 for reply in replies
    ]


def combine_mean(
    federation: Federation, state: ServerState, replies: Sequence[Reply], settings: Any
) -> ServerState:
    """The state whose models are the aggregates of the replies."""
    del settings
    return state.advance(models=average_replies(federation, state, replies))
