"""Doing one run: from its configuration, the data and the models of earlier runs to its result."""

import copy
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from limbeck import federate, models
from limbeck.core.seeds import derive_seed
from limbeck.data import DataSet, Inputs, Normalization, View, measure_normalization, normalize
from limbeck.engine import (
    Case,
    Precision,
    Training,
    accuracy,
    apply_technique,
    class_accuracy,
    default_target_cache,
    measure_change,
    predict,
    pretrain,
)
from limbeck.federate.client import OWN_MODEL, BuildFn, state_of
from limbeck.federate.strategies import get_strategy
from limbeck.partition import Partition, Reserved, split_between_clients
from limbeck.study.plan import PartName, Run, settings_of, transfer_ids
from limbeck.study.spec import ScenarioPart, StudySpec
from limbeck.techniques import get_technique, make_settings

MODELS_FOLDER = "models"


@dataclass(frozen=True)
class Predictions:
    """A model's predicted classes.

    Attributes:
        validation: On the validation samples.
        test: On the test samples.
    """

    validation: np.ndarray
    test: np.ndarray


@dataclass
class Workbench:
    """Everything runs share, made when first needed and kept: samples on the device, models, predictions.

    Attributes:
        spec: The study.
        data: Its data set.
        folder: Where the study's models are.
        device: Where the arithmetic happens.
    """

    spec: StudySpec
    data: DataSet
    folder: Path
    device: torch.device
    normalization: Normalization = field(init=False)
    reserved: Reserved = field(init=False)

    def __post_init__(self) -> None:
        self.normalization = measure_normalization(self.data.train)
        self.reserved = self.spec.data.reserve(self.data.labels)
        self.partition: Callable[[PartName, str, int], Partition] = lru_cache(8)(self._partition)
        self.evaluation_inputs: Callable[[], tuple[Inputs, Inputs]] = lru_cache(1)(self._evaluation_inputs)
        self.model: Callable[[str], nn.Module] = lru_cache(32)(self._model)
        self.predictions: Callable[[str], Predictions] = lru_cache(32)(self._predictions)
        self.case: Callable[..., Case] = lru_cache(2)(self._case)

    @property
    def validation_labels(self) -> np.ndarray:
        """True classes of the validation samples."""
        return self.data.labels[self.reserved.validation]

    @property
    def test_labels(self) -> np.ndarray:
        """True classes of the test samples."""
        return self.data.test.labels.numpy()

    def samples(self, ids: np.ndarray) -> tuple[Inputs, Tensor]:
        """Inputs as a model takes them and labels of training samples, on the device."""
        samples = self.data.subset(ids).to(self.device)
        return self._show(samples.inputs, torch.as_tensor(ids, dtype=torch.int64)), samples.labels

    def predict(self, model: nn.Module) -> Predictions:
        """What a model says about the validation and test samples."""
        validation, test = self.evaluation_inputs()
        return Predictions(validation=predict(model, validation), test=predict(model, test))

    def model_folder(self, run_id: str) -> Path:
        """Where the model of a run is saved."""
        return self.folder / MODELS_FOLDER / run_id

    def known_classes(self, partition: Partition, client: int) -> list[int]:
        """The classes among a client's own samples."""
        return np.unique(self.data.labels[partition.indices[client]]).tolist()

    def new_model(self, arch: str, seed: int) -> nn.Module:
        """An untrained model for this data, on the device."""
        model = models.build(
            arch, input_shape=self.data.input_shape, num_classes=self.data.num_classes, seed=seed
        )
        return model.to(self.device)

    def make_build_fn(self, seed: int) -> BuildFn:
        """Makes new copies of the untrained model of an architecture."""
        build_once = lru_cache(None)(lambda arch: self.new_model(arch, seed))
        return lambda arch: copy.deepcopy(build_once(arch))

    def test_samples(self) -> tuple[Inputs, Tensor]:
        """Inputs as a model takes them and labels of the test samples, on the device."""
        return self.evaluation_inputs()[1], self.data.test.labels.to(self.device)

    def _show(self, inputs: Inputs, ids: Tensor | None = None) -> Inputs:
        """Normalised inputs: uint8 images stay as they are and each batch is normalised when it is loaded."""
        if isinstance(inputs, Tensor) and inputs.dtype == torch.uint8:
            return View(inputs=inputs, normalization=self.normalization, ids=ids)
        return normalize(inputs, self.normalization)

    def _evaluation_inputs(self) -> tuple[Inputs, Inputs]:
        validation, _ = self.samples(self.reserved.validation)
        return validation, self._show(self.data.test.to(self.device).inputs)

    def _partition(self, part_name: PartName, scenario_name: str, seed: int) -> Partition:
        part = self.spec.transfer if part_name == "transfer" else self.spec.federated
        assert part is not None
        scenarios: dict[str, ScenarioPart] = {scenario.name: scenario for scenario in part.scenarios}
        return split_between_clients(
            self.reserved,
            self.data.labels,
            **scenarios[scenario_name].split_arguments,
            train_samples=part.train_samples,
            seed=seed,
        )

    def _model(self, run_id: str) -> nn.Module:
        model, _ = models.load(self.model_folder(run_id))
        return model.to(self.device)

    def _predictions(self, run_id: str) -> Predictions:
        return self.predict(self.model(run_id))

    def _case(
        self,
        student: str,
        teacher: str,
        part_name: PartName,
        scenario: str,
        seed: int,
        pair: tuple[int, int],
        transfer_set: Any,
        precision: Precision,
    ) -> Case:
        ids = transfer_ids(self.reserved, self.partition(part_name, scenario, seed), pair, transfer_set)
        inputs, labels = self.samples(ids)
        return Case(
            student=self.model(student),
            teachers=[self.model(teacher)],
            inputs=inputs,
            labels=None if transfer_set == "proxy" else labels,
            cache=default_target_cache(),
            precision=precision,
        )


