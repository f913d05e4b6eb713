"""A real MLflow server on 127.0.0.1, started and stopped by a test."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

LIMIT_SECONDS = 120


def find_free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class MlflowServer:
    """A server that keeps its runs in a folder; one that is started again has them still."""

    def __init__(self, folder: Path):
        self.address = f"http://127.0.0.1:{find_free_port()}"
        self._folder = folder
        self._process = None

    def start(self):
        self._folder.mkdir(exist_ok=True)
        places = ["--backend-store-uri", f"sqlite:///{self._folder / 'server.db'}"]
        places += ["--default-artifact-root", (self._folder / "artifacts").as_uri()]
        host, port = self.address.removeprefix("http://").split(":")
        with (self._folder / "log").open("a") as log:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "mlflow",
                    "server",
                    "--host",
                    host,
                    "--port",
                    port,
                    "--workers",
                    "1",
                    *places,
                ],
                cwd=self._folder,
                stdout=log,
                stderr=log,
                env={
                    **os.environ,
                    "MLFLOW_DISABLE_TELEMETRY": "true",
                    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
                },
                start_new_session=True,
            )
        self._wait()

    def _wait(self):
        deadline = time.monotonic() + LIMIT_SECONDS
        while True:
            try:
                return urllib.request.urlopen(f"{self.address}/health", timeout=5).close()
            except (urllib.error.URLError, OSError):
                assert self._process.poll() is None, (self._folder / "log").read_text()
                assert time.monotonic() < deadline, "the server does not answer"
                time.sleep(0.1)

    def stop(self):
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(LIMIT_SECONDS)
            self._process = None
