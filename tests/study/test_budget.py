"""A budget takes whole cells of a plan, evenly, and says what it leaves out."""

import json
from collections import Counter

import polars as pl
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.study.tiny import tiny

from limbeck import data
from limbeck.cli.app import _run as run
from limbeck.core.errors import InputError
from limbeck.study import make_plan, parse_duration, parse_spec
from limbeck.study.budget import (
    BUDGET_FILE,
    choose,
    choose_within,
    estimate_seconds,
    identify,
    keep,
    runs_of,
)
from limbeck.study.speed import Speed, measure_speeds

ARCHS = [{"student": "mlp", "teacher": "cnn"}, {"student": "mlp", "teacher": "mlp"}]
STRATEGIES = ["fedavg", "fedprox"]
SPEEDS = [
    Speed(part=part, kind=kind, arch=arch, seconds_per_sample=seconds)
    for part, kind, arch, seconds in [
        ("transfer", "pretrain", "mlp", 1e-3),
        ("transfer", "pretrain", "cnn", 4e-3),
        ("transfer", "transfer", "mlp", 2e-3),
        ("transfer", "transfer", "cnn", 8e-3),
        ("federated", "pretrain", "mlp", 1e-3),
        ("federated", "federate", "mlp", 1e-3),
    ]
]


@pytest.fixture(scope="module")
def digits():
    return data.load("digits")


@pytest.fixture(scope="module")
def spec():
    content = tiny(seeds=[0, 1, 2], transfer__architectures=ARCHS, federated__strategies=STRATEGIES)
    return parse_spec(yaml.safe_dump(content), origin="test")


class Whole:
    """The whole plan, which is too large to be printed, and what its runs cost."""

    def __init__(self, plan):
        self.plan = plan
        self.costs = estimate_seconds(plan, SPEEDS)
        self.seconds = sum(self.costs.values())

    def choose(self, share, *, workers=1):
        return choose_of(self.plan, share * self.seconds / workers, workers=workers)

    def keep(self, share):
        return keep(self.plan, self.choose(share))


@pytest.fixture(scope="module")
def whole(spec, digits):
    return Whole(make_plan(spec, digits))


@pytest.fixture(scope="module")
def plan(whole):
    return whole.plan


@pytest.fixture(scope="module")
def whole_seconds(whole):
    return whole.seconds


def choose_of(plan, seconds, *, workers=1):
    return choose(plan, spec_hash="0" * 16, seconds=seconds, workers=workers, speeds=SPEEDS)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("30m", 1800), ("2h", 7200), ("1h30m", 5400), ("1.5h", 5400), ("1 H", 3600), ("1d", 86400)],
)
def test_a_duration_is_numbers_with_units(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "30", "half an hour", "-2h", "0s", "2h-1m", "1e3s", "m"])
def test_anything_else_is_no_duration(text):
    with pytest.raises(InputError, match=r"a number above 0 with `s`, `m`, `h` or `d`.*Write it like 90s"):
        parse_duration(text)


def test_a_run_costs_what_its_architecture_does_and_a_mutual_one_the_mean_of_both(plan):
    seconds = estimate_seconds(plan, SPEEDS)
    cell = next(cell for cell in plan.transfer_cells if cell.architectures.teacher == "cnn")
    assert seconds[cell.runs["kd"]] == pytest.approx(plan.runs[cell.runs["kd"]].cost * 2e-3)
    assert seconds[cell.runs["dml"]] == pytest.approx(plan.runs[cell.runs["dml"]].cost * 5e-3)
    assert seconds[cell.teacher_run] == pytest.approx(plan.runs[cell.teacher_run].cost * 4e-3)


shares = st.floats(0.08, 1.5)
per_example = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@per_example
@given(shares, st.integers(1, 4))
def test_what_is_chosen_fits_and_what_is_counted_is_there(whole, share, workers):
    choice = whole.choose(share, workers=workers)
    kept = keep(whole.plan, choice)
    spent = sum(whole.costs[run_id] for run_id in kept.runs)
    assert spent / workers == pytest.approx(choice.estimated_seconds)
    assert choice.estimated_seconds <= choice.seconds
    assert choice.estimated_seconds_of_all == pytest.approx(whole.seconds / workers)
    assert (choice.runs, choice.runs_left_out) == (len(kept.runs), len(whole.plan.runs) - len(kept.runs))
    cells = [*kept.transfer_cells, *kept.federated_cells]
    assert len(cells) == len(choice.cells)
    for part, axis in {(one.part, one.axis) for one in choice.shares}:
        counted = [one for one in choice.shares if (one.part, one.axis) == (part, axis)]
        assert sum(one.kept for one in counted) == sum(identify(cell)["part"] == part for cell in cells)


