"""The spec of a study: a YAML file, validated whole before anything is computed."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
import yaml
from pydantic import Field, field_validator, model_validator

from limbeck import partition
from limbeck.core.errors import InputError, enumerate_words, require, require_known
from limbeck.core.fingerprint import hash_config
from limbeck.core.spec_files import Part, parse_part
from limbeck.engine import Training
from limbeck.federate import STARTS, Distillation, Plan
from limbeck.federate.strategies import Strategy, get_strategy, make_strategy_settings
from limbeck.models import ARCHITECTURES
from limbeck.techniques import TECHNIQUES, Settings
from limbeck.tune import grid_points

BUILTIN_FOLDER = Path(__file__).parent / "builtin"
TUNED_KD = "tuned-kd"

TransferSet = Literal["student", "teacher", "proxy"]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]*$", max_length=60)]


class DataPart(Part):
    """Which data, and what is set aside before any client gets samples.

    Attributes:
        source: A name (`digits`, `fashion-mnist`, ...) or a path; see `limbeck.data.load`.
        validation_samples: Training samples set aside to choose settings on.
        proxy_samples: Training samples set aside as the unlabelled proxy set.
        seed: Seed of what is set aside.
    """

    source: str
    validation_samples: int = Field(ge=1)
    proxy_samples: int = Field(default=0, ge=0)
    seed: int = Field(default=0, ge=0)

    def reserve(self, labels: np.ndarray) -> partition.Reserved:
        """What is set aside of training samples with these labels."""
        return partition.reserve(
            labels,
            validation_samples=self.validation_samples,
            proxy_samples=self.proxy_samples,
            seed=self.seed,
        )


class ScenarioPart(Part):
    """One way to split the data between clients.

    Attributes:
        name: Unique in its part of the spec.
        strategy: A partition strategy.
        num_clients: Number of clients.
        parameters: The strategy's parameters.
    """

    name: Name
    strategy: str
    num_clients: int = Field(default=2, ge=1)
    parameters: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _check_strategy(self) -> Self:
        partition.check_parameters(self.strategy, self.parameters)
        return self

    @property
    def split_arguments(self) -> dict[str, Any]:
        """What `limbeck.partition.split_between_clients` has to know of it."""
        return {
            "strategy": self.strategy,
            "num_clients": self.num_clients,
            "parameters": self.parameters,
        }


class TransferScenarioPart(ScenarioPart):
    """A scenario of the transfer part.

    Attributes:
        pairs: (student, teacher) client indices, or `all` for every ordered pair.
    """

    pairs: Literal["all"] | tuple[tuple[int, int], ...] = ((0, 1),)

    @model_validator(mode="after")
    def _check_pairs(self) -> Self:
        pairs = self.list_pairs()
        require(
            len(pairs) > 0, "a scenario has at least one pair", "none", "Name one, or use at least 2 clients."
        )
        _check_unique("pair", [f"[{student}, {teacher}]" for student, teacher in pairs])
        for student, teacher in self.list_pairs():
            inside = min(student, teacher) >= 0 and max(student, teacher) < self.num_clients
            require(
                inside and student != teacher,
                "a pair names two different clients of the scenario",
                f"[{student}, {teacher}] with num_clients={self.num_clients}",
                f"Use indices from 0 to {self.num_clients - 1}.",
            )
        return self

    def list_pairs(self) -> list[tuple[int, int]]:
        """The (student, teacher) pairs."""
        if self.pairs != "all":
            return list(self.pairs)
        clients = range(self.num_clients)
        return [(student, teacher) for student in clients for teacher in clients if student != teacher]


class ArchitecturesPart(Part):
    """The architectures of a pair.

    Attributes:
        student: Name in the zoo.
        teacher: Name in the zoo.
    """

    student: str
    teacher: str

    @field_validator("student", "teacher")
    @classmethod
    def _check_arch(cls, arch: str) -> str:
        require_known("architecture", arch, ARCHITECTURES)
        return arch


class GridPart(Part):
    """The grid that `tuned-kd` searches.

    Attributes:
        temperatures: Values of T, each above 0.
        weights: Values of w, each in [0, 1].
    """

    temperatures: tuple[float, ...]
    weights: tuple[float, ...]

    @model_validator(mode="after")
    def _check_points(self) -> Self:
        self.list_points()
        return self

    def list_points(self) -> list[Settings]:
        """Every setting of the grid."""
        return grid_points(self.temperatures, self.weights)


class TransferPart(Part):
    """Transfers between pairs of clients.

    Attributes:
        train_samples: Samples divided between the clients, None for all that are left.
        scenarios: The ways to split them.
        architectures: The pairs of architectures.
        pretrain: How clients train their own models.
        training: The budget of every transfer.
        techniques: Names of techniques; `tuned-kd` is the best of the grid.
        transfer_sets: Whose samples the student learns from.
        grid: What `tuned-kd` searches.
    """

    train_samples: int | None = Field(default=None, ge=1)
    scenarios: tuple[TransferScenarioPart, ...] = Field(min_length=1)
    architectures: tuple[ArchitecturesPart, ...] = Field(min_length=1)
    pretrain: Training
    training: Training
    techniques: tuple[str, ...] = Field(min_length=1)
    transfer_sets: tuple[TransferSet, ...] = Field(default=("student",), min_length=1)
    grid: GridPart | None = None

    @field_validator("techniques")
    @classmethod
    def _check_techniques(cls, techniques: tuple[str, ...]) -> tuple[str, ...]:
        for technique in techniques:
            require_known("technique", technique, [*TECHNIQUES, TUNED_KD])
        return techniques

    @model_validator(mode="after")
    def _check_consistent(self) -> Self:
        _check_unique("scenario", [scenario.name for scenario in self.scenarios])
        _check_unique("technique", self.techniques)
        _check_unique("transfer set", self.transfer_sets)
        _check_unique(
            "pair of architectures", [f"{pair.student}/{pair.teacher}" for pair in self.architectures]
        )
        tunes = TUNED_KD in self.techniques
        require(
            tunes == (self.grid is not None),
            f"`grid` is given exactly when `{TUNED_KD}` is among the techniques",
            f"grid={'given' if self.grid else 'missing'}, techniques={list(self.techniques)}",
            f"Add `grid` with temperatures and weights, or add `{TUNED_KD}`.",
        )
        return self


class StrategyPart(Part):
    """One way to run the rounds.

    Attributes:
        name: A strategy of `limbeck.federate`.
        settings: Those of its settings that are not its defaults.
    """

    name: str
    settings: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _read_name(cls, content: Any) -> Any:
        """A name alone stands for the strategy with its defaults."""
        return {"name": content} if isinstance(content, str) else content

    @model_validator(mode="after")
    def _check_settings(self) -> Self:
        self.list_settings()
        return self

    @property
    def strategy(self) -> Strategy[Any]:
        """The strategy."""
        return get_strategy(self.name)

    @property
    def needs_proxy(self) -> bool:
        """Whether anyone learns from the proxy set."""
        return self.strategy.server_needs_proxy or self.strategy.clients_need_proxy

    @property
    def needs_models(self) -> bool:
        """Whether every client has to have a trained model of its own."""
        return self.strategy.needs_models_fn(make_strategy_settings(self.strategy, self.settings))

    def can_begin_from(self, start: str) -> bool:
        """Whether the start's model is used: without a shared model, private ones begin from scratch."""
        return self.strategy.has_global_model or not STARTS[start].needs_models

    def list_settings(self) -> dict[str, Any]:
        """Every setting by name, defaults included."""
        return asdict(make_strategy_settings(self.strategy, self.settings))

    def list_changes(self) -> dict[str, Any]:
        """The settings that differ from the defaults, by name."""
        defaults = asdict(self.strategy.defaults)
        return {name: value for name, value in self.list_settings().items() if value != defaults[name]}

    @property
    def label(self) -> str:
        """What a study calls it: its name and what differs from its defaults, such as ``fedprox mu=0.1``."""
        return " ".join([self.name, *(f"{name}={value}" for name, value in self.list_changes().items())])

    @property
    def title(self) -> str:
        """The same for people, such as ``FedProx, mu = 0.1``."""
        changes = (f"{name.replace('_', ' ')} = {value}" for name, value in self.list_changes().items())
        return ", ".join([self.strategy.title, *changes])


