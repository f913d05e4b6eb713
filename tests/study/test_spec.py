"""Specs are validated whole, and every mistake is one sentence with the place and the remedy."""

import pytest
import yaml
from tests.study.tiny import TINY, tiny

from limbeck.core.errors import InputError
from limbeck.federate import STRATEGIES
from limbeck.study import list_builtin, load_spec, parse_spec


def parse(content):
    return parse_spec(yaml.safe_dump(content), origin="test.yaml")


def test_a_spec_reads_back_from_its_own_yaml():
    spec = parse(TINY)
    assert parse_spec(spec.to_yaml(), origin="again") == spec
    assert parse_spec(spec.to_yaml(), origin="again").hash == spec.hash


@pytest.mark.parametrize("name", ["cifar10-full", "fashion-mnist", "fashion-mnist-full", "quickstart"])
def test_built_in_specs_are_valid(name):
    assert name in list_builtin()
    assert load_spec(name).name == name


def test_the_built_in_fashion_mnist_study_is_as_large_as_promised():
    spec = load_spec("fashion-mnist")
    scenarios = spec.transfer.scenarios
    assert {"uniform", "quantity", "disjoint", "overlapping"} <= {part.strategy for part in scenarios}
    assert {0.1, 0.5} <= {part.parameters["alpha"] for part in scenarios if part.strategy == "dirichlet"}
    assert len(spec.seeds) == 3
    assert len(spec.transfer.grid.list_points()) == 36
    assert set(spec.federated.starts) == {"scratch", "best-client", "weight-average", "hub", "chain"}
    assert all(part.num_clients == 10 for part in spec.federated.scenarios)


def test_any_change_changes_the_hash():
    hashes = {parse(content).hash for content in (TINY, tiny(seeds=[1]), tiny(transfer__training__lr=0.03))}
    assert len(hashes) == 3


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"transfer__tecniques": ["kd"]}, ["Unknown key `transfer.tecniques`", "Did you mean `techniques`"]),
        ({"transfer__training__epoch": 3}, ["`transfer.training.epoch`", "Did you mean `epochs`"]),
        ({"transfer__scenarios__0__seed": 3}, ["Unknown key `transfer.scenarios[0].seed`"]),
        ({"transfer__techniques": ["kd", "dlm"]}, ["Unknown technique `dlm`", "Did you mean `dml`"]),
        ({"transfer__scenarios__0__strategy": "unifrom"}, ["Unknown partition strategy", "`uniform`"]),
        ({"transfer__scenarios__1__parameters": {"alpha": 0}}, ["alpha > 0", "alpha=0"]),
        ({"transfer__scenarios__1__parameters": {"alhpa": 1}}, ["alhpa", "Did you mean `alpha`"]),
        ({"transfer__scenarios__1__parameters": {}}, ["alpha"]),
        ({"transfer__grid__weights": [1.5]}, ["0 <= weight <= 1", "weight=1.5"]),
        ({"transfer__grid__temperatures": [0]}, ["temperature > 0", "temperature=0"]),
        ({"transfer__architectures": [{"student": "mlpp", "teacher": "mlp"}]}, ["Did you mean `mlp`"]),
        ({"transfer__scenarios__0__pairs": [[0, 2]]}, ["different clients of the scenario", "[0, 2]"]),
        ({"transfer__scenarios__0__pairs": [[1, 1]]}, ["different clients of the scenario"]),
        ({"transfer__training__lr": -1}, ["lr > 0", "lr=-1"]),
        ({"transfer__training__optimizer": "sdg"}, ["'sdg'", "transfer.training.optimizer"]),
        ({"transfer__transfer_sets": ["public"]}, ["'public'", "transfer.transfer_sets[0]"]),
        ({"federated__starts": ["cold"]}, ["Unknown start `cold`", "scratch"]),
        ({"federated__targets": [1.5]}, ["1.5", "federated.targets[0]"]),
        ({"federated__distil__weight": 2}, ["0 <= weight <= 1"]),
        ({"federated__distil__technique": "dml"}, ["a technique with a frozen teacher", "technique=dml"]),
        ({"federated__rounds": 0}, ["federated.rounds"]),
        ({"data__proxy_samples": 0}, ["proxy_samples > 0 when `proxy` is a transfer set"]),
        ({"federated__scenarios__0__parameters": {"alpha": 1}}, ["two meanings of `skewed`"]),
        ({"transfer__transfer_sets": ["student", "student"]}, ["every transfer set is named once"]),
        ({"transfer__scenarios__0__pairs": [[0, 1], [0, 1]]}, ["every pair is named once"]),
        ({"transfer__scenarios__0__pairs": []}, ["at least one pair"]),
        ({"transfer__training__lr": float("inf")}, ["lr > 0"]),
        ({"transfer__grid__temperatures": [float("inf")]}, ["temperature > 0"]),
        ({"federated__scenarios__0__num_clients": 1}, ["num_clients >= 2 where a start distils"]),
        ({"federated__strategies": ["fedavgg"]}, ["Unknown strategy `fedavgg`", "Did you mean `fedavg`"]),
        ({"federated__strategies": []}, ["federated.strategies"]),
        (
            {"federated__strategies": ["fedprox", {"name": "fedprox", "settings": {"mu": 0.01}}]},
            ["every strategy is named once", "fedprox"],
        ),
        (
            {"federated__strategies": [{"name": "fedprox", "settings": {"nu": 1}}]},
            ["setting", "`nu`"],
        ),
        ({"federated__strategies": [{"name": "fedprox", "settings": {"mu": -1}}]}, ["mu >= 0", "mu=-1"]),
        ({"federated__strategies": [{"name": "fedprox", "mu": 1}]}, ["federated.strategies[0].mu"]),
        (
            {"federated__strategies": ["fedmd"], "federated__starts": ["weight-average"]},
            ["shares no model runs from `scratch`", "`fedmd`"],
        ),
        ({"federated__participation": 0}, ["0 < participation <= 1"]),
        ({"federated__lr_decay": 2}, ["0 < lr_decay <= 1"]),
        ({"federated__distil": None}, ["a distilled start has `distil`", "`hub` and `chain`"]),
        ({"federated__distil__visits": 0}, ["visits >= 1"]),
        ({"seeds": [2**63]}, ["seeds[0]"]),
        ({"seeds": []}, ["seeds"]),
        ({"seeds": [1, 1]}, ["every seed is named once"]),
        ({"name": "Bad Name"}, ["name"]),
    ],
)
def test_a_mistake_is_named_with_its_place_and_remedy(changes, words):
    with pytest.raises(InputError) as caught:
        parse(tiny(**changes))
    message = str(caught.value)
    assert "\n" not in message
    assert all(word in message for word in words), message
    assert "test.yaml" in message