def execute(run: Run, bench: Workbench) -> dict[str, Any]:
    """Do a run.

    Returns:
        Its result, ready for JSON: the same for the same run, but for its seconds.

    Raises:
        InputError, RunError: When it cannot be done; the message says why.
    """
    functions = {"pretrain": _execute_pretrain, "transfer": _execute_transfer, "federate": _execute_federate}
    return functions[run.kind](run, bench)


def _execute_pretrain(run: Run, bench: Workbench) -> dict[str, Any]:
    config = run.config
    partition = bench.partition(config["part"], config["scenario"], config["seed"])
    client = config["client"]
    inputs, labels = bench.samples(partition.indices[client])
    model = bench.new_model(config["arch"], _initial_seed(config, client))
    training = Training(**config["training"])
    trained = pretrain(
        model, inputs, labels, training=training, seed=derive_seed(config["seed"], "pretrain", client)
    )
    said = bench.predict(model)
    result = {
        "accuracy": accuracy(said.test, bench.test_labels),
        "validation_accuracy": accuracy(said.validation, bench.validation_labels),
        "class_accuracy": class_accuracy(said.test, bench.test_labels, num_classes=bench.data.num_classes),
        "known_classes": bench.known_classes(partition, client),
        "num_samples": len(labels),
        "num_parameters": models.count_parameters(model),
        "seconds": trained.seconds,
    }
    card = models.Card(
        arch=config["arch"],
        input_shape=tuple(bench.data.input_shape),
        class_names=bench.data.class_names,
        mean=bench.normalization.mean,
        std=bench.normalization.std,
        data_fingerprint=bench.data.fingerprint,
        training={**training.to_dict(), "run": run.id, "partition": config["partition"], "client": client},
        accuracies={"test": result["accuracy"], "validation": result["validation_accuracy"]},
    )
    saved = models.save(model, card, bench.model_folder(run.id))
    return {**result, "weights_hash": saved.weights_hash}


def _initial_seed(config: dict[str, Any], client: int) -> int:
    """Clients that federate begin with common weights; models that only meet in a transfer do not."""
    if config["part"] == "federated":
        return derive_seed(config["seed"], "initial")
    return derive_seed(config["seed"], "initial", client)


def _execute_transfer(run: Run, bench: Workbench) -> dict[str, Any]:
    config = run.config
    pair, training = tuple(config["pair"]), Training(**config["training"])
    place = (config["part"], config["scenario"], config["seed"])
    case = bench.case(
        config["student"], config["teacher"], *place, pair, config["transfer_set"], training.precision
    )
    technique = get_technique(config["technique"])
    outcome = apply_technique(
        case,
        technique=technique,
        settings=make_settings(technique, settings_of(config)),
        training=training,
        seed=derive_seed(config["seed"], "transfer", *pair),
    )
    partition = bench.partition(*place)
    changes = [_measure(bench, partition, outcome.student, config["student"], pair[0])]
    changes += [_measure(bench, partition, peer, config["teacher"], pair[1]) for peer in outcome.peers]
    return {
        "models": changes,
        "meeting": _compare_before(bench, case, config["student"], config["teacher"]),
        "share_from_teacher": outcome.share_from_teacher,
        "loss": outcome.trained.losses[-1][0] if outcome.trained.losses else None,
        "seconds": outcome.trained.seconds,
    }