class FederatedPart(Part):
    """Federated learning from several starts, by one or several strategies.

    Attributes:
        train_samples: Samples divided between the clients, None for all that are left.
        scenarios: The ways to split them.
        arch: Architecture of every client, a name in the zoo.
        pretrain: How clients train their own models, all from one common initial model.
        local: What a client does in a round.
        rounds: Communication rounds.
        lr_decay: The clients' learning rate of round r is that of `local` times this to the power r - 1.
        participation: Share of the clients asked in a round, in (0, 1].
        starts: The starts to compare.
        strategies: The strategies to compare; each runs from every start.
        distil: How the distilled starts distil, None where there are none.
        targets: Test accuracies for rounds-, bytes- and seconds-to-target.
        stop_at_target: Whether a run ends with the round that reaches the highest target.
    """

    train_samples: int | None = Field(default=None, ge=1)
    scenarios: tuple[ScenarioPart, ...] = Field(min_length=1)
    arch: str
    pretrain: Training
    local: Training
    rounds: int = Field(ge=1)
    lr_decay: float = Plan.lr_decay
    participation: float = Plan.participation
    starts: tuple[str, ...] = Field(min_length=1)
    strategies: tuple[StrategyPart, ...] = Field(default=(StrategyPart(name="fedavg"),), min_length=1)
    distil: Distillation | None = None
    targets: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = Field(min_length=1)
    stop_at_target: bool = False

    @field_validator("starts")
    @classmethod
    def _check_starts(cls, starts: tuple[str, ...]) -> tuple[str, ...]:
        for start in starts:
            require_known("start", start, STARTS)
        _check_unique("start", starts)
        return starts

    @model_validator(mode="after")
    def _check_consistent(self) -> Self:
        require_known("architecture", self.arch, ARCHITECTURES)
        _check_unique("scenario", [scenario.name for scenario in self.scenarios])
        _check_unique("strategy", [part.label for part in self.strategies])
        self._check_plan()
        self._check_distillation()
        idle = [part.name for part in self.strategies if not any(map(part.can_begin_from, self.starts))]
        require(
            not idle,
            "a strategy that shares no model runs from `scratch`",
            f"{_quote(idle)} without that start",
            "Add `scratch` to `starts`.",
        )
        return self

    def _check_distillation(self) -> None:
        distilled = [start for start in self.starts if STARTS[start].is_distilled]
        require(
            not distilled or all(scenario.num_clients >= 2 for scenario in self.scenarios),
            "num_clients >= 2 where a start distils",
            "num_clients=1",
            f"Add clients, or leave {_quote(distilled)} out.",
        )
        require(
            not distilled or self.distil is not None,
            "a distilled start has `distil`",
            f"none for {_quote(distilled)}",
            "Add `distil` with a training, a temperature and a weight.",
        )

    def _check_plan(self) -> None:
        """Check what every strategy shares, as the rounds' own record does."""
        Plan(rounds=self.rounds, local=self.local, lr_decay=self.lr_decay, participation=self.participation)

    @property
    def stop_at(self) -> float | None:
        """The test accuracy that ends a run, None to run all rounds."""
        return max(self.targets) if self.stop_at_target else None

    def list_proxy_users(self) -> list[str]:
        """The starts and strategies that learn from the proxy set."""
        starts = [start for start in self.starts if STARTS[start].needs_proxy]
        return starts + [part.name for part in self.strategies if part.needs_proxy]


