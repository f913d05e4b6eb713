"""What advice says: plain records that turn into JSON."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from limbeck.advise.measured import Setting


@dataclass(frozen=True, kw_only=True)
class Expectation:
    """A setting and what it did in near cases.

    Attributes:
        setting: What to do.
        gain: Mean gain in near cases, weighted by nearness, a fraction; of a student that is checked, where
            the setting is one to try.
        low: Lower end of its 95 % interval over cases, None where fewer than two are near.
        high: Upper end.
        risk: Share of near transfers that it made worse before any check, weighted likewise.
        num_cases: Near cases in which it was measured.
        num_transfers: Transfers in these, one per seed.
    """

    setting: Setting
    gain: float
    low: float | None
    high: float | None
    risk: float
    num_cases: int
    num_transfers: int


@dataclass(frozen=True, kw_only=True)
class Neighbour:
    """A measured case near the one asked about.

    Attributes:
        study: Where it was measured.
        scenario: How the data were split.
        label: The same for a reader.
        data: On which data.
        student_arch: The student's architecture.
        teacher_arch: The teacher's.
        distance: Root mean square difference of the features, in standard deviations.
        gain: What the first setting to try gained there, checked, mean over seeds; None where it was not
            tried or there is none to try.
    """

    study: str
    scenario: str
    label: str
    data: str
    student_arch: str
    teacher_arch: str
    distance: float
    gain: float | None


@dataclass(frozen=True, kw_only=True)
class FederationOption:
    """A way to federate and what it did in near federations.

    Attributes:
        start: How the starting model is made.
        strategy: How rounds are run.
        rounds_share: Rounds to target over those of `fedavg` from scratch, weighted mean over near
            federations; below 1 it saves rounds.
        low: Lower end of its 95 % interval over scenarios, None where fewer than two are near.
        high: Upper end.
        naive_share: The same over the better of the two naive warm starts, None where none was measured.
        num_federations: Near federations, one per seed and target.
    """

    start: str
    strategy: str
    rounds_share: float
    low: float | None
    high: float | None
    naive_share: float | None
    num_federations: int


@dataclass(frozen=True, kw_only=True)
class FederationAdvice:
    """How to federate.

    Attributes:
        features: The federation in numbers; see `limbeck.advise.features.describe_federation`.
        options: The best first; none where nothing near was measured.
        distance: From the nearest measured federation.
        reach: The largest distance at which it counts as near.
        nearest: Names of the nearest scenarios.
    """

    features: Mapping[str, float]
    options: tuple[FederationOption, ...]
    distance: float
    reach: float
    nearest: tuple[str, ...]

    @property
    def best(self) -> FederationOption | None:
        """The first option, None where there is no evidence."""
        return self.options[0] if self.options else None

    def to_dict(self) -> dict[str, Any]:
        """Every field by name, ready for JSON."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class Advice:
    """What to do with a pair of models.

    Attributes:
        features: The case in numbers; see `limbeck.advise.features.FEATURES`.
        based_on: Names of the features that measured cases were compared by.
        shortlist: What to try, the most promising first; none where there is no evidence, or nothing near
            gained anything.
        unchecked: What to do without checking the new student; often to leave the old one alone. None where
            there is no evidence.
        distance: From the nearest measured case.
        reach: The largest distance at which it counts as near.
        nearest: The nearest cases.
        num_cases: Near cases: those that weigh at least a tenth of the nearest.
        budget: `epochs`, `lr` and `batch_size` of the nearest cases' transfers.
        num_validation: Samples that the nearest cases' students were checked on.
        command: What to run next.
        warnings: What a reader should know, one sentence each.
    """

    features: Mapping[str, float]
    based_on: tuple[str, ...]
    shortlist: tuple[Expectation, ...]
    unchecked: Expectation | None
    distance: float
    reach: float
    nearest: tuple[Neighbour, ...]
    num_cases: int
    budget: Mapping[str, float]
    num_validation: int
    command: str
    warnings: tuple[str, ...]

    @property
    def has_evidence(self) -> bool:
        """Whether a measured case is near."""
        return self.distance <= self.reach

    def to_dict(self) -> dict[str, Any]:
        """Every field by name, ready for JSON."""
        return {**asdict(self), "has_evidence": self.has_evidence}
