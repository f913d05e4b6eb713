"""Weights into modules: what does not fit is listed."""

import pytest
import torch
from torch import nn

from limbeck.core.errors import InputError
from limbeck.models import load_weights


def test_weights_are_copied_in(net):
    state = {name: torch.full_like(tensor, 2) for name, tensor in net.state_dict().items()}
    load_weights(net, state, source="here")
    assert all(bool((tensor == 2).all()) for tensor in net.state_dict().values())


def test_everything_that_does_not_fit_is_listed_and_nothing_is_changed(net):
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    wrong = {"0.weight": torch.zeros(4, 3, 3, 3), "0.bias": torch.zeros(9)}
    wrong |= {f"extra.{number}": torch.zeros(1) for number in range(7)}
    with pytest.raises(InputError) as caught:
        load_weights(net, wrong, source="here")
    message = str(caught.value)
    assert "2 missing: 4.weight, 4.bias" in message
    assert "7 unexpected: extra.0, extra.1, extra.2, extra.3, extra.4, ..." in message
    assert "1 of another shape: 0.bias (9 instead of 4)" in message
    assert all(torch.equal(before[name], tensor) for name, tensor in net.state_dict().items())


def test_old_checkpoints_may_lack_the_counters_of_batch_normalization():
    norm = nn.BatchNorm2d(3)
    state = {name: tensor + 1 for name, tensor in norm.state_dict().items() if "num_batches" not in name}
    load_weights(norm, state, source="here")
    assert torch.equal(norm.running_mean, torch.ones(3))


def test_a_prefix_of_the_modules_own_is_put_back():
    module = nn.ModuleDict({"model": nn.Linear(2, 2)})
    state = nn.Linear(2, 2).state_dict()
    load_weights(module, state, source="here")
    assert torch.equal(module["model"].weight, state["weight"])
    load_weights(module, module.state_dict(), source="here")
