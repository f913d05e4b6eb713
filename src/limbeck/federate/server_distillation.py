"""What a server teaches a model on its proxy set, judged by its own validation samples.

A server works with one thread on a CPU, so that its models are the same wherever it runs.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from limbeck.data import Inputs
from limbeck.engine import Course, Training, predict_logits
from limbeck.engine.layout import use_threads
from limbeck.federate.client import fill, state_of
from limbeck.losses import kd


@contextmanager
def at_server() -> Iterator[None]:
    """One thread on a CPU within: what comes out does not depend on how many there are."""
    with use_threads(1, torch.device("cpu")):
        yield


def predict_mean(teachers: Iterable[nn.Module], proxy: Inputs) -> Tensor:
    """The mean of the teachers' logits, [samples, classes]; one teacher is in use at a time.

    Args:
        teachers: At least one.
        proxy: What they are asked about.
    """
    total, count = torch.zeros(()), 0
    for teacher in teachers:
        said = predict_logits(teacher, proxy)
        total, count = total.to(said.device) + said, count + 1
    return total / count


def distil_on_proxy(
    model: nn.Module,
    proxy: Inputs,
    targets: Tensor,
    *,
    training: Training,
    temperature: float,
    patience: int,
    score_fn: Callable[[nn.Module], float],
    seed: int,
) -> None:
    """Teach a model, in place, what the targets say: T^2 KL(softmax(z_t / T) || softmax(z / T)).

    The model is scored before the first epoch and after each, and left as it was when its score was highest,
    the first of equals. Law: its score is never below what it was.

    Args:
        model: The student.
        proxy: Samples without labels.
        targets: z_t of every sample, [samples, classes].
        training: The longest it may take.
        temperature: T > 0.
        patience: It ends after so many epochs in a row without a higher score, at least 1.
        score_fn: How good a model is; the server's validation accuracy.
        seed: Seed of the batch order.

    Raises:
        DivergedError: When the training diverges.
    """
    targets = targets.clone()  # what inference made cannot take part in training

    def pull(logits: list[Tensor], ids: Tensor, epoch: int) -> list[Tensor]:
        del epoch
        return [kd(logits[0], targets[ids], temperature=temperature)]

    course = Course([model], proxy, pull, training=training, seed=seed)
    best_score, best_state, best_epoch = score_fn(model), state_of(model), 0
    while course.epoch < training.epochs and course.epoch - best_epoch < patience:
        course.advance(course.epoch + 1)
        score = score_fn(model)
        if score > best_score:
            best_score, best_state, best_epoch = score, state_of(model), course.epoch
    fill(model, best_state)
