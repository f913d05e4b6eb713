"""torchdistill's own box on the samples of the usual loop, driven as its own example does.

torchdistill is no dependency of limbeck. Put it into a folder, where it finds what it imports beside limbeck:
``pip install --no-deps --target FOLDER torchdistill==1.1.5``; then run a benchmark with that folder on the
path, ``PYTHONPATH=FOLDER python -m benchmarks.cifar_transfer``.

The configuration is that of its KD examples (`WeightedSumLoss` around `KDLoss`, which reads both models'
outputs from the box; frozen teacher), with our settings. As in its example a metric logger asks for the loss
after every step, and for the accuracies of every validation batch. Left out is what the example does besides:
it writes a checkpoint whenever the validation accuracy rises. torchdistill 1.1.5 leaves the teacher in the
mode it comes in; here that is evaluation, as Hinton's loss means it.
"""

import time
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import RandomSampler, SequentialSampler

from benchmarks.usual_loop import MOMENTUM, Recipe, Samples

REMEDY = "pip install --no-deps --target FOLDER torchdistill==1.1.5, and FOLDER on PYTHONPATH"
LOG_EVERY = 100
TRAIN, VALIDATION = "train", "val"
MODEL_OUTPUT = {"path": ".", "io": "output"}


def find_torchdistill() -> tuple[str | None, str | None]:
    """(its version, None) where it can be imported, else (None, why not and what to do)."""
    try:
        import torchdistill.core.distillation  # noqa: F401  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        return None, f"{error}. Remedy: {REMEDY}."
    return version("torchdistill"), None


def distil(
    student: nn.Module, teacher: nn.Module, train_set: Samples, validation_set: Samples, recipe: Recipe
) -> list[float]:
    """What `usual_loop.distil` does, by torchdistill: the validation accuracy after each epoch, in [0, 1].

    Raises:
        ImportError: Without torchdistill.
    """
    from torchdistill.core.distillation import get_distillation_box  # pyright: ignore[reportMissingImports]

    torch.manual_seed(recipe.seed)
    device = torch.device(recipe.device)
    num_steps = recipe.epochs * -(-len(train_set) // recipe.batch_size)  # pyright: ignore[reportArgumentType]
    config = configure(recipe, num_steps=num_steps)
    sets = {TRAIN: train_set, VALIDATION: validation_set}
    box = get_distillation_box(teacher.eval(), student, sets, config, device, None, False, 1)
    accuracies = []
    for epoch in range(box.num_epochs):
        box.pre_epoch_process(epoch=epoch)
        train_one_epoch(box, device, epoch)
        accuracies.append(evaluate(student, box.val_data_loader, device))
        box.post_epoch_process()
    box.clean_modules()
    return accuracies


def configure(recipe: Recipe, *, num_steps: int) -> dict[str, Any]:
    """The `train` part of one of torchdistill's configuration files, with the classes it names resolved.

    Args:
        recipe: The settings; T^2 KL has the weight w and the cross-entropy alpha = 1 - w.
        num_steps: Steps of the cosine.
    """
    loader = {
        "batch_size": recipe.batch_size,
        "num_workers": recipe.num_workers,
        "persistent_workers": recipe.num_workers > 0,
        "pin_memory": recipe.device.startswith("cuda"),
    }
    loss = {"temperature": recipe.temperature, "alpha": 1 - recipe.weight, "reduction": "batchmean"}
    for side in ("student", "teacher"):
        loss |= {f"{side}_module_{part}": value for part, value in MODEL_OUTPUT.items()}
    term = {"criterion": {"key": "KDLoss", "kwargs": loss}, "weight": 1.0}
    return {
        "log_freq": LOG_EVERY,
        "num_epochs": recipe.epochs,
        "train_data_loader": {
            "dataset_id": TRAIN,
            "sampler": {"class_or_func": RandomSampler},
            "kwargs": dict(loader),
        },
        "val_data_loader": {
            "dataset_id": VALIDATION,
            "sampler": {"class_or_func": SequentialSampler},
            "kwargs": dict(loader),
        },
        "teacher": {"forward_proc": "forward_batch_only", "sequential": [], "requires_grad": False},
        "student": {"forward_proc": "forward_batch_only", "sequential": [], "requires_grad": True},
        "optimizer": {"key": "SGD", "kwargs": {"lr": recipe.lr, "momentum": MOMENTUM}},
        "scheduler": {
            "key": "CosineAnnealingLR",
            "kwargs": {"T_max": num_steps},
            "scheduling_step": 1,
        },
        "criterion": {"key": "WeightedSumLoss", "kwargs": {"sub_terms": {"kd": term}}},
    }


def train_one_epoch(box: Any, device: torch.device, epoch: int) -> None:
    """One epoch by the box, with the metrics its example logs in every step."""
    from torchdistill.misc.log import MetricLogger, SmoothedValue  # pyright: ignore[reportMissingImports]

    metrics = MetricLogger(delimiter="  ")
    metrics.add_meter("lr", SmoothedValue(window_size=1, fmt="{value}"))
    metrics.add_meter("img/s", SmoothedValue(window_size=10, fmt="{value}"))
    for images, labels, extra in metrics.log_every(box.train_data_loader, LOG_EVERY, f"Epoch: [{epoch}]"):
        started = time.perf_counter()
        images, labels = images.to(device), labels.to(device)  # noqa: PLW2901
        loss = box.forward_process(images, labels, extra)
        box.post_forward_process(loss=loss)
        metrics.update(loss=loss.item(), lr=box.optimizer.param_groups[0]["lr"])
        metrics.meters["img/s"].update(len(images) / (time.perf_counter() - started))
        if torch.isnan(loss) or torch.isinf(loss):
            raise ValueError(f"the loss must stay finite, but it became {loss.item()} in epoch {epoch + 1}")


@torch.inference_mode()
def evaluate(model: nn.Module, loader: Any, device: torch.device) -> float:
    """The accuracy, in [0, 1], with the metrics its example logs for every batch."""
    from torchdistill.misc.log import MetricLogger  # pyright: ignore[reportMissingImports]

    model.eval()
    metrics = MetricLogger(delimiter="  ")
    for images, labels in metrics.log_every(loader, LOG_EVERY, "Validation:"):
        said = model(images.to(device, non_blocking=True))
        shares = count_right(said, labels.to(device, non_blocking=True), ranks=(1, 5))
        for name, share in zip(("acc1", "acc5"), shares, strict=True):
            metrics.meters[name].update(share.item() / len(images), n=len(images))
    return metrics.acc1.global_avg


def count_right(said: Tensor, labels: Tensor, *, ranks: Sequence[int]) -> list[Tensor]:
    """For each rank k, how many labels are among the k largest logits."""
    hits = said.topk(max(ranks), dim=1).indices == labels[:, None]
    return [hits[:, :rank].sum() for rank in ranks]
