"""How long a finished study of 10,000 runs takes to find that there is nothing to do.

``python -m benchmarks.study_resume`` makes such a study, once: one run of each kind is really done and stands
for all of its kind, every model is a file of its own. It is then resumed in fresh processes. The clock starts
when limbeck, torch and scikit-learn, which holds the digits, are imported. It stops at the first word of
progress, which comes when the plan is made and every finished run is found; what follows, results and
account being written, is timed as well. Beside it stands what reading every model whole would add.
"""

import copy
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
import yaml

from benchmarks.measure import REPETITIONS, describe_run, write_json
from limbeck import data, models
from limbeck.study import Crew, Plan, Run, StudySpec, load_spec, make_plan, parse_spec, run_study
from limbeck.study.execute import MODELS_FOLDER, Workbench, execute
from limbeck.study.run import SPEC_FILE, STORE_FILE
from limbeck.study.saved import can_be_loaded
from limbeck.study.store import Store

RESULTS = Path(__file__).parent / "results"
LIMIT_SECONDS = 600
TRAINING = {"epochs": 1, "batch_size": 64}
SPEC: dict[str, Any] = {
    "name": "resume",
    "data": {"source": "digits", "validation_samples": 200},
    "seeds": list(range(11)),
    "transfer": {
        "scenarios": [
            {
                "name": f"alpha-{alpha}",
                "strategy": "dirichlet",
                "parameters": {"alpha": alpha},
                "num_clients": 3,
                "pairs": "all",
            }
            for alpha in (0.1, 0.3, 1, 10)
        ],
        "architectures": [{"student": "mlp", "teacher": "cnn"}],
        "pretrain": TRAINING,
        "training": TRAINING,
        "techniques": ["finetune", "kd", "tuned-kd", "dkd", "dml", "dp-kd"],
        "grid": {"temperatures": [1, 2, 4, 8, 16, 32], "weights": [0.1, 0.3, 0.5, 0.7, 0.9, 1]},
    },
    "federated": {
        "scenarios": [
            {"name": "alpha-0.1", "strategy": "dirichlet", "parameters": {"alpha": 0.1}, "num_clients": 3}
        ],
        "arch": "cnn",
        "pretrain": TRAINING,
        "local": TRAINING,
        "rounds": 20,
        "starts": ["scratch", "best-client", "weight-average"],
        "targets": [0.5],
    },
}


def main() -> None:
    """Make the study, resume it, print and write down how long that takes; ``--resume`` resumes one."""
    if "--resume" in sys.argv:
        print(json.dumps(_resume(Path(sys.argv[-1]))))
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        spec = parse_spec(yaml.safe_dump(SPEC), origin="benchmark")
        num_models, num_runs = _finish(spec, folder)
        times = [_resume_apart(folder) for _ in range(REPETITIONS)]
        started = time.perf_counter()
        assert all(can_be_loaded(path) for path in (folder / MODELS_FOLDER).iterdir())
        reading_seconds = time.perf_counter() - started
    result = {
        "name": "study_resume",
        "question": f"Seconds to resume a finished study of {num_runs:,} runs with {num_models:,} models",
        "runs": num_runs,
        "models": num_models,
        "seconds": {name: [one[name] for one in times] for name in times[0]},
        "median_seconds": {name: statistics.median(one[name] for one in times) for name in times[0]},
        "seconds_to_read_all_models": reading_seconds,
        "repetitions": REPETITIONS,
        **describe_run(),
    }
    _print(result)
    write_json(result, RESULTS)


def _finish(spec: StudySpec, folder: Path) -> tuple[int, int]:
    """Make a finished study; returns how many models and runs it has."""
    source = data.load("digits")
    plan = make_plan(spec, source)
    bench = Workbench(spec=spec, data=source, folder=folder, device=torch.device("cpu"))
    examples = _do_one_of_each_kind(plan, bench)
    untrained = {arch: bench.new_model(arch, seed=0) for arch in ("mlp", "cnn")}
    first = next(run for run in plan.runs.values() if run.kind == "pretrain")
    _, card = models.load(bench.model_folder(first.id))
    num_models = 0
    with Store.open(folder / STORE_FILE, spec) as store:
        for run in plan.runs.values():
            result = copy.deepcopy(examples[run.kind])
            if run.kind == "pretrain":
                own = card.model_copy(update={"arch": run.config["arch"]})
                saved = models.save(untrained[run.config["arch"]], own, bench.model_folder(run.id))
                result["weights_hash"] = saved.weights_hash
                num_models += 1
            store.take(run.id)
            store.record_done(run, result)
    (folder / SPEC_FILE).write_text(spec.to_yaml(), encoding="utf-8")
    return num_models, len(plan.runs)


def _do_one_of_each_kind(plan: Plan, bench: Workbench) -> dict[str, dict[str, Any]]:
    """The result of one run of each kind, really done after those it needs."""
    results = {}
    for kind in ("transfer", "federate"):
        run = next(run for run in plan.runs.values() if run.kind == kind)
        needed: list[Run] = [plan.runs[need] for need in run.needs]
        results |= {one.kind: execute(one, bench) for one in [*needed, run]}
    return results


def _resume_apart(folder: Path) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.study_resume", "--resume", str(folder)]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_SECONDS, check=True)
    return json.loads(answer.stdout.splitlines()[-1])


def _resume(folder: Path) -> dict[str, float]:
    data.load("digits")
    spec = load_spec(folder / SPEC_FILE)
    moments = [time.perf_counter()]
    outcome = run_study(
        spec,
        out=folder,
        crew=Crew(device="cpu"),
        progress_fn=lambda _: moments.append(time.perf_counter()),
    )
    ended = time.perf_counter()
    assert outcome.runs_done == 0
    return {"until nothing to do": moments[1] - moments[0], "until results are written": ended - moments[0]}


def _print(result: dict[str, Any]) -> None:
    print(result["question"])
    for name, values in result["seconds"].items():
        median, low, high = result["median_seconds"][name], min(values), max(values)
        print(f"  {name:<26} {median:.2f} s (of {len(values)}: {low:.2f} to {high:.2f})")
    print(f"  reading every model whole would add {result['seconds_to_read_all_models']:.1f} s")


if __name__ == "__main__":
    main()
