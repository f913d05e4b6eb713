"""What leaves a client is as near as promised, as noisy as promised, and costs what the theory says."""

import math
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.stats import norm

from limbeck.core.errors import InputError
from limbeck.federate import Privacy
from limbeck.federate.privacy import protect, spent_budget

NUM_WEIGHTS = 20_000


def make_states(scale=1.0, seed=0, size=(7, 3)):
    generator = torch.Generator().manual_seed(seed)
    before = {"weight": torch.randn(size, generator=generator), "steps": torch.tensor(4)}
    after = {
        "weight": before["weight"] + scale * torch.randn(size, generator=generator),
        "steps": torch.tensor(9),
    }
    return before, after


def distance(first, second):
    names = [name for name, value in first.items() if value.is_floating_point()]
    moves = [(first[name].double() - second[name].double()).numpy().ravel() for name in names]
    return float(np.linalg.norm(np.concatenate(moves)))


def guard(before, after, *, seed=0, round_number=1, **facts):
    return protect(before, after, Privacy(**facts), seed=seed, round_number=round_number)


def test_an_update_is_scaled_down_by_hand():
    before = {"a": torch.tensor([1.0, 0.0]), "b": torch.tensor([2.0])}
    after = {"a": torch.tensor([4.0, 0.0]), "b": torch.tensor([6.0])}
    # The update (3, 0, 4) has norm 5; scaled down to 1 it is (0.6, 0, 0.8).
    protected = guard(before, after, clip_norm=1.0)
    torch.testing.assert_close(protected["a"], torch.tensor([1.6, 0.0]))
    torch.testing.assert_close(protected["b"], torch.tensor([2.8]))


@settings(deadline=None, max_examples=60)
@given(clip_norm=st.floats(1e-3, 1e3), scale=st.sampled_from([0.0, 1e-4, 1.0, 1e4]), seed=st.integers(0, 50))
def test_without_noise_an_update_is_clipped_or_left(clip_norm, scale, seed):
    before, after = make_states(scale, seed)
    protected = guard(before, after, clip_norm=clip_norm)
    moved, size = distance(before, after), float(torch.linalg.vector_norm(before["weight"]))
    assert distance(before, protected) <= clip_norm + 1e-6 * (clip_norm + size)
    if moved <= clip_norm:
        torch.testing.assert_close(protected["weight"], after["weight"], rtol=1e-6, atol=1e-7)
    else:
        assert distance(before, protected) == pytest.approx(clip_norm, rel=1e-3, abs=1e-6 * size)


def test_counters_stay_and_types_are_kept():
    before, after = make_states()
    before["half"], after["half"] = torch.zeros(3).half(), torch.ones(3).half()
    protected = guard(before, after, clip_norm=1.0, noise_multiplier=1.0)
    assert protected["steps"] == 9
    assert protected["half"].dtype == torch.float16
    assert protected.keys() == after.keys()


def test_noise_has_the_promised_spread_and_no_bias():
    before, after = make_states(scale=1e-3, size=(NUM_WEIGHTS,))
    protected = guard(before, after, clip_norm=0.5, noise_multiplier=3.0)
    noise = (protected["weight"].double() - after["weight"].double()).numpy()
    # The mean of n draws spreads by std / sqrt(n), their standard deviation by std / sqrt(2 n): 5 of each.
    assert abs(noise.mean()) < 5 * 1.5 / math.sqrt(NUM_WEIGHTS)
    assert noise.std() == pytest.approx(1.5, abs=5 * 1.5 / math.sqrt(2 * NUM_WEIGHTS))
    # A Gaussian has 4.55 % of its mass beyond two standard deviations.
    assert np.mean(np.abs(noise) > 3.0) == pytest.approx(0.0455, abs=0.008)


def test_an_update_that_is_sent_twice_is_sent_with_the_same_noise():
    before, after = make_states()
    first, again = (guard(before, after, clip_norm=1.0, noise_multiplier=1.0) for _ in range(2))
    assert torch.equal(first["weight"], again["weight"])


