"""Many students in one pass: courses that share samples, batches and architecture train as one stack.

The weights of all students lie side by side in one tensor per weight, and `torch.func` turns the forward pass
of one into that of all. A GPU that one small student leaves idle is then busy. A student's numbers are those
it has alone, up to the order in which a device sums.

References:
    Model ensembling with `torch.func`: https://pytorch.org/tutorials/intermediate/ensembling.html.
"""

import copy
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from limbeck.core.errors import DivergedError, require
from limbeck.engine.layout import autocast, synchronize
from limbeck.engine.training import Course, make_optimizer, seed_layers

State = Mapping[str, Tensor]
TIMED_STEPS = 3
STEP = "step"  # what Adam counts, one number for all students
WEIGHT_COPIES = 6


def advance_together(
    courses: Sequence[Course],
    until: int,
    *,
    after_epoch: Callable[[int, Sequence[nn.Module]], None] = lambda _place, _models: None,
    after_step: Callable[[], None] = lambda: None,
) -> list[DivergedError | None]:
    """Train several courses until so many epochs are done: what `Course.advance` does with each in turn.

    Args:
        courses: Of one model each, all of one architecture and in the same epoch, with the same inputs,
            training and seed; their losses may differ.
        until: Epochs in all.
        after_epoch: Called after every epoch with the place of each course and its model.
        after_step: Called after every step of the stack.

    Returns:
        Per course what ended it, None for one that went well. One that diverges leaves the stack.

    Raises:
        InputError: When the courses do not fit each other.
    """
    _check_fit(courses)
    ends: list[DivergedError | None] = [None] * len(courses)
    for epoch in range(courses[0].epoch, until):
        going = [place for place, end in enumerate(ends) if end is None]
        if not going:
            break
        stack = [courses[place] for place in going]
        mean_losses = _train_epoch(stack, epoch, after_step)
        for place, mean_loss in zip(going, mean_losses.split(1), strict=True):
            try:
                courses[place].end_epoch(mean_loss)
            except DivergedError as error:
                ends[place] = error
            else:
                after_epoch(place, courses[place].models)
    return ends


def is_stack_faster(courses: Sequence[Course]) -> bool:
    """Whether a device trains these courses faster as a stack than in turn, measured on a few steps of each.

    Args:
        courses: As for `advance_together`, before their first step; what they hold afterwards is of no use.
    """
    try:
        stacked = _time_steps(lambda: _train_epoch(courses, 0, lambda: None, num_steps=TIMED_STEPS), courses)
    except RuntimeError:  # a layer that `torch.func` cannot stack
        return False
    first = courses[0]
    alone = _time_steps(lambda: first.try_steps(TIMED_STEPS), courses)
    return stacked < len(courses) * alone


def _time_steps(steps_fn: Callable[[], object], courses: Sequence[Course]) -> float:
    """Seconds of some steps, after once to warm up."""
    steps_fn()
    synchronize(courses[0].device)
    started = time.perf_counter()
    steps_fn()
    synchronize(courses[0].device)
    return time.perf_counter() - started


def count_stack_bytes(model: nn.Module, batch: Any, *, precision: Any = "float32") -> int:
    """What one student of a stack takes while training, in bytes.

    These are `WEIGHT_COPIES` times its weights (its own, those in the stack, gradients, the optimiser's
    memory of both and the best state so far), and what the backward pass needs of one batch, once more for
    the gradients of that.

    Args:
        model: On its device; stays as it is.
        batch: As the model takes it.
        precision: Of the forward pass.
    """
    saved: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        saved[storage.data_ptr()] = storage.nbytes()
        return tensor

    trained = copy.deepcopy(model).train()
    weights = [*trained.parameters(), *trained.buffers()]
    own = {weight.untyped_storage().data_ptr() for weight in weights}
    with (
        torch.random.fork_rng(devices=[]),
        torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor),
        autocast(precision, weights[0].device),
    ):
        trained(batch)
    activations = sum(size for place, size in saved.items() if place not in own)
    return WEIGHT_COPIES * sum(weight.numel() * weight.element_size() for weight in weights) + 2 * activations


