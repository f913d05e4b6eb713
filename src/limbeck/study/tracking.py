"""The runs of a study and its progress as notes for trackers."""

from collections.abc import Mapping
from typing import Any

from limbeck.study.plan import Plan, Run, settings_of
from limbeck.study.run import Progress, label_run
from limbeck.study.spec import StudySpec
from limbeck.track import Note, Point

_PRETRAIN_NUMBERS = ("accuracy", "validation_accuracy", "num_samples", "seconds")
_TRANSFER_NUMBERS = (
    "gain",
    "forgetting",
    "accuracy_before",
    "accuracy_after",
    "validation_before",
    "validation_after",
    "positive_flips",
    "negative_flips",
)
_ROUND_NUMBERS = ("accuracy", "validation_accuracy", "bytes_sent", "seconds", "rejected")


def note_run(plan: Plan, run_id: str, result: Mapping[str, Any]) -> Note:
    """A finished run: of a federation its rounds, of any other run one point.

    Args:
        plan: The plan of the study.
        run_id: The run.
        result: What it gave.
    """
    run = plan.runs[run_id]
    return Note(
        key=run_id,
        name=_name_run(run),
        config={**run.config, **_describe_models(plan, run)},
        points=_list_points(run, result),
        is_whole=True,
    )


def note_progress(spec: StudySpec, progress: Progress) -> Note:
    """How far a study is; the step is the number of its runs that are finished."""
    finished = progress.skipped + progress.done + progress.elsewhere
    numbers = {"finished": finished, "failed": progress.failed, "total": progress.total}
    return Note(
        key=spec.hash,
        name="progress",
        config={"study": spec.name, "spec": spec.hash},
        points=((finished, {name: float(number) for name, number in numbers.items()}),),
    )


def _list_points(run: Run, result: Mapping[str, Any]) -> tuple[Point, ...]:
    if run.kind == "federate":
        return tuple((state["number"], _pick(state, _ROUND_NUMBERS)) for state in result["rounds"])
    if run.kind == "pretrain":
        return ((0, _pick(result, _PRETRAIN_NUMBERS)),)
    student, *peers = result["models"]
    numbers = {**_pick(student, _TRANSFER_NUMBERS), **_pick(result, ("seconds",))}
    for peer in peers:
        numbers |= {f"peer.{name}": number for name, number in _pick(peer, _TRANSFER_NUMBERS).items()}
    return ((0, numbers),)


def _pick(found: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, float]:
    """The numbers of these names; those that a result of an earlier version lacks are left out."""
    return {name: float(found[name]) for name in names if found.get(name) is not None}


def _describe_models(plan: Plan, run: Run) -> dict[str, str]:
    """The architectures of a transfer, whose configuration names its models by their runs."""
    if run.kind != "transfer":
        return {}
    return {f"{role}_arch": plan.runs[run.config[role]].config["arch"] for role in ("student", "teacher")}


def _name_run(run: Run) -> str:
    name = label_run(run)
    if run.kind == "pretrain":
        return f"{name} {run.config['arch']}"
    if run.kind == "federate":
        return name
    settings = "".join(f" {setting} {value:g}" for setting, value in settings_of(run.config).items())
    student, teacher = run.config["pair"]
    return f"{name}{settings}, {teacher} to {student}, {run.config['transfer_set']} set"
