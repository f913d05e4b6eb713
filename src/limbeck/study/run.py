"""Running a study: plan, skip what is done, do the rest, write the results."""

import contextlib
import json
import shlex
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from limbeck import data as data_sets
from limbeck.core.device import count_cores, pick_device
from limbeck.core.errors import require
from limbeck.core.files import explain_disk_errors, write_text
from limbeck.data import DataSet
from limbeck.federate import STARTS
from limbeck.partition import describe, title
from limbeck.partition.description import mean_between_clients
from limbeck.study.agenda import Agenda
from limbeck.study.budget import Choice, choose_within, describe_choice, keep
from limbeck.study.database import hide_passwords
from limbeck.study.execute import MODELS_FOLDER
from limbeck.study.layouts import pick_layouts
from limbeck.study.machine import describe_hardware, describe_versions, find_commit
from limbeck.study.owner import is_gone
from limbeck.study.plan import Plan, Run, make_plan
from limbeck.study.pool import Done, LocalPool, Pool, WorkOrder
from limbeck.study.results import write_results
from limbeck.study.saved import can_be_loaded, seems_whole
from limbeck.study.spec import StudySpec
from limbeck.study.speed import measure_speeds
from limbeck.study.store import End, Store, utc_now
from limbeck.study.work import Work

STORE_FILE = "store.sqlite"
RESULTS_FILE = "results.parquet"
STUDY_FILE = "study.json"
SPEC_FILE = "spec.yaml"
DATA_PREFIX, DATA_SUFFIX = "data-", ".safetensors"


@dataclass(frozen=True, kw_only=True)
class Crew:
    """Who does the runs of a study.

    Attributes:
        workers: How many at a time, of one thread each; None for one per core, or one on a GPU, and on a Ray
            cluster as many as it has of these.
        device: `auto`, `cpu` or `cuda`.
        ray: Address of a Ray cluster, such as ``auto`` or ``127.0.0.1:6379``; None for processes on this
            machine.
    """

    workers: int | None = None
    device: str = "auto"
    ray: str | None = None

    def __post_init__(self) -> None:
        require(
            self.workers is None or self.workers >= 1,
            "workers >= 1",
            f"workers={self.workers}",
            "Leave it out for one per core.",
        )


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a study is.

    Attributes:
        total: Runs of the study.
        skipped: Runs that were done before.
        done: Runs done now.
        failed: Runs that failed now.
        elsewhere: Runs that another study on the same store did meanwhile.
        cost_total: Work of the runs to do now, in samples trained on.
        cost_done: Work done of it.
        label: What was done last, or what is waited for.
        choice: What a budget takes from the study, None without one.
    """

    total: int
    skipped: int
    done: int
    failed: int
    elsewhere: int = 0
    cost_total: float
    cost_done: float
    label: str
    choice: Choice | None = None


@dataclass(frozen=True, kw_only=True)
class StudyOutcome:
    """What a study left behind.

    Attributes:
        folder: Where everything is.
        store: The store's file, or its address without a password.
        results: The file with one row per transfer.
        runs_total: Runs of the study.
        runs_done: Runs done now.
        runs_skipped: Runs that were done before.
        runs_elsewhere: Runs that another study on the same store did meanwhile.
        errors: Why each failed run failed, by id.
    """

    folder: Path
    store: str
    results: Path
    runs_total: int
    runs_done: int
    runs_skipped: int
    runs_elsewhere: int
    errors: dict[str, str]


ProgressFn = Callable[[Progress], None]
ResultFn = Callable[[Plan, str, Mapping[str, Any]], None]
"""Given the plan, a run's id and its result."""
HandOnFn = Callable[[str, Mapping[str, Any]], None]


