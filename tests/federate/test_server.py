"""Rounds go on with the good replies, stop when too few are left, and count what they cost."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.federate.couriers import Meddler, Scripted, change_tensors, fail, poison
from tests.federate.digits_world import (
    LOCAL,
    NUM_CLIENTS,
    assert_same_bits,
    load_samples,
    make_clients,
    make_recipe,
    make_server,
    run,
)

from limbeck.core.errors import InputError, RunError
from limbeck.federate import Ledger, Message, Plan, Privacy, Recipe, Round, Simulation, federate
from limbeck.federate.federation import Federation, Party
from limbeck.federate.server import choose_participants

DAMAGES = {
    "a NaN": (change_tensors(poison), "not finite"),
    "another shape": (change_tensors(lambda tensor: tensor[..., :-1]), "has shape"),
    "another type": (change_tensors(torch.Tensor.double), "torch.float64 instead of torch.float32"),
    "an absurd norm": (change_tensors(lambda tensor: tensor + 1e4), "moved by"),
    "an overflow": (change_tensors(lambda tensor: tensor * 0 + 3e38), "moved by inf"),
    "a key too many": (
        lambda reply: replace(reply, tensors={**reply.tensors, "model/x": torch.ones(1)}),
        "nobody asked for `model/x`",
    ),
    "a key too few": (
        lambda reply: replace(reply, tensors=dict(list(reply.tensors.items())[1:])),
        "it lacks `model/1.weight`",
    ),
    "another round": (lambda reply: replace(reply, round=reply.round - 1), "round 0"),
    "a failure": (fail("the disk is full"), "the disk is full"),
    "an absurd accuracy": (lambda reply: replace(reply, facts={"accuracy": "best"}), "accuracy='best'"),
}


def meddle(damage, **more):
    return Meddler(Simulation(make_clients()), damage, **more)


@pytest.mark.parametrize("kind", DAMAGES)
def test_a_bad_reply_is_rejected_and_the_others_make_the_round(kind):
    damage, reason = DAMAGES[kind]
    last = run(make_recipe(rounds=1, min_replies=3), meddle({1: damage}))[-1]
    assert last.history[1].participants == (0, 2, 3)
    assert last.history[1].missing == ()
    assert list(last.history[1].rejected) == [1]
    assert reason in last.history[1].rejected[1]
    without = run(make_recipe(rounds=1), meddle({1: lambda reply: None}))[-1]
    assert_same_bits(last.state.models["mlp"], without.state.models["mlp"])


def test_a_client_that_does_not_reply_is_missing_and_is_asked_again():
    last = run(make_recipe(rounds=2, min_replies=3), meddle({2: lambda reply: None}, rounds=(1,)))[-1]
    assert [this.missing for this in last.history] == [(), (2,), ()]
    assert [this.participants for this in last.history] == [(), (0, 1, 3), (0, 1, 2, 3)]


def test_too_few_good_replies_end_the_run_in_one_sentence_and_keep_the_rounds_before():
    courier = meddle({0: fail("no samples"), 3: lambda reply: None}, rounds=(2,))
    steps = federate(
        make_recipe(rounds=3, min_replies=3), make_server(), courier, num_clients=NUM_CLIENTS, ledger=Ledger()
    )
    kept = []
    with pytest.raises(RunError) as caught:
        kept.extend(steps)
    assert str(caught.value) == (
        "`min_replies` good replies must come back in a round, but round 2 got 2 of 3 (client 0: no samples; "
        "client 3 did not reply). The rounds before it are kept; go on when enough clients are there, or "
        "lower `min_replies`."
    )
    assert [standing.state.round for standing in kept] == [0, 1]


def test_a_round_that_failed_can_be_done_again_to_the_same_result():
    recipe, clients = make_recipe(rounds=3, min_replies=4), make_clients()
    courier = Meddler(Simulation(clients), {0: fail("lost")}, rounds=(2,))
    standing = None
    with pytest.raises(RunError, match="round 2"):
        for standing in federate(recipe, make_server(), courier, num_clients=NUM_CLIENTS, ledger=Ledger()):  # noqa: B007
            pass
    assert standing.state.round == 1
    went_on = run(recipe, Simulation(clients), standing=standing)[-1]
    assert_same_bits(went_on.state.models["mlp"], run(recipe)[-1].state.models["mlp"])


def test_when_all_fail_the_sentence_stays_short():
    with pytest.raises(RunError) as caught:
        run(many_clients_recipe(), Scripted(introduce_or_fail), num_clients=40)
    assert "client 4: no" in str(caught.value)
    assert "client 5: no" not in str(caught.value)
    assert "and 35 more" in str(caught.value)


def introduce_or_fail(index, request):
    if request.task == "hello":
        facts = {"arch": "mlp", "num_samples": 10 * (index + 1), "class_counts": [1] * 10}
        return Message(task="hello", round=0, facts=facts)
    return Message(task="failed", round=request.round, facts={"reason": "no"})


def many_clients_recipe(**changes):
    return Recipe(plan=Plan(**{"rounds": 1, "local": LOCAL, **changes}))


def test_fewer_clients_asked_than_have_to_reply_are_refused_before_anything_is_sent_in_rounds():
    courier = Scripted(introduce_or_fail)
    with pytest.raises(InputError, match="min_replies=2, 1 asked"):
        run(many_clients_recipe(participation=0.1, min_replies=2), courier, num_clients=10)
    assert {number for number, _ in courier.seen} == {0}


def shift_by_client(index, request):
    """Every client moves all weights by its index plus one, and has ten times as many samples."""
    if request.task == "hello":
        return introduce_or_fail(index, request)
    tensors = {name: tensor + (index + 1) for name, tensor in request.tensors.items()}
    return replace(request, tensors=tensors, facts={})


@pytest.mark.parametrize(
    ("changes", "shift"),
    [
        # Shifts 1, 2, 3, 4 of clients with 10, 20, 30, 40 samples.
        ({"weighting": "samples"}, (1 * 10 + 2 * 20 + 3 * 30 + 4 * 40) / 100),
        ({"weighting": "equal"}, 2.5),
        ({"aggregation": "median"}, 2.5),
        ({"aggregation": "trimmed-mean", "trim": 0.25}, 2.5),
    ],
)
def test_clients_count_by_their_samples_or_alike(changes, shift):
    first, last = run(many_clients_recipe(**changes), Scripted(shift_by_client), num_clients=4)
    for name, tensor in last.state.models["mlp"].items():
        torch.testing.assert_close(tensor, first.state.models["mlp"][name] + shift)


def test_the_median_ignores_one_reply_that_passes_the_inspection_and_the_mean_does_not():
    def lie(index, request):
        reply = shift_by_client(index, request)
        if request.task == "hello" or index:
            return reply
        return replace(reply, tensors={name: tensor + 5 for name, tensor in request.tensors.items()})

    def move(**changes):
        first, last = run(many_clients_recipe(**changes), Scripted(lie), num_clients=5)
        return float((last.state.models["mlp"]["1.bias"] - first.state.models["mlp"]["1.bias"])[0])

    assert move(aggregation="median") == pytest.approx(4)  # of 5, 2, 3, 4 and 5
    assert move(weighting="equal") == pytest.approx(19 / 5)


def test_the_learning_rate_of_a_request_decays():
    courier = Scripted(shift_by_client)
    run(many_clients_recipe(rounds=3, lr_decay=0.5), courier, num_clients=2)
    rates = [courier.seen[number, 1].facts["training"]["lr"] for number in (1, 2, 3)]
    assert rates == pytest.approx([LOCAL.lr, LOCAL.lr / 2, LOCAL.lr / 4])


def make_federation(num_parties, **changes):
    parties = tuple(Party(index=index, arch="mlp", num_samples=1) for index in range(num_parties))
    plan = Plan(**{"rounds": 1, "local": LOCAL, **changes})
    server = make_server()
    return Federation(
        plan=plan,
        parties=parties,
        build_fn=server.build_fn,
        validation_fn=server.validation_fn,
        test_fn=server.test_fn,
    )


def indices(federation, number):
    return [party.index for party in choose_participants(federation, number)]


@pytest.mark.parametrize(
    ("num_parties", "participation", "wanted"), [(10, 1.0, 10), (10, 0.3, 3), (10, 0.01, 1), (1000, 0.1, 100)]
)
def test_a_share_of_the_clients_is_asked_each_once_in_order(num_parties, participation, wanted):
    chosen = indices(make_federation(num_parties, participation=participation), 1)
    assert len(chosen) == wanted
    assert chosen == sorted(set(chosen))


def test_participants_are_seeded_and_change_from_round_to_round():
    federation = make_federation(50, participation=0.2)
    assert indices(federation, 1) == indices(make_federation(50, participation=0.2), 1)
    assert indices(federation, 1) != indices(federation, 2)
    assert indices(federation, 1) != indices(make_federation(50, participation=0.2, seed=1), 1)


def test_all_clients_are_asked_alike_often():
    federation = make_federation(10, participation=0.3)
    counts = np.bincount(list(itertools.chain(*(indices(federation, number) for number in range(1, 1001)))))
    # 300 each, with a standard deviation of sqrt(1000 * 0.3 * 0.7) = 14.5.
    assert np.abs(counts - 300).max() < 5 * 14.5


def test_who_was_asked_is_told_and_only_they_are_sent_anything():
    ledger = Ledger()
    last = run(make_recipe(rounds=3, participation=0.5), ledger=ledger)[-1]
    for this in last.history[1:]:
        assert len(this.participants) == 2
        asked = {entry.client for entry in ledger.entries if entry.round == this.number}
        assert asked == set(this.participants)


def test_what_start_and_rounds_have_sent_is_all_that_was_sent():
    ledger = Ledger()
    last = run(make_recipe(rounds=2, start="weight-average"), ledger=ledger)[-1]
    assert last.start_bytes == ledger.total_bytes(round_number=0)
    sizes = [ledger.total_bytes(round_number=number) for number in (1, 2)]
    assert [this.bytes_sent for this in last.history] == [0, sizes[0], sum(sizes)]
    assert ledger.total_bytes() == last.start_bytes + last.history[-1].bytes_sent


def test_the_best_round_is_the_first_of_equals_and_its_models_are_kept():
    scores = iter([0.2, 0.5, 0.4, 0.5])
    server = make_server(validation_fn=lambda model: next(scores))
    steps = list(
        federate(
            many_clients_recipe(rounds=3),
            server,
            Scripted(shift_by_client),
            num_clients=2,
            ledger=Ledger(),
        )
    )
    assert [step.best_round for step in steps] == [0, 1, 1, 1]
    assert_same_bits(steps[-1].best_models["mlp"], steps[1].state.models["mlp"])


def test_clients_that_hold_samples_out_are_measured_and_the_others_are_not():
    clients = make_clients()
    inputs, labels = load_samples()[-1]
    clients |= {
        index: replace(clients[index], held_out=(inputs[index::4], labels[index::4])) for index in (0, 2)
    }
    this = run(make_recipe(rounds=1), Simulation(clients))[-1].history[-1]
    assert this.client_accuracies.keys() == {0, 2}
    values = list(this.client_accuracies.values())
    assert this.client_accuracy == pytest.approx(np.mean(values))
    assert this.client_spread == pytest.approx(np.std(values, ddof=1))


def test_without_measurements_there_is_no_mean_and_no_spread():
    this = Round(number=1, accuracy=0.5, validation_accuracy=0.5, bytes_sent=0, seconds=0.0)
    assert (this.client_accuracy, this.client_spread) == (None, None)
    assert replace(this, client_accuracies={3: 0.25}).client_accuracy == 0.25
    assert replace(this, client_accuracies={3: 0.25}).client_spread is None


def test_a_private_run_tells_the_server_nothing_but_weights():
    seen = []

    class Watch(Simulation):
        def carry(self, requests, ledger):
            replies = super().carry(requests, ledger)
            seen.extend(replies.values())
            return replies

    privacy = Privacy(clip_norm=1.0, noise_multiplier=0.01)
    run(make_recipe(rounds=1, privacy=privacy), Watch(make_clients()))
    assert [set(reply.facts) for reply in seen] == [{"arch", "num_samples"}] * 4 + [set()] * 4
