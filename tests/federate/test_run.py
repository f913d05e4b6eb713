"""A whole federation: FedAvg is the textbook's, runs repeat bit for bit, and can be gone on with."""

import copy
import itertools
from dataclasses import replace
from importlib.metadata import version

import pytest
import torch
import torch.nn.functional as F
from tests.federate.couriers import Scripted, change_tensors, poison
from tests.federate.digits_world import (
    LOCAL,
    NUM_CLIENTS,
    assert_same_bits,
    build,
    load_samples,
    make_clients,
    make_recipe,
    make_server,
    run,
)

from limbeck.core.errors import InputError, RunError
from limbeck.core.seeds import derive_seed
from limbeck.federate import (
    STARTS,
    Ledger,
    Message,
    Plan,
    Privacy,
    Recipe,
    Simulation,
    encode,
    federate,
)
from limbeck.federate.client import OWN_MODEL, state_of
from limbeck.federate.run import make_ask, meet

NAIVE = ["scratch", "best-client", "weight-average"]
ONE_ARCH = [*NAIVE, "refit", "hub", "chain", "mesh", "mesh-refit"]


def plain_fedavg(initial, *, rounds, training, seed):
    """McMahan et al. 2017, algorithm 1, written without the engine."""
    model, states = copy.deepcopy(initial), []
    clients = load_samples()[:NUM_CLIENTS]
    total = sum(len(labels) for _, labels in clients)
    for number in range(1, rounds + 1):
        sums = {name: torch.zeros_like(tensor).double() for name, tensor in model.state_dict().items()}
        for index, (inputs, labels) in enumerate(clients):
            local = copy.deepcopy(model).train()
            optimizer = torch.optim.SGD(
                local.parameters(), lr=training.lr, momentum=training.momentum, fused=True
            )
            order_seed = derive_seed(derive_seed(seed, "local", number, index), "batches", 0)
            order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(order_seed))
            for ids in order.split(training.batch_size):
                optimizer.zero_grad()
                F.cross_entropy(local(inputs[ids]), labels[ids]).backward()
                optimizer.step()
            for name, tensor in local.state_dict().items():
                sums[name].add_(tensor, alpha=len(labels) / total)
        model.load_state_dict(sums)
        states.append(copy.deepcopy(model.state_dict()))
    return states


@pytest.mark.parametrize("arch", ["mlp", "cnn"])
def test_rounds_of_fedavg_equal_the_textbook_bit_for_bit(arch):
    assert torch.get_num_threads() == 1
    steps = run(make_recipe(rounds=2, seed=5), Simulation(make_clients(arch=arch)))
    expected = plain_fedavg(build(arch), rounds=2, training=LOCAL, seed=5)
    for step, state in zip(steps[1:], expected, strict=True):
        assert_same_bits(step.state.models[arch], state)
    assert steps[2].history[2].accuracy > steps[2].history[0].accuracy


@pytest.mark.parametrize("start", ONE_ARCH)
def test_a_run_repeats_bit_for_bit(start):
    recipe, ledgers = make_recipe(start=start, rounds=1), (Ledger(), Ledger())
    first, again = (run(recipe, ledger=ledger)[-1] for ledger in ledgers)
    assert_same_bits(first.state.models["mlp"], again.state.models["mlp"])
    assert ledgers[0].entries == ledgers[1].entries


def test_another_seed_gives_another_model():
    first, other = (run(make_recipe(rounds=1, seed=seed))[-1].state.models["mlp"] for seed in (0, 1))
    assert not torch.equal(first["1.weight"], other["1.weight"])


def test_where_a_run_stood_is_not_changed_by_going_on():
    recipe = make_recipe(rounds=2, start="weight-average")
    steps = federate(recipe, make_server(), Simulation(make_clients()), num_clients=4, ledger=Ledger())
    copies = [(step, copy.deepcopy(dict(step.state.models))) for step in steps]
    for step, models in copies:
        assert_same_bits(step.state.models["mlp"], models["mlp"])


def test_going_on_from_any_round_comes_to_the_same():
    recipe = make_recipe(rounds=3, start="weight-average", participation=0.5)
    whole = run(recipe)
    for step in whole[:-1]:
        later = run(recipe, standing=step)[-1]
        assert_same_bits(later.state.models["mlp"], whole[-1].state.models["mlp"])
        assert [this.participants for this in later.history] == [
            this.participants for this in whole[-1].history
        ]
        assert later.best_round == whole[-1].best_round


def test_going_on_asks_nobody_to_introduce_itself_again():
    recipe, ledger = make_recipe(rounds=2), Ledger()
    run(recipe, standing=run(recipe)[1], ledger=ledger)
    assert {entry.round for entry in ledger.entries} == {2}