def run_study(
    spec: StudySpec,
    *,
    out: Path,
    data_dir: Path | None = None,
    store: str | None = None,
    crew: Crew = Crew(),
    budget_seconds: float | None = None,
    progress_fn: ProgressFn | None = None,
    result_fn: ResultFn | None = None,
) -> StudyOutcome:
    """Run a study, or what is missing of it, and write its results.

    Several calls can work on one study at a time, when they share its store and its folder.

    Args:
        spec: The study.
        out: Its folder: models, results. The same folder again goes on where it stopped.
        data_dir: Where copies of named data sets are looked for.
        store: URL of the database that keeps the runs; None for a SQLite file in the folder.
        crew: Who does the runs.
        budget_seconds: How long the runs may take about, all of them together, those done before included:
            a balanced part of the study that fits is done (see `limbeck.study.budget`). None for the whole.
        progress_fn: Called before the first and after every run, if given.
        result_fn: Called with the result of every run that was done before, and of each that is done now, if
            given.

    Raises:
        InputError: When spec, data, folder or store do not fit each other.
        RunError: When the disk or the database refuses, or workers cannot be kept.
    """
    started, clock, commit = utc_now(), time.monotonic(), find_commit()
    picked = pick_device(crew.device)
    data_set = data_sets.load(spec.data.source, data_dir=data_dir)
    layouts = pick_layouts(spec, data_set, folder=out, device=picked)
    plan, choice = make_plan(spec, data_set, layouts), None
    with Store.open(store or out / STORE_FILE, spec) as opened:
        write_text(out / SPEC_FILE, spec.to_yaml())
        if budget_seconds is not None:
            num_workers = _count_workers(crew, picked)
            choice = choose_within(
                plan,
                spec_hash=spec.hash,
                seconds=budget_seconds,
                folder=out,
                workers=num_workers,
                measure_fn=lambda: measure_speeds(
                    spec, data_set, layouts=layouts, device=picked, num_workers=num_workers
                ),
            )
            plan = keep(plan, choice)
        ends = opened.read_ends()
        finished = find_finished(plan, ends, out)
        missing = [run for run in plan.runs.values() if run.id not in finished]
        progress, num_workers = replace(_begin(missing, finished), choice=choice), 0
        tell, hand_on = progress_fn or (lambda _: None), partial(result_fn or (lambda *_: None), plan)
        tell(progress)
        _hand_on_finished([run_id for run_id in plan.runs if run_id in finished], ends, hand_on)
        if missing:
            with _handed_over(data_set, out, opened.owner) as data_path:
                order = WorkOrder(
                    spec=spec.model_dump(mode="json"),
                    data=str(data_path),
                    folder=str(out.absolute()),
                    device=str(picked),
                )
                with _working(opened, _make_pool(crew, order, picked, most=len(missing))) as pool:
                    work = Work(
                        agenda=Agenda(missing, finished),
                        store=opened,
                        pool=pool,
                        known={run_id: end.finished for run_id, end in ends.items()},
                        has_model_fn=lambda run, end: _has_model(run, end, out),
                    )
                    progress, num_workers = _do(work, progress, tell, hand_on), pool.num_workers
            ends = opened.read_ends()
    ends = {run_id: end for run_id, end in ends.items() if run_id in plan.runs}
    results = {run_id: end.result for run_id, end in ends.items() if end.result is not None}
    outcome = StudyOutcome(
        folder=out,
        store=opened.place,
        results=out / RESULTS_FILE,
        runs_total=len(plan.runs),
        runs_done=progress.done,
        runs_skipped=len(finished),
        runs_elsewhere=progress.elsewhere,
        errors={run_id: end.error for run_id, end in ends.items() if end.error is not None},
    )
    arch = spec.federated.arch if spec.federated else None
    write_results(plan, results, out, num_test_samples=len(data_set.test), arch=arch)
    about = {
        **_describe_study(spec, data_set, plan),
        "command": shlex.join([Path(sys.argv[0]).name, *map(hide_passwords, sys.argv[1:])]),
        "commit": commit,
        "hardware": describe_hardware(picked),
        "versions": describe_versions(),
        "started": started,
        "finished": utc_now(),
        "seconds": sum(result["seconds"] for result in results.values()),
        "elapsed_seconds": time.monotonic() - clock,
        "workers": num_workers,
        "store": outcome.store,
        "budget": None if choice is None else describe_choice(choice),
        "runs": {
            "total": outcome.runs_total,
            "done": outcome.runs_done,
            "skipped": outcome.runs_skipped,
            "elsewhere": outcome.runs_elsewhere,
            "failed": len(outcome.errors),
        },
    }
    _write_about(out / STUDY_FILE, about, did_nothing=outcome.runs_done == 0)
    return outcome


def _begin(missing: list[Run], finished: set[str]) -> Progress:
    return Progress(
        total=len(missing) + len(finished),
        skipped=len(finished),
        done=0,
        failed=0,
        cost_total=sum(run.cost for run in missing),
        cost_done=0.0,
        label="starting" if missing else "all runs were done before",
    )


def _make_pool(crew: Crew, order: WorkOrder, device: torch.device, *, most: int) -> Pool:
    """The workers of a crew, not more than there are runs."""
    if crew.ray is not None:
        from limbeck.study.ray_pool import RayPool

        return RayPool(order, crew.ray, num_workers=crew.workers, most=most)
    return LocalPool(order, min(_count_workers(crew, device), most))


def _count_workers(crew: Crew, device: torch.device) -> int:
    """How many runs a crew does at a time, where that does not depend on a cluster.

    Raises:
        InputError: When it does.
    """
    require(
        crew.ray is None or crew.workers is not None,
        "the number of workers is given where a budget is for a Ray cluster",
        "none",
        "Add --workers.",
    )
    return crew.workers or (1 if device.type == "cuda" else count_cores())


