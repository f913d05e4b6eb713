"""A transfer on CIFAR-10 (JPEG) with crops and flips: limbeck, the usual loop and torchdistill.

``python -m benchmarks.cifar_transfer`` measures two things. Speed: ResNet-56 -> ResNet-20 on the first of
the images, every evaluation of teacher and student included; the weights are random, on which the time does
not depend. limbeck takes images in memory, which its loading decoded once; the others decode theirs in every
epoch. What the decoding takes is measured apart. Accuracy: a published ResNet-20 learns from a published
ResNet-32 in the same number of epochs on every side. For torchdistill see `torchdistill_box`; without it
that side is left out. Without the checkpoints the accuracies are left out.
"""

import argparse
import copy
import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks import torchdistill_box, usual_loop
from benchmarks.measure import REPETITIONS, describe_run, time_alternating, write_json
from benchmarks.published_models import STUDENT, TEACHER
from benchmarks.sides import Sides, add_data_options, make_sides, require_cifar
from benchmarks.usual_loop import JpegDataset, Recipe
from limbeck import data, models, transfer
from limbeck.core.seeds import numpy_rng
from limbeck.models import NORMALIZATIONS
from limbeck.pairs import Outcome
from limbeck.partition import carve_out

RESULTS = Path(__file__).parent / "results"
DEFAULT_MODELS = Path(__file__).parents[1] / ".." / "shared" / "models"
MODELS_VARIABLE = "LIMBECK_BENCHMARK_MODELS"
VALIDATION_SHARE = 0.1
LIMBECK, USUAL, BOX = "limbeck", "usual loop", "torchdistill"
SETTINGS = {"temperature": 4, "weight": 0.7, "lr": 0.01, "batch_size": 64}

Learn = Callable[[Sides, Recipe], nn.Module]
"""Models and samples to a new student, which takes normalised images."""


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is asked.

    Attributes:
        data_dir: Where CIFAR-10 lies.
        models_dir: Where the checkpoints lie.
        device: Where it runs.
        epochs: Of every transfer.
        num_samples: Images of the speed, those that judge included.
        num_accuracy_samples: Images of each transfer whose accuracy is measured, those that judge included.
        num_test: Test images.
        num_seeds: Transfers per side; 0 leaves the accuracies out.
    """

    data_dir: Path
    models_dir: Path
    device: str = "cpu"
    epochs: int = 3
    num_samples: int = 1280
    num_accuracy_samples: int = 5000
    num_test: int = 2000
    num_seeds: int = 3

    def recipe(self, *, seed: int = 0, num_workers: int = 0) -> Recipe:
        """How every side trains."""
        return Recipe(epochs=self.epochs, seed=seed, device=self.device, num_workers=num_workers, **SETTINGS)


def main() -> None:
    """Measure both and write them down."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_data_options(parser)
    default = Path(os.environ.get(MODELS_VARIABLE, DEFAULT_MODELS))
    parser.add_argument("--models-dir", type=Path, default=default, help="Folder of the two checkpoints.")
    parser.add_argument("--samples", type=int, default=1280, help="Images of the speed.")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--accuracy-samples", type=int, default=5000, help="Images of the accuracy.")
    parser.add_argument("--test-samples", type=int, default=2000, help="Test images.")
    parser.add_argument("--seeds", type=int, default=3, help="Transfers per side; 0 leaves accuracies out.")
    parser.add_argument("--out", type=Path, default=RESULTS, help="Folder of the result.")
    options = parser.parse_args()
    question = Question(
        data_dir=options.data_dir,
        models_dir=options.models_dir,
        device=options.device,
        epochs=options.epochs,
        num_samples=options.samples,
        num_accuracy_samples=options.accuracy_samples,
        num_test=options.test_samples,
        num_seeds=options.seeds,
    )
    require_cifar(question.data_dir)
    write_json(measure(question), options.out)


