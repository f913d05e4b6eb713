"""`limbeck federate SPEC --engine flower`: hand a spec to a SuperLink, follow its run, judge by its true end.

Flower's own command line does the talking, each command with a limit. `flwr run` and `flwr log` end with
status 0 however the run went, so its state is read from `flwr list`.
"""

import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from limbeck.core.errors import InputError, RunError
from limbeck.core.files import explain_disk_errors, write_text
from limbeck.federate.flower.connection import read_connection, require_answer
from limbeck.federate.flower.server_app import INPUT_ERROR, RUN_ERROR, SAID
from limbeck.federate.spec import FederateSpec

APP_FOLDER, LOG_FILE = "flower-app", "flower.log"
COMMAND_SECONDS = 180.0
START_SECONDS = 600.0
SILENT_SECONDS = 30.0
LOST_SECONDS = 180.0
PAUSE_SECONDS = 2.0
COMPLETED, FINISHED = "finished:completed", "finished"
NOT_YET = ("pending", "starting")
ENVIRONMENT = {"FLWR_TELEMETRY_ENABLED": "0", "FLWR_DISABLE_UPDATE_CHECK": "1", "NO_COLOR": "1"}

APP_TEMPLATE = """\
# A Flower app for one federation of limbeck: `flwr run . NAME` starts it, or goes on with it.
# limbeck has to be installed at the SuperLink and at every SuperNode; nothing is installed for a run.

[project]
name = "limbeck-federation"
version = {version}
description = {description}
license = "Apache-2.0"
dependencies = []

[tool.flwr.app]
publisher = "limbeck"

[tool.flwr.app.components]
serverapp = "limbeck.federate.flower.app:server_app"
clientapp = "limbeck.federate.flower.app:client_app"

[tool.flwr.app.config]
# The run's folder at the SuperLink's machine.
folder = {folder}
# Where the server computes: auto, cpu or cuda.
device = "auto"
# The spec, or the path of its file at the SuperLink's machine.
spec = {spec}
"""


def deploy(
    spec: FederateSpec,
    folder: Path,
    *,
    superlink: str | None,
    print_fn: Callable[[str], None],
    start_seconds: float = START_SECONDS,
) -> int:
    """Run a federation on Flower, or go on with the one that the folder holds.

    Args:
        spec: The spec.
        folder: The run's folder at the SuperLink's machine; the Flower app and its log are kept in one of the
            same name here.
        superlink: Name of the SuperLink's connection in Flower's configuration, None for its default.
        print_fn: Prints a line of progress.
        start_seconds: How long to wait until the run is under way; from then on the server's own limits hold.

    Returns:
        0, when the run was completed.

    Raises:
        InputError: When the SuperLink, the spec or the sites are not as they should be.
        RunError: When the run failed or was not begun in time, or the SuperLink was lost.
    """
    connection = read_connection(superlink)
    require_answer(connection)
    folder = folder.absolute()
    app = write_app(folder / APP_FOLDER, spec, run_folder=folder)
    flower = Flower(connection.name)
    run_id = flower.start(app)
    print_fn(f"{spec.name}: run {run_id} on Flower; its whole log goes to {folder / LOG_FILE}")
    try:
        watch = Watch(flower=flower, run_id=run_id, start_seconds=start_seconds)
        state, told = _follow(watch, log=folder / LOG_FILE, print_fn=print_fn)
    except KeyboardInterrupt:
        flower.stop(run_id)
        raise
    if state["status"] == COMPLETED:
        return 0
    if told is not None:
        raise told
    raise RunError(
        f"a run on Flower must end as `{COMPLETED}`, but run {run_id} ended as `{state['status']}` "
        f"({_describe_details(state)}). The rounds before are kept; run the same command again to go on. "
        f"What Flower said is in `{folder / LOG_FILE}`."
    )