@contextlib.contextmanager
def _working(store: Store, pool: Pool) -> Iterator[Pool]:
    """A pool at work: afterwards its workers are ended and what was in hand is free for others."""
    try:
        with pool:
            yield pool
    finally:
        store.release()


def _hand_on_finished(run_ids: list[str], ends: Mapping[str, End], hand_on: HandOnFn) -> None:
    for run_id in run_ids:
        result = ends[run_id].result
        assert result is not None
        hand_on(run_id, result)


def _do(work: Work, progress: Progress, tell: ProgressFn, hand_on: HandOnFn) -> Progress:
    """Do the missing runs; return how far the study is in the end."""
    for ended in work.go_on():
        for end in ended:
            progress = _advance(progress, end)
            tell(progress)
            if end.result is not None and not end.is_elsewhere:
                hand_on(end.run.id, end.result)
        waiting = work.describe_waiting()
        if waiting is not None:
            progress = replace(progress, label=waiting)
            tell(progress)
    return progress


def _advance(progress: Progress, end: Done) -> Progress:
    has_failed = end.result is None
    return replace(
        progress,
        done=progress.done + (not has_failed and not end.is_elsewhere),
        failed=progress.failed + has_failed,
        elsewhere=progress.elsewhere + (not has_failed and end.is_elsewhere),
        cost_done=progress.cost_done + end.run.cost,
        label=label_run(end.run),
    )


def label_run(run: Run) -> str:
    """A run in words: where, which kind and what."""
    config = run.config
    what = config.get("technique") or config.get("start") or f"client {config.get('client')}"
    if run.kind == "federate":
        what = f"{config['strategy']} from {what}"
    return f"{config['scenario']} seed {config['seed']}: {run.kind} {what}"


def find_finished(plan: Plan, ends: Mapping[str, End], folder: Path) -> set[str]:
    """Runs that need not be done: their result is in the store and their model, if any, is whole.

    Of the models only the headers are read; those that a missing run needs are read whole.
    """
    done = {run_id for run_id in plan.runs if run_id in ends and ends[run_id].result is not None}
    finished = {run_id for run_id in done if _has_model(plan.runs[run_id], ends[run_id], folder)}
    needed = {need for run in plan.runs.values() if run.id not in finished for need in run.needs}
    damaged = {run_id for run_id in needed & finished if not can_be_loaded(folder / MODELS_FOLDER / run_id)}
    return finished - damaged


def _has_model(run: Run, end: End, folder: Path) -> bool:
    """Whether the model of a finished run, if it makes one, seems to be there."""
    if run.kind != "pretrain":
        return True
    assert end.result is not None
    return seems_whole(folder / MODELS_FOLDER / run.id, end.result["weights_hash"])


@contextlib.contextmanager
def _handed_over(data_set: DataSet, folder: Path, owner: str) -> Iterator[Path]:
    """The data set as a file that worker processes map into memory, while the block lasts."""
    for left in folder.glob(f"{DATA_PREFIX}*{DATA_SUFFIX}"):
        if is_gone(left.name.removeprefix(DATA_PREFIX).removesuffix(DATA_SUFFIX)):
            left.unlink(missing_ok=True)
    path = folder.absolute() / f"{DATA_PREFIX}{owner}{DATA_SUFFIX}"
    data_sets.write_data_set(data_set, path)
    try:
        yield path
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
        "starts": _describe_starts(plan),
        "strategies": _describe_strategies(plan),
        "targets": list(spec.federated.targets) if spec.federated else [],
    }


def _describe_starts(plan: Plan) -> list[dict[str, Any]]:
    starts = dict.fromkeys(cell.start for cell in plan.federated_cells)
    return [{"start": start, "summary": STARTS[start].summary} for start in starts]


def _describe_strategies(plan: Plan) -> list[dict[str, Any]]:
    strategies = {cell.strategy.label: cell.strategy for cell in plan.federated_cells}
    return [
        {
            "federated_strategy": strategy.label,
            "label": strategy.title,
            "summary": strategy.strategy.summary,
            "settings": strategy.list_settings(),
        }
        for strategy in strategies.values()
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
                    "mean_divergence": mean_between_clients(description.divergence),
                },
            }
        )
    return described


def _is_account(path: Path, about: dict[str, Any]) -> bool:
    """Whether a whole account of this very spec and budget lies there."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return all(found.get(key) == about[key] for key in ("spec_hash", "budget"))
    except (OSError, ValueError, AttributeError):
        return False


def _write_about(path: Path, about: dict[str, Any], *, did_nothing: bool) -> None:
    """Write `study.json`; a call that found nothing to do keeps the account of the one that did the work."""
    if did_nothing and _is_account(path, about):
        return
    write_text(path, json.dumps(about, indent=2) + "\n")
