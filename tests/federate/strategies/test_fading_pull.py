"""fading-pull: weights round by round, rounds written once more, and an ensemble that is gathered once."""

from dataclasses import dataclass, field, replace

import pytest
import torch
import torch.nn.functional as F
from tests.federate import digits_world
from tests.federate.couriers import Meddler, fail
from tests.federate.strategies.shared_model import (
    CLASSES,
    TRAINING,
    assert_close,
    assert_equal,
    average_plainly,
    build,
    load,
    make_clients,
    make_federation,
    run,
    run_model,
    train_all_plainly,
    with_rounds,
)

from limbeck.core.errors import InputError, RunError
from limbeck.federate import Ledger, Privacy, Simulation
from limbeck.federate.client import state_of
from limbeck.federate.keeping import keep, recall
from limbeck.federate.memory import FolderMemory
from limbeck.federate.strategies import get_strategy
from limbeck.federate.strategies.fading_pull import FadingPullSettings

# What is pulled to is kept in float32.
TOLERANCE = 1e-6
PARTIAL = with_rounds(4, participation=0.7)
TO_START = FadingPullSettings(towards="start")


@dataclass(frozen=True)
class Listener:
    """Carries messages and remembers what was asked.

    Attributes:
        inner: Carries them.
        heard: Every request by client, in order.
    """

    inner: Simulation
    heard: list = field(default_factory=list)

    def carry(self, requests, ledger):
        self.heard.extend(requests.items())
        return self.inner.carry(requests, ledger)


def pull(target, client, weight, temperature):
    """(1 - w) CE + w T^2 KL(target || local), the mean over the batch."""

    def loss_fn(logits, ids):
        (own,) = logits
        p_target = F.softmax(target[ids] / temperature, dim=1)
        divergence = (p_target * (p_target.log() - F.log_softmax(own / temperature, dim=1))).sum(dim=1)
        supervised = F.cross_entropy(own, client.labels[ids])
        return [(1 - weight) * supervised + weight * temperature**2 * divergence.mean()]

    return loss_fn


def test_the_weight_of_a_round_is_the_last_ones_times_fade():
    strategy, federation = get_strategy("fading-pull"), make_federation(make_clients())
    settings = FadingPullSettings(weight=0.5, fade=0.7, towards="start")
    standings = run("fading-pull", plan=with_rounds(3), weight=0.5, fade=0.7, towards="start")
    told = [
        strategy.request_fn(federation, standing.state, federation.parties[0], settings).facts["weight"]
        for standing in standings
    ]
    assert told == pytest.approx([0.5, 0.35, 0.245, 0.1715])


@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_three_rounds_towards_the_start_equal_the_formula(temperature):
    start = expected = state_of(build("normed"))
    model = load(start).eval()
    for number, weight in ((1, 0.4), (2, 0.2), (3, 0.1)):

        def make_loss(_, client, weight=weight):
            with torch.no_grad():
                return pull(model(client.inputs), client, weight, temperature)

        expected = average_plainly(train_all_plainly(expected, number, make_loss_fn=make_loss))
    ours = run_model(
        "fading-pull",
        plan=with_rounds(3),
        weight=0.4,
        fade=0.5,
        temperature=temperature,
        towards="start",
    )
    assert_close(ours, expected, TOLERANCE)


def test_two_rounds_towards_the_ensemble_equal_the_formula():
    clients, targets = make_clients(), {}
    for index, client in clients.items():
        generator = torch.Generator().manual_seed(index)
        targets[index] = torch.randn(len(client), CLASSES, generator=generator)
        client.memory.write("ensemble", {"logits": targets[index]}, round_number=0)
    expected = state_of(build("normed"))
    for number, weight in ((1, 0.8), (2, 0.4)):
        expected = average_plainly(
            train_all_plainly(
                expected,
                number,
                make_loss_fn=lambda _, client, weight=weight: pull(
                    targets[client.index].double(), client, weight, 2.0
                ),
            )
        )
    assert_close(run_model("fading-pull", clients, weight=0.8, fade=0.5), expected, TOLERANCE)


def test_without_weight_it_is_fedavg_bit_for_bit():
    assert_equal(run_model("fading-pull", weight=0.0, towards="start"), run_model("fedavg"))


def test_the_starting_model_is_sent_to_clients_that_come_late_and_to_no_other():
    strategy, federation = get_strategy("fading-pull"), make_federation(make_clients(), PARTIAL)
    standings, seen = run("fading-pull", plan=PARTIAL, towards="start"), set()
    start = standings[0].state.models["normed"]
    late = []
    for standing in standings:
        seen |= set(standing.history[-1].participants)
        for party in federation.parties:
            request = strategy.request_fn(federation, standing.state, party, TO_START)
            is_late = standing.state.round > 0 and party.index not in seen
            assert_equal(request.group("start"), start if is_late else {})
            assert not any(name.startswith("start/") for name in strategy.shapes_fn(request))
            late += [party.index] if is_late else []
    assert late


def test_a_client_that_comes_late_pulls_to_the_starting_model_and_not_to_the_one_it_receives():
    clients, strategy = make_clients(), get_strategy("fading-pull")
    federation = make_federation(clients, PARTIAL)
    first, second, *_ = run("fading-pull", clients, plan=PARTIAL, towards="start")
    (late,) = set(clients) - set(second.history[-1].participants)
    request = strategy.request_fn(federation, second.state, federation.parties[late], TO_START)
    fresh = make_clients()[late]
    kept = strategy.local_fn(fresh, request, TO_START).kept["start"]["logits"]
    with torch.no_grad():
        expected = load(first.state.models["normed"]).eval()(fresh.inputs)
    torch.testing.assert_close(kept.double(), expected, rtol=TOLERANCE, atol=TOLERANCE)


