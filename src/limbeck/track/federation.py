"""The rounds of a federation as notes for trackers."""

from limbeck.federate import Round, Standing
from limbeck.federate.spec import FederateSpec
from limbeck.track.tracker import Note, Point
from limbeck.track.tracking import Tracking


class RoundFollower:
    """Tells of the rounds of a federation as they end: first all there are, then each new one."""

    def __init__(self, spec: FederateSpec, tracking: Tracking) -> None:
        self._spec = spec
        self._tracking = tracking
        self._told = 0

    def tell(self, standing: Standing) -> None:
        """Tell where the federation stands."""
        new = standing.history[self._told :]
        self._told = len(standing.history)
        self._tracking.tell(
            Note(
                key=self._spec.hash,
                name=self._spec.name,
                config=self._spec.model_dump(mode="json"),
                points=tuple(map(_make_point, new)),
            )
        )


def _make_point(this: Round) -> Point:
    numbers = {
        "accuracy": this.accuracy,
        "validation_accuracy": this.validation_accuracy,
        "client_accuracy": this.client_accuracy,
        "bytes_sent": float(this.bytes_sent),
        "seconds": this.seconds,
        "rejected": float(len(this.rejected)),
        "missing": float(len(this.missing)),
    }
    return this.number, {name: number for name, number in numbers.items() if number is not None}
