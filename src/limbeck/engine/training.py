"""The training loop: one loop for one model or for several that learn together.

Inputs that lie on the device are a tensor there and a batch is a gather; inputs too large for that are read
batch by batch. Nothing in a step asks the device for an answer; the loss is accumulated there and looked at
once per epoch. The plain loop this must equal is in `tests/engine`.
"""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal, get_args

import torch
from torch import Tensor, nn

from limbeck.core.errors import DivergedError, require, require_known
from limbeck.core.seeds import derive_seed, torch_rng
from limbeck.data import Inputs, count_samples, load_batch
from limbeck.engine.evaluation import device_of
from limbeck.engine.precision import PRECISIONS, Precision, autocast

# A loss this many times that of the first step (and of 1 nat) is no setback but the end of the training.
DIVERGED_FACTOR = 100

Optimizer = Literal["sgd", "adam"]
OPTIMIZERS: tuple[Optimizer, ...] = get_args(Optimizer)

LossFn = Callable[[list[Tensor], Tensor], list[Tensor]]
"""(logits of each model, ids of the batch's samples) to, per model, one number per sample."""


@dataclass(frozen=True, kw_only=True)
class Training:
    """How a model is trained.

    Attributes:
        epochs: Passes over the samples, at least 0.
        batch_size: Samples per step, at least 1; the last batch of an epoch may be smaller.
        optimizer: `sgd` (with momentum) or `adam`.
        lr: Learning rate at the start, above 0.
        momentum: Momentum of `sgd`, in [0, 1).
        weight_decay: L2 coefficient, at least 0.
        schedule: `cosine` lowers the learning rate to 0 over all steps, `constant` keeps it.
        precision: `float32`, or `bfloat16` for forward passes in training by PyTorch's autocast; losses,
            weights and evaluation stay in float32.

    Raises:
        InputError: When built with a value out of range.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    epochs: int
    batch_size: int = 64
    optimizer: Optimizer = "sgd"
    lr: float = 0.05
    momentum: float = 0.9
    weight_decay: float = 0.0
    schedule: Literal["cosine", "constant"] = "cosine"
    precision: Precision = "float32"

    def __post_init__(self) -> None:
        require_known("optimizer", self.optimizer, OPTIMIZERS)
        require_known("schedule", self.schedule, ("cosine", "constant"))
        require_known("precision", self.precision, PRECISIONS)
        require(self.epochs >= 0, "epochs >= 0", f"epochs={self.epochs}", "0 leaves the model as it is.")
        require(self.batch_size >= 1, "batch_size >= 1", f"batch_size={self.batch_size}", "64 is usual.")
        require(
            0 < self.lr < math.inf, "lr > 0", f"lr={self.lr}", "Usual values are 0.05 (sgd) and 0.001 (adam)."
        )
        require(0 <= self.momentum < 1, "0 <= momentum < 1", f"momentum={self.momentum}", "0.9 is usual.")
        require(
            self.weight_decay >= 0,
            "weight_decay >= 0",
            f"weight_decay={self.weight_decay}",
            "0 turns it off.",
        )

    def to_dict(self) -> dict[str, Any]:
        """Every setting by name."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class Trained:
    """What a training took.

    Attributes:
        losses: Per epoch and model, the mean loss over the samples, in nats.
        steps: Optimiser steps.
        seconds: Wall time.
    """

    losses: tuple[tuple[float, ...], ...]
    steps: int
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Hooks:
    """Functions a training calls as it goes on; they look at the models and change none.

    Attributes:
        after_step: Called after every optimiser step; must not ask the device for an answer.
        after_epoch: Called with the models after every epoch whose loss is finite.
    """

    after_step: Callable[[], None] = lambda: None
    after_epoch: Callable[[Sequence[nn.Module]], None] = lambda _: None