def _compare_before(bench: Workbench, case: Case, student_run: str, teacher_run: str) -> dict[str, Any]:
    """How student and teacher relate before a transfer: what the teacher could add, how far they agree."""
    own, taught = (bench.predictions(run).test for run in (student_run, teacher_run))
    confidences, taught_choice = case.teacher_logits[0].softmax(dim=-1).max(dim=-1)
    own_choice = case.initial_logits.argmax(dim=-1)
    is_right = None if case.labels is None else (taught_choice == case.labels).float()
    return {
        "teacher_only_right": int(np.sum((taught == bench.test_labels) & (own != bench.test_labels))),
        "transfer_agreement": float((own_choice == taught_choice).float().mean()),
        "transfer_teacher_confidence": float(confidences.mean()),
        "transfer_teacher_accuracy": None if is_right is None else float(is_right.mean()),
    }


def _measure(
    bench: Workbench, partition: Partition, model: nn.Module, before_run: str, client: int
) -> dict[str, Any]:
    before, after = bench.predictions(before_run), bench.predict(model)
    change = measure_change(
        before.test,
        after.test,
        bench.test_labels,
        known_classes=bench.known_classes(partition, client),
        num_classes=bench.data.num_classes,
    )
    return {
        "validation_before": accuracy(before.validation, bench.validation_labels),
        "validation_after": accuracy(after.validation, bench.validation_labels),
        **asdict(change),
    }


def _execute_federate(run: Run, bench: Workbench) -> dict[str, Any]:
    config = run.config
    clients = _make_clients(config, bench)
    standings = federate.federate(
        _make_recipe(config),
        _make_server(config, bench),
        federate.Simulation(clients, workers=1),
        num_clients=len(clients),
        ledger=federate.Ledger(),
    )
    standing = _run_until(standings, config["stop_at"])
    return {
        "rounds": [_describe_round(state) for state in standing.history],
        "start_bytes": standing.start_bytes,
        "start_seconds": standing.start_seconds,
        "seconds": standing.start_seconds + standing.history[-1].seconds,
    }


def _run_until(standings: Iterator[federate.Standing], stop_at: float | None) -> federate.Standing:
    """Where a federation stands at its end, or after the first round whose test accuracy is high enough."""
    standing = next(standings)
    while stop_at is None or standing.history[-1].accuracy < stop_at:
        following = next(standings, None)
        if following is None:
            break
        standing = following
    return standing


def _describe_round(state: federate.Round) -> dict[str, Any]:
    """What a reader of the results uses of a round."""
    return {
        "number": state.number,
        "accuracy": state.accuracy,
        "validation_accuracy": state.validation_accuracy,
        "bytes_sent": state.bytes_sent,
        "seconds": state.seconds,
        "rejected": len(state.rejected),
    }


def _make_recipe(config: dict[str, Any]) -> federate.Recipe:
    """What the federation of a run does; its clients bring their models, so none is pre-trained."""
    distil = config["distil"]
    return federate.Recipe(
        plan=federate.Plan(
            rounds=config["rounds"],
            local=Training(**config["local"]),
            lr_decay=config["lr_decay"],
            participation=config["participation"],
            seed=config["seed"],
        ),
        start=config["start"],
        distillation=None
        if distil is None
        else federate.Distillation(**{**distil, "training": Training(**distil["training"])}),
        strategy=config["strategy"],
        settings=config["settings"],
    )


def _make_server(config: dict[str, Any], bench: Workbench) -> federate.Server:
    validation, test = bench.evaluation_inputs()
    return federate.Server(
        build_fn=bench.make_build_fn(_initial_seed(config, 0)),
        validation_fn=lambda model: accuracy(predict(model, validation), bench.validation_labels),
        test_fn=lambda model: accuracy(predict(model, test), bench.test_labels),
        proxy=_find_proxy(config, bench),
    )


def _make_clients(config: dict[str, Any], bench: Workbench) -> dict[int, federate.Client]:
    """The clients of a run; those it needs the models of have them.

    Clients of a strategy without a global model measure their own models on the test samples, so that its
    accuracy is of the same samples as that of any other strategy.
    """
    partition = bench.partition("federated", config["scenario"], config["seed"])
    build_fn, proxy = bench.make_build_fn(_initial_seed(config, 0)), _find_proxy(config, bench)
    held_out = None if get_strategy(config["strategy"]).has_global_model else bench.test_samples()
    clients = {}
    for index, ids in enumerate(partition.indices):
        inputs, labels = bench.samples(ids)
        clients[index] = federate.Client(
            index=index,
            inputs=inputs,
            labels=labels,
            arch=config["arch"],
            build_fn=build_fn,
            num_classes=bench.data.num_classes,
            held_out=held_out,
            proxy=proxy,
        )
    for index, run_id in enumerate(config["clients"]):
        clients[index].memory.write(OWN_MODEL, state_of(bench.model(run_id)), round_number=0)
    return clients


def _find_proxy(config: dict[str, Any], bench: Workbench) -> Inputs | None:
    """The proxy set without its labels, None for a run that does not learn from it."""
    return bench.samples(bench.reserved.proxy)[0] if config["proxy_samples"] else None
