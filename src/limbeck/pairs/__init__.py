"""Models that meet: compare them, and let one learn from the others, as a user asks for it in one call."""

from limbeck.pairs.calibration import measure_calibration
from limbeck.pairs.compare import compare
from limbeck.pairs.record import Attempt, Comparison, Outcome, Standing, TransferRecord
from limbeck.pairs.transfer import transfer

__all__ = [
    "Attempt",
    "Comparison",
    "Outcome",
    "Standing",
    "TransferRecord",
    "compare",
    "measure_calibration",
    "transfer",
]
