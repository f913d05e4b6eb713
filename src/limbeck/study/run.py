"""Running a study: plan, skip what is done, do the rest, write the results."""

import contextlib
import json
import shlex
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from limbeck import data as data_sets
from limbeck import models
from limbeck.core.device import count_cores, pick_device
from limbeck.core.errors import InputError, require
from limbeck.core.files import explain_disk_errors, write_text
from limbeck.data import DataSet
from limbeck.federate import STARTS
from limbeck.partition import describe, title
from limbeck.study.execute import MODELS_FOLDER
from limbeck.study.layouts import pick_layouts
from limbeck.study.machine import describe_hardware, describe_versions, find_commit
from limbeck.study.plan import Plan, Run, make_plan
from limbeck.study.pool import Done, Pool, WorkOrder
from limbeck.study.results import write_results
from limbeck.study.spec import FederatedPart, StudySpec
from limbeck.study.store import Store, utc_now

STORE_FILE = "store.sqlite"
RESULTS_FILE = "results.parquet"
STUDY_FILE = "study.json"
SPEC_FILE = "spec.yaml"
DATA_FILE = "data.safetensors"


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a study is.

    Attributes:
        total: Runs of the study.
        skipped: Runs that were done before.
        done: Runs done now.
        failed: Runs that failed now.
        cost_total: Work of the runs to do now, in samples trained on.
        cost_done: Work done of it.
        label: What was done last.
    """

    total: int
    skipped: int
    done: int
    failed: int
    cost_total: float
    cost_done: float
    label: str


@dataclass(frozen=True, kw_only=True)
class StudyOutcome:
    """What a study left behind.

    Attributes:
        folder: Where everything is.
        store: The store's file.
        results: The file with one row per transfer.
        runs_total: Runs of the study.
        runs_done: Runs done now.
        runs_skipped: Runs that were done before.
        errors: Why each failed run failed, by id.
    """

    folder: Path
    store: Path
    results: Path
    runs_total: int
    runs_done: int
    runs_skipped: int
    errors: dict[str, str]


ProgressFn = Callable[[Progress], None]


def run_study(
    spec: StudySpec,
    *,
    out: Path,
    data_dir: Path | None = None,
    workers: int | None = None,
    device: str = "auto",
    progress_fn: ProgressFn | None = None,
) -> StudyOutcome:
    """Run a study, or what is missing of it, and write its results.

    Args:
        spec: The study.
        out: Its folder: store, models, results. The same folder again goes on where it stopped.
        data_dir: Where copies of named data sets are looked for.
        workers: Worker processes of one thread each; None for one per core, or one on a GPU.
        device: `auto`, `cpu` or `cuda`.
        progress_fn: Called before the first and after every run, if given.

    Raises:
        InputError: When spec, data, folder or store do not fit each other.
        RunError: When the disk refuses, or workers cannot be kept.
    """
    require(
        workers is None or workers >= 1,
        "workers >= 1",
        f"workers={workers}",
        "Leave it out for one per core.",
    )
    started, clock, commit = utc_now(), time.monotonic(), find_commit()
    picked = pick_device(device)
    data_set = data_sets.load(spec.data.source, data_dir=data_dir)
    plan = make_plan(spec, data_set, pick_layouts(spec, data_set, folder=out, device=picked))
    with Store.open(out / STORE_FILE, spec) as store:
        write_text(out / SPEC_FILE, spec.to_yaml())
        finished = _find_finished(plan, store.read_results(), out)
        missing = [run for run in plan.runs.values() if run.id not in finished]
        with _handed_over(data_set, out / DATA_FILE):
            order = WorkOrder(
                spec=spec.model_dump(mode="json"),
                data=str(out / DATA_FILE),
                folder=str(out),
                device=str(picked),
            )
            num_workers = workers or (1 if picked.type == "cuda" else count_cores())
            done = _do(
                missing, finished, store, Pool(order, min(num_workers, max(1, len(missing)))), progress_fn
            )
        results = {run_id: result for run_id, result in store.read_results().items() if run_id in plan.runs}
        errors = {run_id: why for run_id, why in store.read_errors().items() if run_id in plan.runs}
        outcome = StudyOutcome(
            folder=out,
            store=store.path,
            results=out / RESULTS_FILE,
            runs_total=len(plan.runs),
            runs_done=done,
            runs_skipped=len(finished),
            errors=errors,
        )
    arch = spec.federated.arch if spec.federated else None
    write_results(plan, results, out, num_test_samples=len(data_set.test), arch=arch)
    about = {
        **_describe_study(spec, data_set, plan),
        "command": shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        "commit": commit,
        "hardware": describe_hardware(picked),
        "versions": describe_versions(),
        "started": started,
        "finished": utc_now(),
        "seconds": sum(result["seconds"] for result in results.values()),
        "elapsed_seconds": time.monotonic() - clock,
        "workers": num_workers,
        "runs": {
            "total": outcome.runs_total,
            "done": outcome.runs_done,
            "skipped": outcome.runs_skipped,
            "failed": len(errors),
        },
    }
    _write_about(out / STUDY_FILE, about, did_nothing=outcome.runs_done == 0)
    return outcome


def _do(
    missing: list[Run], finished: set[str], store: Store, pool: Pool, progress_fn: ProgressFn | None
) -> int:
    """Do the missing runs and record each as it ends; return how many succeeded."""
    progress = Progress(
        total=len(missing) + len(finished),
        skipped=len(finished),
        done=0,
        failed=0,
        cost_total=sum(run.cost for run in missing),
        cost_done=0.0,
        label="starting" if missing else "all runs were done before",
    )
    tell = progress_fn or (lambda _: None)
    tell(progress)
    with pool:
        for end in pool.do(missing, finished=finished):
            _record(store, end)
            has_failed = end.result is None
            progress = replace(
                progress,
                done=progress.done + (not has_failed),
                failed=progress.failed + has_failed,
                cost_done=progress.cost_done + end.run.cost,
                label=_label(end.run),
            )
            tell(progress)
    return progress.done


def _record(store: Store, end: Done) -> None:
    if end.result is None:
        store.record_failed(end.run, end.error or "unknown")
    else:
        store.record_done(end.run, end.result)


def _label(run: Run) -> str:
    config = run.config
    what = config.get("technique") or config.get("start") or f"client {config.get('client')}"
    if run.kind == "federate":
        what = f"{config['strategy']} from {what}"
    return f"{config['scenario']} seed {config['seed']}: {run.kind} {what}"


def _find_finished(plan: Plan, results: dict[str, Any], folder: Path) -> set[str]:
    """Runs that need not be done: their result is in the store and their model, if any, is whole."""
    finished = {run_id for run_id in plan.runs if run_id in results}
    return {
        run_id
        for run_id in finished
        if plan.runs[run_id].kind != "pretrain"
        or _has_model(folder / MODELS_FOLDER / run_id, results[run_id]["weights_hash"])
    }


def _has_model(folder: Path, weights_hash: str) -> bool:
    with contextlib.suppress(InputError):
        _, card = models.load(folder)
        return card.weights_hash == weights_hash
    return False


@contextlib.contextmanager
def _handed_over(data_set: DataSet, path: Path) -> Iterator[None]:
    """The data set as a file that worker processes map into memory, while the block lasts."""
    data_sets.write_data_set(data_set, path)
    try:
        yield
    finally:
        with explain_disk_errors(path):
            path.unlink(missing_ok=True)


def _describe_study(spec: StudySpec, data_set: DataSet, plan: Plan) -> dict[str, Any]:
    return {
        "name": spec.name,
        "spec": spec.model_dump(mode="json"),
        "spec_hash": spec.hash,
        "data": {
            "name": data_set.name,
            "fingerprint": data_set.fingerprint,
            "num_train": len(data_set.train),
            "num_validation": len(plan.reserved.validation),
            "num_proxy": len(plan.reserved.proxy),
            "num_test": len(data_set.test),
            "class_names": list(data_set.class_names),
        },
        "scenarios": _describe_scenarios(plan, data_set),
        "starts": _describe_starts(spec.federated) if spec.federated else [],
        "strategies": _describe_strategies(spec.federated) if spec.federated else [],
        "targets": list(spec.federated.targets) if spec.federated else [],
    }


def _describe_starts(part: FederatedPart) -> list[dict[str, Any]]:
    return [{"start": start, "summary": STARTS[start].summary} for start in part.starts]


def _describe_strategies(part: FederatedPart) -> list[dict[str, Any]]:
    return [
        {
            "federated_strategy": strategy.label,
            "label": strategy.title,
            "summary": strategy.strategy.summary,
            "settings": strategy.list_settings(),
        }
        for strategy in part.strategies
    ]


def _describe_scenarios(plan: Plan, data_set: DataSet) -> list[dict[str, Any]]:
    described = []
    for (part_name, scenario, seed), partition in plan.partitions.items():
        description = describe(partition, data_set.labels, num_classes=data_set.num_classes)
        described.append(
            {
                "part": part_name,
                "scenario": scenario,
                "seed": seed,
                "label": title(partition.strategy, partition.parameters),
                "num_clients": len(partition),
                "partition": {
                    "hash": partition.hash,
                    **description.to_dict(),
                    "mean_divergence": _mean_between_clients(description.divergence),
                },
            }
        )
    return described


def _mean_between_clients(divergence: np.ndarray) -> float:
    """The mean over pairs of different clients, 0 for a single client."""
    num_pairs = len(divergence) * (len(divergence) - 1)
    return float(divergence.sum() / num_pairs) if num_pairs else 0.0


def _is_account(path: Path, spec_hash: str) -> bool:
    """Whether a whole account of this very spec lies there."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))["spec_hash"] == spec_hash
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _write_about(path: Path, about: dict[str, Any], *, did_nothing: bool) -> None:
    """Write `study.json`; a call that found nothing to do keeps the account of the one that did the work."""
    if did_nothing and _is_account(path, about["spec_hash"]):
        return
    write_text(path, json.dumps(about, indent=2) + "\n")
