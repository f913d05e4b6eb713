"""What the server's app does: run the spec in the run's folder, and say on one line each how it goes.

The lines go through Flower's log to whoever follows it; see `limbeck.federate.flower.deployment`.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from flwr.serverapp import Grid

from limbeck.core.device import pick_device
from limbeck.core.errors import InputError, RunError, require
from limbeck.core.spec_files import parse_part
from limbeck.federate.assembly import assemble
from limbeck.federate.flower.courier import FlowerCourier
from limbeck.federate.flower.run_file import begin_session, hold_folder
from limbeck.federate.server import Standing
from limbeck.federate.session import run_session
from limbeck.federate.spec import REMEDY, FederateSpec, load_federate_spec

SAID, INPUT_ERROR, RUN_ERROR = "limbeck: ", "limbeck input error: ", "limbeck run error: "
"""What a line begins with: progress, or the sentence that a run ended with."""

RunConfig = Mapping[str, Any]


def serve(grid: Grid, run_config: RunConfig) -> None:
    """Run the federation that a Flower run is configured with, or go on with it.

    Args:
        grid: Flower's connection to the nodes.
        run_config: `spec`, a spec as YAML text or the path of its file; `folder`, the run's folder; `device`.
            Paths are those of the SuperLink's machine.

    Raises:
        InputError: When the spec, the folder or the sites are not as they should be.
        RunError: When a round cannot be completed, or the disk refuses a file.
    """
    try:
        _serve(grid, run_config)
    except InputError as error:
        _print(f"{INPUT_ERROR}{error}")
        raise
    except RunError as error:
        _print(f"{RUN_ERROR}{error}")
        raise


def _serve(grid: Grid, run_config: RunConfig) -> None:
    spec, folder = read_spec(run_config), Path(run_config.get("folder", ""))
    require(
        folder.is_absolute(),
        "the run config's `folder` is a whole path at the SuperLink's machine",
        f"`{folder}`",
        "Set it with `--run-config`.",
    )
    with hold_folder(folder):
        assembly = assemble(spec)
        courier = FlowerCourier(
            grid,
            begin_session(folder),
            num_clients=spec.num_clients,
            num_needed=spec.min_replies,
            seconds=spec.reply_seconds,
            say=say,
        )
        server = assembly.make_server(pick_device(run_config.get("device", "auto")))
        run_session(assembly, server, courier, folder=folder, after_round=make_narrator(spec))


def read_spec(run_config: RunConfig) -> FederateSpec:
    """The spec of a run config: YAML text of several lines, or the path of a file.

    Raises:
        InputError: When it is not valid.
    """
    text = str(run_config.get("spec", ""))
    if "\n" in text:
        return parse_part(text, FederateSpec, origin="spec", remedy=REMEDY)
    return load_federate_spec(Path(text))


def make_narrator(spec: FederateSpec) -> Callable[[Standing], None]:
    """A function that says where a run stands, a line per round."""

    def narrate(standing: Standing) -> None:
        last = standing.history[-1]
        say(
            f"{spec.name}: round {last.number} of {spec.rounds}, test {last.accuracy:.1%}, "
            f"validation {last.validation_accuracy:.1%}, {len(last.participants)} clients, "
            f"{len(last.rejected)} rejected, {len(last.missing)} missing, {last.bytes_sent / 1e6:.3g} MB"
        )
        for client, reason in last.rejected.items():
            say(f"  client {client} rejected: {reason}")

    return narrate


def say(line: str) -> None:
    """Say something to whoever follows the run."""
    _print(f"{SAID}{line}")


def _print(line: str) -> None:
    print(" ".join(line.splitlines()), flush=True)  # noqa: T201