def write_app(app: Path, spec: FederateSpec, *, run_folder: Path) -> Path:
    """Write the Flower app of a federation.

    Args:
        app: The app's folder.
        spec: The spec; its relative `data_dir` counts from here.
        run_folder: The run's folder at the SuperLink's machine.

    Returns:
        The app's folder.

    Raises:
        RunError: When the disk refuses it.
    """
    if spec.data.data_dir is not None:
        own = spec.data.model_copy(update={"data_dir": spec.data.data_dir.absolute()})
        spec = spec.model_copy(update={"data": own})
    texts = {
        "version": version("limbeck").split("+")[0],
        "description": spec.description or f"Federation {spec.name}",
        "folder": str(run_folder),
        "spec": spec.to_yaml(),
    }
    # A JSON string is a TOML string.
    quoted = {name: json.dumps(text, ensure_ascii=False) for name, text in texts.items()}
    write_text(app / "pyproject.toml", APP_TEMPLATE.format(**quoted))
    return app


@dataclass(frozen=True)
class Flower:
    """Flower's command line, for one SuperLink.

    Attributes:
        superlink: Name of its connection in Flower's configuration.
    """

    superlink: str

    def start(self, app: Path) -> str:
        """Start a run of an app; its id.

        Raises:
            RunError: When the SuperLink cannot be reached, or refuses.
        """
        return self.ask("run", str(app))["run-id"]

    def stop(self, run_id: str) -> None:
        """Stop a run."""
        self.ask("stop", run_id)

    def read_state(self, run_id: str) -> dict[str, Any]:
        """The state of a run: `status`, `status-details` and more.

        Raises:
            RunError: When the SuperLink cannot be reached, or does not know the run.
        """
        return self.ask("list", options=("--run-id", run_id))["runs"][0]

    def ask(self, command: str, *arguments: str, options: Sequence[str] = ()) -> dict[str, Any]:
        """What a command answers, as JSON.

        Raises:
            RunError: When the command fails, or does not end in time.
        """
        line = self._make_line(command, *arguments, options=(*options, "--format", "json"))
        try:
            done = subprocess.run(
                line,
                env=_environment(),
                capture_output=True,
                text=True,
                timeout=COMMAND_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise RunError(
                f"`flwr {command}` must end within {COMMAND_SECONDS:g} s, but did not. Look at the SuperLink."
            ) from error
        answer = _read_answer(done.stdout)
        if answer.get("success"):
            return answer
        raise _explain(command, answer.get("error-message") or done.stderr or done.stdout, self.superlink)

    def open_log(self, run_id: str) -> "subprocess.Popen[str]":
        """A process that prints the run's log from its beginning until the run ends."""
        return subprocess.Popen(
            self._make_line("log", run_id, options=("--stream",)),
            env=_environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            errors="replace",
        )

    def _make_line(self, command: str, *arguments: str, options: Sequence[str]) -> list[str]:
        return [sys.executable, "-m", "flwr.cli.app", command, *arguments, self.superlink, *options]


def _environment() -> dict[str, str]:
    return {**os.environ, **ENVIRONMENT}


def _read_answer(text: str) -> dict[str, Any]:
    try:
        answer = json.loads(text)
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}


def _explain(command: str, text: str, name: str) -> RunError:
    """One sentence for what Flower's command line said."""
    reason = text.strip().splitlines()[-1].strip() if text.strip() else "it said nothing"
    return RunError(f"`flwr {command}` must succeed at `{name}`, but Flower says: {reason}")


