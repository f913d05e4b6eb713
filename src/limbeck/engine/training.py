"""The training loop: one loop for one model or for several that learn together.

Inputs that lie on the device are a tensor there and a batch is a gather; inputs too large for that are read
batch by batch. Nothing in a step asks the device for an answer; the loss is accumulated there and looked at
once per epoch. A course of training can stop after any epoch and go on later, in another process too, to the
same result. The plain loop this must equal is in `tests/engine`.
"""

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from itertools import islice
from typing import Any, ClassVar, Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn.utils import get_total_norm

from limbeck.core.errors import DivergedError, InputError, require, require_known
from limbeck.core.seeds import derive_seed, torch_rng
from limbeck.data import (
    AUGMENTATIONS,
    Augmentation,
    Inputs,
    Texts,
    Tokens,
    View,
    count_samples,
    load_batch,
)
from limbeck.data.inputs import describe_kind
from limbeck.engine.evaluation import device_of
from limbeck.engine.layout import Layout, MemoryFormat, Precision, arrange, autocast, use_threads

# A loss this many times that of the first step (and of 1 nat) is no setback but the end of the training.
DIVERGED_FACTOR = 100

Optimizer = Literal["sgd", "adam"]
OPTIMIZERS: tuple[Optimizer, ...] = get_args(Optimizer)

LossFn = Callable[[list[Tensor], Tensor, int], list[Tensor]]
"""(logits of each model, ids of the batch's samples, epoch from 0) to, per model, one number per sample."""

Step = tuple[float, Tensor, Tensor | dict[str, Tensor]]
"""Learning rate, ids of the batch's samples and the batch."""

FIRST_LOSSES, PAST_LOSSES = "first_losses", "past_losses"


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
        memory_format: How weights lie in memory while training: `as-is`, `contiguous` or `channels-last`.
        threads: Threads of the CPU while training, None for as many as PyTorch has at the time.
        compile: Whether the forward pass is compiled by `torch.compile`.
        augmentation: How images change from epoch to epoch: `none`, `flip`, `crop` or `crop-flip`; see
            `limbeck.data.augment`.

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
    memory_format: MemoryFormat = "as-is"
    threads: int | None = None
    compile: bool = False
    augmentation: Augmentation = "none"

    def __post_init__(self) -> None:
        require_known("optimizer", self.optimizer, OPTIMIZERS)
        require_known("schedule", self.schedule, ("cosine", "constant"))
        require_known("augmentation", self.augmentation, AUGMENTATIONS)
        Layout(**{entry.name: getattr(self, entry.name) for entry in fields(Layout)})  # checks its part
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


