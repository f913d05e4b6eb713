"""How a start distils, and what it needs, is checked before anything is sent."""

import json

import pytest
from tests.federate.digits_world import LOCAL, build, consolidate, make_clients, score
from torch import nn

from limbeck.core.errors import InputError
from limbeck.engine import Training
from limbeck.federate import STARTS, Distillation, Ledger, Plan, Privacy
from limbeck.federate.federation import Federation, Party
from limbeck.federate.starts import Start, check_start, get_start

BUDGET = Training(epochs=1)


def make_federation(archs=("mlp", "mlp"), **changes):
    parties = tuple(
        Party(index=index, arch=arch, num_samples=10, class_counts=(1,) * 10)
        for index, arch in enumerate(archs)
    )
    facts = {"plan": Plan(rounds=1, local=LOCAL), "parties": parties, "build_fn": build}
    return Federation(**{**facts, "validation_fn": score, "test_fn": score, **changes})


def test_an_unknown_start_is_refused_with_the_nearest():
    with pytest.raises(InputError, match="Did you mean `chain`"):
        get_start("chan")


@pytest.mark.parametrize("name", STARTS)
def test_every_start_says_what_it_is(name):
    start = get_start(name)
    assert start.name == name
    assert start.summary
    assert "\n" not in start.summary


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"technique": "kdd"}, "Did you mean `kd`"),
        ({"technique": "finetune"}, "a technique with a frozen teacher"),
        ({"technique": "dml"}, "a technique with a frozen teacher"),
        ({"technique": "dp-kd-soup"}, "a technique with a frozen teacher"),
        ({"temperature": 0}, "temperature"),
        ({"weight": 1.5}, "weight"),
        ({"coefficients": {"alpha": 1.0}}, "alpha"),
        ({"visits": 0}, "visits >= 1"),
        ({"order": "sizes"}, "Did you mean `size`"),
        ({"origin": "server"}, "Unknown origin `server`"),
    ],
)
def test_a_distillation_that_cannot_be_done_is_refused_when_built(changes, rule):
    with pytest.raises(InputError, match=rule):
        Distillation(**{"training": BUDGET, **changes})


def test_a_distillation_knows_its_technique_and_settings_and_travels_as_json():
    distillation = Distillation(
        training=BUDGET, technique="dkd", temperature=4.0, coefficients={"alpha": 1.5, "beta": 3.0}
    )
    assert (distillation.settings.temperature, distillation.settings.beta) == (4.0, 3.0)
    said = json.loads(json.dumps(distillation.to_dict()))
    assert Distillation(**{**said, "training": Training(**said["training"])}) == distillation


@pytest.mark.parametrize("name", ["hub", "chain", "mesh"])
def test_starts_that_end_in_one_model_want_one_architecture(name):
    with pytest.raises(
        InputError, match=f"the start `{name}` needs one architecture.*mlp, cnn.*`best-client`.*`refit`"
    ):
        check_start(get_start(name), make_federation(("mlp", "cnn")))


@pytest.mark.parametrize("name", ["scratch", "best-client", "weight-average", "refit"])
def test_starts_with_a_model_per_architecture_mix_them(name):
    check_start(get_start(name), make_federation(("mlp", "cnn")))


@pytest.mark.parametrize("name", [name for name, start in STARTS.items() if start.is_distilled])
def test_a_start_that_distils_wants_two_clients(name):
    federation = make_federation(("mlp",), proxy=build("mlp"))
    with pytest.raises(InputError, match="num_clients >= 2"):
        get_start(name).check(federation)


@pytest.mark.parametrize("name", [name for name, start in STARTS.items() if start.needs_models])
def test_a_start_that_takes_models_as_they_are_is_refused_where_they_are_private(name):
    plan = Plan(rounds=1, local=LOCAL, privacy=Privacy(clip_norm=1.0))
    with pytest.raises(InputError, match="`privacy` protects what clients send in rounds"):
        get_start(name).check(make_federation(plan=plan, proxy=build("mlp")))


def test_nothing_private_leaves_in_a_start_from_scratch():
    plan = Plan(rounds=1, local=LOCAL, privacy=Privacy(clip_norm=1.0))
    get_start("scratch").check(make_federation(plan=plan))


@pytest.mark.parametrize("name", ["refit", "mesh-refit"])
def test_a_start_that_solves_the_last_layer_wants_one_that_it_can_solve(name):
    federation = make_federation(
        build_fn=lambda _: nn.Sequential(nn.Flatten(), nn.Linear(64, 10, bias=False))
    )
    with pytest.raises(InputError, match="ends in a linear layer with one output per class and a bias"):
        get_start(name).check(federation)


def test_a_start_that_needs_a_proxy_set_says_so():
    start = Start(name="new", summary="new", make_fn=lambda consolidation: {}, needs_proxy=True)
    with pytest.raises(InputError, match="the start `new` needs an unlabelled proxy set"):
        start.check(make_federation())


def test_a_start_that_wants_a_distillation_and_has_none_says_what_to_add():
    consolidation = consolidate(make_clients(), Ledger(), distillation=None)
    with pytest.raises(InputError, match="Add `distil`"):
        consolidation.require_distillation()
