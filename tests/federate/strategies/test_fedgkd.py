"""fedgkd: rounds written once more from the paper, the buffer of global models, and its limit."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from tests.federate.strategies.shared_model import (
    SIZES,
    TRAINING,
    assert_close,
    assert_equal,
    average_plainly,
    build,
    load,
    run,
    run_model,
    train_all_plainly,
    with_rounds,
)

from limbeck.core.errors import InputError
from limbeck.federate import Ledger
from limbeck.federate.client import state_of
from limbeck.federate.strategies.fedgkd import FedGKDSettings, list_past

# The teacher's outputs are kept in float32.
TOLERANCE = 1e-6


def teach(teacher, client, gamma):
    def loss_fn(logits, ids):
        (own,) = logits
        with torch.no_grad():
            p_teacher = F.softmax(teacher(client.inputs[ids]), dim=1)
        divergence = (p_teacher * (p_teacher.log() - F.log_softmax(own, dim=1))).sum(dim=1)
        return [(F.cross_entropy(own, client.labels[ids], reduction="none") + gamma / 2 * divergence).mean()]

    return loss_fn


@pytest.mark.parametrize("num_models", [1, 2, 5])
def test_four_rounds_equal_the_paper(num_models):
    gamma, globals_ = 2.0, [state_of(build("normed"))]
    for number in (1, 2, 3, 4):
        last = globals_[-num_models:]
        teacher = load(average_plainly(last, [1] * len(last))).eval()
        states = train_all_plainly(
            globals_[-1],
            number,
            make_loss_fn=lambda _, client, teacher=teacher: teach(teacher, client, gamma),
        )
        globals_.append(average_plainly(states))
    ours = run_model("fedgkd", plan=with_rounds(4), gamma=gamma, num_models=num_models)
    assert_close(ours, globals_[-1], TOLERANCE)


@pytest.mark.parametrize("num_models", [1, 3])
def test_with_gamma_0_it_is_fedavg_bit_for_bit(num_models):
    assert_equal(run_model("fedgkd", gamma=0.0, num_models=num_models), run_model("fedavg"))


def test_the_server_remembers_the_global_models_before_the_present_one():
    standings = run("fedgkd", plan=with_rounds(4), num_models=3)
    past = list_past(standings[4].state.memory)
    assert len(past) == 2
    assert_equal(past[0], standings[3].state.models["normed"])
    assert_equal(past[1], standings[2].state.models["normed"])


def test_a_teacher_that_is_the_received_model_is_not_sent():
    ledgers = {}
    for num_models in (1, 3):
        ledgers[num_models] = Ledger()
        run("fedgkd", ledger=ledgers[num_models], num_models=num_models)

    def count(num_models, round_number, direction):
        return sum(
            entry.message_bytes
            for entry in ledgers[num_models].entries
            if (entry.round, entry.direction) == (round_number, direction)
        )

    size = len(SIZES) * sum(
        value.numel() * value.element_size() for value in build("normed").state_dict().values()
    )
    assert count(1, 1, "down") == count(3, 1, "down") == count(1, 2, "down")
    assert count(3, 2, "down") > count(3, 1, "down") + size
    # What comes back differs in the digits of the losses that are told.
    assert abs(count(1, 2, "up") - count(3, 2, "up")) < 100


def test_augmentation_is_refused_because_the_teacher_is_asked_once_a_round():
    plan = with_rounds(1, local=replace(TRAINING, augmentation="flip"))
    with pytest.raises(InputError, match=r"`fedgkd` asks a model"):
        run("fedgkd", plan=plan)


@pytest.mark.parametrize(
    ("settings", "rule"), [({"gamma": -1.0}, "gamma >= 0"), ({"num_models": 0}, "num_models >= 1")]
)
def test_a_setting_out_of_range_names_the_rule(settings, rule):
    with pytest.raises(InputError, match=rule):
        FedGKDSettings(**settings)