class Course:
    """A training under way: it can stop after any epoch, be kept as tensors and go on to the same result.

    Args:
        models: One or more models on one device, trained in place.
        inputs: What the models take, on their device or where they are read from batch by batch.
        loss_fn: Per model one number per sample; a model's loss may depend on the others' logits only
            through detached tensors.
        training: The settings.
        seed: Seed of the batch order, of augmentation and of what layers draw, such as dropout.

    Attributes:
        models: The models.
        losses: Per epoch so far and model, the mean loss over the samples, in nats.

    Raises:
        InputError: When there is no sample, or no weight that can change.
    """

    def __init__(
        self, models: Sequence[nn.Module], inputs: Inputs, loss_fn: LossFn, *, training: Training, seed: int
    ) -> None:
        num_samples = count_samples(inputs)
        require(num_samples > 0, "at least 1 sample to train on", "0", "Give this client samples.")
        self.models = list(models)
        self.inputs = inputs
        self.loss_fn = loss_fn
        self.training = training
        self.seed = seed
        self.device = device_of(self.models[0])
        for model in self.models:
            arrange(model, training.memory_format)
        self.parameters = [
            parameter for model in models for parameter in model.parameters() if parameter.requires_grad
        ]
        require(
            len(self.parameters) > 0,
            "the model has a weight that can change",
            "0",
            "Set `requires_grad` on some weights.",
        )
        self.optimizer = make_optimizer(self.parameters, training)
        self.first: Tensor | None = None
        self.losses: list[tuple[float, ...]] = []

    @property
    def epoch(self) -> int:
        """How many epochs are done."""
        return len(self.losses)

    @property
    def steps_per_epoch(self) -> int:
        """Optimiser steps in an epoch."""
        return math.ceil(count_samples(self.inputs) / self.training.batch_size)

    def advance(self, until: int, hooks: Hooks = Hooks()) -> None:
        """Train until so many epochs are done.

        Raises:
            DivergedError: When a loss stops being finite, or grows to `DIVERGED_FACTOR` times its first.
        """
        forward_fns = [torch.compile(model) if self.training.compile else model for model in self.models]
        with use_threads(self.training.threads, self.device):
            for epoch in range(self.epoch, until):
                with seed_layers(self.device, self.seed, epoch):
                    self._train_epoch(epoch, forward_fns, hooks)
                hooks.after_epoch(self.models)

    def try_steps(self, num_steps: int) -> None:
        """Do the first steps of the first epoch, to see how long they take."""
        self._do_steps(islice(self.list_batches(0), num_steps), 0, self.models, lambda: None)

    def _train_epoch(self, epoch: int, forward_fns: Sequence[Callable[..., Any]], hooks: Hooks) -> None:
        totals = self._do_steps(self.list_batches(epoch), epoch, forward_fns, hooks.after_step)
        self.end_epoch(totals / count_samples(self.inputs))

    def _do_steps(
        self,
        steps: Iterable[Step],
        epoch: int,
        forward_fns: Sequence[Callable[..., Any]],
        after_step: Callable[[], None],
    ) -> Tensor:
        """The sum of the losses of each model over the samples of some steps."""
        for model in self.models:
            model.train()
        totals = [torch.zeros((), device=self.device) for _ in self.models]
        for lr, ids, batch in steps:
            self.optimizer.param_groups[0]["lr"] = lr
            with autocast(self.training.precision, self.device):
                logits = [forward_fn(batch) for forward_fn in forward_fns]
            losses = self.loss_fn(logits, ids, epoch)
            for parameter in self.parameters:
                parameter.grad = None
            means = [loss.mean() for loss in losses]
            if self.first is None:
                self.first = torch.stack([mean.detach() for mean in means])
            _add_up(means).backward()
            self.optimizer.step()
            for total, loss in zip(totals, losses, strict=True):
                total.add_(loss.detach().sum())
            after_step()
        return torch.stack(totals)

    def list_batches(self, epoch: int) -> Iterator[Step]:
        """Per step of an epoch the learning rate, the ids of the samples and the batch."""
        inputs = view_epoch(self.inputs, self.training.augmentation, epoch=epoch, seed=self.seed)
        num_samples, size = count_samples(inputs), self.training.batch_size
        num_steps = self.training.epochs * self.steps_per_epoch
        order = batches(num_samples, size, epoch=epoch, seed=self.seed, device=self.device)
        for step, ids in enumerate(order, start=epoch * self.steps_per_epoch):
            yield learning_rate(self.training, step, num_steps), ids, load_batch(inputs, ids, self.device)

    def end_epoch(self, mean_losses: Tensor) -> None:
        """Note the mean losses of an epoch, when they and the weights are finite, and they near the first.

        Raises:
            DivergedError: When they are not.
        """
        assert self.first is not None
        norm = get_total_norm([parameter.detach() for parameter in self.parameters])
        if not math.isfinite(float(norm)):
            raise DivergedError(
                f"the weights must stay finite, but one did not in epoch {self.epoch + 1}. Lower `lr` (it is "
                f"{self.training.lr:g}), or set the precision to float32 (it is {self.training.precision}).",
                epoch=self.epoch + 1,
                losses=self.losses,
            )
        self.losses.append(_check_stable(mean_losses, self.first, self.losses, self.training))

    def pack(self) -> dict[str, Tensor]:
        """Everything the course needs to go on, as tensors by name."""
        assert self.first is not None
        packed = {
            FIRST_LOSSES: self.first,
            PAST_LOSSES: torch.tensor(self.losses, dtype=torch.float64).reshape(self.epoch, -1),
        }
        for number, model in enumerate(self.models):
            packed |= {f"model.{number}.{name}": value for name, value in model.state_dict().items()}
        for number, parameter in enumerate(self.parameters):
            kept = self.optimizer.state.get(parameter, {})
            packed |= {f"optimizer.{number}.{name}": value for name, value in kept.items()}
        return {name: value.detach() for name, value in packed.items()}

    def unpack(self, packed: Mapping[str, Tensor]) -> None:
        """Go on from what `pack` gave, in a course that was made in the same way."""
        self.first = packed[FIRST_LOSSES].to(self.device)
        self.losses = [tuple(values) for values in packed[PAST_LOSSES].tolist()]
        with torch.no_grad():
            for number, model in enumerate(self.models):
                for name, value in model.state_dict().items():
                    value.copy_(packed[f"model.{number}.{name}"])
        for number, parameter in enumerate(self.parameters):
            prefix = f"optimizer.{number}."
            kept = {
                name.removeprefix(prefix): value for name, value in packed.items() if name.startswith(prefix)
            }
            self.optimizer.state[parameter] = {
                name: _lay_out(value, parameter) for name, value in kept.items()
            }


