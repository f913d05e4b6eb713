"""The plan: one run per configuration, in an order in which each can be done."""

import pytest
import yaml
from tests.study.tiny import TINY, tiny

from limbeck import data
from limbeck.core.errors import InputError
from limbeck.study import make_plan, parse_spec
from limbeck.study.plan import transfer_ids
from limbeck.techniques import Settings


@pytest.fixture(scope="module")
def digits():
    return data.load("digits")


def plan_of(content, digits):
    return make_plan(parse_spec(yaml.safe_dump(content), origin="test"), digits)


@pytest.fixture(scope="module")
def plan(digits):
    return plan_of(TINY, digits)


def test_every_run_comes_after_what_it_needs(plan):
    seen = set()
    for run in plan.runs.values():
        assert set(run.needs) <= seen
        seen.add(run.id)


def test_the_number_of_runs_is_as_counted_by_hand(plan):
    kinds = [run.kind for run in plan.runs.values()]
    # Uniform: 2 models. Skewed: both clients as student and as teacher, of two architectures: 4 models.
    # Federated: 3 clients.
    assert kinds.count("pretrain") == 2 + 4 + 3
    # Three pairs. Labelled sets: 5 techniques + 4 grid points - 1 that is vanilla KD itself = 8 each.
    # Proxy: kd and dp-kd-unsupervised at w = 1, T = 1; grid T = 1 (the same as kd) and T = 4: 3 runs.
    assert kinds.count("transfer") == 3 * (8 + 8 + 3)
    assert kinds.count("federate") == 5


def test_vanilla_kd_is_the_grid_point_it_equals(plan):
    for cell in plan.transfer_cells:
        vanilla = Settings(temperature=1, weight=1 if cell.transfer_set == "proxy" else 0.5)
        assert cell.grid[vanilla] == cell.runs["kd"]


def test_the_proxy_set_is_used_without_labels(plan):
    proxy_cells = [cell for cell in plan.transfer_cells if cell.transfer_set == "proxy"]
    assert len(proxy_cells) == 3
    for cell in proxy_cells:
        assert set(cell.runs) == {"kd", "dp-kd-unsupervised"}
        assert {settings.weight for settings in cell.grid} == {1}


def test_test_validation_proxy_and_client_samples_never_meet(plan, digits):
    for partition in plan.partitions.values():
        groups = [plan.reserved.validation, plan.reserved.proxy, *partition.indices]
        ids = [int(i) for group in groups for i in group]
        assert len(ids) == len(set(ids))
    assert len(plan.reserved.validation) == 200
    assert len(plan.reserved.proxy) == 100
    transfer_part = plan.partitions["transfer", "uniform", 0]
    assert sum(map(len, transfer_part.indices)) == 400


def test_transfer_sets_are_whose_they_say(plan):
    partition = plan.partitions["transfer", "skewed", 0]
    for transfer_set, expected in (
        ("student", partition.indices[1]),
        ("teacher", partition.indices[0]),
        ("proxy", plan.reserved.proxy),
    ):
        assert (transfer_ids(plan.reserved, partition, (1, 0), transfer_set) == expected).all()


@pytest.mark.parametrize(
    ("changes", "kinds"),
    [
        ({"transfer__training__lr": 0.03}, {"transfer"}),
        ({"federated__rounds": 4}, {"federate"}),
        ({"federated__targets": [0.6]}, set()),
        ({"federated__distil__weight": 0.4}, {"federate"}),
    ],
)
def test_a_change_renames_exactly_the_runs_it_concerns(plan, digits, changes, kinds):
    other = plan_of(tiny(**changes), digits)
    assert {run.kind for run_id, run in other.runs.items() if run_id not in plan.runs} == kinds


def test_only_distilled_starts_depend_on_how_they_distil(plan, digits):
    other = plan_of(tiny(federated__distil__weight=0.4), digits)
    renamed = {run.config["start"] for run_id, run in other.runs.items() if run_id not in plan.runs}
    assert renamed == {"hub", "chain"}


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"transfer__train_samples": 5000}, "train_samples <= samples left"),
        ({"data__validation_samples": 5000}, "validation_samples"),
        ({"transfer__scenarios__0__num_clients": 2000}, "num_clients"),
        (
            {
                "federated__scenarios__0": {
                    "name": "x",
                    "strategy": "classes",
                    "num_clients": 3,
                    "parameters": {"classes_per_client": 2},
                }
            },
            "class",
        ),
    ],
)
def test_data_that_cannot_be_split_so_is_refused_before_anything_runs(digits, changes, rule):
    content = tiny(**{key: value for key, value in changes.items() if not key.endswith("__0")})
    for key, value in changes.items():
        if key.endswith("__0"):
            content["federated"]["scenarios"][0] = value
    with pytest.raises(InputError, match=rule):
        plan_of(content, digits)