def _check_fit(courses: Sequence[Course]) -> None:
    first = courses[0]
    require(
        all(
            len(course.models) == 1
            and course.epoch == first.epoch
            and course.training == first.training
            and course.seed == first.seed
            and course.inputs is first.inputs
            and str(course.models[0]) == str(first.models[0])
            for course in courses
        ),
        "students in one pass share samples, training, seed, epoch and architecture, one model each",
        "courses that differ",
        "Train them one after another.",
    )


def _train_epoch(
    courses: Sequence[Course], epoch: int, after_step: Callable[[], None], *, num_steps: int | None = None
) -> Tensor:
    """Train one epoch of all; the models, optimisers and first losses of the courses are as after it.

    Args:
        courses: The courses.
        epoch: Counted from 0.
        after_step: Called after every step.
        num_steps: How many steps to do of it, None for all.

    Returns:
        The mean loss of each, [courses].
    """
    first = courses[0]
    training, device = first.training, first.device
    models = [course.models[0].train() for course in courses]
    parameters, buffers = stack_module_state(models)  # pyright: ignore[reportArgumentType]
    # Buffers that are not saved, such as a normalisation, are the same for all and stay outside of the stack.
    kept = models[0].state_dict().keys()
    buffers = {name: value for name, value in buffers.items() if name in kept}
    trained = {
        name: parameters[name].detach().requires_grad_()
        for name, parameter in models[0].named_parameters()
        if parameter.requires_grad
    }
    parameters = {name: trained.get(name, value.detach()) for name, value in parameters.items()}
    optimizer = make_optimizer(list(trained.values()), training)
    _stack_memory(optimizer, list(trained.values()), courses)
    template = models[0]

    def run_one(own_parameters: State, own_buffers: State, batch: Any) -> Tensor:
        return functional_call(template, ({**own_parameters, **own_buffers}), (batch,))

    run_all: Callable[..., Tensor] = vmap(run_one, in_dims=(0, 0, None), randomness="same")
    forward_fn = torch.compile(run_all) if training.compile else run_all
    totals = torch.zeros(len(courses), dtype=torch.float32, device=device)
    with seed_layers(device, first.seed, epoch):
        for lr, ids, batch in islice(first.list_batches(epoch), num_steps):
            optimizer.param_groups[0]["lr"] = lr
            with autocast(training.precision, device):
                logits = forward_fn(parameters, buffers, batch)
            losses = [
                course.loss_fn([own], ids, epoch)[0] for course, own in zip(courses, logits, strict=True)
            ]
            means = torch.stack([loss.mean() for loss in losses])
            for course, mean in zip(courses, means.detach(), strict=True):
                course.first = mean.reshape(1).clone() if course.first is None else course.first
            optimizer.zero_grad(set_to_none=True)
            means.sum().backward()
            optimizer.step()
            totals += torch.stack([loss.detach().sum() for loss in losses])
            after_step()
    _write_back(courses, parameters, buffers, optimizer, list(trained.values()))
    return totals / len(first.inputs)


def _stack_memory(
    optimizer: torch.optim.Optimizer, stacked: Sequence[Tensor], courses: Sequence[Course]
) -> None:
    """Give an optimiser of the stack what those of the courses remember."""
    for number, parameter in enumerate(stacked):
        memories = [course.optimizer.state.get(course.parameters[number], {}) for course in courses]
        optimizer.state[parameter] = {
            name: value.clone() if name == STEP else torch.stack([memory[name] for memory in memories])
            for name, value in memories[0].items()
        }


def _write_back(
    courses: Sequence[Course],
    parameters: State,
    buffers: State,
    optimizer: torch.optim.Optimizer,
    stacked: Sequence[Tensor],
) -> None:
    with torch.no_grad():
        for place, course in enumerate(courses):
            own = {**dict(course.models[0].named_parameters()), **dict(course.models[0].named_buffers())}
            for name, values in (*parameters.items(), *buffers.items()):
                own[name].copy_(values[place])
            for parameter, values in zip(course.parameters, stacked, strict=True):
                course.optimizer.state[parameter] = {
                    name: value.clone() if name == STEP else value[place].clone()
                    for name, value in optimizer.state[values].items()
                }
