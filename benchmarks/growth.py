"""How time and memory of a grid grow with the number of settings, samples and classes.

``python -m benchmarks.growth`` runs every point in a fresh process, the sizes of a series in turn, and fits
the exponent b of time = a n^b. Memory is the largest sum of proportional set sizes (pages shared by k
processes count 1/k) of the process and its workers; it is set against the bound
data + 3 x model x students at a time + 1 GiB.
"""

import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.measure import REPETITIONS, describe_run, write_json
from limbeck import data, models
from limbeck.core.device import count_cores
from limbeck.tune import tune

RESULTS = Path(__file__).parent / "results"
SERIES = {
    "settings": (1, 6, 36, 144),
    "samples": (1_000, 8_000, 60_000),
    "classes": (10, 100, 1_000),
}
UNIT = {"settings": 4, "samples": 2_000, "classes": 10}
SAMPLE_SECONDS = 0.05
LIMIT_SECONDS = 1800
WEIGHTS = tuple(round(0.01 + 0.006 * step, 3) for step in range(144))


def main() -> None:
    """Measure every series, print it and write it down; with ``--point`` measure one point."""
    if "--point" in sys.argv:
        print(json.dumps(_measure_point(json.loads(sys.argv[-1]))))
        return
    series = {name: _measure_series(name, sizes) for name, sizes in SERIES.items()}
    result = {
        "name": "growth",
        "question": "Seconds and memory of a KD grid of small CNNs, 1 epoch, batch 64, one thread per worker",
        "repetitions": REPETITIONS,
        "workers": count_cores(),
        "series": series,
        **describe_run(),
    }
    write_json(result, RESULTS)


def _measure_series(name: str, sizes: tuple[int, ...]) -> dict[str, Any]:
    points: dict[int, list[dict[str, float]]] = {size: [] for size in sizes}
    for _ in range(REPETITIONS):
        for size in sizes:
            points[size].append(_measure_apart({**UNIT, name: size}))
    seconds = {size: statistics.median(one["seconds"] for one in ones) for size, ones in points.items()}
    exponent = fit_exponent(seconds)
    print(f"{name}: seconds grow with exponent {exponent:.2f}")
    for size, ones in points.items():
        spread = [one["seconds"] for one in ones]
        peak, bound = (max(one[key] for one in ones) / 2**20 for key in ("peak_bytes", "bound_bytes"))
        print(
            f"  {size:>7,}: {seconds[size]:8.2f} s ({min(spread):.2f} to {max(spread):.2f}), "
            f"{peak:,.0f} MiB of at most {bound:,.0f}"
        )
    return {"unit": UNIT, "exponent": exponent, "median_seconds": seconds, "points": points}


def _measure_apart(case: dict[str, int]) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.growth", "--point", json.dumps(case)]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_SECONDS, check=True)
    return json.loads(answer.stdout.splitlines()[-1])


def _measure_point(case: dict[str, int]) -> dict[str, float]:
    rng = np.random.default_rng(0)
    num_samples, num_classes = case["samples"], case["classes"]
    images = rng.integers(0, 256, (num_samples, 1, 28, 28), dtype=np.uint8)
    samples = data.Samples(
        inputs=torch.from_numpy(images), labels=torch.from_numpy(np.arange(num_samples) % num_classes)
    )
    student, teacher = (
        models.adapt(
            models.build("cnn", input_shape=(1, 28, 28), num_classes=num_classes, seed=seed),
            normalize=([0.286], [0.353]),
        )
        for seed in (0, 1)
    )
    space = {"temperature": (4.0,), "weight": WEIGHTS[: case["settings"]]}
    with tempfile.TemporaryDirectory() as folder, PeakMemory() as memory:
        started = time.perf_counter()
        tune(
            student,
            teacher,
            samples,
            space=space,
            folder=folder,
            epochs=1,
            lr=0.001,
            precision="float32",
            memory_format="as-is",
            cache=False,
            progress=False,
        )
        seconds = time.perf_counter() - started
    model_bytes = sum(tensor.numel() * tensor.element_size() for tensor in student.state_dict().values())
    targets_bytes = 4 * num_samples * num_classes
    at_once = min(count_cores(), case["settings"])
    return {
        "seconds": seconds,
        "peak_bytes": memory.peak_bytes,
        "bound_bytes": images.nbytes + targets_bytes + 3 * model_bytes * at_once + 2**30,
    }


class PeakMemory:
    """Watches the proportional set size of this process and its children."""

    def __enter__(self) -> "PeakMemory":
        self.peak_bytes = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(SAMPLE_SECONDS):
            self.peak_bytes = max(self.peak_bytes, sum(map(_read_bytes, [os.getpid(), *_list_children()])))


def _list_children() -> list[int]:
    try:
        return [
            int(word) for word in Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()
        ]
    except OSError:
        return []


def _read_bytes(process: int) -> int:
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text(encoding="ascii").splitlines()
    except OSError:  # it has ended
        return 0
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)


def fit_exponent(seconds: dict[int, float]) -> float:
    """The slope of log seconds over log size, by least squares."""
    sizes = [math.log(size) for size in seconds]
    return float(np.polyfit(sizes, [math.log(value) for value in seconds.values()], 1)[0])


if __name__ == "__main__":
    main()
