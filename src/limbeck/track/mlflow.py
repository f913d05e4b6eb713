"""Runs on an MLflow server, or in an SQLite file of MLflow's. The only file that imports mlflow.

The study or federation is an experiment; the tag `limbeck.run` of a run is its key.
"""

import os
import time
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from urllib.parse import urlsplit

from limbeck.core.errors import require
from limbeck.track.tracker import Note, Point, Status, explain_missing, flatten

# Read when mlflow is imported or asks its server. By itself it reports its use, and tries for many minutes.
for _name, _value in {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}.items():
    os.environ.setdefault(_name, _value)
try:
    from mlflow import MlflowClient
    from mlflow.entities import Experiment, Metric, Param, Run
    from mlflow.exceptions import MlflowException
except ImportError as error:
    raise explain_missing("mlflow") from error

TAG = "limbeck.run"
DATABASE_FILE = "mlflow.db"
# MLflow takes 1,000 numbers and 100 parameters at a time; a point has fewer than ten numbers.
MOST_POINTS, MOST_PARAMETERS = 100, 100
RUNS_PER_PAGE = 1000
STATUSES = {"done": "FINISHED", "failed": "FAILED", "interrupted": "KILLED"}


class MlflowTracker:
    """A `Tracker` that talks to an MLflow server or writes its database."""

    def __init__(self, destination: str, *, project: str) -> None:
        """Choose where to write; nothing is asked yet.

        Args:
            destination: Address of a server or database as MLflow has it, or a folder for an SQLite file.
            project: Name of the experiment.

        Raises:
            InputError: When a password is in the address.
        """
        is_address = "://" in destination
        require(
            not is_address or urlsplit(destination).password is None,
            "no password is in the address of an MLflow server",
            "one",
            "Put name and password into MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD.",
        )
        self._folder = None if is_address else Path(destination).absolute()
        self._address = destination
        self._project = project
        self.place = f"MLflow {'at' if is_address else 'in'} `{destination}`"

    @cached_property
    def _client(self) -> MlflowClient:
        if self._folder is None:
            return MlflowClient(tracking_uri=self._address)
        self._folder.mkdir(parents=True, exist_ok=True)
        return MlflowClient(tracking_uri=f"sqlite:///{self._folder / DATABASE_FILE}")

    @cached_property
    def _experiment_id(self) -> str:
        found = self._find_experiment()
        if found is not None:
            return found.experiment_id
        artifacts = None if self._folder is None else (self._folder / "artifacts").as_uri()
        try:
            return self._client.create_experiment(self._project, artifact_location=artifacts)
        except MlflowException:
            found = self._find_experiment()  # another study may have been faster
            if found is None:
                raise
            return found.experiment_id

    def _find_experiment(self) -> Experiment | None:
        return self._client.get_experiment_by_name(self._project)

    def find_finished(self) -> set[str]:
        """The keys of runs that the server knows as finished."""
        return {
            run.data.tags[TAG]
            for run in self._search("attributes.status = 'FINISHED'")
            if TAG in run.data.tags
        }

    def start(self, note: Note) -> "MlflowRun":
        """Begin a run, or go on with the one that has its key."""
        found = next(self._search(f"tags.`{TAG}` = '{note.key}'"), None)
        if found is None:
            made = self._client.create_run(self._experiment_id, run_name=note.name, tags={TAG: note.key})
            run = MlflowRun(self._client, made.info.run_id, next_step=0)
            run.describe(note)
            return run
        run_id = found.info.run_id
        self._client.update_run(run_id, status="RUNNING")
        histories = [self._client.get_metric_history(run_id, name) for name in found.data.metrics]
        last = max((metric.step for history in histories for metric in history), default=-1)
        return MlflowRun(self._client, run_id, next_step=last + 1)

    def _search(self, rule: str) -> Iterator[Run]:
        token = None
        while True:
            page = self._client.search_runs(
                [self._experiment_id], filter_string=rule, max_results=RUNS_PER_PAGE, page_token=token
            )
            yield from page
            token = page.token
            if not token:
                return


class MlflowRun:
    """A `TrackedRun` on an MLflow server."""

    def __init__(self, client: MlflowClient, run_id: str, *, next_step: int) -> None:
        self.next_step = next_step
        self._client = client
        self._run_id = run_id

    def describe(self, note: Note) -> None:
        """Write the configuration."""
        parameters = [Param(name, str(value)) for name, value in flatten(note.config).items()]
        for first in range(0, len(parameters), MOST_PARAMETERS):
            self._client.log_batch(self._run_id, params=parameters[first : first + MOST_PARAMETERS])

    def log(self, points: Sequence[Point]) -> None:
        """Add what was measured, each point whole or not at all."""
        now_ms = round(time.time() * 1000)
        for first in range(0, len(points), MOST_POINTS):
            metrics = [
                Metric(name, number, now_ms, step)
                for step, numbers in points[first : first + MOST_POINTS]
                for name, number in numbers.items()
            ]
            self._client.log_batch(self._run_id, metrics=metrics)

    def finish(self, status: Status) -> None:
        """Say how the run ended."""
        self._client.set_terminated(self._run_id, status=STATUSES[status])
