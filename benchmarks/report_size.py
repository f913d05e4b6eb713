"""How large the report of a study of 5,000 runs is, and how soon it is open in a browser.

``python -m benchmarks.report_size`` writes a study's folder with invented numbers in the real format, builds
its report and opens it in Chromium `REPETITIONS` times, each in a new browser: until the load event, and
until every plot of the first screens is drawn. It needs a Chromium.
"""

import json
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from playwright.sync_api import Playwright, sync_playwright

from benchmarks.measure import describe_run, write_json
from limbeck.report import build
from limbeck.study.results import FEDERATION_SCHEMA, GRID_SCHEMA, RESULTS_SCHEMA

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
RESULTS = Path(__file__).parent / "results"
REPETITIONS = 5
MAX_MILLISECONDS = 60_000
SEEDS = (0, 1, 2)
TECHNIQUES = ("finetune", "kd", "tuned-kd", "dml", "dp-kd", "dp-kd-unsupervised")
ARCHS = (("cnn", "cnn"), ("mlp", "cnn"), ("cnn", "resnet20"), ("resnet20", "cnn"))
GRID = tuple(product((1.0, 2.0, 4.0, 6.0, 8.0, 16.0), (0.05, 0.1, 0.3, 0.5, 0.7, 0.9)))
ALPHAS = (100.0, 3.0, 1.0, 0.7, 0.5, 0.3, 0.2, 0.1, 0.07, 0.05)
STARTS = ("scratch", "best-client", "weight-average", "hub", "chain")
STRATEGIES = {"fedavg": "FedAvg", "fedprox mu=0.1": "FedProx, mu = 0.1"}
NUM_CLASSES, NUM_CLIENTS, NUM_ROUNDS, NUM_TEST = 10, 10, 30, 10_000
READY = """() => [...document.querySelectorAll('[data-figure]')]
    .filter((place) => place.offsetParent && place.getBoundingClientRect().top < 1500)
    .every((place) => place.querySelector('.main-svg'))"""


