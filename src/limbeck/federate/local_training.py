"""What a client does in a round, whichever the strategy: train from what it received and answer."""

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn

from limbeck.core.errors import require
from limbeck.core.seeds import derive_seed
from limbeck.engine import Course, Training
from limbeck.federate.client import Answer, Client, state_of
from limbeck.federate.messages import NOTHING, Message, State, as_group
from limbeck.federate.plan import Privacy
from limbeck.federate.privacy import protect
from limbeck.losses import cross_entropy

LocalLossFn = Callable[[list[Tensor], Tensor], list[Tensor]]
"""(logits of each model, ids of the batch's samples) to, per model, one number per sample."""


def training_of(request: Message) -> Training:
    """What a request asks a client to do."""
    return Training(**request.facts["training"])


def local_seed(client: Client, request: Message) -> int:
    """Seed of a client's batch orders in a round."""
    return derive_seed(request.facts["seed"], "local", request.round, client.index)


def train_locally(
    client: Client,
    models: list[nn.Module],
    request: Message,
    *,
    loss_fn: LocalLossFn | None = None,
    adjust_fn: Callable[[], None] | None = None,
) -> Course:
    """Train models in place on the client's samples, with a fresh optimiser, as a request asks.

    Args:
        client: Whose samples.
        models: One, or several that learn on the same batches.
        request: Says the training, the round and the seed.
        loss_fn: Per model one number per sample; cross-entropy when None.
        adjust_fn: Called before every optimiser step, when gradients are there to be changed.

    Raises:
        InputError: When the client has no samples.
        DivergedError: When the training diverges.
    """
    labels, training = client.labels, training_of(request)

    def learn(logits: list[Tensor], ids: Tensor, epoch: int) -> list[Tensor]:
        del epoch
        return (
            [cross_entropy(own, labels[ids]) for own in logits] if loss_fn is None else loss_fn(logits, ids)
        )

    course = Course(models, client.inputs, learn, training=training, seed=local_seed(client, request))
    if adjust_fn is not None:
        course.optimizer.register_step_pre_hook(lambda *_: adjust_fn())
    course.advance(training.epochs)
    return course


def answer_with_model(
    client: Client,
    request: Message,
    *,
    group: str,
    model: nn.Module,
    tensors: State = NOTHING,
    facts: Mapping[str, Any] = NOTHING,
    kept: Mapping[str, State] = NOTHING,
) -> Answer:
    """The answer that sends a trained model back, protected where the request asks for it.

    A protected answer says nothing beside the weights, and a strategy that sends more cannot be protected.

    Args:
        client: Whose.
        request: What it was asked; holds the weights before, in the same group.
        group: The group of the message that holds the weights.
        model: The trained model.
        tensors: What goes back beside the weights.
        facts: What is said beside them.
        kept: What the client has to remember.

    Raises:
        InputError: When there are tensors beside the weights that the request wants protected.
    """
    state = state_of(model)
    if request.facts["privacy"] is None:
        return Answer(tensors={**as_group(group, state), **tensors}, facts=facts, kept=kept)
    require(
        not tensors,
        "`privacy` protects weights and nothing else may leave",
        f"`{request.task}`, which also sends `{next(iter(tensors), '')}`",
        "Leave `privacy` out, or use `fedavg`.",
    )
    privacy = Privacy(**request.facts["privacy"])
    state = protect(request.group(group), state, privacy, seed=client.noise_seed, round_number=request.round)
    return Answer(tensors=as_group(group, state), kept=kept)
