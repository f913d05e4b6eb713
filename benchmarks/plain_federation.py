"""FedAvg as one writes it in half a page: clients one after another in one loop, on tensors in memory.

Nothing here is limbeck's. It counts no bytes, checks no reply and keeps no history.
"""

import copy
from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Samples = tuple[Tensor, Tensor]
"""Inputs and labels."""


def run_plainly(
    model: nn.Module,
    clients: Sequence[Samples],
    test: Samples,
    *,
    rounds: int,
    batch_size: int,
    lr: float,
    momentum: float,
) -> Iterator[float]:
    """Run federated averaging with one local epoch and yield the test accuracy after each round.

    Args:
        model: The starting model, which becomes the federated one.
        clients: The samples of each.
        test: The samples of the server.
        rounds: Communication rounds.
        batch_size: Samples per step.
        lr: Learning rate.
        momentum: Of SGD.
    """
    torch.manual_seed(0)
    num_samples = sum(len(labels) for _, labels in clients)
    for _ in range(rounds):
        trained = []
        for samples in clients:
            local = copy.deepcopy(model)
            train_epoch(local, samples, batch_size=batch_size, lr=lr, momentum=momentum)
            trained.append(local.state_dict())
        shares = [len(labels) / num_samples for _, labels in clients]
        model.load_state_dict(average(trained, shares))
        yield measure(model, test)


def train_epoch(model: nn.Module, samples: Samples, *, batch_size: int, lr: float, momentum: float) -> None:
    """Train a model in place for an epoch, in a random order."""
    inputs, labels = samples
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=momentum)
    model.train()
    for ids in torch.randperm(len(labels)).split(batch_size):
        optimizer.zero_grad()
        F.cross_entropy(model(inputs[ids]), labels[ids]).backward()
        optimizer.step()


def average(states: Sequence[dict[str, Tensor]], shares: Sequence[float]) -> dict[str, Tensor]:
    """The weighted sum of every tensor; whole numbers, such as counters, are the first client's."""
    return {
        name: sum((state[name] * share for state, share in zip(states, shares, strict=True)), start=0 * first)
        if first.is_floating_point()
        else first
        for name, first in states[0].items()
    }


@torch.inference_mode()
def measure(model: nn.Module, samples: Samples) -> float:
    """The accuracy of a model."""
    inputs, labels = samples
    model.eval()
    return (model(inputs).argmax(dim=1) == labels).float().mean().item()