def measure(question: Question) -> dict[str, Any]:
    """Speed, then accuracy, with what they were measured on."""
    version, missing = torchdistill_box.find_torchdistill()
    learners = {LIMBECK: learn_by_limbeck, USUAL: learn_by_loop}
    if missing is None:
        learners[BOX] = learn_by_box
    else:
        print(f"torchdistill is left out: {missing}")
    speed = measure_speed(question, learners)
    accuracy = measure_accuracy(question, learners, num_workers=speed["loader_workers"])
    suffix = "" if question.device == "cpu" else f"_{question.device}"
    return {
        "name": f"cifar_transfer{suffix}",
        "question": "Seconds per epoch of a transfer by KD on CIFAR-10 (JPEG) with crops and flips, batch 64",
        "recipe": asdict(question.recipe()),
        "torchdistill": {"version": version, "left_out": missing},
        "speed": speed,
        "accuracy": accuracy,
        "repetitions": REPETITIONS,
        **describe_run(question.device),
    }


def measure_speed(question: Question, learners: dict[str, Learn]) -> dict[str, Any]:
    """Seconds per epoch of every side in turn, the total of a transfer divided by its epochs."""
    started = time.perf_counter()
    whole = data.load(question.data_dir)
    decoding = (time.perf_counter() - started) / sum(map(len, (whole.train, whole.test)))
    sides = make_sides(
        source="cifar10",
        student="resnet20",
        teachers=["resnet56"],
        num_samples=question.num_samples,
        validation_share=VALIDATION_SHARE,
        data_dir=question.data_dir,
        device=question.device,
        augments=True,
    )
    once = replace(question, epochs=1)
    workers = usual_loop.time_workers(lambda number: learn_by_loop(sides, once.recipe(num_workers=number)))
    num_workers = min(workers, key=workers.__getitem__)
    recipe = question.recipe(num_workers=num_workers)
    ways = {name: lambda learn=learn: learn(sides, recipe) for name, learn in learners.items()}
    totals = time_alternating(ways)
    per_epoch = {name: [total / question.epochs for total in values] for name, values in totals.items()}
    medians = {name: statistics.median(values) for name, values in per_epoch.items()}
    speedup = {name: median / medians[LIMBECK] for name, median in medians.items() if name != LIMBECK}
    print(f"ResNet-56 -> ResNet-20, {question.num_samples:,} images, seconds per epoch")
    for name, values in per_epoch.items():
        print(f"  {name:<14} {medians[name]:.3f} ({min(values):.3f} to {max(values):.3f})")
    for name, ratio in speedup.items():
        print(f"  limbeck is {ratio:.2f} times as fast as {name}")
    decoded = medians[LIMBECK] + decoding * question.num_samples / question.epochs
    print(f"  {decoded:.3f} with its share of the images decoded once")
    return {
        "pair": "ResNet-56 -> ResNet-20, random weights, on which the time does not depend",
        "images": question.num_samples,
        "images_held_out": len(sides.validation_set),  # pyright: ignore[reportArgumentType]
        "seconds_per_epoch": per_epoch,
        "median_seconds_per_epoch": medians,
        "limbeck_is_times_as_fast_as": speedup,
        "seconds_per_image_of_loading": decoding,
        "median_seconds_per_epoch_of_limbeck_with_loading": decoded,
        "loader_workers": num_workers,
        "seconds_of_an_epoch_by_workers": workers,
        "training_of_limbeck": _transfer(sides, once.recipe()).record.training,
    }


def measure_accuracy(
    question: Question, learners: dict[str, Learn], *, num_workers: int
) -> dict[str, Any] | None:
    """Test accuracy of every side's student by seed, which draws the images; None where it is left out.

    Every side returns the student after the last epoch.
    """
    missing = [name for name in (STUDENT, TEACHER) if not (question.models_dir / name).is_file()]
    if missing or question.num_seeds == 0:
        print(f"Accuracies are left out: {f'no {missing[0]}' if missing else '0 seeds'}.")
        return None
    student, teacher = load_pair(question)
    whole = data.load(question.data_dir)
    test = _as_jpegs(question, "test", range(question.num_test), augments=False)
    loader = usual_loop.make_loader(test, question.recipe(), shuffle=False)

    def judge(model: nn.Module) -> float:
        return usual_loop.evaluate(model, loader, device=question.device)

    found: dict[str, list[float]] = {name: [] for name in learners}
    for seed in range(question.num_seeds):
        drawn = numpy_rng(seed, "accuracy").permutation(len(whole.train))[: question.num_accuracy_samples]
        sides = _gather(question, student, teacher, whole.train.subset(drawn), drawn, seed=seed)
        recipe = question.recipe(seed=seed, num_workers=num_workers)
        for name, learn in learners.items():
            found[name].append(judge(learn(sides, recipe)))
    first = {"student": judge(student.module), "teacher": judge(teacher.module)}
    print(f"Accuracy on {question.num_test:,} test images, before: {first['student']:.2%}")
    sides_found = {name: _summarise(values) for name, values in found.items()}
    for name, side in sides_found.items():
        print(f"  {name:<14} {side['mean']:.2%} (standard deviation {side['standard_deviation']:.2%})")
    return {
        "pair": f"{TEACHER} -> {STUDENT}",
        "images": question.num_accuracy_samples,
        "test_images": question.num_test,
        "before": first,
        "after": sides_found,
        "limbeck_minus": {
            name: sides_found[LIMBECK]["mean"] - side["mean"]
            for name, side in sides_found.items()
            if name != LIMBECK
        },
    }


