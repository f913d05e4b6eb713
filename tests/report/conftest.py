"""A study folder in the real format, filled with invented but plausible numbers."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

TECHNIQUES = ("finetune", "kd", "tuned-kd", "dml", "dp-kd", "dp-kd-unsupervised")
STARTS = ("scratch", "best-client", "weight-average", "hub", "chain")
SCENARIOS = (
    ("uniform", "Uniform"),
    ("dirichlet-1.0", "Dirichlet, alpha 1.0"),
    ("dirichlet-0.3", "Dirichlet, alpha 0.3"),
    ("dirichlet-0.1", "Dirichlet, alpha 0.1"),
    ("shards-2", "Shards, 2 classes per client"),
    ("quantity", "Quantity skew, alpha 0.5"),
)
TARGETS = (0.7, 0.75, 0.8)
STRATEGIES = {
    "fedavg": {"label": "FedAvg", "summary": "the mean of the clients' weights", "settings": {}},
    "fedprox mu=1.0": {"label": "FedProx, mu = 1.0", "summary": "held near it", "settings": {"mu": 1.0}},
}
EFFECTS = {
    "finetune": 0.012,
    "kd": 0.02,
    "tuned-kd": 0.045,
    "dml": 0.022,
    "dp-kd": 0.031,
    "dp-kd-unsupervised": 0.026,
}
FolderWriter = Callable[..., Path]


@pytest.fixture
def write_folder(tmp_path: Path) -> FolderWriter:
    """A function that writes a study's folder; see `write_study_folder`."""

    def write(**sizes: Any) -> Path:
        return write_study_folder(tmp_path / "study", **sizes)

    return write


