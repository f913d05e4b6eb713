"""A party in federated learning: private samples, and a model that learns from them."""

import copy
from dataclasses import dataclass

from torch import Tensor, nn

from limbeck.data import Inputs
from limbeck.engine import Training, pretrain
from limbeck.federate.messages import State


@dataclass(frozen=True, kw_only=True)
class Client:
    """Private samples of one party.

    Attributes:
        index: Position among the clients.
        inputs: What the models take.
        labels: [samples] int64.
    """

    index: int
    inputs: Inputs
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)


def with_state(model: nn.Module, state: State) -> nn.Module:
    """A copy of `model` that holds the weights of `state`."""
    fresh = copy.deepcopy(model)
    fresh.load_state_dict(state)
    return fresh


def train_locally(model: nn.Module, client: Client, *, training: Training, seed: int) -> None:
    """Train the model in place on the client's samples, with a fresh optimiser."""
    pretrain(model, client.inputs, client.labels, training=training, seed=seed)
