"""Flower's processes on this machine: a SuperLink and SuperNodes with encryption and registered keys."""

import contextlib
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from limbeck.federate.flower import site_files

START_SECONDS = 240.0
POLL_SECONDS = 0.2


@dataclass
class Deployment:
    """A server and its sites in one folder, and the processes that are up.

    Attributes:
        folder: Holds `server` and a folder per site.
        port: The SuperLink's.
        processes: By name, `server` for the SuperLink.
    """

    folder: Path
    port: int
    processes: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)

    @property
    def server(self) -> Path:
        return self.folder / site_files.SERVER_FOLDER

    def write(self, num_sites: int) -> None:
        """Files of the server and of sites 0 and up, each a client of the spec's split."""
        for client in range(num_sites):
            folder = self.folder / f"site-{client}"
            site_files.write_site_files(folder)
            site = folder / site_files.SITE_FILE
            lines = site.read_text().replace("# client: 0", f"client: {client}").splitlines()
            site.write_text("\n".join(line for line in lines if not line.startswith("source:")))
        config = self.server / site_files.CONNECTION_FOLDER / "config.toml"
        config.write_text(config.read_text().replace(str(site_files.SERVER_PORT), str(self.port)))

    def start_server(self) -> None:
        command = site_files.make_superlink_command(self.server, host="127.0.0.1", port=self.port)
        self._start("server", command, home=self.server / site_files.CONNECTION_FOLDER)
        self.wait_for_log("server", "Uvicorn running")

    def register(self, client: int) -> None:
        key = self.folder / f"site-{client}" / site_files.SITE_PUBLIC_KEY
        line = [sys.executable, "-m", "flwr.cli.app", "supernode", "register", str(key), "limbeck"]
        home = self.server / site_files.CONNECTION_FOLDER
        subprocess.run(
            line, env=make_environment(home), check=True, capture_output=True, timeout=START_SECONDS
        )

    def start_site(self, client: int) -> None:
        """Start a site's SuperNode."""
        folder = self.folder / f"site-{client}"
        command = site_files.make_supernode_command(
            folder, superlink=f"127.0.0.1:{self.port}", port=find_free_port()
        )
        self._start(folder.name, command, home=folder / site_files.CONNECTION_FOLDER)

    def read_log(self, name: str) -> str:
        path = self.folder / f"{name}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def wait_for_log(self, name: str, text: str) -> None:
        """Wait until a process has written a text, or has ended.

        Raises:
            AssertionError: When it did not in time.
        """
        process = self.processes[name]
        wait_until(lambda: text in self.read_log(name) or process.poll() is not None)
        assert text in self.read_log(name), self.read_log(name)

    def wait_for_end(self, name: str) -> None:
        """Wait until a process has ended of itself.

        Raises:
            AssertionError: When it did not in time.
        """
        wait_until(lambda: self.processes[name].poll() is not None)

    def kill(self, name: str) -> None:
        """End a process and all it started, at once."""
        process = self.processes.pop(name)
        for pid in [*find_descendants(process.pid), process.pid]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait(START_SECONDS)

    def _start(self, name: str, command: str, *, home: Path) -> None:
        with (self.folder / f"{name}.log").open("wb") as log:
            self.processes[name] = subprocess.Popen(
                shlex.split(command),
                env=make_environment(home),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
            )


@contextlib.contextmanager
def open_deployment(folder: Path, *, num_sites: int) -> Iterator[Deployment]:
    """A deployment with its files, none of its processes up; whatever is up in the end is killed."""
    deployment = Deployment(folder=folder, port=find_free_port())
    deployment.write(num_sites)
    try:
        yield deployment
    finally:
        for name in list(deployment.processes):
            deployment.kill(name)


def make_environment(home: Path) -> dict[str, str]:
    """What Flower's processes see: programs of this environment first, and a folder of their own."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    quiet = {"FLWR_TELEMETRY_ENABLED": "0", "FLWR_DISABLE_UPDATE_CHECK": "1", "OMP_NUM_THREADS": "1"}
    return {**os.environ, **quiet, "PATH": path, "FLWR_HOME": str(home)}


def find_descendants(pid: int) -> list[int]:
    """The processes that a process has started, and those they have."""
    children: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has ended
            parent = int(path.read_text().rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(path.parent.name))
    found = list(children.get(pid, []))
    for child in found:
        found += children.get(child, [])
    return found


def find_free_port() -> int:
    """A port of this machine that nobody listens at."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def wait_until(holds: Callable[[], bool], *, seconds: float = START_SECONDS) -> None:
    """Wait until something holds.

    Raises:
        AssertionError: When it does not in time.
    """
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"did not happen in {seconds} s"
        time.sleep(POLL_SECONDS)