@pytest.mark.parametrize("changes", [{"seed": 1}, {"round_number": 2}])
def test_another_client_or_round_has_other_noise(changes):
    before, after = make_states()
    one = guard(before, after, clip_norm=1.0, noise_multiplier=1.0)
    other = guard(before, after, clip_norm=1.0, noise_multiplier=1.0, **changes)
    assert distance(one, other) > 1


def test_two_updates_of_a_round_share_no_noise_that_would_cancel():
    before, after = make_states(scale=1e-3)
    other = {**after, "weight": after["weight"] + 1e-3}
    first, second = (guard(before, state, clip_norm=1.0, noise_multiplier=1.0) for state in (after, other))
    assert distance(first, second) > 1


def test_variances_stay_at_least_0_whatever_the_noise():
    before = {"bn.running_var": torch.ones(500), "bn.running_mean": torch.zeros(500)}
    protected = guard(before, dict(before), clip_norm=10.0, noise_multiplier=1.0)
    assert (protected["bn.running_var"] >= 0).all()
    assert (protected["bn.running_mean"] < 0).any()


def test_an_update_that_is_not_finite_stays_so_and_is_seen():
    before, after = make_states()
    after["weight"][0, 0] = torch.nan
    assert guard(before, after, clip_norm=1.0)["weight"].isnan().any()


def test_nothing_sent_costs_nothing_and_no_noise_promises_nothing():
    assert spent_budget(Privacy(clip_norm=1.0, noise_multiplier=1.0), num_messages=0) == 0
    assert spent_budget(Privacy(clip_norm=1.0), num_messages=1) == math.inf


def exact_epsilon(sensitivities, delta):
    """Epsilon of a Gaussian mechanism whose noise is one; Balle and Wang 2018, theorem 8.

    n messages with noise s times their sensitivity are one message of sensitivity sqrt(n) / s.
    """

    def excess(epsilon):
        first = norm.cdf(sensitivities / 2 - epsilon / sensitivities)
        second = math.exp(epsilon) * norm.cdf(-sensitivities / 2 - epsilon / sensitivities)
        return first - second - delta

    return brentq(excess, 0, 500)


def renyi_epsilon(sensitivity, delta):
    """The bound by Renyi divergence: the least of rdp + log(1 - 1/a) - log(delta a) / (a - 1) over orders a.

    Mironov 2017, proposition 7, and Canonne, Kamath and Steinke 2020, proposition 12.
    """
    orders = np.linspace(1.01, 200, 200_000)
    bound = orders * sensitivity**2 / 2 + np.log1p(-1 / orders) - np.log(delta * orders) / (orders - 1)
    return float(bound.min())


@pytest.mark.parametrize(("multiplier", "num_messages"), [(2.0, 1), (4.0, 10), (8.0, 100), (1.0, 3)])
def test_the_budget_is_the_bound_of_the_theory_and_never_less_than_the_truth(multiplier, num_messages):
    pytest.importorskip("dp_accounting", reason="dp-accounting is not installed")
    privacy = Privacy(clip_norm=3.0, noise_multiplier=multiplier, delta=1e-5)
    spent = spent_budget(privacy, num_messages=num_messages)
    # A client's update may move by twice the norm it is clipped to.
    sensitivity = 2 / multiplier * math.sqrt(num_messages)
    assert exact_epsilon(sensitivity, 1e-5) <= spent
    assert spent == pytest.approx(renyi_epsilon(sensitivity, 1e-5), rel=0.01)


def test_the_budget_grows_with_messages_and_falls_with_noise():
    pytest.importorskip("dp_accounting", reason="dp-accounting is not installed")
    spent = [spent_budget(Privacy(clip_norm=1, noise_multiplier=4), num_messages=n) for n in (1, 2, 50)]
    assert spent == sorted(spent)
    assert spent_budget(Privacy(clip_norm=1, noise_multiplier=8), num_messages=50) < spent[-1]


def test_without_the_accountant_the_budget_names_the_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "dp_accounting", None)
    with pytest.raises(InputError, match="needs the package `dp-accounting`"):
        spent_budget(Privacy(clip_norm=1.0, noise_multiplier=1.0), num_messages=1)