class StudySpec(Part):
    """A whole study.

    Attributes:
        name: Name of the study.
        description: One or two sentences for the report.
        data: Which data.
        seeds: One repetition of everything per seed.
        transfer: The transfer part, or None.
        federated: The federated part, or None.
        layout: `plain` for the precision and memory format that each training names, `auto` for those that a
            short measurement on this machine finds faster.
    """

    name: Name
    description: str = ""
    data: DataPart
    seeds: tuple[Annotated[int, Field(ge=0, lt=2**63)], ...] = Field(min_length=1)
    transfer: TransferPart | None = None
    federated: FederatedPart | None = None
    layout: Literal["plain", "auto"] = "plain"

    @model_validator(mode="after")
    def _check_consistent(self) -> Self:
        _check_unique("seed", [str(seed) for seed in self.seeds])
        require(
            self.transfer is not None or self.federated is not None,
            "a study has a `transfer` or a `federated` part",
            "neither",
            "Add one; `limbeck study quickstart --print-spec` shows both.",
        )
        self._check_shared_names()
        wants_proxy = self.transfer is not None and "proxy" in self.transfer.transfer_sets
        require(
            not wants_proxy or self.data.proxy_samples > 0,
            "data.proxy_samples > 0 when `proxy` is a transfer set",
            f"proxy_samples={self.data.proxy_samples}",
            "Set `proxy_samples`, or remove `proxy`.",
        )
        users = self.federated.list_proxy_users() if self.federated is not None else []
        require(
            not users or self.data.proxy_samples > 0,
            f"data.proxy_samples > 0 where {_quote(users)} learn from the proxy set",
            f"proxy_samples={self.data.proxy_samples}",
            "Set `proxy_samples`, or leave them out.",
        )
        return self

    def _check_shared_names(self) -> None:
        """A name means one way to split, wherever it stands: tables and figures go by it."""
        if self.transfer is None or self.federated is None:
            return
        splits = {part.name: (part.strategy, part.parameters) for part in self.transfer.scenarios}
        for scenario in self.federated.scenarios:
            split = (scenario.strategy, scenario.parameters)
            require(
                splits.get(scenario.name, split) == split,
                "a scenario's name means the same strategy and parameters in both parts",
                f"two meanings of `{scenario.name}`",
                "Rename one of them.",
            )

    @property
    def hash(self) -> str:
        """The 16 hexadecimal digits that identify the spec."""
        return hash_config(self.model_dump(mode="json"))

    def to_yaml(self) -> str:
        """The spec as YAML text that reads back to an equal spec."""
        return yaml.safe_dump(self.model_dump(mode="json", exclude_none=True), sort_keys=False, width=110)


