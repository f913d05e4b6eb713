"""A grid of 36 settings, 5 epochs each, against 36 of the usual loop.

``python -m benchmarks.grid resnet`` distils a ResNet-56 into a ResNet-20 on CIFAR-10 (JPEG), ``small`` one
small CNN into another on Fashion-MNIST, ``teachers`` five ResNet-56 into a ResNet-20; on a GPU
(``--device cuda``) the models are ResNet-18. Both sides train on the same samples and judge every epoch on
the same held-out ones. The usual loop is run once per repetition, each time with another setting, and its
time is multiplied by 36: all settings cost it the same.
"""

import argparse
import copy
import random
import statistics
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks import usual_loop
from benchmarks.measure import REPETITIONS, describe_run, time_alternating, write_json
from benchmarks.sides import Sides, add_data_options, make_sides
from limbeck.pairs import Attempt
from limbeck.tune import Tuned, tune

RESULTS = Path(__file__).parent / "results"
SPACE = {"temperature": (1, 2, 4, 6, 8, 10), "weight": (0.1, 0.3, 0.5, 0.7, 0.9, 1.0)}
EPOCHS, BATCH_SIZE, LR = 5, 64, 0.01
VALIDATION_SHARE = 0.1
NUM_SETTINGS = 36


@dataclass(frozen=True, kw_only=True)
class Case:
    """What is distilled into what.

    Attributes:
        title: In words.
        student: Architecture of the student.
        teacher: Of each teacher.
        num_teachers: How many there are.
        num_samples: Samples in all, those that judge included.
        source: Name of the data set of the usual loop.
        targets: The least ratio wanted, exhaustive and by halving; halving is left out without one.
    """

    title: str
    student: str
    teacher: str
    num_teachers: int
    num_samples: int
    source: str
    targets: tuple[float, float | None]


CASES = {
    "resnet": Case(
        title="ResNet-56 -> ResNet-20, CIFAR-10 (JPEG)",
        student="resnet20",
        teacher="resnet56",
        num_teachers=1,
        num_samples=640,
        source="cifar10",
        targets=(4.5, 14),
    ),
    "small": Case(
        title="small CNN -> small CNN, Fashion-MNIST",
        student="cnn",
        teacher="cnn",
        num_teachers=1,
        num_samples=10_000,
        source="fashion-mnist",
        targets=(8, 24),
    ),
    "teachers": Case(
        title="five ResNet-56 -> ResNet-20, CIFAR-10 (JPEG)",
        student="resnet20",
        teacher="resnet56",
        num_teachers=5,
        num_samples=640,
        source="cifar10",
        targets=(10, None),
    ),
}


def main() -> None:
    """Measure the case named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("case", choices=CASES)
    parser.add_argument("--samples", type=int, help="Samples in all.")
    add_data_options(parser)
    parser.add_argument("--workers", type=int, default=0, help="Processes of the usual loop's DataLoader.")
    options = parser.parse_args()
    case = CASES[options.case]
    if options.samples:
        case = replace(case, num_samples=options.samples)
    if options.device == "cuda":
        case = replace(case, student="resnet18", teacher="resnet18")
    result = measure(case, options.data_dir, device=options.device, num_workers=options.workers)
    result["name"] = f"grid_{options.case}{'_cuda' if options.device == 'cuda' else ''}"
    write_json(result, RESULTS)


def measure(case: Case, data_dir: Path, *, device: str, num_workers: int) -> dict[str, Any]:
    """Both sides in turn, `REPETITIONS` times after one warm-up of each."""
    sides = make_sides(
        source=case.source,
        student=case.student,
        teachers=[case.teacher] * case.num_teachers,
        num_samples=case.num_samples,
        validation_share=VALIDATION_SHARE,
        data_dir=data_dir,
        device=device,
    )
    points = [(temperature, weight) for temperature in SPACE["temperature"] for weight in SPACE["weight"]]
    random.Random(0).shuffle(points)
    found: dict[str, Tuned] = {}

    def search(driver: str) -> None:
        with tempfile.TemporaryDirectory() as folder:
            found[driver] = search_grid(sides, driver, Path(folder), device=device)

    def loop_once() -> None:
        temperature, weight = points.pop(0)
        recipe = usual_loop.Recipe(
            temperature=temperature, weight=weight, epochs=EPOCHS, num_workers=num_workers, device=device
        )
        student = copy.deepcopy(sides.student.module)
        usual_loop.distil(
            student,
            [teacher.module for teacher in sides.teachers],
            sides.train_set,
            sides.validation_set,
            recipe,
        )

    ways: dict[str, Callable[[], object]] = {
        "usual loop, one setting": loop_once,
        "limbeck, grid": lambda: search("grid"),
        "limbeck, halving": lambda: search("halving"),
    }
    if case.targets[1] is None:
        del ways["limbeck, halving"]
    seconds = time_alternating(ways)
    medians = {way: statistics.median(values) for way, values in seconds.items()}
    usual = NUM_SETTINGS * medians["usual loop, one setting"]
    ratios = {way: usual / median for way, median in medians.items() if way.startswith("limbeck")}
    print(f"{case.title}: {NUM_SETTINGS} settings x {EPOCHS} epochs x {case.num_samples:,} samples")
    print(f"  {'36 of the usual loop':<24} {usual:8.1f} s (36 x the median of {REPETITIONS} loops)")
    for way, values in seconds.items():
        spread = f"{min(values):.2f} to {max(values):.2f}"
        print(f"  {way:<24} {medians[way]:8.2f} s ({spread})")
    for (way, ratio), target in zip(ratios.items(), case.targets, strict=False):
        print(f"  {way}: {ratio:.1f} times as fast as the usual loop (wanted: {target})")
    return {
        "question": f"{NUM_SETTINGS} settings x {EPOCHS} epochs: {case.title}, {case.num_samples} samples",
        "seconds": seconds,
        "median_seconds": medians,
        "usual_seconds_of_all": usual,
        "speedup": ratios,
        "wanted": dict(zip(ratios, case.targets, strict=False)),
        "chosen": {driver: _describe(tuned.record.attempt) for driver, tuned in found.items()},
        "training": found["grid"].record.training,
        "repetitions": REPETITIONS,
        "loader_workers": num_workers,
        **describe_run(device),
    }


def _describe(attempt: Attempt) -> dict[str, Any]:
    """What a search chose, and its accuracy on the samples that chose it."""
    return {"settings": attempt.settings, "validation": max(attempt.validation)}


def search_grid(sides: Sides, driver: str, folder: Path, *, device: str) -> Tuned:
    """What limbeck does: the whole search, its closing runs and measurements included."""
    return tune(
        sides.student,
        sides.teachers,
        sides.samples,
        technique="kd",
        space=SPACE,
        driver=driver,  # pyright: ignore[reportArgumentType] - one of limbeck's
        folder=folder,
        epochs=EPOCHS,
        batch_size=BATCH_SIZE,
        lr=LR,
        validation_share=VALIDATION_SHARE,
        device=device,
        cache=False,
        progress=False,
    )


if __name__ == "__main__":
    main()
