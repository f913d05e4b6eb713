"""What strategies have in common whose clients say what their own models think of public samples.

In a round every client says it of the same samples of the public set, which server and clients draw alike.
What the server makes of that, the consensus, goes out with the next round's request; the first has none.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from limbeck.core.errors import require
from limbeck.core.seeds import derive_seed, numpy_rng
from limbeck.data import Inputs, count_samples, take_samples
from limbeck.engine import Course, Training, device_of, predict_logits
from limbeck.federate.aggregation import aggregate
from limbeck.federate.client import Answer, Client, state_of
from limbeck.federate.federation import Federation, Party
from limbeck.federate.local_training import training_of
from limbeck.federate.logit_format import pack_logits, packed_shapes, unpack_logits
from limbeck.federate.messages import Message, as_group
from limbeck.federate.strategies.averaging import count_shares
from limbeck.federate.strategies.private_model import PRIVATE
from limbeck.federate.strategies.record import Reply, RequestFn, ServerState, Shapes, make_request

CONSENSUS, LOGITS = "consensus", "logits"

PullFn = Callable[[Tensor, Tensor], Tensor]
"""(logits of a model, what the consensus says of the same samples) to one number per sample."""


def check_public_samples(public_samples: int | None) -> None:
    """Raise `InputError` unless it is None or a number of samples."""
    require(
        public_samples is None or public_samples >= 1,
        "public_samples >= 1",
        f"public_samples={public_samples}",
        "Leave it out to take the whole proxy set.",
    )


def check_public(federation: Federation, settings: Any) -> None:
    """Raise `InputError` when a round would draw more public samples than there are."""
    assert federation.proxy is not None
    require_public(count_samples(federation.proxy), settings.public_samples)


def require_public(total: int, public_samples: int | None) -> None:
    """Raise `InputError` when there are fewer public samples than are to be drawn."""
    require(
        public_samples is None or public_samples <= total,
        "public_samples <= proxy_samples",
        f"public_samples={public_samples} of {total}",
        "Leave `public_samples` out to take the whole proxy set.",
    )


def draw_public(total: int, public_samples: int | None, *, seed: int, round_number: int) -> Tensor:
    """The ids of a round's public samples, each once; all of them, in order, when no number is given.

    Args:
        total: Size of the public set.
        public_samples: How many to draw.
        seed: The plan's.
        round_number: The round.

    Raises:
        InputError: When there are fewer.
    """
    if public_samples is None:
        return torch.arange(total)
    require_public(total, public_samples)
    rng = numpy_rng(seed, "public", round_number)
    return torch.from_numpy(rng.choice(total, public_samples, replace=False))


def send_consensus(strategy: str) -> RequestFn:
    """The request that sends the consensus on the last round's samples and asks for this round's."""

    def request(federation: Federation, state: ServerState, party: Party, settings: Any) -> Message:
        del party
        assert federation.proxy is not None
        total, round_number = count_samples(federation.proxy), state.round + 1
        ids = draw_public(
            total, settings.public_samples, seed=federation.plan.seed, round_number=round_number
        )
        facts = {
            "proxy_samples": total,
            "proxy": federation.proxy_hash,
            "num_rows": len(ids),
            "num_classes": federation.num_classes,
        }
        consensus = state.memory.get(CONSENSUS)
        packed = {} if consensus is None else pack_logits(consensus, federation.plan.logit_format)
        return make_request(strategy, federation, state, tensors=as_group(CONSENSUS, packed), facts=facts)

    return request


def take_public(client: Client, request: Message, public_samples: int | None, *, round_number: int) -> Inputs:
    """The public samples of a round, from the client's copy of the public set.

    Raises:
        InputError: When the client has none, or others than the server.
    """
    available = 0 if client.proxy is None else count_samples(client.proxy)
    expected = request.facts["proxy_samples"]
    require(
        client.proxy is not None and available == expected,
        f"a client has the server's {expected} proxy samples",
        f"{available} at client {client.index}",
        "Give every client the same proxy set.",
    )
    assert client.proxy is not None
    theirs = request.facts["proxy"]
    require(
        client.proxy_hash == theirs,
        f"a client has the server's {expected} proxy samples, in the same order",
        f"others at client {client.index}: fingerprint {client.proxy_hash} for {theirs}",
        "Give every client the same proxy set.",
    )
    seed = request.facts["seed"]
    return take_samples(
        client.proxy, draw_public(available, public_samples, seed=seed, round_number=round_number)
    )


def follow_consensus(
    client: Client,
    model: nn.Module,
    request: Message,
    pull_fn: PullFn,
    *,
    epochs: int,
    public_samples: int | None,
) -> None:
    """Train a client's model, in place, towards the consensus in a request; without one it stays.

    Args:
        client: Whose.
        model: The model.
        request: Holds the consensus on the samples of the round before.
        pull_fn: The loss.
        epochs: Passes over these samples; the rest is as in local training.
        public_samples: How many samples a round has.
    """
    packed = request.group(CONSENSUS)
    if not packed:
        return
    learn_public(
        model,
        take_public(client, request, public_samples, round_number=request.round - 1),
        unpack_logits(packed),
        pull_fn,
        training=replace(training_of(request), epochs=epochs),
        seed=derive_seed(request.facts["seed"], "consensus", request.round, client.index),
    )


def learn_public(
    model: nn.Module, inputs: Inputs, targets: Tensor, pull_fn: PullFn, *, training: Training, seed: int
) -> None:
    """Train a model, in place, towards targets on samples without labels."""
    targets = targets.to(device_of(model))

    def pull(logits: list[Tensor], ids: Tensor, epoch: int) -> list[Tensor]:
        del epoch
        return [pull_fn(logits[0], targets[ids])]

    Course([model], inputs, pull, training=training, seed=seed).advance(training.epochs)


def answer_with_rows(
    client: Client,
    request: Message,
    model: nn.Module,
    *,
    public_samples: int | None,
    facts: Mapping[str, Any],
    say_fn: Callable[[Tensor], Tensor] = lambda logits: logits,
) -> Answer:
    """The answer that says what a model thinks of this round's public samples and keeps the model.

    Args:
        client: Whose.
        request: What it was asked.
        model: The private model after the round.
        public_samples: How many samples a round has.
        facts: What is said beside it.
        say_fn: From logits to what is said.
    """
    inputs = take_public(client, request, public_samples, round_number=request.round)
    said = say_fn(predict_logits(model, inputs).clone())
    packed = pack_logits(said, request.facts["logit_format"])
    return Answer(tensors=as_group(LOGITS, packed), facts=facts, kept={PRIVATE: state_of(model)})


def shapes_of_rows(request: Message) -> Shapes:
    """The names and shapes of a row for every public sample of the round."""
    facts = request.facts
    return {
        f"{LOGITS}/{name}": shape
        for name, shape in packed_shapes(
            facts["num_rows"], facts["num_classes"], facts["logit_format"]
        ).items()
    }


def aggregate_rows(
    federation: Federation, replies: Sequence[Reply], read_fn: Callable[[Tensor], Tensor] = lambda rows: rows
) -> Tensor:
    """One table made of what the clients said, by the plan's aggregation and weighting.

    Args:
        federation: What the server has.
        replies: At least one.
        read_fn: What is made of each client's table first.
    """
    states = [{LOGITS: read_fn(unpack_logits(reply.message.group(LOGITS)))} for reply in replies]
    return aggregate(states, count_shares(federation, replies), federation.plan)[LOGITS]


def as_probabilities(rows: Tensor) -> Tensor:
    """Rows that sum to 1, from rows that do but for rounding on their way; negative values become 0."""
    positive = rows.clamp_min(0.0)
    return positive / positive.sum(dim=-1, keepdim=True).clamp_min(torch.finfo(rows.dtype).tiny)


def soft_cross_entropy(logits: Tensor, probabilities: Tensor) -> Tensor:
    """Cross-entropy of each sample with the class probabilities it should have, -sum_c p_c log softmax(z)_c.

    Law: it differs from KL(p || softmax(z)) by the entropy of p, which has no gradient in z.

    Args:
        logits: z, [batch, classes]; gradients flow.
        probabilities: p, [batch, classes]; a class may have 0.

    Returns:
        One number per sample, in nats.
    """
    return F.cross_entropy(logits, probabilities, reduction="none")
