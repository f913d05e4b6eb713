"""What a service has of runs, read back with its own library."""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")


@dataclass
class Seen:
    """A run as a service has it: numbers as (step, number), configuration as text."""

    name: str
    status: str
    config: dict[str, str] = field(default_factory=dict)
    numbers: dict[str, list[tuple[int, float]]] = field(default_factory=dict)


def read_tensorboard(folder: Path, project: str) -> list[tuple[str, Seen]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    found = []
    for run_folder in folder.iterdir():
        events = EventAccumulator(str(run_folder)).Reload()
        name, _, key = run_folder.name.rpartition("-")
        seen = Seen(name=name, status="done" if (run_folder / "finished").exists() else "running")
        for tag in events.Tags()["scalars"]:
            seen.numbers[tag] = [(event.step, round(event.value, 6)) for event in events.Scalars(tag)]
        begin = events.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
        for setting, value in HParamsPluginData.FromString(begin).session_start_info.hparams.items():
            seen.config[setting] = text(getattr(value, value.WhichOneof("kind")))
        found.append((key, seen))
    return found


def read_wandb(folder: Path, project: str) -> list[tuple[str, Seen]]:
    from wandb.proto.wandb_internal_pb2 import Record
    from wandb.sdk.internal.datastore import DataStore

    found = []
    for path in folder.glob("wandb/offline-run-*/run-*.wandb"):
        store, seen = DataStore(), Seen(name="", status="running")
        store.open_for_scan(str(path))
        while (content := store.scan_data()) is not None:
            record = Record.FromString(content)
            if record.HasField("run"):
                assert record.run.project == project
                seen.name = record.run.display_name
                seen.config = {
                    item.key: text(json.loads(item.value_json)) for item in record.run.config.update
                }
            elif record.HasField("history"):
                row = {item.nested_key[0]: json.loads(item.value_json) for item in record.history.item}
                for name, number in row.items():
                    seen.numbers.setdefault(name, []).append((row["_step"], round(number, 6)))
            elif record.HasField("exit"):
                seen.status = "failed" if record.exit.exit_code else "done"
        store.close()
        found.append((path.stem.removeprefix("run-"), seen))
    return found


def read_mlflow(address: str, project: str) -> list[tuple[str, Seen]]:
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=address)
    experiment = client.get_experiment_by_name(project)
    found = []
    for run in client.search_runs([experiment.experiment_id]) if experiment else []:
        statuses = {"FINISHED": "done", "FAILED": "failed", "RUNNING": "running", "KILLED": "interrupted"}
        seen = Seen(name=run.info.run_name, status=statuses[run.info.status], config=dict(run.data.params))
        for name in run.data.metrics:
            history = client.get_metric_history(run.info.run_id, name)
            seen.numbers[name] = sorted((metric.step, round(metric.value, 6)) for metric in history)
        found.append((run.data.tags["limbeck.run"], seen))
    return found


def text(value: object) -> str:
    """A value as the services agree on it: whole numbers without a point."""
    return f"{value:g}" if isinstance(value, float) else str(value)
