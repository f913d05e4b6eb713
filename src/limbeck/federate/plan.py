"""How a federation works together: the settings both engines share, checked when built."""

import math
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar, Literal, get_args

from limbeck.core.errors import require, require_known
from limbeck.engine import Training

Aggregation = Literal["mean", "median", "trimmed-mean"]
Weighting = Literal["samples", "equal"]
LogitFormat = Literal["float32", "float16", "int8"]


@dataclass(frozen=True, kw_only=True)
class Privacy:
    """What a client does to a model update before it leaves.

    Attributes:
        clip_norm: L2 norm that an update is scaled down to, above 0.
        noise_multiplier: Standard deviation of the Gaussian noise over `clip_norm`; 0 only clips.
        delta: The delta that the privacy budget is stated for, in (0, 1).

    Raises:
        InputError: When built with a value out of range.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    clip_norm: float
    noise_multiplier: float = 0.0
    delta: float = 1e-5

    def __post_init__(self) -> None:
        require(
            0 < self.clip_norm < math.inf,
            "clip_norm > 0",
            f"clip_norm={self.clip_norm}",
            "Start with the median norm of updates without clipping.",
        )
        require(
            0 <= self.noise_multiplier < math.inf,
            "noise_multiplier >= 0",
            f"noise_multiplier={self.noise_multiplier}",
            "0 only clips; 1 is a usual value.",
        )
        require(0 < self.delta < 1, "0 < delta < 1", f"delta={self.delta}", "1e-5 is usual.")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How rounds are run, whichever the strategy.

    Attributes:
        rounds: Communication rounds, at least 0.
        local: What a client does in a round.
        lr_decay: The clients' learning rate of round r is that of `local` times this to the power r - 1.
        participation: Share of the clients asked in a round, in (0, 1]; at least one is.
        min_replies: A round with fewer good replies ends the run, at least 1.
        weighting: Whether a client counts by its `samples` or all are `equal`.
        aggregation: `mean`, coordinate-wise `median` or `trimmed-mean`; these two count all clients alike.
        trim: Share cut off at each end by `trimmed-mean`, in [0, 0.5).
        change_limit: A reply further from what was sent than this many times its norm is rejected.
        logit_format: How logits travel.
        privacy: Clipping and noise on what leaves a client, None for neither.
        seed: Seed of the sampling of clients, batch orders and noise.

    Raises:
        InputError: When built with a value out of range.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    rounds: int
    local: Training
    lr_decay: float = 1.0
    participation: float = 1.0
    min_replies: int = 1
    weighting: Weighting = "samples"
    aggregation: Aggregation = "mean"
    trim: float = 0.1
    change_limit: float = 100.0
    logit_format: LogitFormat = "float32"
    privacy: Privacy | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        require(self.rounds >= 0, "rounds >= 0", f"rounds={self.rounds}", "0 stops after the start.")
        require(0 < self.lr_decay <= 1, "0 < lr_decay <= 1", f"lr_decay={self.lr_decay}", "1 keeps the rate.")
        require(
            0 < self.participation <= 1,
            "0 < participation <= 1",
            f"participation={self.participation}",
            "1 asks every client in every round.",
        )
        require(self.min_replies >= 1, "min_replies >= 1", f"min_replies={self.min_replies}", "1 is least.")
        require(0 <= self.trim < 0.5, "0 <= trim < 0.5", f"trim={self.trim}", "0.1 is usual.")
        require(
            self.change_limit > 0, "change_limit > 0", f"change_limit={self.change_limit}", "100 is usual."
        )
        require_known("weighting", self.weighting, get_args(Weighting))
        require_known("aggregation", self.aggregation, get_args(Aggregation))
        require_known("logit format", self.logit_format, get_args(LogitFormat))

    def local_in(self, round_number: int) -> Training:
        """What a client does in a round, which counts from 1."""
        return replace(self.local, lr=self.local.lr * self.lr_decay ** (round_number - 1))

    def to_dict(self) -> dict[str, Any]:
        """Every setting by name, ready for JSON."""
        return asdict(self)