def train(
    models: Sequence[nn.Module],
    inputs: Inputs,
    loss_fn: LossFn,
    *,
    training: Training,
    seed: int,
    hooks: Hooks = Hooks(),
) -> Trained:
    """Train models in place on the same batches, each on the mean of its own loss; see `Course`.

    Args:
        models: As for `Course`, like every argument that is not listed here.
        inputs: What the models take.
        loss_fn: Per model one number per sample.
        training: The settings.
        seed: The seed.
        hooks: What to call on the way.

    Raises:
        InputError: When there is no sample, or no weight that can change.
        DivergedError: When a loss stops being finite, or grows to `DIVERGED_FACTOR` times its first value.
    """
    started = time.perf_counter()
    course = Course(models, inputs, loss_fn, training=training, seed=seed)
    course.advance(training.epochs, hooks)
    return Trained(
        losses=tuple(course.losses),
        steps=course.epoch * course.steps_per_epoch,
        seconds=time.perf_counter() - started,
    )


def _add_up(means: Sequence[Tensor]) -> Tensor:
    """The sum; one model's mean as it is, which spares a small model a tenth of its step."""
    return means[0] if len(means) == 1 else torch.stack(list(means)).sum()


def view_epoch(inputs: Inputs, augmentation: Augmentation, *, epoch: int, seed: int) -> Inputs:
    """The inputs as models see them in an epoch.

    Raises:
        InputError: When they are to be augmented and are no images.
    """
    if augmentation == "none":
        return inputs
    if isinstance(inputs, View):
        return replace(inputs, augmentation=augmentation, epoch=epoch, seed=seed)
    if isinstance(inputs, Tokens | Texts):
        raise InputError(
            f"`augmented inputs are images` must hold, but got {describe_kind(inputs)}. "
            "Leave the augmentation out."
        )
    return View(inputs=inputs, augmentation=augmentation, epoch=epoch, seed=seed)


@contextmanager
def seed_layers(device: torch.device, seed: int, epoch: int) -> Iterator[None]:
    """Seed what layers draw in an epoch, such as dropout, and leave the global random state as it was."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        of_layers = derive_seed(seed, "layers", epoch)
        # `torch.manual_seed` also seeds every device there is not, which takes half a millisecond.
        torch.default_generator.manual_seed(of_layers)
        if device.type == "cuda":
            torch.cuda.manual_seed(of_layers)
        yield


def batches(
    num_samples: int, batch_size: int, *, epoch: int, seed: int, device: torch.device | str = "cpu"
) -> Iterator[Tensor]:
    """The sample ids of each batch of an epoch: a new order per epoch, the same for the same seed."""
    order = torch.randperm(num_samples, generator=torch_rng(seed, "batches", epoch)).to(device)
    yield from order.split(batch_size)


def make_optimizer(parameters: list[nn.Parameter], training: Training) -> torch.optim.Optimizer:
    if training.optimizer == "adam":
        return torch.optim.Adam(parameters, lr=training.lr, weight_decay=training.weight_decay, fused=True)
    return torch.optim.SGD(
        parameters,
        lr=training.lr,
        momentum=training.momentum,
        weight_decay=training.weight_decay,
        fused=True,
    )


def _lay_out(value: Tensor, parameter: nn.Parameter) -> Tensor:
    """An optimiser's tensor as the optimiser made it: laid out in memory as the weight it belongs to.

    The fused optimisers of the CPU walk through weight and momentum side by side and need it so.
    """
    if value.shape != parameter.shape:
        return value.to(parameter.device)
    return torch.empty_like(parameter, dtype=value.dtype).copy_(value).detach()


def learning_rate(training: Training, step: int, num_steps: int) -> float:
    """The learning rate of a step, counted from 0 over all epochs."""
    if training.schedule == "constant":
        return training.lr
    return training.lr * (1 + math.cos(math.pi * step / num_steps)) / 2


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
    make_optimizer([nn.Parameter(torch.zeros(1, device=device))], training)
