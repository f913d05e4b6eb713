"""fedlc: rounds written once more with the client's mix of classes in the loss, and its limit."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from tests.federate.strategies.shared_model import (
    CLASSES,
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

from limbeck.federate.client import state_of
from limbeck.federate.strategies.fedlc import make_calibrated_loss


def calibrate(_, client):
    """The mean over the batch of -log(n_y e^z_y / sum of n_c e^z_c), n_c the client's samples of class c."""
    counts = [max(int((client.labels == number).sum()), 1e-8 * len(client)) for number in range(CLASSES)]

    def loss_fn(logits, ids):
        weighed = torch.tensor(counts, dtype=torch.float64) * logits[0].exp()
        labels = client.labels[ids]
        chosen = weighed[torch.arange(len(ids)), labels]
        return [(weighed.sum(dim=1) / chosen).log().mean()]

    return loss_fn


def test_two_rounds_equal_the_paper():
    expected = state_of(build("normed"))
    for number in (1, 2):
        expected = average_plainly(train_all_plainly(expected, number, make_loss_fn=calibrate))
    # The client's shares are kept in float32.
    assert_close(run_model("fedlc", plan=with_rounds(2)), expected, 1e-6)


def test_with_as_many_samples_of_every_class_it_is_fedavg():
    def balanced():
        return {
            index: replace(client, labels=torch.arange(len(client)) % CLASSES)
            for index, client in make_clients().items()
        }

    assert_close(run_model("fedlc", balanced()), run_model("fedavg", balanced()))


def test_the_loss_of_a_sample_is_the_one_found_by_hand():
    client = replace(make_clients()[2], labels=torch.tensor([0] * 12 + [1] * 3 + [2]))
    loss = make_calibrated_loss(client)([torch.zeros(3, CLASSES)], torch.tensor([0, 12, 15]))[0]
    # By hand: the shares are 3/4, 3/16, 1/16 and 0, and equal logits leave them as they are.
    assert loss.tolist() == pytest.approx([0.28768207, 1.67397643, 2.77258872])


def test_a_class_the_client_does_not_have_is_pushed_down_less_than_by_fedavg():
    client = make_clients()[0]
    (absent,) = set(range(CLASSES)) - set(client.labels.tolist())
    logits = torch.zeros(len(client), CLASSES, requires_grad=True)
    make_calibrated_loss(client)([logits], torch.arange(len(client)))[0].sum().backward()
    calibrated = logits.grad[:, absent].sum().item()
    logits.grad = None
    F.cross_entropy(logits, client.labels, reduction="sum").backward()
    assert 0 < calibrated < 1e-6 * logits.grad[:, absent].sum().item()


def test_it_repeats_bit_for_bit_and_goes_on_as_if_it_had_not_stopped():
    plan = with_rounds(3, participation=0.7)
    whole = run("fedlc", plan=plan)
    resumed = run("fedlc", plan=plan, standing=whole[2])[-1]
    assert_equal(resumed.state.models["normed"], whole[-1].state.models["normed"])
    assert_equal(run_model("fedlc", plan=plan), whole[-1].state.models["normed"])
