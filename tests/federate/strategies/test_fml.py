"""fml: mutual learning written once more from the paper, across architectures, and what stays private."""

import pytest
import torch.nn.functional as F
from tests.federate.strategies.shared_model import (
    SIZES,
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

from limbeck.core.errors import InputError
from limbeck.engine import accuracy, predict
from limbeck.federate.client import OWN_MODEL, state_of
from limbeck.federate.plan import Privacy
from limbeck.federate.strategies.fml import PRIVATE, FMLSettings

ARCHS = ("plain", "normed", "normed")


def teach_each_other(client, alpha, beta):
    def loss_fn(logits, ids):
        private, shared = logits
        p_private, p_shared = (F.softmax(own.detach(), dim=1) for own in logits)
        of_labels = [F.cross_entropy(own, client.labels[ids]) for own in logits]
        to_shared = (p_shared * (p_shared.log() - F.log_softmax(private, dim=1))).sum(dim=1).mean()
        to_private = (p_private * (p_private.log() - F.log_softmax(shared, dim=1))).sum(dim=1).mean()
        return [
            alpha * of_labels[0] + (1 - alpha) * to_shared,
            beta * of_labels[1] + (1 - beta) * to_private,
        ]

    return loss_fn


def give_own_models(clients):
    """Let every client have a model of its own, each another."""
    for client in clients.values():
        state = state_of(build(client.arch))
        moved = {
            name: value + 0.1 * (client.index + 1) if value.is_floating_point() else value
            for name, value in state.items()
        }
        client.memory.write(OWN_MODEL, moved, round_number=0)
    return clients


@pytest.mark.parametrize("shared_arch", ["plain", "normed"])
@pytest.mark.parametrize("has_own", [False, True])
def test_two_rounds_equal_the_paper_whatever_the_architectures(shared_arch, has_own):
    alpha, beta = 0.7, 0.4
    clients = give_own_models(make_clients(ARCHS)) if has_own else make_clients(ARCHS)
    private = [client.recall_model() if has_own else build(client.arch) for client in clients.values()]
    expected = state_of(build(shared_arch))
    for number in (1, 2):
        states = []
        for client, own in zip(clients.values(), private, strict=True):
            shared = load(expected, shared_arch)
            train_plainly([own, shared], client, number, loss_fn=teach_each_other(client, alpha, beta))
            states.append(shared.state_dict())
        expected = average_plainly(states, SIZES)
    standing = run("fml", clients, alpha=alpha, beta=beta, shared_arch=shared_arch)[-1]
    assert set(standing.state.models) == {shared_arch}
    assert_close(standing.state.models[shared_arch], expected)
    for client, own in zip(clients.values(), private, strict=True):
        assert_close(client.memory.read(PRIVATE, before=3), own.state_dict())
        inputs, labels = client.held_out
        told = standing.history[-1].client_accuracies[client.index]
        assert told == accuracy(predict(own, inputs), labels.numpy())


def test_with_beta_1_the_shared_model_is_fedavgs_bit_for_bit():
    assert_equal(run_model("fml", beta=1.0), run_model("fedavg"))


def test_with_alpha_1_a_private_model_learns_alone():
    clients = make_clients()
    run("fml", clients, alpha=1.0)
    for client in clients.values():
        alone = build("normed")
        for number in (1, 2):
            train_plainly([alone], client, number)
        assert_close(client.memory.read(PRIVATE, before=3), alone.state_dict())


def test_the_first_clients_architecture_is_shared_unless_another_is_asked_for():
    assert set(run("fml", make_clients(ARCHS))[-1].state.models) == {"plain"}


def test_an_architecture_that_no_client_has_is_refused():
    with pytest.raises(InputError, match="plainn"):
        run("fml", make_clients(ARCHS), shared_arch="plainn")


def test_only_the_shared_model_leaves_and_under_privacy_nothing_is_said_beside_it():
    plan, clients = with_rounds(1, privacy=Privacy(clip_norm=1e-3)), make_clients(ARCHS)
    standing = run("fml", clients, plan=plan, shared_arch="normed")[-1]
    assert standing.history[-1].client_accuracies == {}
    before = build("normed").state_dict()
    moved = sum(
        (value - before[name]).square().sum().item()
        for name, value in standing.state.models["normed"].items()
        if value.is_floating_point()
    )
    assert 0 < moved**0.5 <= 1e-3 * (1 + 1e-9)


@pytest.mark.parametrize(
    ("settings", "rule"), [({"alpha": 1.5}, "0 <= alpha <= 1"), ({"beta": -0.5}, "0 <= beta <= 1")]
)
def test_a_setting_out_of_range_names_the_rule(settings, rule):
    with pytest.raises(InputError, match=rule):
        FMLSettings(**settings)
