"""A party in federated learning: its samples, its own model and what it keeps."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from limbeck.core.errors import InputError, require
from limbeck.data import Inputs
from limbeck.data.content_hash import hash_content
from limbeck.engine import accuracy, predict
from limbeck.federate.memory import Memory, RamMemory
from limbeck.federate.messages import Message, State

OWN_MODEL = "own"
AFTER_START = 1

BuildFn = Callable[[str], nn.Module]
"""A new copy of the common untrained model of an architecture, the same at every client and at the server."""


@dataclass(frozen=True, kw_only=True)
class Client:
    """One party and everything that stays with it.

    Attributes:
        index: Position among the clients.
        inputs: Its training samples, what the models take.
        labels: [samples] int64.
        arch: Architecture of its models.
        build_fn: Makes the common untrained model of an architecture.
        num_classes: Number of classes of the federation.
        held_out: Inputs and labels of its own samples that it measures on, None for none.
        proxy: The public, unlabelled proxy set, for strategies that need clients to have it.
        memory: What it keeps between messages; its own model is there under `OWN_MODEL`, round 0.
        noise_seed: Seed of the noise that protects its updates; the server must not know it.
    """

    index: int
    inputs: Inputs
    labels: Tensor
    arch: str
    build_fn: BuildFn
    num_classes: int
    held_out: tuple[Inputs, Tensor] | None = None
    proxy: Inputs | None = None
    memory: Memory = field(default_factory=RamMemory)
    noise_seed: int = 0

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def class_counts(self) -> list[int]:
        """Samples of each class."""
        return np.bincount(self.labels.cpu().numpy(), minlength=self.num_classes).tolist()

    @cached_property
    def proxy_hash(self) -> str:
        """The fingerprint of the proxy set; see `hash_proxy`."""
        assert self.proxy is not None
        return hash_proxy(self.proxy)

    def make_model(self, state: State) -> nn.Module:
        """A model of the client's architecture with these weights."""
        return fill(self.build_fn(self.arch), state)

    def recall_model(self, name: str = OWN_MODEL, *, before: int = AFTER_START) -> nn.Module:
        """A model that the client keeps.

        Raises:
            InputError: When it keeps none.
        """
        state = self.memory.read(name, before=before)
        require(
            state is not None,
            "the client has a model of its own",
            f"none at client {self.index}",
            "Give it one, or let the spec pre-train.",
        )
        assert state is not None
        return self.make_model(state)

    def measure(self, model: nn.Module) -> float | None:
        """A model's accuracy on the client's held-out samples, None without any."""
        if self.held_out is None:
            return None
        inputs, labels = self.held_out
        return accuracy(predict(model, inputs), labels.cpu().numpy())


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a client did about a message.

    Attributes:
        tensors: What goes back to the server.
        facts: What is said beside them.
        kept: What the client has to remember, by name.
    """

    tensors: State = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    kept: Mapping[str, State] = field(default_factory=dict)

    def as_reply(self, request: Message) -> Message:
        """The answer as a message."""
        return Message(task=request.task, round=request.round, tensors=self.tensors, facts=self.facts)


def hash_proxy(proxy: Inputs) -> str:
    """The fingerprint of a proxy set as models take it; its order counts."""
    return hash_content((proxy,), ())


def fill(model: nn.Module, state: State) -> nn.Module:
    """The model, with the weights of `state` put into it.

    Raises:
        InputError: When the weights are not of this architecture.
    """
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise InputError(
            f"weights must fit the model they are for, but: {reason}. Check that all parties name the same "
            "architecture and classes."
        ) from error
    return model


def state_of(model: nn.Module) -> dict[str, Tensor]:
    """The weights of a model, detached copies where they are.

    They are contiguous, as decoded ones are: sums over weights that lie in memory in another way end in other
    bits, and a reply would depend on whether it had travelled.
    """
    return {
        name: value.detach().clone(memory_format=torch.contiguous_format)
        for name, value in model.state_dict().items()
    }