def _summarise(values: Sequence[float]) -> dict[str, Any]:
    spread = statistics.stdev(values) if len(values) > 1 else 0.0
    return {"values": list(values), "mean": statistics.mean(values), "standard_deviation": spread}


def load_pair(question: Question) -> tuple[models.Classifier, models.Classifier]:
    """The published student and teacher, in PyTorch's default memory format."""
    pair = []
    for name, arch in ((STUDENT, "resnet20"), (TEACHER, "resnet32")):
        path = question.models_dir / name
        classifier = models.load_classifier(path, arch=arch, normalize="imagenet")
        pair.append(classifier.to(question.device, memory_format=torch.contiguous_format))  # pyright: ignore[reportCallIssue]
    return pair[0], pair[1]


def _gather(
    question: Question,
    student: models.Classifier,
    teacher: models.Classifier,
    samples: data.Samples,
    ids: np.ndarray,
    *,
    seed: int,
) -> Sides:
    """The same samples for every side, and the same of them held out."""
    num_held = max(1, round(VALIDATION_SHARE * len(ids)))
    rest, held = carve_out(samples.labels.numpy(), num_held, seed=seed)
    train_set = _as_jpegs(question, "train", ids[rest].tolist(), augments=True)
    assert list(train_set.labels) == samples.labels[rest].tolist()
    return Sides(
        student=student,
        teachers=[teacher],
        samples=samples,
        train_set=train_set,
        validation_set=_as_jpegs(question, "train", ids[held].tolist(), augments=False),
    )


def _as_jpegs(question: Question, split: str, ids: Sequence[int], *, augments: bool) -> JpegDataset:
    normalization = NORMALIZATIONS["imagenet"]
    transform = usual_loop.make_transform(normalization.mean, normalization.std, size=32, augments=augments)
    return JpegDataset(*usual_loop.read_jpegs(question.data_dir, split, ids), transform)


def learn_by_limbeck(sides: Sides, recipe: Recipe) -> nn.Module:
    """The student of `limbeck.transfer` with its defaults, after the last epoch."""
    student = _transfer(sides, recipe).student
    assert isinstance(student, models.Classifier)
    return student.module


def _transfer(sides: Sides, recipe: Recipe) -> Outcome:
    return transfer(
        sides.student,
        sides.teachers,
        sides.samples,
        technique="kd",
        temperature=recipe.temperature,
        weight=recipe.weight,
        epochs=recipe.epochs,
        batch_size=recipe.batch_size,
        lr=recipe.lr,
        augmentation="crop-flip",
        validation_share=VALIDATION_SHARE,
        keep="last",
        baseline=False,
        seed=recipe.seed,
        device=recipe.device,
        cache=False,
        progress=False,
    )


def learn_by_loop(sides: Sides, recipe: Recipe) -> nn.Module:
    """The student of the usual loop."""
    student = copy.deepcopy(sides.student.module)
    teachers = [teacher.module for teacher in sides.teachers]
    usual_loop.distil(student, teachers, sides.train_set, sides.validation_set, recipe)
    return student


def learn_by_box(sides: Sides, recipe: Recipe) -> nn.Module:
    """The student of torchdistill."""
    student = copy.deepcopy(sides.student.module)
    torchdistill_box.distil(student, sides.teachers[0].module, sides.train_set, sides.validation_set, recipe)
    return student


if __name__ == "__main__":
    main()
