"""The plan: one run per configuration, in an order in which each can be done."""

import pytest
import torch
import yaml
from tests.study.tiny import TINY, tiny

from limbeck import data
from limbeck.core.errors import InputError
from limbeck.federate import STRATEGIES
from limbeck.study import load_spec, make_plan, parse_spec
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


def test_each_strategy_runs_from_each_start_and_equal_ones_only_once(plan, digits):
    strategies = ["fedavg", "fedprox", {"name": "fedprox", "settings": {"mu": 1.0}}]
    other = plan_of(tiny(federated__strategies=strategies), digits)
    assert [cell.strategy.label for cell in other.federated_cells[:3]] == [
        "fedavg",
        "fedprox",
        "fedprox mu=1.0",
    ]
    assert len({cell.run for cell in other.federated_cells}) == 5 * 3
    assert {cell.run for cell in plan.federated_cells} < {cell.run for cell in other.federated_cells}


@pytest.mark.parametrize(
    ("changes", "renames"),
    [
        ({"federated__stop_at_target": True}, True),
        ({"federated__participation": 0.5}, True),
        ({"federated__lr_decay": 0.9}, True),
        ({"federated__strategies": [{"name": "fedprox", "settings": {"mu": 0.5}}]}, True),
        ({"data__proxy_samples": 100}, False),
    ],
)
def test_what_a_round_depends_on_is_part_of_the_run(plan, digits, changes, renames):
    runs = {cell.run for cell in plan.federated_cells}
    others = {cell.run for cell in plan_of(tiny(**changes), digits).federated_cells}
    assert runs.isdisjoint(others) if renames else runs == others


def test_only_starts_and_strategies_that_use_the_clients_models_need_their_runs(plan, digits):
    by_start = {cell.start: cell for cell in plan.federated_cells}
    assert by_start["scratch"].client_runs == plan.runs[by_start["scratch"].run].needs == ()
    assert len(by_start["best-client"].client_runs) == 3
    users = [name for name, strategy in STRATEGIES.items() if strategy.needs_models_fn(strategy.defaults)]
    other = plan_of(tiny(federated__starts=["scratch"], federated__strategies=["fedavg", *users]), digits)
    assert [len(cell.client_runs) for cell in other.federated_cells] == [0, *([3] * len(users))]


def test_a_strategy_that_shares_no_model_runs_from_scratch_alone(digits):
    private = [name for name, strategy in STRATEGIES.items() if not strategy.has_global_model]
    plan = plan_of(tiny(federated__strategies=["fedavg", *private]), digits)
    starts = {(cell.strategy.name, cell.start) for cell in plan.federated_cells}
    assert {(name, "scratch") for name in private} == {pair for pair in starts if pair[0] != "fedavg"}
    assert len(starts) == 5 + len(private)


def test_the_proxy_set_is_part_of_the_runs_that_learn_from_it(digits):
    users = [name for name, one in STRATEGIES.items() if one.server_needs_proxy or one.clients_need_proxy]
    plan = plan_of(tiny(federated__strategies=["fedavg", *users], federated__starts=["scratch"]), digits)
    sizes = [plan.runs[cell.run].config["proxy_samples"] for cell in plan.federated_cells]
    assert sizes == [0, *([100] * len(users))]


@pytest.mark.parametrize(
    ("name", "shape", "num_runs"),
    [("fashion-mnist-full", (1, 28, 28), 14_826), ("cifar10-full", (3, 32, 32), 16_026)],
)
def test_the_full_studies_can_be_planned_and_are_as_large_as_they_say(name, shape, num_runs):
    spec = load_spec(name)
    labels = torch.arange(8_000) % 10
    train = data.Samples(inputs=torch.zeros(8_000, *shape, dtype=torch.uint8), labels=labels)
    test = data.Samples(inputs=train.inputs[:10], labels=labels[:10])
    plan = make_plan(spec, data.make_data_set("stand-in", train, test, map(str, range(10))))
    assert len(plan.runs) == num_runs
    assert f"{num_runs:,} runs" in spec.description
    for cell in plan.transfer_cells:
        assert set(cell.runs) == set(spec.transfer.techniques) - {"tuned-kd"}
        assert len(cell.grid) == 36
    assert {cell.start for cell in plan.federated_cells} == set(spec.federated.starts)


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