@per_example
@given(shares)
def test_a_cell_is_kept_whole_with_the_models_it_needs(whole, share):
    kept = whole.keep(share)
    seen = set()
    for run_id, one in kept.runs.items():
        assert set(one.needs) <= seen
        seen.add(run_id)
    cells = [*kept.transfer_cells, *kept.federated_cells]
    assert seen == {run_id for cell in cells for run_id in runs_of(cell)}
    starts = Counter((cell.scenario.name, cell.seed, cell.strategy.label) for cell in kept.federated_cells)
    assert set(starts.values()) <= {5}
    places = {(cell.scenario.name, cell.seed) for cell in cells}
    assert {key[1:] for key in kept.partitions} == places


@per_example
@given(shares, shares)
def test_a_larger_budget_takes_the_same_and_more(whole, one, other):
    small, large = (whole.choose(share).cells for share in sorted((one, other)))
    assert large[: len(small)] == small


def test_the_whole_plan_is_taken_where_it_fits(plan, whole_seconds):
    choice = choose_of(plan, whole_seconds * 1.001)
    assert choice.runs_left_out == 0
    assert keep(plan, choice) == plan


@per_example
@given(st.floats(0.2, 1))
def test_the_values_of_every_axis_are_kept_about_equally_often(whole, share):
    kept = whole.keep(share).transfer_cells
    seeds = Counter(cell.seed for cell in kept)
    archs = Counter(cell.architectures.teacher for cell in kept)
    sets = Counter(cell.transfer_set for cell in kept)
    # A case comes with two seeds, so counts move in twos.
    assert max(seeds.values()) - min(seeds[seed] for seed in (0, 1, 2)) <= 4
    assert max(archs.values()) - min(archs.values()) <= 4
    assert max(sets.values()) - min(sets.values()) <= 4


@per_example
@given(shares)
def test_a_case_gets_a_second_seed_before_another_case_and_a_third_when_all_have_two(whole, share):
    kept = whole.keep(share).transfer_cells
    cases = Counter(
        (cell.scenario.name, cell.pair, cell.architectures.teacher, cell.transfer_set) for cell in kept
    )
    counts = sorted(cases.values())
    assert counts.count(1) <= 1
    if 3 in counts:
        assert len(cases) == 3 * 2 * 3
        assert counts[0] >= 2


@per_example
@given(shares)
def test_both_parts_get_their_share_of_the_time(whole, share):
    done, total = ({"transfer": 0.0, "federated": 0.0} for _ in range(2))
    kept = whole.keep(share)
    for run_id, one in whole.plan.runs.items():
        part, seconds = one.config["part"], whole.costs[run_id]
        total[part] += seconds
        done[part] += seconds if run_id in kept.runs else 0
    cells = [*whole.plan.transfer_cells, *whole.plan.federated_cells]
    largest = max(sum(whole.costs[run_id] for run_id in runs_of(cell)) for cell in cells)
    # A step is a cell of transfers or five federations; each part is at most about one behind.
    slack = largest / total["transfer"] + 5 * largest / total["federated"]
    assert abs(done["transfer"] / total["transfer"] - done["federated"] / total["federated"]) <= slack


def test_strategies_follow_the_first_one_with_its_seeds(plan, whole_seconds):
    choice = choose_of(plan, whole_seconds)
    federations = [cell for cell in choice.cells if cell["part"] == "federated"]
    assert [cell["federated_strategy"] for cell in federations[:20]] == ["fedavg"] * 10 + ["fedprox"] * 10
    seeds = [cell["seed"] for cell in federations]
    assert seeds[:10] == seeds[10:20]
    assert {cell["start"] for cell in federations[:5]} == {cell.start for cell in plan.federated_cells}


