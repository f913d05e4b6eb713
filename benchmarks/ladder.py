"""Where the time of a distillation goes: the same epoch, faster by one step at a time.

``python -m benchmarks.ladder resnet`` (ResNet-56 -> ResNet-20, CIFAR-10 as JPEG) or ``small`` (small CNN ->
small CNN, Fashion-MNIST). Each rung does what the one above does and one thing better; the last trains as
many students as there are cores, and counts the time of one.
"""

import argparse
import copy
import statistics
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor

from benchmarks import usual_loop
from benchmarks.measure import REPETITIONS, describe_run, time_alternating, write_json
from benchmarks.sides import Sides, add_data_options, make_sides
from limbeck.core.device import count_cores
from limbeck.core.processes import run_forked
from limbeck.data import Inputs, count_samples, load_batch
from limbeck.engine import Case, Course, Layout, Training, Wishes, apply_technique, calibrate
from limbeck.losses import blend, kd
from limbeck.techniques import Settings, get_technique

RESULTS = Path(__file__).parent / "results"
CASES = {
    "resnet": {"source": "cifar10", "student": "resnet20", "teachers": ["resnet56"], "num_samples": 641},
    "small": {"source": "fashion-mnist", "student": "cnn", "teachers": ["cnn"], "num_samples": 6401},
}
LOOP, RESIDENT, TARGETS = "usual loop", "data resident", "targets once"
LAYOUT, WORKERS = "layout as measured", "a student per core"
POINT = Settings(temperature=4, weight=0.5)
BATCH_SIZE, LR = 64, 0.01


def main() -> None:
    """Measure the case named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("case", choices=CASES)
    add_data_options(parser)
    options = parser.parse_args()
    torch.set_num_threads(count_cores())
    sides = make_sides(
        **CASES[options.case], validation_share=0.0, data_dir=options.data_dir, device=options.device
    )
    num_steps = -(-(count_samples(sides.samples.inputs) - 1) // BATCH_SIZE)
    layouts = pick_layouts(sides)
    seconds = time_alternating(make_rungs(sides, layouts, device=options.device))
    seconds[WORKERS] = [value / count_cores() for value in seconds[WORKERS]]
    step_ms = {rung: 1000 * statistics.median(values) / num_steps for rung, values in seconds.items()}
    for rung, value in step_ms.items():
        spread = [1000 * one / num_steps for one in seconds[rung]]
        print(
            f"{rung:<20} {value:8.2f} ms per step and student ({min(spread):.2f} to {max(spread):.2f}), "
            f"{step_ms[LOOP] / value:.1f} times as fast as the usual loop"
        )
    result = {
        "name": f"ladder_{options.case}",
        "question": f"An epoch of {num_steps} steps, one improvement after another: {CASES[options.case]}",
        "seconds": seconds,
        "step_ms": step_ms,
        "speedup": {rung: step_ms[LOOP] / value for rung, value in step_ms.items()},
        "layouts": {rung: asdict(layout) for rung, layout in layouts.items()},
        "repetitions": REPETITIONS,
        **describe_run(options.device),
    }
    write_json(result, RESULTS)


def pick_layouts(sides: Sides) -> dict[str, Layout]:
    """How the student runs alone, and as one of several."""
    batch = load_batch(sides.samples.inputs, torch.arange(BATCH_SIZE), "cpu")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "calibration.json"
        alone = calibrate(sides.student, batch, file=file)
        return {LAYOUT: alone, WORKERS: calibrate(sides.student, batch, wishes=Wishes(threads=1), file=file)}


def make_rungs(sides: Sides, layouts: dict[str, Layout], *, device: str) -> dict[str, Callable[[], object]]:
    """An epoch of each rung, by its name."""
    recipe = usual_loop.Recipe(
        temperature=POINT.temperature, weight=POINT.weight, epochs=1, lr=LR, device=device
    )
    (teacher,) = sides.teachers
    case = Case(
        student=sides.student,
        teachers=[teacher],
        inputs=sides.samples.inputs,
        labels=sides.samples.labels,
    )
    assert case.teacher_logits is not None  # asked before anything is timed

    def loop() -> None:
        student = copy.deepcopy(sides.student.module)
        usual_loop.distil(student, [teacher.module], sides.train_set, None, recipe)

    def engine(layout: Layout) -> None:
        training = Training(epochs=1, batch_size=BATCH_SIZE, lr=LR, **asdict(layout))
        apply_technique(case, technique=get_technique("kd"), settings=POINT, training=training, seed=0)

    def spread() -> None:
        students = range(count_cores())
        list(run_forked(students, lambda _task, _report: engine(layouts[WORKERS]), num_workers=len(students)))

    return {
        LOOP: loop,
        RESIDENT: lambda: train_asking(sides, case.inputs),
        TARGETS: lambda: engine(Layout()),
        LAYOUT: lambda: engine(layouts[LAYOUT]),
        WORKERS: spread,
    }


def train_asking(sides: Sides, inputs: Inputs) -> None:
    """An epoch of the engine that asks the teacher in every step."""
    (teacher,) = sides.teachers
    labels = sides.samples.labels

    def loss_fn(logits: list[Tensor], ids: Tensor, epoch: int) -> list[Tensor]:
        del epoch
        with torch.no_grad():
            target = teacher(load_batch(inputs, ids, "cpu"))
        pull = kd(logits[0], target, temperature=POINT.temperature)
        return [blend(logits[0], labels[ids], lambda: pull, weight=POINT.weight)]

    training = Training(epochs=1, batch_size=BATCH_SIZE, lr=LR)
    Course([copy.deepcopy(sides.student)], inputs, loss_fn, training=training, seed=0).advance(1)


if __name__ == "__main__":
    main()
