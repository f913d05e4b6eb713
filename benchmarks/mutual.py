"""Deep mutual learning of 2, 3 and 5 models: limbeck's engine and the plain loop.

``python -m benchmarks.mutual resnet`` trains ResNet-20 on CIFAR-10 (JPEG), ``small`` the small CNN on
Fashion-MNIST, both in batches of 64 and without augmentation. Four ways are timed in turn: the plain loop
with a DataLoader, as users run it; the same loop on tensors in memory, normalised before; limbeck's engine
on the very same tensors in float32, which leaves the engine as the only difference; and limbeck's engine
with the arithmetic that it measures to be the fastest here.
"""

import argparse
import copy
import statistics
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks import usual_loop
from benchmarks.measure import REPETITIONS, describe_run, time_alternating, write_json
from benchmarks.sides import Sides, add_data_options, make_sides
from benchmarks.usual_loop import Recipe, TensorBatches
from limbeck.engine import Case, Layout, Training, apply_technique, calibrate
from limbeck.techniques import get_technique

RESULTS = Path(__file__).parent / "results"
NUM_MODELS = (2, 3, 5)
BATCH_SIZE, LR = 64, 0.01
LOADER, TENSORS = "plain loop, DataLoader", "plain loop, tensors"
PLAIN, PICKED = "limbeck, float32", "limbeck, as measured"


@dataclass(frozen=True, kw_only=True)
class Models:
    """Which models learn from each other, and what.

    Attributes:
        title: In words.
        arch: Architecture of all.
        source: Name of the data set.
        num_samples: Samples of an epoch, and one that is held out.
        epochs: Passes over them.
    """

    title: str
    arch: str
    source: str
    num_samples: int
    epochs: int


MODELS = {
    "resnet": Models(
        title="ResNet-20, CIFAR-10 (JPEG)", arch="resnet20", source="cifar10", num_samples=641, epochs=1
    ),
    "small": Models(
        title="small CNN, Fashion-MNIST", arch="cnn", source="fashion-mnist", num_samples=6401, epochs=2
    ),
}


def main() -> None:
    """Measure the models named on the command line, print the ratios and write them down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", choices=MODELS)
    parser.add_argument("--samples", type=int, help="Samples of an epoch.")
    parser.add_argument("--out", type=Path, default=RESULTS, help="Folder of the result.")
    add_data_options(parser)
    options = parser.parse_args()
    models = MODELS[options.models]
    num_samples = models.num_samples if options.samples is None else options.samples + 1
    counts = {
        num_models: measure(models, num_models, num_samples, options.data_dir, device=options.device)
        for num_models in NUM_MODELS
    }
    result = {
        "name": f"mutual_{options.models}{'_cuda' if options.device == 'cuda' else ''}",
        "question": f"Seconds of deep mutual learning: {models.title}, {num_samples - 1} samples, "
        f"{models.epochs} epochs, batch {BATCH_SIZE}",
        "by_number_of_models": counts,
        "repetitions": REPETITIONS,
        **describe_run(options.device),
    }
    write_json(result, options.out)


def measure(
    models: Models, num_models: int, num_samples: int, data_dir: Path, *, device: str
) -> dict[str, Any]:
    """All ways in turn with so many models."""
    sides = make_sides(
        source=models.source,
        student=models.arch,
        teachers=[models.arch] * (num_models - 1),
        num_samples=num_samples,
        validation_share=0,
        data_dir=data_dir,
        device=device,
    )
    recipe = Recipe(
        temperature=1, weight=0.5, epochs=models.epochs, batch_size=BATCH_SIZE, lr=LR, device=device
    )
    workers = usual_loop.time_workers(
        lambda number: learn_from_loader(sides, replace(recipe, num_workers=number))
    )
    num_workers = min(workers, key=workers.__getitem__)
    loading = replace(recipe, num_workers=num_workers)
    images, labels = load_tensors(sides, recipe)
    case = make_case(sides, images, labels)
    layout = calibrate(case.student, images[:BATCH_SIZE], name=models.arch)
    ways: dict[str, Callable[[], object]] = {
        LOADER: lambda: learn_from_loader(sides, loading),
        TENSORS: lambda: learn_from_tensors(sides, images, labels, recipe),
        PLAIN: lambda: learn_by_limbeck(case, recipe, Layout()),
        PICKED: lambda: learn_by_limbeck(case, recipe, layout),
    }
    seconds = time_alternating(ways)
    medians = {way: statistics.median(values) for way, values in seconds.items()}
    ratios = {
        way: {loop: medians[loop] / medians[way] for loop in (LOADER, TENSORS)} for way in (PLAIN, PICKED)
    }
    _show(f"{num_models} models, {models.title}", seconds, ratios)
    return {
        "seconds": seconds,
        "median_seconds": medians,
        "times_as_fast_as": ratios,
        "layout": asdict(layout),
        "loader_workers": num_workers,
        "seconds_by_workers": workers,
    }


def load_tensors(sides: Sides, recipe: Recipe) -> tuple[Tensor, Tensor]:
    """What the usual loop's DataLoader gives, once and for all: normalised images and their labels."""
    batches = list(usual_loop.make_loader(sides.train_set, recipe, shuffle=False))
    images, labels = (torch.cat(parts) for parts in zip(*batches, strict=True))
    return images.to(recipe.device), labels.to(recipe.device)


def make_case(sides: Sides, images: Tensor, labels: Tensor) -> Case:
    """The models without what normalises for them, and normalised images."""
    return Case(
        student=sides.student.module,
        teachers=[teacher.module for teacher in sides.teachers],
        inputs=images,
        labels=labels,
    )


def copy_models(sides: Sides) -> list[nn.Module]:
    """Copies of all models, which take normalised images."""
    return [copy.deepcopy(model.module) for model in (sides.student, *sides.teachers)]


def learn_from_loader(sides: Sides, recipe: Recipe) -> None:
    """The plain loop as users run it."""
    loader = usual_loop.make_loader(sides.train_set, recipe, shuffle=True)
    usual_loop.learn_mutually(copy_models(sides), loader, recipe)


def learn_from_tensors(sides: Sides, images: Tensor, labels: Tensor, recipe: Recipe) -> None:
    """The plain loop without a DataLoader."""
    batches = TensorBatches(images=images, labels=labels, batch_size=recipe.batch_size)
    usual_loop.learn_mutually(copy_models(sides), batches, recipe)


def learn_by_limbeck(case: Case, recipe: Recipe, layout: Layout) -> None:
    """limbeck's engine, which works on copies of the models."""
    training = Training(epochs=recipe.epochs, batch_size=recipe.batch_size, lr=recipe.lr, **asdict(layout))
    apply_technique(case, technique=get_technique("dml"), settings=None, training=training, seed=recipe.seed)


def _show(title: str, seconds: dict[str, list[float]], ratios: dict[str, dict[str, float]]) -> None:
    print(title)
    for way, values in seconds.items():
        print(f"  {way:<24} {statistics.median(values):.3f} s ({min(values):.3f} to {max(values):.3f})")
    for way, of_loops in ratios.items():
        for loop, ratio in of_loops.items():
            print(f"  {way} is {ratio:.2f} times as fast as {loop}")


if __name__ == "__main__":
    main()
