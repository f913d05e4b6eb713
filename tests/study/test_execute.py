"""Runs learn from stored images what they learn from normalised copies of them, bit for bit."""

import pytest
import torch
import yaml
from tests.study.tiny import tiny

from limbeck import data
from limbeck.data import Samples, View, load_batch, make_data_set, normalize
from limbeck.engine import default_target_cache
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
