"""`limbeck study`: run or resume a study and write its report."""

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from limbeck.cli.output import make_console, print_answer, print_json, print_paths
from limbeck.cli.progress import ProgressDisplay
from limbeck.cli.tracking import TRACK_HELP, call_both, make_warn_fn
from limbeck.core.errors import RunError, count

if TYPE_CHECKING:
    from limbeck.study import Choice, Progress, StudyOutcome, StudySpec
    from limbeck.study.run import ProgressFn, ResultFn
    from limbeck.track import Tracking

DEFAULT_FOLDER = Path("limbeck-studies")


def study(  # noqa: PLR0913 - the command's options
    spec: Annotated[
        str,
        typer.Argument(
            help="A YAML file, or a built-in study: quickstart, fashion-mnist, fashion-mnist-full, "
            "cifar10-full or federation."
        ),
    ] = "quickstart",
    *,
    out: Annotated[
        Path | None, typer.Option(help=f"Folder of the study. [default: {DEFAULT_FOLDER}/NAME]")
    ] = None,
    data_dir: Annotated[
        Path | None, typer.Option(help="Folder with a copy of the data set the spec names.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(help="Workers, of one thread each. [default: one per core, one on a GPU]")
    ] = None,
    ray: Annotated[
        str | None, typer.Option(help="Address of a Ray cluster that does the runs, such as auto.")
    ] = None,
    store: Annotated[
        str | None,
        typer.Option(help="URL of the database that keeps the runs. [default: store.sqlite in the folder]"),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    budget: Annotated[
        str | None,
        typer.Option(help="Time for all runs, such as 90s, 30m or 2h: a balanced part that fits is done."),
    ] = None,
    track: Annotated[list[str] | None, typer.Option(help=TRACK_HELP)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
    print_spec: Annotated[
        bool, typer.Option("--print-spec", help="Print the spec as YAML and do nothing else.")
    ] = False,
) -> int:
    """Run or resume a comparison study and write its report.

    The same command again does only what is missing.
    """
    from limbeck import report
    from limbeck.study import Crew, load_spec, parse_duration, run_study
    from limbeck.track import open_tracking

    loaded = load_spec(spec)
    if print_spec:
        print_answer(loaded.to_yaml())
        return 0
    budget_seconds = None if budget is None else parse_duration(budget)
    console = make_console()
    folder = out or DEFAULT_FOLDER / loaded.name
    tracking = open_tracking(track or (), folder=folder, project=loaded.name, warn_fn=make_warn_fn(console))
    with ProgressDisplay(console, loaded.name) as display:
        try:
            with tracking:
                outcome = run_study(
                    loaded,
                    out=folder,
                    data_dir=data_dir,
                    store=store,
                    crew=Crew(workers=workers, device=device, ray=ray),
                    budget_seconds=budget_seconds,
                    progress_fn=call_both(
                        _announce_choice(console, display), _track_progress(loaded, tracking)
                    ),
                    result_fn=_track_results(tracking) if track else None,
                )
                page = report.build(folder)
        except KeyboardInterrupt as error:
            raise _explain_interrupt(display) from error
    if as_json:
        print_json(_to_json(outcome, page))
    console.print(
        f"{loaded.name}: {outcome.runs_total} runs, {outcome.runs_done} done now, "
        f"{outcome.runs_skipped} were done before{_mention_others(outcome)}.",
        markup=False,
        soft_wrap=True,
    )
    print_paths(console, {"Report": page})
    if outcome.errors:
        raise _explain_failures(outcome)
    return 0


def _announce_choice(console: Console, display: ProgressDisplay) -> "ProgressFn":
    """Shows progress, and before anything else what a budget takes and leaves out."""

    def show(progress: "Progress") -> None:
        if display.last is None and progress.choice is not None:
            for line in describe_choice(progress.choice):
                console.print(line, markup=False, highlight=False, soft_wrap=True)
        display.show(progress)

    return show


def _track_progress(spec: "StudySpec", tracking: "Tracking") -> "ProgressFn":
    from limbeck.study.tracking import note_progress

    return lambda progress: tracking.tell(note_progress(spec, progress))


def _track_results(tracking: "Tracking") -> "ResultFn":
    from limbeck.study.tracking import note_run

    return lambda plan, run_id, result: tracking.tell(note_run(plan, run_id, result))


def describe_choice(choice: "Choice") -> list[str]:
    """What a budget takes and leaves out, in lines."""
    estimates = choice.estimated_seconds, choice.estimated_seconds_of_all
    needed, whole = (timedelta(seconds=round(seconds)) for seconds in estimates)
    lines = [
        f"The budget takes {choice.runs:,} of {choice.runs + choice.runs_left_out:,} runs, about {needed} "
        f"with {count(choice.workers, 'worker')}; all would take about {whole}."
    ]
    by_axis: dict[str, list[str]] = {}
    for share in choice.shares:
        told = f"{share.value} {share.kept} of {share.kept + share.left_out}"
        by_axis.setdefault(f"{share.part}, {share.axis}", []).append(told)
    return lines + [f"Taken by {axis}: {', '.join(told)}" for axis, told in by_axis.items()]


def _mention_others(outcome: "StudyOutcome") -> str:
    return f", {outcome.runs_elsewhere} by another study" if outcome.runs_elsewhere else ""


def _to_json(outcome: "StudyOutcome", page: Path) -> dict[str, str | int]:
    return {
        "report": str(page),
        "results": str(outcome.results),
        "store": outcome.store,
        "runs_total": outcome.runs_total,
        "runs_done": outcome.runs_done,
        "runs_skipped": outcome.runs_skipped,
        "runs_elsewhere": outcome.runs_elsewhere,
        "runs_failed": len(outcome.errors),
    }


def _explain_interrupt(display: ProgressDisplay) -> RunError:
    progress = display.last
    finished = 0 if progress is None else progress.skipped + progress.done + progress.elsewhere
    total = "" if progress is None else f" of {progress.total}"
    return RunError(
        f"Interrupted: {finished}{total} runs are finished and kept. Run the same command again to go on."
    )


def _explain_failures(outcome: "StudyOutcome") -> RunError:
    run_id, reason = next(iter(outcome.errors.items()))
    return RunError(
        f"{len(outcome.errors)} of {outcome.runs_total} runs failed, first {run_id}: {reason.rstrip('.')}. "
        "The report covers the others; run the same command again to retry."
    )
