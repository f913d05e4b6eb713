"""fedntd: a round written once more from the paper, its limit and what it refuses."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from tests.federate.strategies.shared_model import (
    CLASSES,
    TRAINING,
    assert_close,
    assert_equal,
    average_plainly,
    build,
    make_clients,
    run_model,
    train_all_plainly,
    with_rounds,
)

from limbeck.core.errors import InputError
from limbeck.federate.client import state_of
from limbeck.federate.strategies.fedntd import FedNTDSettings

# The received model's outputs are kept in float32.
TOLERANCE = 1e-6


def preserve(received, client, beta, temperature):
    """Equations 4 to 6 by leaving columns out row by row, the received model asked in every batch."""

    def loss_fn(logits, ids):
        (own,), labels = logits, client.labels[ids]
        with torch.no_grad():
            told = received(client.inputs[ids])
        pulls = []
        for row, label in enumerate(labels.tolist()):
            others = [column for column in range(CLASSES) if column != label]
            q_local = F.softmax(own[row, others] / temperature, dim=0)
            q_received = F.softmax(told[row, others] / temperature, dim=0)
            pulls.append((q_received * (q_received / q_local).log()).sum())
        return [F.cross_entropy(own, labels) + beta * temperature**2 * torch.stack(pulls).mean()]

    return loss_fn


@pytest.mark.parametrize(("beta", "temperature"), [(1.0, 1.0), (0.5, 3.0)])
def test_two_rounds_equal_the_paper(beta, temperature):
    expected = state_of(build("normed"))
    for number in (1, 2):
        expected = average_plainly(
            train_all_plainly(
                expected,
                number,
                make_loss_fn=lambda received, client: preserve(received, client, beta, temperature),
            )
        )
    assert_close(run_model("fedntd", beta=beta, temperature=temperature), expected, TOLERANCE)


def test_with_beta_0_it_is_fedavg_bit_for_bit():
    assert_equal(run_model("fedntd", beta=0.0), run_model("fedavg"))


def test_the_larger_beta_the_nearer_clients_stay_to_what_the_received_model_says_of_other_classes():
    plan, received = with_rounds(1), build("normed").eval()

    def distance(beta):
        model = build("normed")
        model.load_state_dict(run_model("fedntd", {0: make_clients()[0]}, plan=plan, beta=beta))
        client = make_clients()[0]
        with torch.no_grad():
            loss_fn = preserve(received, client, 1.0, 1.0)
            logits = model.eval()(client.inputs)
            return (
                loss_fn([logits], torch.arange(len(client)))[0] - F.cross_entropy(logits, client.labels)
            ).item()

    assert distance(0.0) > distance(1.0) > distance(10.0)


def test_augmentation_is_refused_because_the_received_model_is_asked_once_a_round():
    plan = with_rounds(1, local=replace(TRAINING, augmentation="flip"))
    with pytest.raises(InputError, match=r"`fedntd` asks a model.*local.augmentation=flip.*`none`"):
        run_model("fedntd", plan=plan)


@pytest.mark.parametrize(
    ("settings", "rule"), [({"beta": -1.0}, "beta >= 0"), ({"temperature": 0.0}, "temperature > 0")]
)
def test_a_setting_out_of_range_names_the_rule(settings, rule):
    with pytest.raises(InputError, match=rule):
        FedNTDSettings(**settings)
