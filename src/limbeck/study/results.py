"""The results of a study as tables: parquet files with one row per transfer, grid point and round."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from limbeck.core.files import write_atomically
from limbeck.study.plan import FederatedCell, Plan, TransferCell
from limbeck.study.spec import TUNED_KD, ScenarioPart
from limbeck.tune import choose_best

Results = Mapping[str, Mapping[str, Any]]

_PLACE = {"scenario": pl.String, "seed": pl.Int64}
_SPLIT = {
    "strategy": pl.String,
    "parameters": pl.String,
    "partition_hash": pl.String,
    "num_clients": pl.Int64,
}
_PAIR = {
    "student_client": pl.Int64,
    "teacher_client": pl.Int64,
    "student_arch": pl.String,
    "teacher_arch": pl.String,
    "transfer_set": pl.String,
}
_SETTINGS = {"temperature": pl.Float64, "weight": pl.Float64}
_MEASURES = {
    "validation_before": pl.Float64,
    "validation_after": pl.Float64,
    "accuracy_before": pl.Float64,
    "accuracy_after": pl.Float64,
    "gain": pl.Float64,
    "forgetting": pl.Float64,
}
_FLIPS = {"positive_flips": pl.Int64, "negative_flips": pl.Int64}
_MEETING = {
    "teacher_only_right": pl.Int64,
    "transfer_agreement": pl.Float64,
    "transfer_teacher_confidence": pl.Float64,
    "transfer_teacher_accuracy": pl.Float64,
}
_ROUND_MEASURES = ("accuracy", "validation_accuracy", "rejected", "bytes_sent", "seconds")
RESULTS_SCHEMA = {
    "run_id": pl.String,
    **_PLACE,
    **_SPLIT,
    **_PAIR,
    "student_run_id": pl.String,
    "teacher_run_id": pl.String,
    "technique": pl.String,
    "role": pl.String,
    **_SETTINGS,
    **_MEASURES,
    **_FLIPS,
    "num_test_samples": pl.Int64,
    "teacher_accuracy": pl.Float64,
    "student_parameters": pl.Int64,
    "teacher_parameters": pl.Int64,
    **_MEETING,
    "share_from_teacher": pl.Float64,
    "class_accuracy_before": pl.List(pl.Float64),
    "class_accuracy_after": pl.List(pl.Float64),
    "seconds": pl.Float64,
}
GRID_SCHEMA = {
    "run_id": pl.String,
    **_PLACE,
    **_PAIR,
    **_SETTINGS,
    **_MEASURES,
    **_FLIPS,
    "seconds": pl.Float64,
}
FEDERATION_SCHEMA = {
    "run_id": pl.String,
    **_PLACE,
    **_SPLIT,
    "arch": pl.String,
    "start": pl.String,
    "federated_strategy": pl.String,
    "settings": pl.String,
    "round": pl.Int64,
    "accuracy": pl.Float64,
    "validation_accuracy": pl.Float64,
    "rejected": pl.Int64,
    "bytes_sent": pl.Int64,
    "seconds": pl.Float64,
    "start_bytes": pl.Int64,
    "start_seconds": pl.Float64,
    "pretrain_seconds": pl.Float64,
}


def write_results(
    plan: Plan, results: Results, folder: Path, *, num_test_samples: int, arch: str | None
) -> None:
    """Write `results.parquet`, `grid.parquet` and `federation.parquet` from the runs that are done.

    Args:
        plan: The plan of the study.
        results: Result by run id; cells with a missing run are left out.
        folder: Where to write.
        num_test_samples: Size of the test set.
        arch: Architecture of the federated clients, if any.

    Raises:
        RunError: When the disk refuses.
    """
    transfers = [row for cell in plan.transfer_cells for row in _transfer_rows(cell, plan, results)]
    for row in transfers:
        row["num_test_samples"] = num_test_samples
    points = [row for cell in plan.transfer_cells for row in _grid_rows(cell, results)]
    rounds = [
        {**row, "arch": arch} for cell in plan.federated_cells for row in _round_rows(cell, plan, results)
    ]
    _write(transfers, RESULTS_SCHEMA, folder / "results.parquet")
    _write(points, GRID_SCHEMA, folder / "grid.parquet")
    _write(rounds, FEDERATION_SCHEMA, folder / "federation.parquet")


def _write(rows: list[dict[str, Any]], schema: Mapping[str, Any], path: Path) -> None:
    frame = pl.DataFrame(rows, schema=dict(schema), orient="row")
    with write_atomically(path) as temporary:
        frame.write_parquet(temporary)


def _transfer_rows(cell: TransferCell, plan: Plan, results: Results) -> Iterable[dict[str, Any]]:
    runs = {technique: run for technique, run in cell.runs.items() if run in results}
    tuned = _choose_tuned(cell, results)
    if tuned is not None:
        runs[TUNED_KD] = tuned
    for technique, run_id in runs.items():
        result, config = results[run_id], plan.runs[run_id].config
        for index, measures in enumerate(result["models"]):
            yield {
                "run_id": run_id,
                **_place(cell),
                **_split(cell.scenario, config["partition"]),
                **_pair(cell, is_peer=index > 0),
                **_run_ids(cell, results, is_peer=index > 0),
                "technique": technique,
                "role": "peer" if index > 0 else "student",
                "temperature": config["temperature"],
                "weight": config["weight"],
                **measures,
                **_meeting(result, is_peer=index > 0),
                "share_from_teacher": result["share_from_teacher"],
                "seconds": result["seconds"],
            }


def _choose_tuned(cell: TransferCell, results: Results) -> str | None:
    """The run of the grid's best setting on validation, once every point is measured that can be."""
    scores = {
        run_id: results[run_id]["models"][0]["validation_after"]
        for run_id in cell.grid.values()
        if run_id in results
    }
    return choose_best(scores) if scores else None


