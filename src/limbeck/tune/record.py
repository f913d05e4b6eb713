"""What a search of settings says."""

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from limbeck.pairs import Outcome, TransferRecord
from limbeck.tune.search import Driver, Tried

# Two-sided, of the normal distribution: 95 % of it lies within.
NORMAL_95 = 1.959964


@dataclass(frozen=True, kw_only=True)
class Worth:
    """Test accuracy of the tuned student minus that of the student with the technique's defaults.

    Attributes:
        mean: The difference.
        low: Lower end of its 95 % interval.
        high: Upper end. The interval is that of a difference of paired proportions and covers the choice of
            test samples, not that of the seed.
    """

    mean: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Tuned:
    """What `limbeck.tune` returns.

    Attributes:
        outcome: The student with the best settings, and its record beside `finetune`.
        trials: Every setting that was tried, in order: the response surface.
        default: What the technique's defaults came to.
        importance: Per setting its share of the variance of the validation accuracy.
        worth: What tuning was worth against the defaults.
        driver: How settings were chosen.
    """

    outcome: Outcome
    trials: tuple[Tried, ...]
    default: Tried
    importance: dict[str, float]
    worth: Worth
    driver: Driver

    @property
    def settings(self) -> dict[str, float]:
        """The best settings by name."""
        return self.record.attempt.settings

    @property
    def record(self) -> TransferRecord:
        """The record of the transfer with the best settings."""
        return self.outcome.record

    def to_dict(self) -> dict[str, Any]:
        """One object for programs: the record's fields at the top."""
        return {
            **self.record.to_dict(),
            "driver": self.driver,
            "trials": [asdict(tried) for tried in self.trials],
            "default": asdict(self.default),
            "importance": self.importance,
            "worth": asdict(self.worth),
        }


def compare_paired(first: np.ndarray, second: np.ndarray) -> Worth:
    """The difference of two shares of right answers on the same samples, with its 95 % interval.

    Law: swapping the two turns the sign around.

    Args:
        first: Whether each sample is right with the one, bool [n].
        second: With the other.

    References:
        The large-sample interval of a difference of paired proportions: Agresti, "Categorical Data Analysis",
        3rd edition, section 11.1.
    """
    num_samples = len(first)
    gained, lost = int(np.sum(first & ~second)), int(np.sum(second & ~first))
    mean = (gained - lost) / num_samples
    spread = math.sqrt(max(0.0, gained + lost - (gained - lost) ** 2 / num_samples)) / num_samples
    return Worth(mean=mean, low=mean - NORMAL_95 * spread, high=mean + NORMAL_95 * spread)