def train(
    models: Sequence[nn.Module],
    inputs: Inputs,
    loss_fn: LossFn,
    *,
    training: Training,
    seed: int,
    hooks: Hooks = Hooks(),
) -> Trained:
    """Train models in place on the same batches, each on the mean of its own loss.

    Args:
        models: One or more models on one device.
        inputs: What the models take, on their device or where they are read from batch by batch.
        loss_fn: Per model one number per sample; a model's loss may depend on the others' logits only
            through detached tensors.
        training: The settings.
        seed: Seed of the batch order and of what layers draw, such as dropout.
        hooks: What to call on the way.

    Raises:
        InputError: When there is no sample.
        DivergedError: When a loss stops being finite, or grows to `DIVERGED_FACTOR` times its first value.
    """
    num_samples = count_samples(inputs)
    require(num_samples > 0, "at least 1 sample to train on", "0", "Give this client samples.")
    device = device_of(models[0])
    parameters = [
        parameter for model in models for parameter in model.parameters() if parameter.requires_grad
    ]
    require(
        len(parameters) > 0,
        "the model has a weight that can change",
        "0",
        "Set `requires_grad` on some weights.",
    )
    optimizer = _make_optimizer(parameters, training)
    started = time.perf_counter()
    num_steps = training.epochs * math.ceil(num_samples / training.batch_size)
    lrs = iter(_learning_rates(training, num_steps))
    history: list[tuple[float, ...]] = []
    first: Tensor | None = None
    with _seed_layers(device, seed):
        for epoch in range(training.epochs):
            for model in models:
                model.train()
            totals = torch.zeros(len(models), dtype=torch.float32, device=device)
            for ids in batches(num_samples, training.batch_size, epoch=epoch, seed=seed, device=device):
                optimizer.param_groups[0]["lr"] = next(lrs)
                batch = load_batch(inputs, ids, device)
                with autocast(training.precision, device):
                    logits = [model(batch) for model in models]
                losses = loss_fn(logits, ids)
                optimizer.zero_grad(set_to_none=True)
                means = torch.stack([loss.mean() for loss in losses])
                first = means.detach() if first is None else first
                means.sum().backward()
                optimizer.step()
                totals += torch.stack([loss.detach().sum() for loss in losses])
                hooks.after_step()
            assert first is not None
            history.append(_check_stable(totals / num_samples, first, history, training))
            hooks.after_epoch(models)
    return Trained(losses=tuple(history), steps=num_steps, seconds=time.perf_counter() - started)


@contextmanager
def _seed_layers(device: torch.device, seed: int) -> Iterator[None]:
    """Seed what layers draw in training, such as dropout, and leave the global random state as it was."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(derive_seed(seed, "layers"))
        yield


def batches(
    num_samples: int, batch_size: int, *, epoch: int, seed: int, device: torch.device | str = "cpu"
) -> Iterator[Tensor]:
    """The sample ids of each batch of an epoch: a new order per epoch, the same for the same seed."""
    order = torch.randperm(num_samples, generator=torch_rng(seed, "batches", epoch)).to(device)
    yield from order.split(batch_size)


def _make_optimizer(parameters: list[nn.Parameter], training: Training) -> torch.optim.Optimizer:
    if training.optimizer == "adam":
        return torch.optim.Adam(parameters, lr=training.lr, weight_decay=training.weight_decay, fused=True)
    return torch.optim.SGD(
        parameters,
        lr=training.lr,
        momentum=training.momentum,
        weight_decay=training.weight_decay,
        fused=True,
    )


def _learning_rates(training: Training, num_steps: int) -> list[float]:
    if training.schedule == "constant":
        return [training.lr] * num_steps
    return [training.lr * (1 + math.cos(math.pi * step / num_steps)) / 2 for step in range(num_steps)]


def _check_stable(
    mean_losses: Tensor, first: Tensor, history: Sequence[tuple[float, ...]], training: Training
) -> tuple[float, ...]:
    """The mean losses of an epoch as numbers, when they are finite and near those of the first step."""
    values = tuple(mean_losses.tolist())
    limits = (DIVERGED_FACTOR * max(1.0, value) for value in first.tolist())
    worst = next((value for value, limit in zip(values, limits, strict=True) if not value <= limit), None)
    if worst is None:
        return values
    raise DivergedError(
        f"the loss must stay finite and below {DIVERGED_FACTOR} times its first value, but it became "
        f"{worst:.3g} in epoch {len(history) + 1}. Lower `lr` (it is {training.lr:g}).",
        epoch=len(history) + 1,
        losses=history,
    )


def warm_up(training: Training, *, device: torch.device) -> None:
    """Let PyTorch load what its first optimiser needs, which takes seconds, before anything is timed."""
    _make_optimizer([nn.Parameter(torch.zeros(1, device=device))], training)
