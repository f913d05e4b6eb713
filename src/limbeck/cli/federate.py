"""`limbeck federate`: make a starting model and run federated learning, simulated or on Flower."""

import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from limbeck.cli.output import explain_interrupt, make_console, print_answer, print_json, print_paths
from limbeck.cli.tracking import TRACK_HELP, call_both, make_warn_fn
from limbeck.core.errors import InputError, RunError, require, require_known

if TYPE_CHECKING:
    from limbeck.federate import Standing
    from limbeck.federate.session import Outcome
    from limbeck.federate.spec import FederateSpec

DEFAULT_FOLDER = Path("limbeck-federations")
ENGINES = ("simulation", "flower")
# With what each option goes; with anything else it would be ignored. `--engine` alone stands for either.
GOES_WITH = {
    "--track": "--engine",
    "--device": "--engine simulation",
    "--workers": "--engine simulation",
    "--superlink": "--engine flower",
    "--host": "--new-site",
}


def federate(  # noqa: PLR0913 - the command's options
    spec: Annotated[
        Path | None, typer.Argument(help="A YAML file; --print-spec shows one. [default: the printed one]")
    ] = None,
    *,
    out: Annotated[
        Path | None, typer.Option(help=f"Folder of the run. [default: {DEFAULT_FOLDER}/NAME]")
    ] = None,
    engine: Annotated[
        str, typer.Option(help="simulation, or flower for sites over the network.")
    ] = "simulation",
    superlink: Annotated[
        str | None, typer.Option(help="Flower: name of the SuperLink's connection in Flower's configuration.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(help="Simulation: clients at a time. [default: one per core, one on a GPU]")
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(
            help="Simulation: auto, cpu or cuda; on Flower every site's file says it. [default: auto]"
        ),
    ] = None,
    new_site: Annotated[
        Path | None,
        typer.Option(
            help="Write keys, certificates and a commented site file into this folder, and no more."
        ),
    ] = None,
    host: Annotated[
        list[str] | None,
        typer.Option(help="--new-site: a name or address that sites reach the server by; may be repeated."),
    ] = None,
    track: Annotated[list[str] | None, typer.Option(help=TRACK_HELP)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
    print_spec: Annotated[
        bool, typer.Option("--print-spec", help="Print the spec as YAML and do nothing else.")
    ] = False,
) -> int:
    """Make a starting model and run federated learning.

    The same command again goes on after the last round that was kept.
    """
    from limbeck.federate.spec import load_example, load_federate_spec
    from limbeck.track import RoundFollower, open_tracking

    require_known("engine", engine, ENGINES)
    given = {
        "--track": track or None,
        "--device": device,
        "--workers": workers,
        "--superlink": superlink,
        "--host": host or None,
    }
    _require_use(
        [option for option, value in given.items() if value is not None],
        mode=f"--engine {engine}" if new_site is None else "--new-site",
    )
    require(
        workers is None or workers >= 1,
        "workers >= 1",
        f"workers={workers}",
        "Leave it out for one client per core at a time.",
    )
    if new_site is not None:
        return _write_site(new_site, host or [])
    loaded = load_example() if spec is None else load_federate_spec(spec)
    if print_spec:
        print_answer(loaded.to_yaml())
        return 0
    console, folder = make_console(), out or DEFAULT_FOLDER / loaded.name
    display = RoundDisplay(console, loaded)
    tracking = open_tracking(track or (), folder=folder, project=loaded.name, warn_fn=make_warn_fn(console))
    follower = RoundFollower(loaded, tracking)
    try:
        with tracking:
            if engine == "flower":
                outcome = _run_on_flower(loaded, folder, superlink=superlink, console=console)
                if outcome is not None:
                    follower.tell(outcome.standing)
            else:
                after_round = call_both(display.show, follower.tell)
                outcome = _simulate(
                    loaded, folder, device=device or "auto", workers=workers, after_round=after_round
                )
    except KeyboardInterrupt as error:
        raise RunError(
            f"Interrupted: {display.describe_kept()} Run the same command again to go on."
        ) from error
    if outcome is None:
        return _say_elsewhere(folder, as_json=as_json)
    page = _write_page(folder)
    if as_json:
        print_json({**describe_outcome(outcome), "report": str(page)})
    _print_outcome(console, loaded, outcome)
    print_paths(console, {"Report": page})
    return 0


def _require_use(options: Iterable[str], *, mode: str) -> None:
    """Refuse an option that would be ignored.

    Args:
        options: Those that were given, of `GOES_WITH`.
        mode: What the command is to do, as `GOES_WITH` has it.
    """
    for option in options:
        place = GOES_WITH[option]
        require(
            mode.startswith(place),
            f"`{option}` goes with `{place}`",
            f"it with `{mode}`",
            f"Leave `{option}` out, or use `{place}`.",
        )


def _simulate(
    spec: "FederateSpec",
    folder: Path,
    *,
    device: str,
    workers: int | None,
    after_round: Callable[["Standing"], None],
) -> "Outcome":
    from limbeck.core.device import pick_device
    from limbeck.federate import Simulation
    from limbeck.federate.assembly import assemble
    from limbeck.federate.session import run_session

    assembly, place = assemble(spec), pick_device(device)
    courier = Simulation(assembly.make_clients(place, folder=folder / "clients" / spec.hash), workers=workers)
    return run_session(assembly, assembly.make_server(place), courier, folder=folder, after_round=after_round)


def _run_on_flower(
    spec: "FederateSpec", folder: Path, *, superlink: str | None, console: Console
) -> "Outcome | None":
    """What the run came to, None where its folder is on another machine."""
    from limbeck.federate.session import read_outcome

    try:
        from limbeck.federate.flower.deployment import deploy
    except ImportError as error:
        raise InputError(
            "`--engine flower` needs Flower, which is not installed. Install it with "
            "`pip install 'limbeck[flower]'`."
        ) from error
    try:
        deploy(
            spec,
            folder,
            superlink=superlink,
            print_fn=lambda line: console.print(line, markup=False, soft_wrap=True),
        )
    except KeyboardInterrupt as error:
        raise RunError(
            "Interrupted: the run on Flower was stopped, the rounds before are kept. Run the same command "
            "again to go on."
        ) from error
    return read_outcome(spec, folder)


def _say_elsewhere(folder: Path, *, as_json: bool) -> int:
    """Say no more than the folder's name, since it is on the SuperLink's machine."""
    if as_json:
        print_json({"folder": str(folder)})
    return 0


def _write_page(folder: Path) -> Path:
    from limbeck.report import build_federation_page

    with explain_interrupt(folder):
        return build_federation_page(folder)


def _write_site(folder: Path, hosts: list[str]) -> int:
    try:
        from limbeck.federate.flower.site_files import write_site_files
    except ImportError as error:
        raise InputError(
            "`--new-site` makes keys and certificates with Flower's libraries, which are not installed. "
            "Install them with `pip install 'limbeck[flower]'`."
        ) from error
    print_answer(write_site_files(folder, hosts=hosts))
    return 0


class RoundDisplay:
    """Shows the rounds of a federation as they end, a line each."""

    def __init__(self, console: Console, spec: "FederateSpec") -> None:
        self._console = console
        self._spec = spec
        self._shown: int | None = None

    def show(self, standing: "Standing") -> None:
        """Show the last round."""
        last, spec = standing.history[-1], self._spec
        if self._shown is None and last.number:
            self._console.print(f"{spec.name}: going on after round {last.number}", soft_wrap=True)
        elif last.number == 0:
            self._console.print(
                f"{spec.name}: start {spec.start}{describe_settings(standing.start_settings)}, "
                f"test {last.accuracy:.1%}, validation {last.validation_accuracy:.1%}, "
                f"{format_megabytes(standing.start_bytes)} in {standing.start_seconds:.1f} s",
                soft_wrap=True,
            )
        else:
            self._console.print(
                f"{spec.name}: round {last.number} of {spec.rounds}, test {last.accuracy:.1%}, validation "
                f"{last.validation_accuracy:.1%}, {len(last.participants)} clients"
                f"{describe_lost(last.rejected, last.missing)}, {format_megabytes(last.bytes_sent)}, "
                f"{last.seconds / last.number:.2f} s a round",
                soft_wrap=True,
            )
        for client, reason in last.rejected.items():
            self._console.print(f"  client {client} rejected: {reason}", markup=False, soft_wrap=True)
        self._shown = last.number

    def describe_kept(self) -> str:
        """What an interruption has left."""
        return "no round is kept yet." if self._shown is None else f"round {self._shown} is kept."


def describe_settings(settings: Mapping[str, float]) -> str:
    """Settings that clients chose, as a part of a line."""
    parts = [f"{name} {value:g}" for name, value in settings.items()]
    return f" ({', '.join(parts)}, chosen by clients)" if parts else ""


def describe_lost(rejected: Any, missing: Any) -> str:
    """How many replies did not count, as a part of a line."""
    parts = [f"{len(lost)} {name}" for name, lost in (("rejected", rejected), ("missing", missing)) if lost]
    return f" ({', '.join(parts)})" if parts else ""


def format_megabytes(num_bytes: int) -> str:
    """Bytes as MB with three digits."""
    return f"{num_bytes / 1e6:.3g} MB"


def describe_outcome(outcome: "Outcome") -> dict[str, Any]:
    """An outcome for programs."""
    last, standing = outcome.standing.history[-1], outcome.standing
    best = standing.history[standing.best_round]
    return {
        "rounds": last.number,
        "accuracy": last.accuracy,
        "validation_accuracy": last.validation_accuracy,
        "best_round": best.number,
        "best_accuracy": best.accuracy,
        "epsilon": _finite(outcome.epsilon),
        "reached_target": outcome.reached_target,
        "start_settings": dict(standing.start_settings),
        "start_bytes": standing.start_bytes,
        "bytes_sent": last.bytes_sent,
        "total_bytes": outcome.ledger.total_bytes(),
        "folder": str(outcome.folder),
    }


def _finite(epsilon: float | None) -> float | None:
    """The budget where there is one: JSON has no infinity, and without noise nothing is promised."""
    return epsilon if epsilon is not None and math.isfinite(epsilon) else None


def _print_outcome(console: Console, spec: "FederateSpec", outcome: "Outcome") -> None:
    from limbeck.federate.session import MODELS_FOLDER

    standing = outcome.standing
    best = standing.history[standing.best_round]
    if outcome.reached_target is not None:
        last = standing.history[-1].number
        reached = f"reached in round {last}" if outcome.reached_target else f"not reached in {last} rounds"
        console.print(f"Target of {spec.target:.1%} on the validation samples: {reached}.", soft_wrap=True)
    if spec.privacy is not None and _finite(outcome.epsilon) is not None:
        console.print(
            f"Privacy: what each client sent is ({outcome.epsilon:.3g}, {spec.privacy.delta:g})-"
            "differentially private for its samples.",
            soft_wrap=True,
        )
    console.print(
        f"Best on the validation samples: round {best.number}, test {best.accuracy:.1%}.", soft_wrap=True
    )
    print_paths(console, {"Models": outcome.folder / MODELS_FOLDER, "Curves and messages": outcome.folder})
