"""Live tracking of runs by TensorBoard, MLflow and Weights & Biases."""

from limbeck.track.federation import RoundFollower
from limbeck.track.services import open_tracking
from limbeck.track.tracker import Note, Point, TrackedRun, Tracker
from limbeck.track.tracking import Tracking

__all__ = ["Note", "Point", "RoundFollower", "TrackedRun", "Tracker", "Tracking", "open_tracking"]