def write_study_folder(
    folder: Path,
    *,
    num_scenarios: int = 2,
    seeds: tuple[int, ...] = (0, 1),
    temperatures: tuple[float, ...] = (1.0, 4.0),
    weights: tuple[float, ...] = (0.5, 0.9),
    num_classes: int = 3,
    num_rounds: int = 4,
    num_clients: int = 4,
    num_strategies: int = 1,
    name: str = "invented",
    class_names: tuple[str, ...] | None = None,
) -> Path:
    """Write ``study.json`` and the three tables; ``num_rounds=0`` leaves the federated part out."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(7)
    scenarios = SCENARIOS[:num_scenarios]
    strategies = tuple(STRATEGIES)[:num_strategies]
    names = class_names or tuple(f"class {index}" for index in range(num_classes))
    about = describe_study(rng, name, scenarios, seeds, num_clients, names, with_federated=num_rounds > 0)
    about["strategies"] = [{"federated_strategy": name, **STRATEGIES[name]} for name in strategies]
    (folder / "study.json").write_text(json.dumps(about), encoding="utf-8")
    results, grid, federation = [], [], []
    for difficulty, (scenario, _) in enumerate(scenarios):
        for seed in seeds:
            results += make_results(rng, scenario, seed, difficulty, num_classes)
            grid += make_grid(rng, scenario, seed, difficulty, temperatures, weights)
            for strategy in strategies:
                federation += make_federation(rng, scenario, seed, difficulty, num_rounds, strategy)
    write_table(folder / "results.parquet", results, RESULTS_TYPES)
    write_table(folder / "grid.parquet", grid, GRID_TYPES)
    write_table(folder / "federation.parquet", federation, FEDERATION_TYPES)
    return folder


def write_table(path: Path, rows: list[dict[str, Any]], types: dict[str, Any]) -> None:
    pl.DataFrame(rows, schema=types, orient="row").write_parquet(path)


def describe_study(
    rng, name, scenarios, seeds, num_clients, class_names, *, with_federated
) -> dict[str, Any]:
    entries = []
    parts = ("transfer", "federated") if with_federated else ("transfer",)
    for difficulty, (scenario, label) in enumerate(scenarios):
        for seed in seeds:
            shares = rng.dirichlet(np.full(num_clients, 20.0 / (1 + 3 * difficulty)), size=len(class_names)).T
            histogram = np.round(shares * 600).astype(int)
            partition = {
                "hash": f"{abs(hash_text(scenario + str(seed))):016x}",
                "histogram": histogram.tolist(),
                "sizes": histogram.sum(axis=1).tolist(),
                "mean_divergence": float(0.02 + 0.11 * difficulty),
            }
            entry = {
                "scenario": scenario,
                "label": label,
                "seed": seed,
                "num_clients": num_clients,
                "partition": partition,
            }
            entries += [entry | {"part": part} for part in parts]
    return {
        "name": name,
        "spec": {"name": name, "seeds": list(seeds), "data": {"name": "fashion-mnist"}},
        "spec_hash": "5f3a9c0d7e1b2a44",
        "data": {
            "name": "fashion-mnist",
            "fingerprint": "c0ffee0123456789",
            "num_train": 6000,
            "num_validation": 2000,
            "num_test": 10000,
            "num_proxy": 2000,
            "class_names": list(class_names),
        },
        "command": f"limbeck study {name}.yaml --out studies/{name} --workers 2",
        "commit": None,
        "hardware": {"cpu": "AMD EPYC 7763", "cores": 2, "memory_gib": 23.4, "device": "cpu (2 cores)"},
        "versions": {"limbeck": "0.1.0", "torch": "2.9.1", "numpy": "2.4.6"},
        "started": "2026-11-24T08:14:00+00:00",
        "finished": "2026-11-24T09:02:10+00:00",
        "seconds": 5321.4,
        "elapsed_seconds": 2890.2,
        "workers": 2,
        "runs": {"total": 800, "done": 800, "skipped": 0, "failed": 0},
        "scenarios": entries,
        "targets": list(TARGETS),
    }


def hash_text(text: str) -> int:
    return sum((place + 1) * 1_000_003**2 * byte for place, byte in enumerate(text.encode()))


def make_results(rng, scenario, seed, difficulty, num_classes) -> list[dict[str, Any]]:
    before = 0.78 - 0.05 * difficulty + rng.normal(0, 0.01)
    rows = []
    for technique in TECHNIQUES:
        scale = -0.2 if (technique, scenario) == ("kd", "shards-2") else 1 + 0.7 * difficulty
        gain = float(np.round(EFFECTS[technique] * scale + rng.normal(0, 0.006), 4))
        if scenario == "uniform" and technique != "finetune":
            gain = float(np.round(0.008 + rng.normal(0, 0.003), 4))
        classes = np.clip(rng.normal(before, 0.14, num_classes), 0, 1)
        changes = np.clip(classes + rng.normal(gain, 0.05 + 0.03 * difficulty, num_classes), 0, 1)
        is_kd = technique in ("kd", "tuned-kd")
        shared = {
            "scenario": scenario,
            "strategy": scenario.split("-")[0],
            "parameters": "{}",
            "partition_hash": "00",
            "num_clients": 4,
            "seed": seed,
            "transfer_set": "student",
            "student_arch": "small-cnn",
            "teacher_arch": "small-cnn",
            "technique": technique,
        }
        rows.append(
            {
                **shared,
                "run_id": f"transfer-{scenario}-{seed}-{technique}",
                "student_client": 0,
                "teacher_client": 1,
                "student_run_id": f"pretrain-{scenario}-{seed}-0",
                "teacher_run_id": f"pretrain-{scenario}-{seed}-1",
                "role": "student",
                "temperature": {"kd": 1.0, "tuned-kd": 4.0}[technique] if is_kd else None,
                "weight": {"kd": 0.5, "tuned-kd": 0.9}[technique] if is_kd else None,
                "validation_before": before,
                "validation_after": before + gain + float(rng.normal(0, 0.004)),
                "accuracy_before": before,
                "accuracy_after": before + gain,
                "gain": gain,
                "forgetting": float(abs(rng.normal(0.02 + 0.01 * difficulty, 0.008))),
                "positive_flips": 600 + int(10000 * max(gain, 0)),
                "negative_flips": 600 + int(10000 * max(-gain, 0)),
                "num_test_samples": 10000,
                "teacher_accuracy": before + 0.03,
                "share_from_teacher": 0.4 if technique.startswith("dp-kd") else None,
                "class_accuracy_before": classes.tolist(),
                "class_accuracy_after": changes.tolist(),
                "seconds": float(3 + rng.random()),
            }
        )
        if technique == "dml":
            rows.append({**rows[-1], "run_id": f"{rows[-1]['run_id']}-peer", "role": "peer"})
    return rows


def make_grid(rng, scenario, seed, difficulty, temperatures, weights) -> list[dict[str, Any]]:
    before = 0.78 - 0.05 * difficulty
    rows = []
    for temperature in temperatures:
        for weight in weights:
            hill = np.exp(-(((np.log2(temperature) - 2) / 2) ** 2) - ((weight - 0.8) / 0.4) ** 2)
            gain = float((0.06 * hill - 0.01) * (1 + 0.5 * difficulty) + rng.normal(0, 0.003))
            rows.append(
                {
                    "run_id": f"grid-{scenario}-{seed}-{temperature:g}-{weight:g}",
                    "scenario": scenario,
                    "seed": seed,
                    "student_client": 0,
                    "teacher_client": 1,
                    "student_arch": "small-cnn",
                    "teacher_arch": "small-cnn",
                    "transfer_set": "student",
                    "temperature": temperature,
                    "weight": weight,
                    "validation_before": before,
                    "validation_after": before + gain,
                    "accuracy_before": before,
                    "accuracy_after": before + gain,
                    "gain": gain,
                    "forgetting": 0.03,
                    "seconds": 3.2,
                }
            )
    return rows


def make_federation(rng, scenario, seed, difficulty, num_rounds, federated_strategy) -> list[dict[str, Any]]:
    if num_rounds == 0:
        return []
    begin = {"scratch": 0.1, "best-client": 0.55, "weight-average": 0.62, "hub": 0.7, "chain": 0.68}
    top = 0.87 - 0.025 * difficulty
    rows = []
    for start in STARTS:
        rate = 0.16 + rng.normal(0, 0.01)
        for round_number in range(num_rounds + 1):
            missing = (top - begin[start] + 0.04 * difficulty) * np.exp(-rate * round_number)
            dip = 0.05 * difficulty / 5 if round_number == 1 and start in ("hub", "chain") else 0.0
            rows.append(
                {
                    "run_id": f"federated-{scenario}-{seed}-{start}-{federated_strategy}",
                    "scenario": scenario,
                    "strategy": scenario.split("-")[0],
                    "parameters": "{}",
                    "partition_hash": "00",
                    "seed": seed,
                    "num_clients": 10,
                    "arch": "small-cnn",
                    "start": start,
                    "federated_strategy": federated_strategy,
                    "settings": json.dumps(STRATEGIES[federated_strategy]["settings"]),
                    "round": round_number,
                    "accuracy": float(np.clip(top - missing - dip + rng.normal(0, 0.006), 0.05, 1)),
                    "bytes_sent": 2_400_000 * round_number,
                    "seconds": 4.1 * round_number,
                    "start_bytes": {"scratch": 0, "best-client": 120_000}.get(start, 1_200_000),
                    "start_seconds": {"scratch": 0.0, "hub": 31.0, "chain": 44.0}.get(start, 0.4),
                    "pretrain_seconds": 0.0 if start == "scratch" else 58.0,
                }
            )
    return rows


RESULTS_TYPES: dict[str, Any] = {
    **dict.fromkeys(("run_id", "scenario", "strategy", "parameters", "partition_hash"), pl.String),
    **dict.fromkeys(("num_clients", "seed", "student_client", "teacher_client"), pl.Int64),
    **dict.fromkeys(("student_arch", "teacher_arch", "student_run_id", "teacher_run_id"), pl.String),
    **dict.fromkeys(("transfer_set", "technique", "role"), pl.String),
    **dict.fromkeys(("temperature", "weight", "validation_before", "validation_after"), pl.Float64),
    **dict.fromkeys(("accuracy_before", "accuracy_after", "gain", "forgetting"), pl.Float64),
    **dict.fromkeys(("positive_flips", "negative_flips", "num_test_samples"), pl.Int64),
    **dict.fromkeys(("teacher_accuracy", "share_from_teacher"), pl.Float64),
    **dict.fromkeys(("class_accuracy_before", "class_accuracy_after"), pl.List(pl.Float64)),
    "seconds": pl.Float64,
}
GRID_TYPES: dict[str, Any] = {
    **dict.fromkeys(("run_id", "scenario"), pl.String),
    **dict.fromkeys(("seed", "student_client", "teacher_client"), pl.Int64),
    **dict.fromkeys(("student_arch", "teacher_arch", "transfer_set"), pl.String),
    **dict.fromkeys(("temperature", "weight", "validation_before", "validation_after"), pl.Float64),
    **dict.fromkeys(("accuracy_before", "accuracy_after", "gain", "forgetting", "seconds"), pl.Float64),
}
FEDERATION_TYPES: dict[str, Any] = {
    **dict.fromkeys(("run_id", "scenario", "strategy", "parameters", "partition_hash"), pl.String),
    **dict.fromkeys(("seed", "num_clients"), pl.Int64),
    **dict.fromkeys(("arch", "start", "federated_strategy", "settings"), pl.String),
    "round": pl.Int64,
    "accuracy": pl.Float64,
    "bytes_sent": pl.Int64,
    "seconds": pl.Float64,
    "start_bytes": pl.Int64,
    **dict.fromkeys(("start_seconds", "pretrain_seconds"), pl.Float64),
}