@dataclass(frozen=True, kw_only=True)
class Watch:
    """Looks at a run, with a limit to every wait.

    Attributes:
        flower: Asks for its state.
        run_id: Which run it is.
        start_seconds: How long it may wait before it is under way.
        began: When the watch began, on the clock of `time.monotonic`.
    """

    flower: Flower
    run_id: str
    start_seconds: float
    began: float = field(default_factory=time.monotonic)

    def look(self) -> dict[str, Any]:
        """The run's state; a run that is not under way in time is stopped.

        Raises:
            RunError: When it is not, or the SuperLink does not answer for `LOST_SECONDS`.
        """
        state = self._read_patiently()
        if state["status"] in NOT_YET and time.monotonic() - self.began >= self.start_seconds:
            raise RunError(
                f"a run on Flower must be under way within {self.start_seconds:g} s, but run {self.run_id} "
                f"is `{state['status']}` ({_describe_details(state)}). {self._stop()} See in the SuperLink's "
                "log why it starts no process for it, and run the same command again."
            )
        return state

    def _read_patiently(self) -> dict[str, Any]:
        """The state, asked for again for a while when the SuperLink does not answer."""
        deadline = time.monotonic() + LOST_SECONDS
        while True:
            try:
                return self.flower.read_state(self.run_id)
            except RunError as error:
                if time.monotonic() >= deadline:
                    raise RunError(
                        f"the SuperLink must answer, but it has not for {LOST_SECONDS:g} s: {error} The "
                        "rounds before are kept; start the SuperLink and run the same command again to go on."
                    ) from error
                time.sleep(PAUSE_SECONDS)

    def _stop(self) -> str:
        """Stop the run, and say whether that went well."""
        try:
            self.flower.stop(self.run_id)
        except RunError as error:
            return f"It could not be stopped: {error}"
        return "It was stopped."


def _follow(
    watch: Watch, *, log: Path, print_fn: Callable[[str], None]
) -> tuple[dict[str, Any], InputError | RunError | None]:
    """Print a run's progress until it ends; its last state, and the sentence it ended with."""
    num_seen, told = 0, None
    while True:
        for number, line in enumerate(_read_log(watch, log)):
            if line.startswith(SAID) and number >= num_seen:
                print_fn(line.removeprefix(SAID))
            told = read_error(line) or told
            num_seen = max(num_seen, number + 1)
        state = watch.look()
        if state["status"].startswith(FINISHED):
            return state, told
        time.sleep(PAUSE_SECONDS)


def read_error(line: str) -> InputError | RunError | None:
    """The error that a run ended with, None for any other line."""
    if line.startswith(INPUT_ERROR):
        return InputError(line.removeprefix(INPUT_ERROR))
    return RunError(line.removeprefix(RUN_ERROR)) if line.startswith(RUN_ERROR) else None


def _read_log(watch: Watch, log: Path) -> Iterator[str]:
    """Limbeck's lines of a run's log as they come, until it ends or the run is over; all go to a file."""
    process = watch.flower.open_log(watch.run_id)
    lines: queue.Queue[str | None] = queue.Queue()
    reader = threading.Thread(target=_fill, args=(process, lines), daemon=True)
    reader.start()
    try:
        with explain_disk_errors(log), log.open("w", encoding="utf-8") as file:
            while (line := _next_line(lines, watch)) is not None:
                file.write(line)
                file.flush()
                if line.startswith((SAID, INPUT_ERROR, RUN_ERROR)):
                    yield line.rstrip("\n")
    finally:
        process.kill()
        process.wait()
        reader.join()


def _fill(process: "subprocess.Popen[str]", lines: "queue.Queue[str | None]") -> None:
    assert process.stdout is not None
    with process.stdout:
        for line in process.stdout:
            lines.put(line)
    lines.put(None)


def _next_line(lines: "queue.Queue[str | None]", watch: Watch) -> str | None:
    """The next line of a log; None at its end, or when the run is over and it says nothing more."""
    while True:
        try:
            return lines.get(timeout=SILENT_SECONDS)
        except queue.Empty:
            if watch.look()["status"].startswith(FINISHED) and lines.empty():
                return None


def _describe_details(state: dict[str, Any]) -> str:
    details = " ".join(str(state.get("status-details", "")).split())
    return details if details not in ("", "N/A") else "Flower does not say why"
