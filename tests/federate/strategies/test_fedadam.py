"""fedadam: Adam's step at the server, written once more in NumPy."""

import numpy as np
import pytest
import torch
from tests.federate.strategies.shared_model import (
    assert_close,
    average_plainly,
    build,
    run,
    run_model,
    train_all_plainly,
    with_rounds,
)

from limbeck.core.errors import InputError
from limbeck.federate.client import state_of
from limbeck.federate.strategies.fedadam import FedAdamSettings

LEARNT = [name for name, _ in build("normed").named_parameters()]


def test_three_rounds_equal_algorithm_2_in_numpy():
    eta, beta1, beta2, tau = 0.05, 0.8, 0.95, 0.01
    expected = state_of(build("normed"))
    m, v = dict.fromkeys(LEARNT, 0.0), dict.fromkeys(LEARNT, tau**2)
    for number in (1, 2, 3):
        average = average_plainly(train_all_plainly(expected, number))
        for name in LEARNT:
            x = expected[name].numpy()
            delta = average[name].numpy() - x
            m[name] = beta1 * m[name] + (1 - beta1) * delta
            v[name] = beta2 * v[name] + (1 - beta2) * delta**2
            average[name] = torch.from_numpy(x + eta * m[name] / (np.sqrt(v[name]) + tau))
        expected = average
    settings = {"server_lr": eta, "beta1": beta1, "beta2": beta2, "tau": tau}
    assert_close(run_model("fedadam", plan=with_rounds(3), **settings), expected)


def test_without_decay_a_step_has_the_size_of_eta_and_the_sign_of_the_change():
    plan, before = with_rounds(1), build("normed").state_dict()
    average = run_model("fedavg", plan=plan)
    ours = run_model("fedadam", plan=plan, server_lr=0.01, beta1=0.0, beta2=0.0, tau=1e-12)
    for name in LEARNT:
        sign = (average[name] - before[name]).sign()
        still = (average[name] - before[name]).abs() < 1e-6
        torch.testing.assert_close(
            (ours[name] - before[name])[~still], 0.01 * sign[~still], rtol=1e-5, atol=1e-7
        )


def test_where_tau_is_large_it_is_fedavg_with_a_server_learning_rate_of_eta_over_tau():
    plan = with_rounds(1)
    ours = run_model("fedadam", plan=plan, server_lr=1e6, beta1=0.0, beta2=0.0, tau=1e6)
    assert_close(ours, run_model("fedavg", plan=plan), tolerance=1e-5)


def test_statistics_and_counters_are_the_plain_aggregate():
    plan = with_rounds(1)
    ours = run("fedadam", plan=plan)[-1].state
    average = run_model("fedavg", plan=plan)
    for name, value in average.items():
        if name not in LEARNT:
            assert torch.equal(value, ours.models["normed"][name])
    assert not torch.equal(average["last.weight"], ours.models["normed"]["last.weight"])
    assert set(ours.memory) == {f"{moment}/normed/{name}" for moment in ("mean", "square") for name in LEARNT}


@pytest.mark.parametrize(
    ("settings", "rule"),
    [
        ({"server_lr": 0.0}, "server_lr > 0"),
        ({"beta1": 1.0}, "0 <= beta1 < 1"),
        ({"beta2": -1.0}, "0 <= beta2 < 1"),
        ({"tau": 0.0}, "tau > 0"),
    ],
)
def test_a_setting_out_of_range_names_the_rule(settings, rule):
    with pytest.raises(InputError, match=rule):
        FedAdamSettings(**settings)
