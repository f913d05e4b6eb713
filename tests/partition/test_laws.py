"""Laws that every partition strategy keeps."""

import json
import subprocess
import sys
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limbeck import partition
from limbeck.core.errors import InputError

# Every strategy once per branch of its parameters.
CASES = [
    ("uniform", {}),
    ("quantity", {"alpha": 0.5}),
    ("quantity", {"shares": [0.4, 0.3, 0.2, 0.05, 0.05]}),
    ("classes", {"classes_per_client": 2}),
    ("classes", {"classes_per_client": 2, "overlap": False}),
    ("shards", {"shards_per_client": 2}),
    ("disjoint", {}),
    ("overlapping", {"num_shared_classes": 4}),
    ("dirichlet", {"alpha": 0.3}),
    ("dirichlet", {"alpha": 0.3, "balance": False, "min_samples": 10}),
    ("client-dirichlet", {"alpha": 0.3}),
    ("client-dirichlet", {"alpha": 0.3, "sizes": [100, 50, 20, 5, 1]}),
    ("long-tail", {"imbalance_ratio": 10}),
    ("long-tail", {"imbalance_ratio": 10, "head": "client"}),
    ("mixed", {"alpha": 0.3, "quantity_alpha": 0.5}),
]
INCOMPLETE = {"long-tail"}
LABELS = np.random.default_rng(7).integers(0, 10, 1000)
CLIENTS = 5

all_cases = pytest.mark.parametrize(("strategy", "parameters"), CASES)


def uses_every_sample(strategy, parameters):
    return strategy not in INCOMPLETE and parameters.get("sizes") is None


def check_laws(split, num_samples, *, is_complete):
    every = np.concatenate(split.indices)
    assert all(ids.dtype == np.int64 for ids in split)
    assert all((np.diff(ids) > 0).all() for ids in split)
    assert all(len(ids) > 0 for ids in split)
    assert len(np.unique(every)) == len(every)
    assert every.min() >= 0
    assert every.max() < num_samples
    assert not is_complete or len(every) == num_samples


def test_the_cases_cover_every_strategy():
    assert {name for name, _ in CASES} == set(partition.STRATEGIES)


@all_cases
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_clients_are_disjoint_ascending_and_not_empty(strategy, parameters, seed):
    split = partition.split(LABELS, strategy, num_clients=CLIENTS, seed=seed, **parameters)
    assert len(split) == CLIENTS
    check_laws(split, len(LABELS), is_complete=uses_every_sample(strategy, parameters))


@all_cases
def test_the_same_seed_gives_the_same_split_and_another_seed_another(strategy, parameters):
    hashes = [
        partition.split(LABELS, strategy, num_clients=CLIENTS, seed=seed, **parameters).hash
        for seed in (0, 0, 1, 2)
    ]
    assert hashes[0] == hashes[1]
    assert len(set(hashes)) == 3


def test_a_fresh_process_gives_the_same_splits():
    program = (
        "import json, sys, numpy as np\n"
        "from limbeck import partition\n"
        "labels, cases = json.load(sys.stdin)\n"
        "split = lambda name, given: partition.split(labels, name, num_clients=5, seed=3, **given).hash\n"
        "print(json.dumps([split(name, given) for name, given in cases]))\n"
    )
    given_text = json.dumps([LABELS.tolist(), CASES])
    answer = subprocess.run(
        [sys.executable, "-c", program], input=given_text, capture_output=True, text=True, check=True
    )
    here = [partition.split(LABELS, name, num_clients=5, seed=3, **given).hash for name, given in CASES]
    assert json.loads(answer.stdout) == here


@all_cases
def test_global_numpy_state_is_untouched(strategy, parameters):
    before = np.random.get_state()  # noqa: NPY002 - the global state is what must not change
    partition.split(LABELS, strategy, num_clients=CLIENTS, seed=0, **parameters)
    after = np.random.get_state()  # noqa: NPY002
    assert before[0] == after[0]
    assert np.array_equal(before[1], after[1])
    assert before[2:] == after[2:]


@all_cases
def test_the_labels_are_left_as_they_were(strategy, parameters):
    labels = LABELS.copy()
    labels.setflags(write=False)
    partition.split(labels, strategy, num_clients=CLIENTS, seed=0, **parameters)


@all_cases
def test_class_numbers_may_have_gaps(strategy, parameters):
    split = partition.split(LABELS, strategy, num_clients=CLIENTS, seed=0, **parameters)
    with_gaps = partition.split(LABELS * 1000 + 5, strategy, num_clients=CLIENTS, seed=0, **parameters)
    assert split.hash == with_gaps.hash


@all_cases
def test_the_functions_and_split_agree(strategy, parameters):
    split_fn = getattr(partition, strategy.replace("-", "_"))
    arrays = split_fn(LABELS, num_clients=CLIENTS, seed=4, **parameters)
    split = partition.split(LABELS, strategy, num_clients=CLIENTS, seed=4, **parameters)
    assert isinstance(arrays, list)
    assert all(np.array_equal(mine, its) for mine, its in zip(arrays, split, strict=True))