def _check_unique(kind: str, names: "tuple[str, ...] | list[str]") -> None:
    repeated = sorted({name for name in names if list(names).count(name) > 1})
    require(
        not repeated,
        f"every {kind} is named once",
        f"{enumerate_words(repeated)} twice",
        "Remove or rename it.",
    )


def _quote(names: list[str]) -> str:
    return enumerate_words([f"`{name}`" for name in dict.fromkeys(names)])


def list_builtin() -> list[str]:
    """Names of the built-in specs."""
    return sorted(path.stem for path in BUILTIN_FOLDER.glob("*.yaml"))


def load_spec(source: str | Path) -> StudySpec:
    """The spec called `source`: a built-in name, or the path of a YAML file.

    Raises:
        InputError: When there is no such spec, or it is not valid.
    """
    builtin = BUILTIN_FOLDER / f"{source}.yaml"
    path = builtin if str(source) in list_builtin() else Path(source)
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        require_known("study", str(source), list_builtin())
        raise
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"`{path}` must be a readable YAML file, but: {error}. Check the path.") from error
    return parse_spec(text, origin=str(source))


def parse_spec(text: str, *, origin: str) -> StudySpec:
    """The spec in a YAML text.

    Args:
        text: YAML.
        origin: Where the text comes from, for error messages.

    Raises:
        InputError: When the text is not YAML or the spec is not valid.
    """
    remedy = "`limbeck study quickstart --print-spec` shows one."
    return parse_part(text, StudySpec, origin=origin, remedy=remedy)