def _grid_rows(cell: TransferCell, results: Results) -> Iterable[dict[str, Any]]:
    for settings, run_id in cell.grid.items():
        if run_id not in results:
            continue
        measures = results[run_id]["models"][0]
        yield {
            "run_id": run_id,
            **_place(cell),
            **_pair(cell, is_peer=False),
            "temperature": settings.temperature,
            "weight": settings.weight,
            **{name: measures[name] for name in (*_MEASURES, *_FLIPS)},
            "seconds": results[run_id]["seconds"],
        }


def _round_rows(cell: FederatedCell, plan: Plan, results: Results) -> Iterable[dict[str, Any]]:
    if cell.run not in results:
        return
    result = results[cell.run]
    settings = json.dumps(cell.strategy.list_settings(), sort_keys=True)
    pretrain_seconds = sum(results[run]["seconds"] for run in cell.client_runs if run in results)
    for state in result["rounds"]:
        yield {
            "run_id": cell.run,
            **_place(cell),
            **_split(cell.scenario, plan.runs[cell.run].config["partition"]),
            "start": cell.start,
            "federated_strategy": cell.strategy.label,
            "settings": settings,
            "round": state["number"],
            **{name: state[name] for name in _ROUND_MEASURES},
            "start_bytes": result["start_bytes"],
            "start_seconds": result["start_seconds"],
            "pretrain_seconds": pretrain_seconds,
        }


def _place(cell: TransferCell | FederatedCell) -> dict[str, Any]:
    return {"scenario": cell.scenario.name, "seed": cell.seed}


def _split(scenario: ScenarioPart, partition_hash: str) -> dict[str, Any]:
    return {
        "strategy": scenario.strategy,
        "parameters": json.dumps(scenario.parameters, sort_keys=True),
        "partition_hash": partition_hash,
        "num_clients": scenario.num_clients,
    }


def _pair(cell: TransferCell, *, is_peer: bool) -> dict[str, Any]:
    """Who learned from whom; the peer of mutual learning is the student of its own row."""
    student, teacher = cell.pair[::-1] if is_peer else cell.pair
    archs = (cell.architectures.student, cell.architectures.teacher)
    student_arch, teacher_arch = archs[::-1] if is_peer else archs
    return {
        "student_client": student,
        "teacher_client": teacher,
        "student_arch": student_arch,
        "teacher_arch": teacher_arch,
        "transfer_set": cell.transfer_set,
    }


def _run_ids(cell: TransferCell, results: Results, *, is_peer: bool) -> dict[str, Any]:
    runs = (cell.student_run, cell.teacher_run)
    student, teacher = runs[::-1] if is_peer else runs
    return {
        "student_run_id": student,
        "teacher_run_id": teacher,
        "teacher_accuracy": results[teacher]["accuracy"],
        "student_parameters": results[student].get("num_parameters"),
        "teacher_parameters": results[teacher].get("num_parameters"),
    }


def _meeting(result: Mapping[str, Any], *, is_peer: bool) -> dict[str, Any]:
    """How the models related before the transfer; null for a peer, and in results from before it was kept."""
    found = {} if is_peer else result.get("meeting", {})
    return {name: found.get(name) for name in _MEETING}
