"""scaffold: algorithm 1 written once more, and its controls looked at one by one."""

from dataclasses import replace

import pytest
import torch
from tests.federate.strategies.shared_model import (
    PLAN,
    TRAINING,
    assert_close,
    assert_equal,
    average_plainly,
    build,
    load,
    make_clients,
    run,
    run_model,
    train_plainly,
    with_rounds,
)
from torch import nn

from limbeck.core.errors import InputError
from limbeck.federate import Ledger
from limbeck.federate.client import state_of
from limbeck.federate.plan import Privacy
from limbeck.federate.strategies.scaffold import CONTROL, Correction

LEARNT = [name for name, _ in build("normed").named_parameters()]


def zeros():
    return {name: torch.zeros_like(weight) for name, weight in build("normed").named_parameters()}


def play_round(x, c, controls, asked, number, plan):
    """Algorithm 1, with option II for a client's new control where SGD is plain, else the mean gradient."""
    clients, states, changes = make_clients(), [], []
    for index in asked:
        local, own, seen = load(x), controls[index], []

        def correct(local=local, own=own, seen=seen):
            seen.append({name: weight.grad.clone() for name, weight in local.named_parameters()})
            for name, weight in local.named_parameters():
                weight.grad = weight.grad - own[name] + c[name]

        train_plainly([local], clients[index], number, adjust_fn=correct, plan=plan)
        y, steps = local.state_dict(), len(seen)
        if plan.local.momentum == 0:
            new = {
                name: own[name] - c[name] + (x[name] - y[name]) / (steps * plan.local.lr) for name in LEARNT
            }
        else:
            new = {name: sum(gradients[name] for gradients in seen) / steps for name in LEARNT}
        changes.append({name: new[name] - own[name] for name in LEARNT})
        controls[index] = new
        states.append(y)
    average = average_plainly(states, [len(clients[index]) for index in asked])
    c = {name: c[name] + sum(change[name] for change in changes) / len(clients) for name in LEARNT}
    return average, c


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("participation", [1.0, 0.7])
def test_three_rounds_equal_algorithm_1(momentum, participation):
    plan = with_rounds(3, participation=participation, local=replace(TRAINING, momentum=momentum))
    clients = make_clients()
    standings = run("scaffold", clients, plan=plan)
    x, c, controls = state_of(build("normed")), zeros(), [zeros() for _ in clients]
    for this in standings[-1].history[1:]:
        x, c = play_round(x, c, controls, this.participants, this.number, plan)
        assert len(this.participants) == round(3 * participation)
    assert_close(standings[-1].state.models["normed"], x, tolerance=1e-9)
    assert_close(standings[-1].state.memory, c, tolerance=1e-9)
    for index, control in enumerate(controls):
        kept = clients[index].memory.read(CONTROL, before=4)
        assert_close(kept or zeros(), control, tolerance=1e-9)


def test_with_every_client_asked_the_servers_control_is_the_mean_of_the_clients():
    clients = make_clients()
    state = run("scaffold", clients)[-1].state
    kept = [client.memory.read(CONTROL, before=3) for client in clients.values()]
    assert_close(state.memory, {name: sum(own[name] for own in kept) / len(kept) for name in LEARNT})


def test_the_first_round_is_fedavgs_bit_for_bit():
    plan = with_rounds(1)
    assert_equal(run_model("scaffold", plan=plan), run_model("fedavg", plan=plan))


def test_a_lone_client_is_corrected_by_nothing():
    plan, clients = with_rounds(3), make_clients()
    alone = {0: clients[0]}
    assert_close(run_model("scaffold", alone, plan=plan), run_model("fedavg", alone, plan=plan))


def test_a_correction_shifts_gradients_and_accounts_for_what_they_were():
    weight, still = nn.Parameter(torch.tensor([1.0, 2.0])), nn.Parameter(torch.tensor([5.0]))
    correction = Correction(
        weights={"weight": weight, "still": still},
        shift={"weight": torch.tensor([0.5, -1.0]), "still": torch.tensor([1.0])},
        totals={"weight": torch.zeros(2), "still": torch.zeros(1)},
    )
    for gradient in ([2.0, 4.0], [4.0, 0.0]):
        weight.grad = torch.tensor(gradient)
        correction.adjust()
    assert weight.grad.tolist() == [4.5, -1.0]
    assert correction.mean_gradients()["weight"].tolist() == [3.0, 2.0]
    assert still.grad is None
    assert correction.mean_gradients()["still"].tolist() == [0.0]


def test_a_round_without_local_steps_leaves_every_control():
    plan = with_rounds(1, local=replace(TRAINING, epochs=0))
    assert_equal(run("scaffold", plan=plan)[-1].state.memory, zeros())


def test_model_and_control_go_down_and_up():
    with_control, without = Ledger(), Ledger()
    run("scaffold", plan=with_rounds(1), ledger=with_control)
    run("fedavg", plan=with_rounds(1), ledger=without)
    numbers = sum(weight.numel() for weight in build("normed").parameters()) * 8
    for ours, theirs in zip(with_control.entries, without.entries, strict=True):
        # What is more than the numbers is their names in the header.
        assert numbers < ours.message_bytes - theirs.message_bytes < numbers + 100 * len(LEARNT)


def test_privacy_is_refused_because_a_control_is_a_bare_gradient():
    plan = replace(PLAN, privacy=Privacy(clip_norm=1.0))
    with pytest.raises(InputError, match=r"`privacy`, with `scaffold`.*Leave `privacy` out"):
        run("scaffold", plan=plan)
