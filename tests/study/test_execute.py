"""Runs learn from stored images what they learn from normalised copies of them, bit for bit."""

import pytest
import torch
import yaml
from tests.study.tiny import tiny

from limbeck import data
from limbeck.core.seeds import derive_seed
from limbeck.data import Samples, View, load_batch, make_data_set, normalize
from limbeck.engine import Training, accuracy, default_target_cache, pretrain
from limbeck.federate import STRATEGIES
from limbeck.study import parse_spec
from limbeck.study.execute import Workbench, execute
from limbeck.study.plan import make_plan

pytestmark = pytest.mark.slow

CPU = torch.device("cpu")


class CopyingWorkbench(Workbench):
    """The plain way: every set is normalised as a whole and kept so."""

    def samples(self, ids):
        samples = self.data.subset(ids)
        return normalize(samples.inputs, self.normalization), samples.labels

    def _evaluation_inputs(self):
        validation, _ = self.samples(self.reserved.validation)
        return validation, normalize(self.data.test.inputs, self.normalization)


@pytest.fixture(scope="module")
def digits():
    return data.load("digits")


@pytest.fixture(scope="module")
def spec():
    content = tiny(
        transfer__scenarios=[{"name": "uniform", "strategy": "uniform"}],
        transfer__grid={"temperatures": [1], "weights": [0.5]},
        transfer__pretrain={"epochs": 2, "batch_size": 32},
        federated__rounds=1,
    )
    return parse_spec(yaml.safe_dump(content), origin="test")


def run_all(make_bench, spec, data_set, folder):
    """Every run's result but for its seconds."""
    bench = make_bench(spec=spec, data=data_set, folder=folder, device=CPU)
    results = [execute(run, bench) for run in make_plan(spec, data_set).runs.values()]
    return [drop_seconds(result) for result in results]


def drop_seconds(value):
    if isinstance(value, list):
        return [drop_seconds(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {key: drop_seconds(item) for key, item in value.items() if not key.endswith("seconds")}


def test_every_run_comes_to_what_it_does_on_normalised_copies(spec, digits, tmp_path):
    ours = run_all(Workbench, spec, digits, tmp_path / "ours")
    theirs = run_all(CopyingWorkbench, spec, digits, tmp_path / "theirs")
    assert {len(result) for result in ours} == {len(result) for result in theirs}
    assert ours == theirs
    assert any("weights_hash" in result for result in ours)


def test_images_stay_bytes_and_a_batch_is_normalised_when_it_is_loaded(spec, digits, tmp_path):
    bench = Workbench(spec=spec, data=digits, folder=tmp_path, device=CPU)
    ids = bench.reserved.validation
    inputs, labels = bench.samples(ids)
    assert isinstance(inputs, View)
    assert inputs.inputs.dtype == torch.uint8
    assert inputs.sample_ids.tolist() == ids.tolist()
    expected = normalize(digits.subset(ids).inputs, bench.normalization)
    assert torch.equal(load_batch(inputs, torch.arange(len(ids)), CPU), expected)
    assert torch.equal(labels, digits.subset(ids).labels)


def test_float_data_are_normalised_at_once(spec, digits, tmp_path):
    parts = [
        Samples(inputs=part.inputs.float().flatten(1), labels=part.labels)
        for part in (digits.train, digits.test)
    ]
    table = make_data_set("table", *parts, digits.class_names)
    bench = Workbench(spec=spec, data=table, folder=tmp_path, device=CPU)
    inputs, _ = bench.samples(bench.reserved.validation)
    expected = normalize(table.subset(bench.reserved.validation).inputs, bench.normalization)
    assert torch.equal(inputs, expected)


def test_a_teacher_is_asked_once_for_all_workbenches(spec, digits, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    runs = make_plan(spec, digits).runs.values()
    distil = [run for run in runs if run.config.get("technique") == "kd"]
    bench = Workbench(spec=spec, data=digits, folder=tmp_path, device=CPU)
    for run in runs:
        if run.kind == "pretrain":
            execute(run, bench)
    kept, results = [], []
    for _ in range(2):
        fresh = Workbench(spec=spec, data=digits, folder=tmp_path, device=CPU)
        results.append([drop_seconds(execute(run, fresh)) for run in distil])
        kept.append([path.name for path, _ in default_target_cache().list_entries()])
    assert results[0] == results[1]
    assert len(kept[0]) > 0
    assert sorted(kept[0]) == sorted(kept[1])


def make_bench(digits, folder, **changes):
    """A workbench whose federated part alone is planned, with its clients' models trained."""
    content = tiny(
        federated__scenarios=[{"name": "uniform", "strategy": "uniform", "num_clients": 3}],
        federated__train_samples=300,
        federated__starts=["scratch"],
        federated__distil=None,
        **changes,
    )
    del content["transfer"]
    spec = parse_spec(yaml.safe_dump(content), origin="test")
    plan = make_plan(spec, digits)
    bench = Workbench(spec=spec, data=digits, folder=folder, device=CPU)
    for run in plan.runs.values():
        if run.kind == "pretrain":
            execute(run, bench)
    return bench, [plan.runs[cell.run] for cell in plan.federated_cells]


def test_every_strategy_runs_in_a_study(digits, tmp_path):
    bench, runs = make_bench(digits, tmp_path, federated__strategies=list(STRATEGIES), federated__rounds=1)
    for run in runs:
        result = execute(run, bench)
        assert [state["number"] for state in result["rounds"]] == [0, 1], run.config["strategy"]
        assert result["rounds"][1]["bytes_sent"] > 0
        assert result["rounds"][1]["rejected"] == 0
        assert 0 < result["rounds"][1]["accuracy"] <= 1


def test_a_run_ends_with_the_round_that_reaches_the_highest_target(digits, tmp_path):
    changes = {"federated__rounds": 6, "federated__targets": [0.5]}
    bench, [whole] = make_bench(digits, tmp_path / "whole", **changes)
    bench, [run] = make_bench(digits, tmp_path / "stopped", federated__stop_at_target=True, **changes)
    rounds = drop_seconds(execute(whole, bench))["rounds"]
    stopped = drop_seconds(execute(run, bench))["rounds"]
    first = next(state["number"] for state in rounds if state["accuracy"] >= 0.5)
    assert 0 < first < 6
    assert stopped == rounds[: first + 1]


def test_a_federation_of_one_round_is_the_mean_of_what_its_clients_make_of_the_common_model(digits, tmp_path):
    bench, [run] = make_bench(digits, tmp_path, federated__rounds=1)
    result = execute(run, bench)
    partition = bench.partition("federated", "uniform", 0)
    training = Training(**run.config["local"])
    states = []
    for index, ids in enumerate(partition.indices):
        model = bench.new_model("mlp", derive_seed(0, "initial"))
        pretrain(model, *bench.samples(ids), training=training, seed=derive_seed(0, "local", 1, index))
        states.append(model.state_dict())
    mean = bench.new_model("mlp", 0)
    mean.load_state_dict(
        {name: torch.stack([state[name].double() for state in states]).mean(0).float() for name in states[0]}
    )
    said = bench.predict(mean).test
    assert result["rounds"][1]["accuracy"] == pytest.approx(accuracy(said, bench.test_labels), abs=0.003)
