"""fedavgm: momentum at the server, written once more in NumPy."""

import pytest
import torch
from tests.federate.strategies.shared_model import (
    assert_close,
    assert_equal,
    average_plainly,
    build,
    make_clients,
    run,
    run_model,
    train_all_plainly,
    with_rounds,
)

from limbeck.core.errors import InputError
from limbeck.federate.client import state_of
from limbeck.federate.strategies.fedavgm import FedAvgMSettings

LEARNT = [name for name, _ in build("normed").named_parameters()]


def test_three_rounds_equal_the_formula_in_numpy():
    beta, server_lr = 0.7, 0.5
    expected, velocity = state_of(build("normed")), dict.fromkeys(LEARNT, 0.0)
    for number in (1, 2, 3):
        average = average_plainly(train_all_plainly(expected, number))
        for name in LEARNT:
            x, mean = expected[name].numpy(), average[name].numpy()
            velocity[name] = beta * velocity[name] - (x - mean)
            average[name] = torch.from_numpy(x + server_lr * velocity[name])
        expected = average
    state = run("fedavgm", plan=with_rounds(3), beta=beta, server_lr=server_lr)[-1].state
    assert_close(state.models["normed"], expected)
    assert_close(
        state.memory,
        {f"velocity/normed/{name}": torch.from_numpy(value) for name, value in velocity.items()},
    )


def test_without_momentum_it_is_fedavg_bit_for_bit():
    plan = with_rounds(3)
    ours = run_model("fedavgm", make_clients(dtype=torch.float32), plan=plan, beta=0.0)
    assert_equal(ours, run_model("fedavg", make_clients(dtype=torch.float32), plan=plan))


def test_the_first_round_is_fedavgs_whatever_the_momentum():
    plan = with_rounds(1)
    assert_close(run_model("fedavgm", plan=plan, beta=0.9), run_model("fedavg", plan=plan), 1e-15)


def test_statistics_and_counters_are_the_plain_aggregate():
    plan = with_rounds(1)
    ours = run("fedavgm", plan=plan, server_lr=0.1)[-1].state
    average = run_model("fedavg", plan=plan)
    for name, value in average.items():
        if name not in LEARNT:
            assert torch.equal(value, ours.models["normed"][name])
    assert not torch.equal(average["last.weight"], ours.models["normed"]["last.weight"])
    assert {key.removeprefix("velocity/normed/") for key in ours.memory} == set(LEARNT)


@pytest.mark.parametrize(
    ("settings", "rule"),
    [
        ({"beta": 1.0}, "0 <= beta < 1"),
        ({"beta": -0.1}, "0 <= beta < 1"),
        ({"server_lr": 0.0}, "server_lr > 0"),
    ],
)
def test_a_setting_out_of_range_names_the_rule(settings, rule):
    with pytest.raises(InputError, match=rule):
        FedAvgMSettings(**settings)
