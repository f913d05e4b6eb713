"""A spec is validated whole, reads back from its own YAML, and is known by what its results depend on."""

from pathlib import Path

import pytest
import yaml
from tests.federate.small_spec import make_spec, write_spec

from limbeck.core.errors import InputError
from limbeck.engine import Training
from limbeck.federate import Plan, Privacy
from limbeck.federate.spec import (
    EXAMPLE_FILE,
    FederateSpec,
    load_example,
    load_federate_spec,
    load_site,
)

SITES = {"split": None, "num_sites": 3}
TUNED = {"start": "mesh", "tune": {"temperatures": [1, 4], "weights": [0.3, 0.7]}}
RICH = {
    "arch": ["mlp", "cnn", "mlp"],
    "strategy": "feddf",
    "settings": {"temperature": 3.0},
    "privacy": None,
    "target": 0.9,
    "lr_decay": 0.99,
    "participation": 0.67,
    "min_replies": 2,
    "weighting": "equal",
    "aggregation": "trimmed-mean",
    "trim": 0.3,
    "change_limit": 50.0,
    "logit_format": "int8",
    "reply_seconds": 60.0,
    "seed": 2**62,
}


def read(text, path):
    path.write_text(text, encoding="utf-8")
    return load_federate_spec(path)


@pytest.mark.parametrize(
    "changes",
    [{}, RICH, SITES, {"privacy": {"clip_norm": 0.5, "delta": 1e-5}, "start": "scratch"}, TUNED],
    ids=["small", "rich", "sites", "private", "tuned"],
)
def test_a_spec_reads_back_from_its_own_yaml(changes, tmp_path):
    spec = make_spec(**changes)
    again = read(spec.to_yaml(), tmp_path / "again.yaml")
    assert again == spec
    assert again.hash == spec.hash


def test_a_spec_reads_back_from_the_json_that_clients_are_told():
    spec = make_spec(**RICH)
    assert FederateSpec.model_validate(spec.model_dump(mode="json")) == spec


def test_the_example_is_the_file_that_is_printed(tmp_path):
    example = load_example()
    assert example == load_federate_spec(EXAMPLE_FILE)
    assert read(example.to_yaml(), tmp_path / "printed.yaml") == example
    assert (example.data.source, example.num_clients) == ("digits", 3)


@pytest.mark.parametrize(
    "changes",
    [
        {"description": "Other words."},
        {"data__data_dir": "/data"},
        {"reply_seconds": 5},
        {"rounds": 4},
        {"target": 0.9},
        {"min_replies": 2},
    ],
)
def test_what_no_round_depends_on_does_not_change_the_hash(changes):
    assert make_spec(**changes).hash == make_spec().hash


def test_any_other_change_changes_the_hash():
    changes = [
        {},
        {"name": "other"},
        {"seed": 1},
        {"local__lr": 0.04},
        {"start": "scratch"},
        {"strategy": "fedprox"},
        {"strategy": "fedprox", "settings": {"mu": 0.5}},
        {"data__seed": 1},
        {"split__seed": 1},
        {"split__parameters": {"alpha": 0.6}},
        {"held_out": 0.1},
        {"participation": 0.5},
        {"distil__weight": 0.4},
    ]
    assert len({make_spec(**change).hash for change in changes}) == len(changes)


def test_the_recipe_is_what_the_spec_says():
    spec = make_spec(strategy="fedprox", settings={"mu": 0.5}, seed=3, privacy={"clip_norm": 2.0})
    recipe = spec.recipe
    assert recipe.plan == Plan(
        rounds=3,
        local=Training(epochs=1, batch_size=32, lr=0.05, schedule="constant"),
        privacy=Privacy(clip_norm=2.0),
        seed=3,
    )
    assert (recipe.start, recipe.strategy, recipe.settings) == ("weight-average", "fedprox", {"mu": 0.5})
    assert recipe.pretrain == Training(epochs=1, batch_size=32)
    assert recipe.distillation.weight == 0.3


def test_what_a_spec_leaves_out_is_as_in_the_plan():
    content = {"rounds": 4, "local": Training(epochs=2)}
    spec = make_spec(rounds=4, local={"epochs": 2}, start="scratch")
    assert spec.recipe.plan == Plan(**content)
    for name, changed in {
        **RICH,
        "privacy": Privacy(clip_norm=2.0),
        "rounds": 9,
        "local": Training(epochs=5),
    }.items():
        if name in vars(Plan(**content)):
            plan = make_spec(**{**content, "start": "scratch", name: changed}).recipe.plan
            assert plan == Plan(**{**content, name: changed}) != Plan(**content)