def test_a_budget_too_small_for_one_cell_is_refused_with_what_one_takes(plan):
    with pytest.raises(InputError, match=r"a budget holds at least one cell.*the first takes about [\d.]+"):
        choose_of(plan, 0.01)


def test_the_same_budget_finds_its_choice_again_and_another_measures_no_more(plan, whole_seconds, tmp_path):
    measured = []

    def measure():
        measured.append(True)
        return tuple(SPEEDS)

    def choose_again(seconds, workers=1):
        return choose_within(
            plan, spec_hash="a", seconds=seconds, folder=tmp_path, workers=workers, measure_fn=measure
        )

    first = choose_again(whole_seconds / 2)
    assert choose_again(whole_seconds / 2, workers=3) == first
    larger = choose_again(whole_seconds * 0.8)
    assert larger.cells[: len(first.cells)] == first.cells
    assert measured == [True]
    with pytest.raises(InputError, match="at least one cell"):
        choose_again(0.001)
    assert choose_again(whole_seconds * 0.8) == larger


@pytest.mark.parametrize("text", ["{", "[]", '{"format": 2}'])
def test_a_damaged_choice_is_one_sentence(plan, tmp_path, text):
    (tmp_path / BUDGET_FILE).write_text(text)
    with pytest.raises(InputError, match=r"budget\.json.*Delete it to choose anew") as caught:
        choose_within(
            plan, spec_hash="a", seconds=9, folder=tmp_path, workers=1, measure_fn=lambda: tuple(SPEEDS)
        )
    assert "\n" not in str(caught.value)


def test_a_choice_that_names_what_the_plan_lacks_is_refused(plan, whole_seconds):
    choice = choose_of(plan, whole_seconds / 2)
    foreign = choice.model_copy(update={"cells": ({**choice.cells[0], "scenario": "elsewhere"},)})
    with pytest.raises(InputError, match=r"names cells of the plan.*elsewhere.*Delete the file"):
        keep(plan, foreign)


@pytest.mark.slow
def test_speeds_are_measured_for_all_that_a_plan_does(spec, plan, digits):
    import torch

    speeds = measure_speeds(spec, digits, layouts={}, device=torch.device("cpu"), num_workers=2)
    assert {(one.part, one.kind, one.arch) for one in speeds} == {
        (one.part, one.kind, one.arch) for one in SPEEDS
    }
    assert all(seconds > 0 for seconds in estimate_seconds(plan, speeds).values())


@pytest.mark.slow
def test_a_study_within_a_budget_leaves_out_the_rest_and_goes_on_with_more(tmp_path, capsys):
    # So many seeds that no machine does them in the budget, of which a cell takes a small part.
    path, out = tmp_path / "tiny.yaml", tmp_path / "out"
    path.write_text(yaml.safe_dump(tiny(seeds=list(range(60)))))

    def study(budget):
        assert (
            run(["study", str(path), "--out", str(out), "--workers", "2", "--json", "--budget", budget]) == 0
        )
        told = capsys.readouterr()
        return json.loads(told.out), told.err, json.loads((out / "study.json").read_text())

    first, told, about = study("5s")
    assert first["runs_done"] == first["runs_total"] == about["budget"]["runs"]
    assert "The budget takes" in told
    assert "Taken by transfer, scenario:" in told
    assert about["budget"]["runs_left_out"] > 0
    seeds = {entry["seed"] for entry in about["scenarios"]}
    results = pl.read_parquet(out / "results.parquet")
    assert set(results["seed"]) <= seeds
    assert results.filter(pl.col("role") == "student").height == count_rows(about)

    again, _, same = study("5s")
    assert (again["runs_done"], again["runs_skipped"]) == (0, first["runs_total"])
    assert same == about

    more, _, grown = study("7s")
    assert more["runs_skipped"] == first["runs_total"]
    assert grown["budget"]["runs"] == more["runs_total"] > first["runs_total"]


def count_rows(about):
    """One row per kept transfer cell and technique: 6 on labelled sets, 3 on the proxy set."""
    kept = {row["value"]: row["kept"] for row in about["budget"]["shares"] if row["axis"] == "transfer_set"}
    return 6 * (kept["student"] + kept["teacher"]) + 3 * kept["proxy"]