@pytest.mark.parametrize(
    ("strategy", "parameters"),
    [
        ("uniform", {}),
        ("quantity", {"alpha": 0.01}),
        ("classes", {"classes_per_client": 3}),
        ("shards", {"shards_per_client": 2}),
        ("overlapping", {"num_shared_classes": 4}),
        ("dirichlet", {"alpha": 0.01}),
        ("dirichlet", {"alpha": 0.01, "balance": False, "min_samples": 100}),
        ("client-dirichlet", {"alpha": 0.01}),
        ("long-tail", {"imbalance_ratio": 100.0}),
        ("mixed", {"alpha": 0.01, "quantity_alpha": 0.01}),
    ],
)
def test_sixty_thousand_labels_and_a_hundred_clients_take_under_a_second(strategy, parameters):
    labels = np.random.default_rng(0).integers(0, 10, 60_000)
    start = time.perf_counter()
    split = partition.split(labels, strategy, num_clients=100, seed=0, **parameters)
    assert time.perf_counter() - start < 1.0
    check_laws(split, len(labels), is_complete=strategy not in INCOMPLETE)


@st.composite
def draw_request(draw):
    num_clients = draw(st.integers(1, 7))
    alpha = st.sampled_from([1e-9, 0.01, 0.5, 3.0, 1e6])
    choices = {
        "uniform": {},
        "quantity": {"alpha": alpha},
        "classes": {"classes_per_client": st.integers(1, 4), "overlap": st.booleans()},
        "shards": {"shards_per_client": st.integers(1, 3)},
        "disjoint": {},
        "overlapping": {"num_shared_classes": st.integers(0, 4)},
        "dirichlet": {"alpha": alpha, "balance": st.booleans(), "min_samples": st.integers(1, 4)},
        "client-dirichlet": {
            "alpha": alpha,
            "sizes": st.none() | st.lists(st.integers(1, 9), min_size=num_clients, max_size=num_clients),
        },
        "long-tail": {
            "imbalance_ratio": st.sampled_from([1.0, 2.5, 100.0]),
            "head": st.sampled_from(["same", "client"]),
        },
        "mixed": {"alpha": alpha, "quantity_alpha": alpha},
    }
    strategy = draw(st.sampled_from(sorted(choices)))
    parameters = {name: draw(values) for name, values in choices[strategy].items()}
    labels = draw(st.lists(st.integers(0, 4), max_size=60))
    return strategy, parameters, labels, num_clients


@settings(deadline=None, max_examples=400)
@given(draw_request(), st.integers(0, 2**40))
def test_any_request_is_either_split_by_the_laws_or_refused_with_a_sentence(request_, seed):
    strategy, parameters, labels, num_clients = request_
    split, message = None, ""
    try:
        split = partition.split(labels, strategy, num_clients=num_clients, seed=seed, **parameters)
    except InputError as error:
        message = str(error)
    if split is None:
        assert message.startswith("`")
        assert message.endswith(".")
    else:
        check_laws(split, len(labels), is_complete=uses_every_sample(strategy, parameters))


@pytest.mark.parametrize(
    ("strategy", "parameters"),
    [
        ("uniform", {}),
        ("quantity", {"alpha": 0.1}),
        ("quantity", {"shares": [1.0]}),
        ("classes", {"classes_per_client": 1}),
        ("shards", {"shards_per_client": 1}),
        ("disjoint", {}),
        ("overlapping", {"num_shared_classes": 1}),
        ("dirichlet", {"alpha": 0.1}),
        ("client-dirichlet", {"alpha": 0.1}),
        ("long-tail", {"imbalance_ratio": 1}),
        ("mixed", {"alpha": 0.1, "quantity_alpha": 0.1}),
    ],
)
def test_one_sample_and_one_client_are_enough(strategy, parameters):
    split = partition.split([3], strategy, num_clients=1, seed=0, **parameters)
    assert split[0].tolist() == [0]


@all_cases
@pytest.mark.parametrize(
    ("labels", "num_clients", "seed", "rule"),
    [
        ([], 1, 0, "num_clients <= number of samples"),
        ([0, 1, 1], 4, 0, "num_clients <= number of samples"),
        ([0, 1, 1], 0, 0, "num_clients >= 1"),
        ([0, 1, 1], -2, 0, "num_clients >= 1"),
        ([0, 1, 1], 2.0, 0, "num_clients is a whole number"),
        ([0, 1, 1], True, 0, "num_clients is a whole number"),
        ([[0], [1]], 1, 0, "labels have one axis"),
        ([0.0, 1.0], 1, 0, "labels are whole numbers"),
        (["cat", "dog"], 1, 0, "labels are whole numbers"),
        ([True, False], 1, 0, "labels are whole numbers"),
        ([0, -1], 1, 0, "labels >= 0"),
        (LABELS, CLIENTS, 0.5, "seed is a whole number"),
        (LABELS, CLIENTS, None, "seed is a whole number"),
    ],
)
def test_wrong_labels_clients_and_seeds_are_refused(strategy, parameters, labels, num_clients, seed, rule):
    with pytest.raises(InputError, match=rule):
        partition.split(labels, strategy, num_clients=num_clients, seed=seed, **parameters)