def test_settings_to_choose_from_are_every_temperature_with_every_weight():
    candidates = make_spec(**TUNED).recipe.candidates
    assert [(one.temperature, one.weight) for one in candidates] == [(1, 0.3), (1, 0.7), (4, 0.3), (4, 0.7)]
    assert {one.training for one in candidates} == {make_spec().distil.training}
    assert make_spec().recipe.candidates == ()


def test_clients_are_those_of_the_split_or_the_sites():
    assert (make_spec().num_clients, make_spec().archs) == (3, ("mlp",) * 3)
    spec = make_spec(split=None, num_sites=2, arch=["cnn", "mlp"], strategy="feddf", pretrain=None)
    assert (spec.num_clients, spec.archs) == (2, ("cnn", "mlp"))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"num_sites": 3}, ["a spec has either `split` or `num_sites`", "got both"]),
        ({"split": None}, ["a spec has either `split` or `num_sites`", "got neither"]),
        ({"name": "Bad Name"}, ["`name`", "'Bad Name'"]),
        ({"name": "../up"}, ["`name`"]),
        ({"name": None}, ["Missing key `name`"]),
        ({"data": None}, ["Missing key `data`"]),
        ({"rouds": 3}, ["Unknown key `rouds`", "Did you mean `rounds`"]),
        ({"local__epoch": 3}, ["Unknown key `local.epoch`", "Did you mean `epochs`"]),
        ({"distil__wait": 1}, ["Unknown key `distil.wait`", "Did you mean `weight`"]),
        ({"privacy": {"clip": 1}}, ["Unknown key `privacy.clip`", "Did you mean `clip_norm`"]),
        ({"data__validation_samples": 0}, ["0 at `data.validation_samples`"]),
        ({"data__proxy_samples": -1}, ["-1 at `data.proxy_samples`"]),
        (
            {"data__proxy": "other.npz"},
            ["the proxy set is either `proxy` or `proxy_samples`", "got both", "`data`"],
        ),
        ({"tune": {"temperatures": [], "weights": [0.5]}}, ["`tune.temperatures`"]),
        ({"tune": TUNED["tune"]}, ["`tune` is for a start that distils", "start=weight-average"]),
        ({"start": "mesh", "tune": {"temperatures": [0], "weights": [1]}}, ["temperature > 0"]),
        ({"start": "mesh", "tune": {"temperatures": [1], "weights": [2]}}, ["0 <= weight <= 1"]),
        ({"strategy": "fd"}, ["`fd`, which shares no model", "start=weight-average"]),
        (
            {"split__strategy": "dirichlt"},
            ["Unknown partition strategy", "Did you mean `dirichlet`", "`split`"],
        ),
        ({"split__parameters": {"alpha": 0}}, ["alpha > 0", "alpha=0", "`split`"]),
        ({"split__parameters": {"alhpa": 1}}, ["alhpa", "Did you mean `alpha`"]),
        ({"split__num_clients": 0}, ["0 at `split.num_clients`"]),
        ({"split__train_samples": 0}, ["0 at `split.train_samples`"]),
        ({"held_out": 1.0}, ["1.0 at `held_out`"]),
        ({"arch": "mpl"}, ["Unknown architecture `mpl`", "Did you mean `mlp`"]),
        ({"arch": ["mlp", "cnn"]}, ["one architecture, or one per client", "2 for 3 clients"]),
        ({"start": "mash"}, ["Unknown start `mash`", "Did you mean `mesh`"]),
        ({"start": "mesh", "distil": None}, ["the start `mesh` knows how to distil", "Add `distil`"]),
        ({"pretrain": None}, ["a model for the start `weight-average`", "Add `pretrain`"]),
        (
            {"strategy": "fading-pull", "start": "scratch", "pretrain": None},
            ["a model for the strategy `fading-pull`", "no `pretrain`", "Add `pretrain`"],
        ),
        ({"strategy": "fedavgg"}, ["Unknown strategy `fedavgg`", "Did you mean `fedavg`"]),
        ({"settings": {"mu": 1}}, ["Unknown setting of `fedavg` `mu`"]),
        ({"strategy": "fedprox", "settings": {"mu": -1}}, ["mu >= 0", "mu=-1"]),
        ({"rounds": -1}, ["-1 at `rounds`"]),
        ({"local__lr": -1}, ["lr > 0", "lr=-1"]),
        ({"distil__technique": "dml"}, ["a technique with a frozen teacher", "technique=dml"]),
        ({"distil__weight": 2}, ["0 <= weight <= 1"]),
        ({"lr_decay": 2}, ["0 < lr_decay <= 1", "lr_decay=2"]),
        ({"participation": 0}, ["0 < participation <= 1"]),
        ({"min_replies": 0}, ["min_replies >= 1"]),
        ({"min_replies": 4}, ["min_replies <= number of clients", "min_replies=4, 3 clients", "Lower it"]),
        ({"weighting": "size"}, ["'size' at `weighting`"]),
        ({"aggregation": "mode"}, ["'mode' at `aggregation`"]),
        ({"trim": 0.5}, ["0 <= trim < 0.5"]),
        ({"change_limit": 0}, ["change_limit > 0"]),
        ({"logit_format": "int4"}, ["'int4' at `logit_format`"]),
        ({"privacy": {"clip_norm": 0}}, ["clip_norm > 0", "`privacy`"]),
        ({"target": 1.0}, ["1.0 at `target`"]),
        ({"reply_seconds": 0}, ["0 at `reply_seconds`"]),
        ({"seed": 2**63}, ["at `seed`"]),
    ],
)
def test_a_mistake_is_one_sentence_with_its_place_and_remedy(changes, words, tmp_path):
    path = write_spec(tmp_path / "test.yaml", **changes)
    with pytest.raises(InputError) as caught:
        load_federate_spec(path)
    message = str(caught.value)
    assert "\n" not in message
    assert all(word in message for word in [*words, "test.yaml"]), message


