"""Federated averaging in limbeck's simulation against a plain loop and against Flower's own simulation.

``python -m benchmarks.federation`` runs 2, 10 and 100 clients with a tiny MLP on digits and with ResNet-20 on
a few images of CIFAR-10, every run in a fresh process, the ways in turn. One local epoch per round. Flower
runs where ``--flower-python`` (or LIMBECK_FLOWER_PYTHON) names an interpreter that has limbeck and
``flwr[simulation]``. The start is the time of the first round beyond a later one, and of importing what runs
the federation; importing PyTorch is not counted.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.federation_point import FLOWER, LIMBECK, PLAIN
from benchmarks.federation_world import CASES, write_samples
from benchmarks.measure import REPETITIONS, describe_run, write_json
from benchmarks.sides import add_data_options

RESULTS = Path(__file__).parent / "results"
CLIENTS = (2, 10, 100)
LIMIT_SECONDS = 1800
FLOWER_VARIABLE = "LIMBECK_FLOWER_PYTHON"
# Flower neither phones home, nor looks for updates, nor installs anything.
FLOWER_ENVIRONMENT = {
    "FLWR_TELEMETRY_ENABLED": "0",
    "FLWR_DISABLE_UPDATE_CHECK": "1",
    "FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
}

Runs = dict[str, list[dict[str, Any]]]
"""By way, what `federation_point` says of each run."""


def main() -> None:
    """Measure every case, print it and write it down."""
    options = _read_options()
    ways = [PLAIN, LIMBECK, *([FLOWER] if _has_flower(options.flower_python) else [])]
    results = [
        measure_case(case, options, ways=ways) for case in options.cases if _has_data(case, options.data_dir)
    ]
    for result in results:  # all are measured before one is written, which makes the tree differ
        write_json(result, options.out)


def measure_case(case: str, options: argparse.Namespace, *, ways: Sequence[str]) -> dict[str, Any]:
    """What runs of a case took, by number of clients and way.

    Args:
        case: See `federation_world`.
        options: Those of the command line.
        ways: Those to run in turn.
    """
    sizes = {}
    with tempfile.TemporaryDirectory(prefix="limbeck-") as folder:
        samples = Path(folder) / "samples.safetensors"
        write_samples(case, samples, num_clients=max(options.clients), data_dir=options.data_dir)
        for num_clients in options.clients:
            runs: Runs = {way: [] for way in ways}
            for _ in range(options.repetitions):
                for way in ways:
                    point = {"way": way, "case": case, "num_clients": num_clients, "path": str(samples)}
                    runs[way].append(_run_apart(point | {"rounds": CASES[case].rounds}, options, folder))
            sizes[num_clients] = summarise_runs(runs)
            _print_size(case, num_clients, sizes[num_clients])
    return {
        "name": f"federation_{case}",
        "question": f"{CASES[case].rounds} rounds of federated averaging: {CASES[case].question}",
        "repetitions": options.repetitions,
        "clients": sizes,
        **describe_run(),
        "flower": _describe_flower(options.flower_python) if FLOWER in ways else None,
    }


def summarise_runs(runs: Runs) -> dict[str, Any]:
    """Per way the seconds of a round, of the start and of the whole, and how limbeck compares.

    Args:
        runs: At least those of the plain loop and of limbeck.

    Returns:
        By way the values of each run and their medians; beside them limbeck's `overhead_ms` per round over
        the plain loop and, where Flower ran, how many times as fast as Flower's the `whole` and a `round`
        are.
    """
    ways = {way: _summarise_way(ones) for way, ones in runs.items()}
    medians = {way: summary["median"] for way, summary in ways.items()}
    overhead = medians[LIMBECK]["round_seconds"] - medians[PLAIN]["round_seconds"]
    summary = {"ways": ways, "overhead_ms": 1000 * overhead}
    if FLOWER in ways:
        summary["times_as_fast_as_flower"] = {
            what: medians[FLOWER][f"{what}_seconds"] / medians[LIMBECK][f"{what}_seconds"]
            for what in ("whole", "round")
        }
    return summary


def _summarise_way(runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    values: dict[str, list[float]] = {"round_seconds": [], "start_seconds": [], "whole_seconds": []}
    for run in runs:
        first, *others = run["round_seconds"]
        usual = statistics.median(others)
        values["round_seconds"].append(usual)
        values["start_seconds"].append(run["import_seconds"] + first - usual)
        values["whole_seconds"].append(run["import_seconds"] + sum(run["round_seconds"]))
    return {
        "median": {name: statistics.median(each) for name, each in values.items()},
        "accuracy": statistics.median(run["accuracy"] for run in runs),
        **values,
    }


def _print_size(case: str, num_clients: int, summary: dict[str, Any]) -> None:
    print(f"{case}, {num_clients} clients: limbeck takes {summary['overhead_ms']:.1f} ms more per round")
    for way, values in summary["ways"].items():
        spread = f"{1000 * min(values['round_seconds']):.1f} to {1000 * max(values['round_seconds']):.1f}"
        median = values["median"]
        print(
            f"  {way:<12} {1000 * median['round_seconds']:8.1f} ms per round ({spread}), start "
            f"{median['start_seconds']:.2f} s, whole {median['whole_seconds']:.2f} s, "
            f"accuracy {values['accuracy']:.3f}"
        )
    if "times_as_fast_as_flower" in summary:
        ratios = summary["times_as_fast_as_flower"]
        print(
            f"  {ratios['whole']:.0f} times as fast as Flower with its start, {ratios['round']:.0f} without"
        )


def _run_apart(point: dict[str, Any], options: argparse.Namespace, folder: str) -> dict[str, Any]:
    python = options.flower_python if point["way"] == FLOWER else sys.executable
    answer = subprocess.run(
        [python, "-m", "benchmarks.federation_point", json.dumps(point)],
        cwd=Path(__file__).parents[1],
        env=os.environ | FLOWER_ENVIRONMENT | {"FLWR_HOME": f"{folder}/flwr"},
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
        check=False,
    )
    if answer.returncode:
        raise SystemExit(f"a run of {point} failed:\n{answer.stderr[-4000:]}")
    return json.loads(answer.stdout.splitlines()[-1])


def _has_data(case: str, folder: Path) -> bool:
    if case == "mlp" or folder.is_dir():
        return True
    print(f"Skipped {case}: `{folder}` must hold CIFAR-10 as JPEG in parquet files; see `--data-dir`.")
    return False


def _has_flower(python: str | None) -> bool:
    if python is None:
        print(f"Skipped Flower: `--flower-python` or {FLOWER_VARIABLE} must name an interpreter with it.")
        return False
    if _describe_flower(python) is None:
        print(f"Skipped Flower: `{python}` must have `flwr[simulation]`, which brings ray, and limbeck.")
        return False
    return True


def _describe_flower(python: str) -> dict[str, str] | None:
    """Versions of Flower and ray, None where they or limbeck are missing."""
    versions = "{'flwr': flwr.__version__, 'ray': ray.__version__}"
    question = f"import json, flwr, limbeck, ray; print(json.dumps({versions}))"
    answer = subprocess.run(
        [python, "-c", question], capture_output=True, text=True, timeout=LIMIT_SECONDS, check=False
    )
    return json.loads(answer.stdout.splitlines()[-1]) if answer.returncode == 0 else None


def _read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--clients", nargs="+", type=int, default=CLIENTS)
    parser.add_argument("--repetitions", type=int, default=REPETITIONS)
    parser.add_argument("--flower-python", default=os.environ.get(FLOWER_VARIABLE))
    parser.add_argument("--out", type=Path, default=RESULTS, help="Where results are written.")
    add_data_options(parser)
    return parser.parse_args()


if __name__ == "__main__":
    main()