def test_a_client_whose_first_reply_was_lost_is_sent_the_starting_model_again():
    recipe = digits_world.make_recipe(strategy="fading-pull", settings={"towards": "start"}, rounds=3)
    listener = Listener(Simulation(digits_world.make_clients()))
    digits_world.run(recipe, Meddler(listener, damage={2: fail("it was cut off")}, rounds=(1,)))
    told = {(message.round, index): bool(message.group("start")) for index, message in listener.heard}
    assert [place for place, is_told in told.items() if is_told] == [(2, 2)]


@pytest.mark.parametrize("start", ["scratch", "weight-average", "mesh"])
def test_the_ensemble_is_gathered_once_before_the_rounds(start):
    listener = Listener(Simulation(digits_world.make_clients()))
    digits_world.run(digits_world.make_recipe(strategy="fading-pull", start=start, rounds=1), listener)
    tasks = [message.task for index, message in listener.heard if index == 0]
    assert tasks.count("gather") == 1
    assert tasks.count("upload") == (2 if start == "weight-average" else 1)
    assert tasks.count("has-ensemble") == 1
    assert tasks[-1] == "fading-pull"


def test_the_ensemble_is_the_same_whether_the_start_or_the_strategy_gathers_it():
    kept = []
    for start in ("scratch", "mesh"):
        clients = digits_world.make_clients()
        recipe = digits_world.make_recipe(strategy="fading-pull", start=start, rounds=0)
        digits_world.run(recipe, Simulation(clients))
        kept.append([client.memory.read("ensemble", before=1)["logits"] for client in clients.values()])
    assert all(torch.equal(one, other) for one, other in zip(*kept, strict=True))


def test_towards_the_start_nothing_is_gathered():
    listener = Listener(Simulation(digits_world.make_clients()))
    recipe = digits_world.make_recipe(strategy="fading-pull", settings={"towards": "start"}, rounds=0)
    digits_world.run(recipe, listener)
    assert {message.task for _, message in listener.heard} == {"hello"}


@pytest.mark.parametrize("towards", ["start", "ensemble"])
def test_a_run_cut_off_in_a_round_goes_on_to_the_same_result(towards, tmp_path):
    def make(memory_of):
        clients = {}
        for index, client in make_clients().items():
            clients[index] = replace(client, memory=memory_of(index))
            logits = torch.ones(len(client), CLASSES) * client.labels[:, None]
            clients[index].memory.write("ensemble", {"logits": logits}, round_number=0)
        return clients

    whole = run("fading-pull", make(lambda index: FolderMemory(tmp_path / f"a{index}")), plan=PARTIAL,
                towards=towards)[-1]  # fmt: skip
    clients = make(lambda index: FolderMemory(tmp_path / f"b{index}"))
    standings = run("fading-pull", clients, plan=replace(PARTIAL, rounds=3), towards=towards)
    # Round 3 is lost at the server after its clients have answered it.
    keep(tmp_path, standings[2], Ledger(), spec_hash="same")
    recalled = recall(tmp_path, spec_hash="same").standing
    resumed = run("fading-pull", clients, plan=PARTIAL, standing=recalled, towards=towards)[-1]
    assert_equal(resumed.state.models["normed"], whole.state.models["normed"])
    assert_equal(resumed.state.memory, whole.state.memory)


def test_models_of_private_clients_are_not_gathered():
    recipe = digits_world.make_recipe(strategy="fading-pull", rounds=1, privacy=Privacy(clip_norm=1.0))
    listener = Listener(Simulation(digits_world.make_clients()))
    with pytest.raises(InputError, match=r"`privacy` protects.*towards=ensemble.*Set `towards` to `start`"):
        digits_world.run(recipe, listener)
    assert not {message.task for _, message in listener.heard} & {"upload", "gather"}


def test_private_clients_pull_to_the_start():
    changes = {"settings": {"towards": "start"}, "rounds": 1, "privacy": Privacy(clip_norm=0.1)}
    before, after = digits_world.run(digits_world.make_recipe(strategy="fading-pull", **changes))
    old, new = before.state.models["mlp"], after.state.models["mlp"]
    moves = torch.cat([(new[name].double() - old[name].double()).flatten() for name in new])
    assert 0 < float(torch.linalg.vector_norm(moves)) <= 0.1 * (1 + 1e-4)


def test_a_client_that_lost_its_ensemble_says_so():
    with pytest.raises(RunError, match=r"client 0: `the client has gathered the ensemble` must hold"):
        run("fading-pull", plan=with_rounds(1))


def test_augmentation_is_refused_because_the_target_is_asked_once():
    plan = with_rounds(1, local=replace(TRAINING, augmentation="flip"))
    with pytest.raises(InputError, match=r"`fading-pull` asks a model"):
        run("fading-pull", plan=plan)


@pytest.mark.parametrize(
    ("settings", "rule"),
    [
        ({"weight": 1.5}, "0 <= weight <= 1"),
        ({"fade": 1.1}, "0 <= fade <= 1"),
        ({"fade": -0.1}, "0 <= fade <= 1"),
        ({"temperature": 0.0}, "temperature > 0"),
        ({"towards": "ensembel"}, "Did you mean `ensemble`"),
    ],
)
def test_a_setting_out_of_range_names_the_rule(settings, rule):
    with pytest.raises(InputError, match=rule):
        FadingPullSettings(**settings)
