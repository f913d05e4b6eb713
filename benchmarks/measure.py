"""Alternating repetitions of two ways to do the same, with spread, hardware and versions."""

import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from limbeck.core.files import write_text
from limbeck.study.machine import describe_hardware, describe_versions, find_commit

REPETITIONS = 5


def time_alternating(ways: dict[str, Callable[[], object]]) -> dict[str, list[float]]:
    """Seconds of each way, `REPETITIONS` times in turn after one warm-up of each."""
    for way in ways.values():
        way()
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(REPETITIONS):
        for name, way in ways.items():
            started = time.perf_counter()
            way()
            seconds[name].append(time.perf_counter() - started)
    return seconds


def summarise(name: str, question: str, seconds: dict[str, list[float]], *, baseline: str) -> dict[str, Any]:
    """Medians, spread and the ratio of each way to the baseline, with what they were measured on."""
    medians = {way: statistics.median(values) for way, values in seconds.items()}
    return {
        "name": name,
        "question": question,
        "seconds": seconds,
        "median_seconds": medians,
        "speedup": {way: medians[baseline] / median for way, median in medians.items() if way != baseline},
        "repetitions": REPETITIONS,
        **describe_run(),
    }


def describe_run(device: str = "cpu") -> dict[str, Any]:
    """What a measurement was made with: commit, threads, hardware and versions."""
    return {
        "threads": torch.get_num_threads(),
        "commit": find_commit(),
        "hardware": describe_hardware(torch.device(device)),
        "versions": describe_versions(),
    }


def write_result(result: dict[str, Any], folder: Path) -> None:
    """Print a result and keep it as JSON."""
    print(result["question"])
    for way, values in result["seconds"].items():
        spread = f"{min(values):.3f} to {max(values):.3f}"
        print(f"  {way:<28} {result['median_seconds'][way]:.3f} s (of {len(values)}: {spread})")
    for way, ratio in result["speedup"].items():
        print(f"  {way} is {ratio:.1f} times as fast")
    write_json(result, folder)


def write_json(result: dict[str, Any], folder: Path) -> None:
    """Keep a result as JSON under its name."""
    write_text(folder / f"{result['name']}.json", json.dumps(result, indent=2) + "\n")
