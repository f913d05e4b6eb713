"""The tracking services by name, as `--track` has them."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from limbeck.core.errors import require, require_known
from limbeck.track.tracker import Tracker
from limbeck.track.tracking import Tracking, WarnFn

TRACKING_FOLDER = "tracking"


def open_tracking(words: Sequence[str], *, folder: Path, project: str, warn_fn: WarnFn) -> Tracking:
    """The trackers that words ask for.

    Args:
        words: `NAME` or `NAME=DESTINATION` each, such as ``mlflow=http://127.0.0.1:5000``; without a
            destination the tracker writes into a folder of its name in `folder/tracking`.
        folder: Of the study or federation.
        project: What runs are shown under, where a service has such a thing.
        warn_fn: Told in one sentence what went wrong, from another thread.

    Raises:
        InputError: When a name is unknown, a package is missing, or a destination is not of its service.
    """
    require(
        len(set(words)) == len(words),
        "every tracker is asked for once",
        ", ".join(words),
        "Leave the second `--track` of the same out.",
    )
    trackers = [_open_tracker(word, folder=folder / TRACKING_FOLDER, project=project) for word in words]
    return Tracking(trackers, warn_fn=warn_fn)


def _open_tracker(word: str, *, folder: Path, project: str) -> Tracker:
    name, sign, destination = word.partition("=")
    require_known("tracker", name, SERVICES)
    require(
        not sign or bool(destination.strip()),
        "a destination stands behind the sign =",
        f"`{word}`",
        f"Give one, or `--track {name}` alone.",
    )
    return SERVICES[name](destination if sign else str(folder / name), project)


def _open_tensorboard(destination: str, project: str) -> Tracker:
    from limbeck.track.tensorboard import TensorboardTracker

    del project
    return TensorboardTracker(destination)


def _open_mlflow(destination: str, project: str) -> Tracker:
    from limbeck.track.mlflow import MlflowTracker

    return MlflowTracker(destination, project=project)


def _open_wandb(destination: str, project: str) -> Tracker:
    from limbeck.track.wandb import WandbTracker

    return WandbTracker(destination, project=project)


SERVICES: Mapping[str, Callable[[str, str], Tracker]] = MappingProxyType(
    {"mlflow": _open_mlflow, "tensorboard": _open_tensorboard, "wandb": _open_wandb}
)