def test_a_spec_without_strategies_is_one_of_federated_averaging():
    assert [part.label for part in parse(TINY).federated.strategies] == ["fedavg"]
    assert parse(TINY).hash == parse(tiny(federated__strategies=["fedavg"])).hash


def test_a_strategy_is_called_by_its_name_and_what_differs_from_its_defaults():
    strategies = ["fedprox", {"name": "fedprox", "settings": {"mu": 1.0}}]
    plain, changed = parse(tiny(federated__strategies=strategies)).federated.strategies
    assert (plain.label, plain.title, plain.list_settings()) == ("fedprox", "FedProx", {"mu": 0.01})
    assert (changed.label, changed.title) == ("fedprox mu=1.0", "FedProx, mu = 1.0")


def test_naive_starts_need_no_distil():
    spec = parse(tiny(federated__starts=["scratch", "weight-average"], federated__distil=None))
    assert spec.federated.distil is None
    assert parse_spec(spec.to_yaml(), origin="again") == spec


def test_whoever_learns_from_the_proxy_set_needs_one():
    content = tiny(data__proxy_samples=0, transfer__transfer_sets=["student"])
    parse(content)
    users = [name for name, one in STRATEGIES.items() if one.server_needs_proxy or one.clients_need_proxy]
    for name in users:
        content["federated"]["strategies"] = [name]
        with pytest.raises(InputError, match=f"proxy_samples > 0 where `{name}` learn from the proxy set"):
            parse(content)
        parse(tiny(federated__strategies=[name]))


def test_a_run_stops_at_the_highest_target_only_where_that_is_asked_for():
    assert parse(TINY).federated.stop_at is None
    assert parse(tiny(federated__stop_at_target=True)).federated.stop_at == 0.99


def test_tuned_kd_needs_a_grid_and_a_grid_needs_tuned_kd():
    content = tiny()
    del content["transfer"]["grid"]
    with pytest.raises(InputError, match="`grid` is given exactly when `tuned-kd`"):
        parse(content)
    with pytest.raises(InputError, match="`grid` is given exactly when `tuned-kd`"):
        parse(tiny(transfer__techniques=["finetune"]))


def test_a_missing_key_is_named():
    content = tiny()
    del content["transfer"]["pretrain"]
    with pytest.raises(InputError, match=r"Missing key `transfer\.pretrain`"):
        parse(content)


def test_a_study_without_parts_is_refused():
    with pytest.raises(InputError, match="`transfer` or a `federated` part"):
        parse({key: TINY[key] for key in ("name", "data", "seeds")})


@pytest.mark.parametrize("text", ["[1, 2]", "just words", "", "a: [", "\t- x"])
def test_text_that_is_no_spec_is_refused(text):
    with pytest.raises(InputError, match=r"YAML|mapping"):
        parse_spec(text, origin="test.yaml")


def test_yaml_cannot_make_python_objects():
    with pytest.raises(InputError, match="must be YAML"):
        parse_spec("!!python/object/apply:os.system ['true']", origin="test.yaml")


def test_an_unknown_study_is_refused_with_the_nearest_name():
    with pytest.raises(InputError, match="Did you mean `quickstart`"):
        load_spec("quikstart")