def test_no_round_leaves_the_start():
    steps = run(make_recipe(rounds=0))
    assert len(steps) == 1
    assert_same_bits(steps[0].state.models["mlp"], state_of(build("mlp")))
    assert (steps[0].best_round, steps[0].history[0].bytes_sent) == (0, 0)


def test_clients_are_pretrained_for_starts_that_need_their_models_and_only_once():
    clients, ledger = make_clients(), Ledger()
    run(make_recipe(rounds=0, start="weight-average"), Simulation(clients))
    own = {index: client.memory.read(OWN_MODEL, before=1) for index, client in clients.items()}
    run(make_recipe(rounds=0, start="weight-average", seed=1), Simulation(clients), ledger=ledger)
    for index, client in clients.items():
        assert_same_bits(client.memory.read(OWN_MODEL, before=1), own[index])
    fresh = make_clients()
    run(make_recipe(rounds=0), Simulation(fresh))
    assert all(client.memory.read(OWN_MODEL, before=1) is None for client in fresh.values())


def test_a_start_without_models_of_clients_names_the_client():
    recipe = replace(make_recipe(start="weight-average"), pretrain=None)
    with pytest.raises(RunError, match=r"client 0 did not do `upload`.*let the spec pre-train"):
        run(recipe)


def test_a_client_without_data_stops_the_start_and_is_named():
    clients = make_clients()
    clients[2] = replace(clients[2], inputs=torch.zeros(0, 1, 8, 8), labels=torch.zeros(0, dtype=torch.int64))
    with pytest.raises(RunError, match="client 2 did not do `pretrain`: `at least 1 sample"):
        run(make_recipe(start="weight-average"), Simulation(clients))


def test_a_client_with_no_data_is_left_out_of_the_rounds():
    clients = make_clients()
    clients[2] = replace(clients[2], inputs=torch.zeros(0, 1, 8, 8), labels=torch.zeros(0, dtype=torch.int64))
    this = run(make_recipe(rounds=1), Simulation(clients))[-1].history[-1]
    assert this.participants == (0, 1, 3)
    assert "at least 1 sample" in this.rejected[2]


def test_classes_a_client_has_no_sample_of_are_no_obstacle():
    clients = make_clients()
    inputs, labels = load_samples()[1]
    clients[1] = replace(clients[1], inputs=inputs[labels < 3], labels=labels[labels < 3])
    for start in ONE_ARCH:
        last = run(make_recipe(rounds=1, start=start), Simulation(clients))[-1]
        assert all(torch.isfinite(tensor).all() for tensor in last.state.models["mlp"].values())


class Silent(Simulation):
    """A simulation in which client 1 is not there."""

    def carry(self, requests, ledger):
        there = {index: request for index, request in requests.items() if index != 1}
        return super().carry(there, ledger)


def test_a_client_that_is_not_there_at_first_is_named():
    with pytest.raises(RunError, match="client 1 did not do `hello`: it did not reply"):
        run(make_recipe(), Silent(make_clients()))


class Poisoned(Simulation):
    """A simulation whose client 3 sends what is not finite."""

    def carry(self, requests, ledger):
        replies = dict(super().carry(requests, ledger))
        return {**replies, 3: change_tensors(poison)(replies[3])} if 3 in replies else replies


def test_a_model_that_is_not_finite_makes_no_start():
    with pytest.raises(RunError, match=r"client 3 did not do `upload`: `model/1\.weight` has a value"):
        run(make_recipe(start="weight-average"), Poisoned(make_clients()))


def test_an_answer_to_another_question_makes_no_start():
    ask = make_ask(Scripted(lambda index, request: replace(request, task="upload")), Ledger())
    with pytest.raises(RunError, match="client 0 did not do `hello`: it answers `upload` of round 0"):
        ask({0: Message(task="hello", round=0)})


def test_the_server_learns_what_clients_say_of_themselves_and_tells_its_terms():
    seen = []

    def answer(index, request):
        seen.append(request.facts)
        facts = {"arch": "cnn" if index else "mlp", "num_samples": 7 + index, "class_counts": [7 + index, 0]}
        return replace(request, facts=facts)

    terms = {"seed": 3, "class_names": ["a", "b"]}
    ask = make_ask(Scripted(answer), Ledger())
    parties = meet(ask, num_clients=2, is_private=False, terms=terms)
    assert [(one.index, one.arch, one.num_samples, one.class_counts) for one in parties] == [
        (0, "mlp", 7, (7, 0)),
        (1, "cnn", 8, (8, 0)),
    ]
    ours = version("limbeck")
    assert seen == [{"version": ours, "is_private": False, "terms": terms}] * 2


