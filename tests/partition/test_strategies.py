"""The table of strategies and the check of a spec against it."""

import dataclasses
import inspect

import numpy as np
import pytest

from limbeck import partition
from limbeck.core.errors import InputError
from limbeck.core.fingerprint import hash_config
from limbeck.partition import STRATEGIES, check_parameters, split, title


def test_the_public_names():
    assert sorted(partition.__all__) == sorted(
        [
            "STRATEGIES",
            "Description",
            "Parameter",
            "Partition",
            "Reserved",
            "Strategy",
            "carve_out",
            "check_parameters",
            "classes",
            "client_dirichlet",
            "describe",
            "dirichlet",
            "disjoint",
            "load",
            "long_tail",
            "mixed",
            "overlapping",
            "quantity",
            "reserve",
            "save",
            "shards",
            "split",
            "split_between_clients",
            "title",
            "uniform",
        ]
    )


def test_the_names_of_the_strategies():
    assert sorted(STRATEGIES) == sorted(
        [
            "uniform",
            "quantity",
            "classes",
            "shards",
            "disjoint",
            "overlapping",
            "dirichlet",
            "client-dirichlet",
            "long-tail",
            "mixed",
        ]
    )
    assert all(STRATEGIES[name].name == name for name in STRATEGIES)


@pytest.mark.parametrize("name", sorted(STRATEGIES))
def test_the_table_says_what_the_function_takes(name):
    strategy = STRATEGIES[name]
    signature = inspect.signature(strategy.split_fn).parameters
    own = {key: value for key, value in signature.items() if key not in {"labels", "num_clients", "seed"}}
    assert strategy.split_fn.__name__ == name.replace("-", "_")
    assert [parameter.name for parameter in strategy.parameters] == list(own)
    for parameter in strategy.parameters:
        default = own[parameter.name].default
        assert parameter.required == (default is inspect.Parameter.empty)
        assert parameter.required or parameter.default == default


def test_the_table_and_its_records_cannot_be_changed():
    with pytest.raises(TypeError):
        STRATEGIES["new"] = STRATEGIES["uniform"]  # pyright: ignore[reportIndexIssue]
    with pytest.raises(dataclasses.FrozenInstanceError):
        STRATEGIES["uniform"].name = "iid"  # pyright: ignore[reportAttributeAccessIssue]


def test_defaults_are_filled_in_and_values_are_plain():
    complete = check_parameters("dirichlet", {"alpha": np.float64(0.5), "min_samples": np.int64(3)})
    assert complete == {"alpha": 0.5, "balance": True, "min_samples": 3}
    assert {name: type(value) for name, value in complete.items()} == {
        "alpha": float,
        "balance": bool,
        "min_samples": int,
    }


def test_complete_parameters_can_be_hashed():
    as_list = check_parameters("quantity", {"shares": [0.5, 0.5]})
    as_array = check_parameters("quantity", {"shares": np.array([0.5, 0.5]), "alpha": None})
    assert hash_config(as_list) == hash_config(as_array)


@pytest.mark.parametrize(
    ("strategy", "parameters", "message"),
    [
        ("dirichlt", {}, "Unknown partition strategy `dirichlt`. Did you mean `dirichlet`?"),
        ("dirichlet", {"aplha": 0.5}, "Unknown parameter `aplha` of .*`dirichlet`. Did you mean `alpha`?"),
        ("uniform", {"alpha": 0.5}, "Unknown parameter `alpha` .*`uniform` takes no parameters."),
        ("dirichlet", {}, "`dirichlet` needs `alpha`, which is missing. Give alpha"),
        ("dirichlet", {"alpha": None}, "alpha is a finite number"),
        ("dirichlet", {"alpha": -0.1}, "`alpha > 0` must hold, but got alpha=-0.1. Use 0.1 "),
        ("dirichlet", {"alpha": 1, "balance": None}, "balance is true or false"),
        ("quantity", {}, "exactly one of alpha and shares is given"),
        ("quantity", {"alpha": 1, "shares": [1.0]}, "exactly one of alpha and shares is given"),
        ("quantity", {"shares": [0.5, 0.6]}, r"sum\(shares\)=1.1"),
        ("quantity", {"shares": []}, "shares is a list of numbers"),
        ("long-tail", {"imbalance_ratio": 2, "head": 3}, "head is `same` or `client`"),
        ("classes", {"classes_per_client": 0}, "classes_per_client >= 1"),
        ("mixed", {"alpha": 1.0}, "needs `quantity_alpha`"),
    ],
)
def test_wrong_specs_are_refused_before_any_data_is_loaded(strategy, parameters, message):
    with pytest.raises(InputError, match=message):
        check_parameters(strategy, parameters)


def test_balance_is_printed_wherever_alpha_is():
    assert title("dirichlet", {"alpha": 0.5}) == "dirichlet (alpha=0.5, balance=True)"
    assert title("dirichlet", {"alpha": 0.5, "balance": False, "min_samples": 2}) == (
        "dirichlet (alpha=0.5, balance=False, min_samples=2)"
    )


def test_other_titles():
    assert title("uniform", {}) == "uniform"
    assert title("quantity", {"shares": [0.75, 0.25]}) == "quantity (shares=[0.75, 0.25])"
    assert title("client-dirichlet", {"alpha": 1, "sizes": [1, 2, 3, 4, 5, 6]}) == (
        "client-dirichlet (alpha=1, sizes=[1, 2, 3, 4, 5, ... 6 in all])"
    )


def test_a_partition_is_a_sequence_with_a_title_and_a_hash():
    labels = np.tile([0, 1, 2], 40)
    parts = split(labels, "dirichlet", num_clients=4, seed=7, alpha=0.5)
    assert parts.title == "dirichlet (alpha=0.5, balance=True), 4 clients, seed 7"
    assert len(parts) == 4
    assert parts[1] is parts.indices[1]
    assert [ids.tolist() for ids in parts] == [ids.tolist() for ids in parts.indices]
    assert parts.parameters == {"alpha": 0.5, "balance": True, "min_samples": 1}
    assert len(parts.hash) == 16
    with pytest.raises(dataclasses.FrozenInstanceError):
        parts.seed = 1  # pyright: ignore[reportAttributeAccessIssue]


def test_one_client_is_not_written_in_the_plural():
    assert split([0, 1], "uniform", num_clients=1, seed=0).title == "uniform, 1 client, seed 0"


def test_the_hash_is_that_of_the_content():
    labels = np.zeros(10, dtype=int)
    one = split(labels, "uniform", num_clients=2, seed=0)
    moved = dataclasses.replace(one, indices=one.indices[::-1])
    renamed = dataclasses.replace(one, seed=5)
    assert one.hash == renamed.hash != moved.hash