def main() -> None:
    """Measure, print and keep the numbers."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        num_runs = write_large_study(folder)
        started = time.perf_counter()
        page = build(folder)
        build_seconds = time.perf_counter() - started
        num_bytes = page.stat().st_size
        with sync_playwright() as playwright:
            opened = [_open(playwright, page) for _ in range(REPETITIONS)]
    result: dict[str, Any] = {
        "name": "report_size",
        "question": f"The report of a study of {num_runs:,} runs: its size, and when it is open in Chromium",
        "runs": num_runs,
        "bytes": num_bytes,
        "build_seconds": build_seconds,
        "load_seconds": [load for load, _ in opened],
        "ready_seconds": [ready for _, ready in opened],
        **describe_run(),
    }
    print(result["question"])
    print(f"  {num_bytes / 1e6:.2f} MB, built in {build_seconds:.1f} s")
    for name in ("load", "ready"):
        seconds = result[f"{name}_seconds"]
        spread = f"{min(seconds):.2f} to {max(seconds):.2f}"
        print(f"  {name}: {statistics.median(seconds):.2f} s (of {len(seconds)}: {spread})")
    write_json(result, RESULTS)


def write_large_study(folder: Path) -> int:
    """Write a study's folder of more than 5,000 runs with invented numbers.

    Args:
        folder: Where to; it exists.

    Returns:
        The number of runs.
    """
    rng = np.random.default_rng(0)
    tables = {
        "results": (list(_transfers(rng)), RESULTS_SCHEMA),
        "grid": (list(_points(rng)), GRID_SCHEMA),
        "federation": (list(_rounds(rng)), FEDERATION_SCHEMA),
    }
    for name, (rows, schema) in tables.items():
        pl.DataFrame(rows, schema=dict(schema), orient="row").write_parquet(folder / f"{name}.parquet")
    ids = {row["run_id"] for rows, _ in tables.values() for row in rows}
    (folder / "study.json").write_text(json.dumps(_describe(rng, len(ids))), encoding="utf-8")
    return len(ids)


def _open(playwright: Playwright, page_path: Path) -> tuple[float, float]:
    """Seconds until the load event and until the first plots are drawn, in a browser of its own."""
    browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.set_default_timeout(MAX_MILLISECONDS)
    started = time.perf_counter()
    page.goto(page_path.resolve().as_uri(), wait_until="load")
    loaded = time.perf_counter()
    page.wait_for_function(READY)
    ready = time.perf_counter()
    browser.close()
    return loaded - started, ready - started


def _cells() -> Iterator[tuple[int, dict[str, Any]]]:
    """Every scenario, pair of architectures and seed, with how skewed it is: its place in `ALPHAS`."""
    for (place, alpha), (student, teacher), seed in product(enumerate(ALPHAS), ARCHS, SEEDS):
        yield (
            place,
            {
                "scenario": _name(alpha),
                "seed": seed,
                "student_client": 0,
                "teacher_client": 1,
                "student_arch": student,
                "teacher_arch": teacher,
                "transfer_set": "student",
            },
        )


def _transfers(rng: np.random.Generator) -> Iterator[dict[str, Any]]:
    for skew, cell in _cells():
        for place, technique in enumerate(TECHNIQUES):
            gain = 0.002 * (place + 1) * (1 + skew) + rng.normal(0, 0.01)
            is_kd = technique in ("kd", "tuned-kd")
            before = rng.uniform(0.3, 1.0, NUM_CLASSES)
            yield {
                **cell,
                **_split(skew),
                **_measure(skew, gain, rng),
                "run_id": _make_id(rng),
                "student_run_id": _make_id(rng),
                "teacher_run_id": _make_id(rng),
                "technique": technique,
                "role": "student",
                "temperature": (4.0 if technique == "tuned-kd" else 1.0) if is_kd else None,
                "weight": (0.3 if technique == "tuned-kd" else 0.5) if is_kd else None,
                "num_test_samples": NUM_TEST,
                "teacher_accuracy": 0.8,
                "student_parameters": 52_138,
                "teacher_parameters": 272_474,
                "teacher_only_right": 1200,
                "transfer_agreement": 0.8,
                "transfer_teacher_confidence": 0.9,
                "transfer_teacher_accuracy": 0.85,
                "class_accuracy_before": before.tolist(),
                "class_accuracy_after": np.clip(before + rng.normal(gain, 0.1, NUM_CLASSES), 0, 1).tolist(),
            }


def _points(rng: np.random.Generator) -> Iterator[dict[str, Any]]:
    for skew, cell in _cells():
        for temperature, weight in GRID:
            gain = 0.01 * (1 + skew) * (1 - abs(weight - 0.3)) - 0.001 * temperature + rng.normal(0, 0.005)
            settings = {"run_id": _make_id(rng), "temperature": temperature, "weight": weight}
            yield {**cell, **settings, **_measure(skew, gain, rng)}


def _rounds(rng: np.random.Generator) -> Iterator[dict[str, Any]]:
    for (skew, alpha), seed, start, strategy in product(enumerate(ALPHAS), SEEDS, STARTS, STRATEGIES):
        run_id, begin = _make_id(rng), 0.1 if start == "scratch" else 0.5
        for number in range(NUM_ROUNDS + 1):
            accuracy = 0.9 - 0.03 * skew - (0.8 - begin) * np.exp(-0.2 * number) + rng.normal(0, 0.005)
            yield {
                **_split(skew),
                "run_id": run_id,
                "scenario": _name(alpha),
                "seed": seed,
                "arch": "cnn",
                "start": start,
                "federated_strategy": strategy,
                "settings": "{}",
                "round": number,
                "accuracy": float(accuracy),
                "validation_accuracy": float(accuracy),
                "rejected": 0,
                "bytes_sent": 8_477_123 * number,
                "seconds": 0.8317 * number,
                "start_bytes": 0 if start == "scratch" else 4_238_123,
                "start_seconds": 0.0 if start == "scratch" else 1.2345,
                "pretrain_seconds": 0.0 if start == "scratch" else 6.789,
            }


def _split(skew: int) -> dict[str, Any]:
    return {
        "strategy": "dirichlet",
        "parameters": json.dumps({"alpha": ALPHAS[skew]}),
        "partition_hash": f"{skew:016x}",
        "num_clients": NUM_CLIENTS,
    }


def _measure(skew: int, gain: float, rng: np.random.Generator) -> dict[str, Any]:
    before = 0.85 - 0.03 * skew
    return {
        "validation_before": before,
        "validation_after": before + gain + float(rng.normal(0, 0.003)),
        "accuracy_before": before,
        "accuracy_after": before + gain,
        "gain": float(gain),
        "forgetting": float(abs(rng.normal(0.02, 0.01))),
        "positive_flips": 500 + int(NUM_TEST * max(gain, 0)),
        "negative_flips": 500 + int(NUM_TEST * max(-gain, 0)),
        "seconds": float(rng.uniform(2, 4)),
    }


def _describe(rng: np.random.Generator, num_runs: int) -> dict[str, Any]:
    class_names = [f"class {number}" for number in range(NUM_CLASSES)]
    return {
        "name": "large",
        "spec": {"name": "large", "seeds": list(SEEDS), "data": {"source": "invented"}},
        "spec_hash": _make_id(rng),
        "data": {
            "name": "invented",
            "fingerprint": _make_id(rng),
            "num_train": 60_000,
            "num_validation": 5_000,
            "num_proxy": 0,
            "num_test": NUM_TEST,
            "class_names": class_names,
        },
        "scenarios": [
            {
                "part": part,
                "scenario": _name(alpha),
                "label": f"dirichlet (alpha={alpha})",
                "seed": seed,
                "num_clients": NUM_CLIENTS,
                "partition": _partition(rng, alpha),
            }
            for part, alpha, seed in product(("transfer", "federated"), ALPHAS, SEEDS)
        ],
        "strategies": [
            {"federated_strategy": name, "label": label, "summary": "invented", "settings": {}}
            for name, label in STRATEGIES.items()
        ],
        "starts": [{"start": start, "summary": "invented"} for start in STARTS],
        "targets": [0.7, 0.75, 0.8],
        "command": "limbeck study large.yaml",
        "commit": None,
        "hardware": {"cpu": "none", "cores": 2, "memory_gib": 24.0, "device": "cpu (2 cores)"},
        "versions": {"limbeck": "0"},
        "started": "2026-01-01T00:00:00+00:00",
        "finished": "2026-01-01T08:00:00+00:00",
        "seconds": 57_600.0,
        "elapsed_seconds": 28_800.0,
        "workers": 2,
        "runs": {"total": num_runs, "done": num_runs, "skipped": 0, "failed": 0},
    }


def _partition(rng: np.random.Generator, alpha: float) -> dict[str, Any]:
    shares = rng.dirichlet(np.full(NUM_CLIENTS, alpha), size=NUM_CLASSES).T
    histogram = np.round(6000 * shares).astype(int)
    return {
        "hash": _make_id(rng),
        "histogram": histogram.tolist(),
        "sizes": histogram.sum(axis=1).tolist(),
        "mean_divergence": float(1 / (1 + 4 * alpha)),
    }


def _name(alpha: float) -> str:
    return f"dirichlet-{alpha:g}"


def _make_id(rng: np.random.Generator) -> str:
    return rng.bytes(8).hex()


if __name__ == "__main__":
    main()
