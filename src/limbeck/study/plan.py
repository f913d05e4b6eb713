"""The plan of a study: every run it takes, each known by the hash of its whole configuration."""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from types import MappingProxyType
from typing import Any, Literal

import numpy as np

from limbeck.core.fingerprint import hash_config
from limbeck.data import DataSet
from limbeck.engine import Layout, Training
from limbeck.federate import STARTS
from limbeck.partition import Partition, Reserved, split_between_clients
from limbeck.study.spec import (
    TUNED_KD,
    ArchitecturesPart,
    FederatedPart,
    ScenarioPart,
    StrategyPart,
    StudySpec,
    TransferPart,
    TransferScenarioPart,
    TransferSet,
)
from limbeck.techniques import (
    AnySettings,
    MutualTechnique,
    Settings,
    get_technique,
    list_coefficients,
    make_settings,
)

RUN_FORMAT = 1
EVALUATION_COST = 0.25

Kind = Literal["pretrain", "transfer", "federate"]
PartName = Literal["transfer", "federated"]
SplitKey = tuple[PartName, str, int]
"""(part of the spec, scenario, seed)."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """One unit of work whose result is a transaction in the store.

    Attributes:
        id: Hash of `config`.
        kind: What is done.
        config: Everything the result depends on.
        needs: Ids of the runs whose models it uses.
        cost: Rough amount of work in samples trained on, for the time left.
    """

    id: str
    kind: Kind
    config: dict[str, Any]
    needs: tuple[str, ...]
    cost: float


@dataclass(frozen=True, kw_only=True)
class TransferCell:
    """All transfers between one pair of models on one transfer set.

    Attributes:
        scenario: Its scenario.
        seed: The repetition.
        pair: (student, teacher) client indices.
        architectures: Their architectures.
        transfer_set: Whose samples.
        student_run: Id of the run that trained the student.
        teacher_run: Id of the run that trained the teacher.
        runs: Run id by technique, without `tuned-kd`.
        grid: Run id by setting of `kd`, what `tuned-kd` chooses from.
    """

    scenario: TransferScenarioPart
    seed: int
    pair: tuple[int, int]
    architectures: ArchitecturesPart
    transfer_set: TransferSet
    student_run: str
    teacher_run: str
    runs: dict[str, str]
    grid: dict[Settings, str]


@dataclass(frozen=True, kw_only=True)
class FederatedCell:
    """Federated learning from one start by one strategy.

    Attributes:
        scenario: Its scenario.
        seed: The repetition.
        start: Name of the start.
        strategy: How rounds are run.
        client_runs: Ids of the runs that trained the clients' models; none where nobody uses them.
        run: Id of the run.
    """

    scenario: ScenarioPart
    seed: int
    start: str
    strategy: StrategyPart
    client_runs: tuple[str, ...]
    run: str


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Every run of a study in an order in which each comes after what it needs.

    Attributes:
        runs: By id.
        transfer_cells: What the rows of the transfer results are made from.
        federated_cells: What the rows of the federated results are made from.
        reserved: The samples set aside.
        partitions: The split of each scenario and seed.
    """

    runs: dict[str, Run]
    transfer_cells: tuple[TransferCell, ...]
    federated_cells: tuple[FederatedCell, ...]
    reserved: Reserved
    partitions: dict[SplitKey, Partition]


def make_plan(spec: StudySpec, data: DataSet, layouts: Mapping[str, Layout] = MappingProxyType({})) -> Plan:
    """List every run of a study.

    Args:
        spec: The study.
        data: Its data set.
        layouts: How architectures are run, where it is not as their training says.

    Raises:
        InputError: When the data cannot be split as the spec says.
    """
    reserved = spec.data.reserve(data.labels)
    planner = _Planner(spec=spec, data=data, reserved=reserved, layouts=layouts)
    transfer_cells = tuple(planner.plan_transfers(spec.transfer)) if spec.transfer else ()
    federated_cells = tuple(planner.plan_federated(spec.federated)) if spec.federated else ()
    return Plan(
        runs=planner.runs,
        transfer_cells=transfer_cells,
        federated_cells=federated_cells,
        reserved=planner.reserved,
        partitions=planner.partitions,
    )


def can_run_on(technique_name: str, transfer_set: TransferSet) -> bool:
    """Whether a technique can learn from a transfer set: the proxy set has no labels."""
    return transfer_set != "proxy" or not get_technique(technique_name).needs_labels