def test_different_architectures_are_refused_before_anything_is_computed():
    clients = make_clients()
    clients[1] = replace(clients[1], arch="cnn")
    ledger = Ledger()
    with pytest.raises(InputError, match=r"`fedavg` needs one architecture.*`fml`, `feddf`, `fedmd`, "):
        run(make_recipe(start="weight-average"), Simulation(clients), ledger=ledger)
    assert len(ledger.entries) == 2 * NUM_CLIENTS


UNFIT = {
    "more public samples than there are": (
        {"strategy": "ds-fl", "settings": {"public_samples": 31}},
        r"public_samples <= proxy_samples.*public_samples=31 of 30\. Leave",
    ),
    "more samples to digest than there are": (
        {"strategy": "fedmd", "settings": {"public_samples": 31}},
        r"public_samples <= proxy_samples.*public_samples=31 of 30\. Leave",
    ),
    "a shared model that no client has": (
        {"strategy": "fml", "settings": {"shared_arch": "cnn"}},
        "Unknown architecture of a client `cnn`",
    ),
    "a median of sums of logits": (
        {"strategy": "fd", "aggregation": "median"},
        r"`fd` adds up what clients send, so `aggregation` is `mean` must hold, but got aggregation=median\.",
    ),
    "a median of class statistics": (
        {"strategy": "fedavg-refit", "aggregation": "trimmed-mean"},
        "`fedavg-refit` adds up what clients send.*aggregation=trimmed-mean",
    ),
    "a start by a median of class statistics": (
        {"start": "refit", "aggregation": "median"},
        "the start `refit` adds up statistics, so `aggregation` is `mean`.*aggregation=median",
    ),
    "an ensemble of private models": (
        {"strategy": "fading-pull", "privacy": Privacy(clip_norm=1.0)},
        "`privacy` protects what clients send in rounds.*Set `towards` to `start`",
    ),
}


@pytest.mark.parametrize("kind", UNFIT)
def test_settings_that_do_not_fit_the_federation_are_refused_before_the_start(kind):
    changes, words = UNFIT[kind]
    ledger, server = Ledger(), make_server(proxy=load_samples()[-1][0][:30])
    recipe = make_recipe(**{"start": "scratch", **changes})
    with pytest.raises(InputError, match=words) as caught:
        list(federate(recipe, server, Simulation(make_clients()), num_clients=NUM_CLIENTS, ledger=ledger))
    assert "\n" not in str(caught.value)
    assert len(ledger.entries) == 2 * NUM_CLIENTS


@pytest.mark.parametrize("start", [name for name in STARTS if name != "scratch"])
def test_models_do_not_leave_private_clients_before_the_rounds(start):
    recipe = make_recipe(start=start, privacy=Privacy(clip_norm=1.0))
    ledger = Ledger()
    with pytest.raises(InputError, match=r"`privacy` protects what clients send in rounds.*Use `scratch`"):
        run(recipe, ledger=ledger)
    assert len(ledger.entries) == 2 * NUM_CLIENTS


def test_private_rounds_move_no_further_than_they_are_clipped_to():
    steps = run(make_recipe(rounds=2, privacy=Privacy(clip_norm=0.1)))
    for before, after in itertools.pairwise(steps):
        old, new = before.state.models["mlp"], after.state.models["mlp"]
        moves = torch.cat([(new[name].double() - old[name].double()).flatten() for name in new])
        assert float(torch.linalg.vector_norm(moves)) <= 0.1 * (1 + 1e-4)


@pytest.mark.parametrize(
    ("facts", "rule"),
    [
        ({"start": "chan"}, "Did you mean `chain`"),
        ({"strategy": "fedavgg"}, "Did you mean `fedavg`"),
        ({"settings": {"mu": 1.0}}, "Unknown setting of `fedavg` `mu`"),
        ({"strategy": "fedprox", "settings": {"mu": -1.0}}, "mu >= 0"),
        ({"start": "mesh"}, "Add `distil`"),
    ],
)
def test_a_recipe_that_cannot_be_done_is_refused_when_built(facts, rule):
    with pytest.raises(InputError, match=rule):
        Recipe(**{"plan": Plan(rounds=1, local=LOCAL), **facts})


def test_a_model_is_what_a_round_of_fedavg_sends_down_and_up():
    ledger = Ledger()
    run(make_recipe(rounds=1), ledger=ledger)
    size = len(encode(Message(task="fedavg", round=1, tensors=state_of(build("mlp")))))
    entries = [entry for entry in ledger.entries if entry.round == 1]
    assert [entry.direction for entry in entries] == ["down"] * 4 + ["up"] * 4
    assert all(size < entry.message_bytes < size + 1000 for entry in entries)


def test_a_run_ends_as_soon_as_nobody_asks_for_the_next_round():
    steps = federate(
        make_recipe(rounds=1000), make_server(), Simulation(make_clients()), num_clients=4, ledger=Ledger()
    )
    assert [next(steps).state.round for _ in range(3)] == [0, 1, 2]