def test_clients_need_models_of_their_own_for_an_ensemble_of_them_and_not_to_pull_to_the_start():
    changes = {"strategy": "fading-pull", "start": "scratch", "pretrain": None}
    assert make_spec(**changes, settings={"towards": "start"}).recipe.needs_models is False
    assert make_spec(**changes, **SITES).recipe.needs_models is True


def test_sites_that_bring_their_models_need_no_pretraining():
    assert make_spec(**SITES, pretrain=None).pretrain is None


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InputError, match=r"nowhere\.yaml` must be a readable YAML file"):
        load_federate_spec(tmp_path / "nowhere.yaml")


def write_site(folder, **content):
    path = folder / "site.yaml"
    path.write_text(yaml.safe_dump({"name": "north", "folder": "private", **content}), encoding="utf-8")
    return path


def test_paths_in_the_file_of_a_site_count_from_its_own_folder(tmp_path):
    site = load_site(write_site(tmp_path, client=0, model="mine", data_dir="/data"))
    assert site.folder == tmp_path / "private"
    assert site.model == tmp_path / "mine"
    assert site.data_dir == Path("/data")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({}, ["a site has either `client` or `source`", "got neither"]),
        ({"client": 0, "source": "digits"}, ["a site has either `client` or `source`", "got both"]),
        ({"client": -1}, ["-1 at `client`"]),
        ({"client": 0, "device": "tpu"}, ["'tpu' at `device`"]),
        ({"client": 0, "noise_seed": -1}, ["-1 at `noise_seed`"]),
        ({"client": 0, "held_out": 1}, ["at `held_out`"]),
        ({"client": 0, "fodler": "x"}, ["Unknown key `fodler`", "Did you mean `folder`"]),
    ],
)
def test_a_mistake_in_the_file_of_a_site_is_one_sentence(content, words, tmp_path):
    with pytest.raises(InputError) as caught:
        load_site(write_site(tmp_path, **content))
    message = str(caught.value)
    assert "\n" not in message
    assert all(word in message for word in [*words, "site.yaml"]), message


def test_the_remedy_for_a_site_that_is_no_mapping_is_the_command_that_writes_one(tmp_path):
    path = tmp_path / "site.yaml"
    path.write_text("north\n")
    with pytest.raises(InputError, match="`limbeck federate --new-site FOLDER` writes one"):
        load_site(path)