def settings_on(technique_name: str, transfer_set: TransferSet) -> AnySettings | None:
    """A technique's untuned settings; on the unlabelled proxy set the teacher alone counts (w = 1)."""
    technique = get_technique(technique_name)
    alone = technique.defaults is not None and transfer_set == "proxy"
    return make_settings(technique, {"weight": 1} if alone else {})


@dataclass
class _Planner:
    """Collects runs; adding the same configuration twice gives one run."""

    spec: StudySpec
    data: DataSet
    reserved: Reserved
    layouts: Mapping[str, Layout]
    runs: dict[str, Run] = field(default_factory=dict)
    partitions: dict[SplitKey, Partition] = field(default_factory=dict)

    def plan_transfers(self, part: TransferPart) -> Iterator[TransferCell]:
        for scenario in part.scenarios:
            for seed in self.spec.seeds:
                split_key = self._split("transfer", scenario, part.train_samples, seed)
                for architectures in part.architectures:
                    for pair in scenario.list_pairs():
                        for transfer_set in part.transfer_sets:
                            yield self._plan_cell(
                                part, scenario, split_key, architectures, pair, transfer_set
                            )

    def _plan_cell(
        self,
        part: TransferPart,
        scenario: TransferScenarioPart,
        split_key: SplitKey,
        architectures: ArchitecturesPart,
        pair: tuple[int, int],
        transfer_set: TransferSet,
    ) -> TransferCell:
        student, teacher = pair
        student_run = self._add_pretrain(scenario, split_key, student, architectures.student, part.pretrain)
        teacher_run = self._add_pretrain(scenario, split_key, teacher, architectures.teacher, part.pretrain)
        base = {
            **self._describe(scenario, split_key),
            "student": student_run,
            "teacher": teacher_run,
            "pair": list(pair),
            "transfer_set": transfer_set,
            "proxy_samples": self.spec.data.proxy_samples if transfer_set == "proxy" else 0,
            "training": self._lay_out(part.training, architectures.student),
        }
        num_samples = self._count_transfer_samples(split_key, pair, transfer_set)

        def add(technique: str, settings: AnySettings | None) -> str:
            config = {**base, "technique": technique, **_settings_config(settings)}
            models = 2 if isinstance(get_technique(technique), MutualTechnique) else 1
            cost = models * (part.training.epochs * num_samples + EVALUATION_COST * self._num_evaluated())
            return self._add("transfer", config, (student_run, teacher_run), cost)

        runs = {
            technique: add(technique, settings_on(technique, transfer_set))
            for technique in part.techniques
            if technique != TUNED_KD and can_run_on(technique, transfer_set)
        }
        points = part.grid.list_points() if part.grid else []
        grid = {
            point: add("kd", point)
            for point in dict.fromkeys(_on_set(point, transfer_set) for point in points)
        }
        return TransferCell(
            scenario=scenario,
            seed=split_key[2],
            pair=pair,
            architectures=architectures,
            transfer_set=transfer_set,
            student_run=student_run,
            teacher_run=teacher_run,
            runs=runs,
            grid=grid,
        )

    def plan_federated(self, part: FederatedPart) -> Iterator[FederatedCell]:
        for scenario in part.scenarios:
            for seed in self.spec.seeds:
                split_key = self._split("federated", scenario, part.train_samples, seed)
                clients = tuple(
                    self._add_pretrain(scenario, split_key, client, part.arch, part.pretrain)
                    for client in range(scenario.num_clients)
                )
                for start, strategy in itertools.product(part.starts, part.strategies):
                    if strategy.can_begin_from(start):
                        yield self._plan_federation(part, scenario, split_key, clients, start, strategy)

    def _plan_federation(
        self,
        part: FederatedPart,
        scenario: ScenarioPart,
        split_key: SplitKey,
        clients: tuple[str, ...],
        start: str,
        strategy: StrategyPart,
    ) -> FederatedCell:
        needs_models = STARTS[start].needs_models or strategy.needs_models
        needs_proxy = STARTS[start].needs_proxy or strategy.needs_proxy
        used_clients = clients if needs_models else ()
        config = {
            **self._describe(scenario, split_key),
            "arch": part.arch,
            "start": start,
            "strategy": strategy.name,
            "settings": strategy.list_settings(),
            "clients": list(used_clients),
            "proxy_samples": self.spec.data.proxy_samples if needs_proxy else 0,
            "rounds": part.rounds,
            "local": self._lay_out(part.local, part.arch),
            "lr_decay": part.lr_decay,
            "participation": part.participation,
            "stop_at": part.stop_at,
            "distil": self._describe_distillation(part) if STARTS[start].is_distilled else None,
        }
        return FederatedCell(
            scenario=scenario,
            seed=split_key[2],
            start=start,
            strategy=strategy,
            client_runs=used_clients,
            run=self._add(
                "federate", config, used_clients, self._estimate_federation(part, split_key, start)
            ),
        )

    def _estimate_federation(self, part: FederatedPart, split_key: SplitKey, start: str) -> float:
        """The work of a federation in samples trained on; most distilled starts pass over all samples."""
        num_samples = sum(map(len, self.partitions[split_key].indices))
        trained = part.participation * part.local.epochs * num_samples
        rounds = part.rounds * (trained + EVALUATION_COST * self._num_evaluated())
        if part.distil is None or not STARTS[start].is_distilled:
            return rounds
        return rounds + part.distil.visits * part.distil.training.epochs * num_samples

    def _lay_out(self, training: Training, arch: str) -> dict[str, Any]:
        """A training by name, laid out for an architecture."""
        layout = self.layouts.get(arch)
        return {**training.to_dict(), **({} if layout is None else asdict(layout))}

    def _describe_distillation(self, part: FederatedPart) -> dict[str, Any]:
        assert part.distil is not None
        return {**part.distil.to_dict(), "training": self._lay_out(part.distil.training, part.arch)}

    def _split(
        self, part_name: PartName, scenario: ScenarioPart, train_samples: int | None, seed: int
    ) -> SplitKey:
        split_key = (part_name, scenario.name, seed)
        self.partitions[split_key] = split_between_clients(
            self.reserved,
            self.data.labels,
            **scenario.split_arguments,
            train_samples=train_samples,
            seed=seed,
        )
        return split_key

    def _describe(self, scenario: ScenarioPart, split_key: SplitKey) -> dict[str, Any]:
        part_name, _, seed = split_key
        return {
            "format": RUN_FORMAT,
            "data": self.data.fingerprint,
            "validation": [self.spec.data.validation_samples, self.spec.data.seed],
            "part": part_name,
            "scenario": scenario.name,
            "seed": seed,
            "partition": self.partitions[split_key].hash,
        }

    def _add_pretrain(
        self, scenario: ScenarioPart, split_key: SplitKey, client: int, arch: str, training: Training
    ) -> str:
        config = {
            **self._describe(scenario, split_key),
            "client": client,
            "arch": arch,
            "training": self._lay_out(training, arch),
        }
        num_samples = len(self.partitions[split_key].indices[client])
        cost = training.epochs * num_samples + EVALUATION_COST * self._num_evaluated()
        return self._add("pretrain", config, (), cost)

    def _add(self, kind: Kind, config: dict[str, Any], needs: tuple[str, ...], cost: float) -> str:
        identified = {"kind": kind, **config}
        run_id = hash_config(identified)
        self.runs[run_id] = Run(id=run_id, kind=kind, config=identified, needs=needs, cost=cost)
        return run_id

    def _count_transfer_samples(
        self, split_key: SplitKey, pair: tuple[int, int], transfer_set: TransferSet
    ) -> int:
        return len(transfer_ids(self.reserved, self.partitions[split_key], pair, transfer_set))

    def _num_evaluated(self) -> int:
        return len(self.data.test) + len(self.reserved.validation)


def transfer_ids(
    reserved: Reserved, partition: Partition, pair: tuple[int, int], transfer_set: TransferSet
) -> np.ndarray:
    """The samples of a transfer set, as indices into the training set."""
    student, teacher = pair
    if transfer_set == "proxy":
        return reserved.proxy
    return partition.indices[student if transfer_set == "student" else teacher]


def _on_set(point: Settings, transfer_set: TransferSet) -> Settings:
    return point if transfer_set != "proxy" else Settings(temperature=point.temperature, weight=1)


def _settings_config(settings: AnySettings | None) -> dict[str, Any]:
    if settings is None:
        return {"temperature": None, "weight": None}
    coefficients = list_coefficients(settings)
    return {
        "temperature": float(settings.temperature),
        "weight": float(settings.weight),
        **({"coefficients": coefficients} if coefficients else {}),
    }


def settings_of(config: dict[str, Any]) -> dict[str, float]:
    """The settings in the configuration of a transfer by name, none for a technique without any."""
    if config["temperature"] is None:
        return {}
    return {
        "temperature": config["temperature"],
        "weight": config["weight"],
        **config.get("coefficients", {}),
    }
