"""FedDF averages, and distils the ensemble of what it received where validation prefers that."""

import numpy as np
import pytest
import torch
from tests.federate.strategies.logit_worlds import (
    LOCAL,
    PUBLIC,
    build,
    make_clients,
    make_federation,
    run,
    score,
    untrained,
)

from limbeck.core.errors import InputError
from limbeck.engine import Training, predict_logits
from limbeck.federate.client import fill
from limbeck.federate.messages import Message, as_group
from limbeck.federate.plan import Plan
from limbeck.federate.server_distillation import distil_on_proxy, predict_mean
from limbeck.federate.strategies.feddf import FEDDF, FedDFSettings, predict_ensemble
from limbeck.federate.strategies.record import MODEL, Reply, ServerState

BUDGET = {"steps": 60, "patience": 20}


def shifted(state, amount):
    return {name: value + amount for name, value in state.items()}


def equal(one, other):
    return all(torch.equal(one[name], other[name]) for name in one)


def test_without_steps_it_is_fedavg():
    clients = make_clients()
    ours, fedavg = run("feddf", clients, settings={"steps": 0})[-1], run("fedavg", clients)[-1]
    assert equal(ours.state.models["narrow"], fedavg.state.models["narrow"])


def test_identical_replies_have_nothing_to_teach_their_average():
    clients = make_clients()
    federation, weights = make_federation(clients), shifted(untrained(), 0.01)
    message = Message(task="feddf", round=1, tensors=as_group(MODEL, weights))
    replies = [Reply(party=party, request=message, message=message) for party in federation.parties]
    state = ServerState(round=0, models={"narrow": untrained()})
    after = FEDDF.combine_fn(federation, state, replies, FedDFSettings(**BUDGET))
    for name, value in weights.items():
        torch.testing.assert_close(after.models["narrow"][name], value, rtol=0, atol=1e-6)


def test_the_targets_are_the_mean_of_the_logits():
    teachers = [build("narrow"), build("wide"), fill(build("narrow"), shifted(untrained(), 0.1))]
    expected = np.zeros((len(PUBLIC), 10))
    for teacher in teachers:
        weights = {name: value.double().numpy() for name, value in teacher.state_dict().items()}
        hidden = PUBLIC.flatten(1).double().numpy() @ weights["1.weight"].T + weights["1.bias"]
        expected += (np.maximum(hidden, 0) @ weights["3.weight"].T + weights["3.bias"]) / len(teachers)
    np.testing.assert_allclose(predict_mean(iter(teachers), PUBLIC).numpy(), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("aggregation", ["median", "trimmed-mean"])
def test_a_model_that_shouts_has_no_say_in_an_ensemble_by_median_or_trimmed_mean(aggregation):
    quiet = [fill(build("narrow"), shifted(untrained(), amount)) for amount in (0.0, 0.02, 0.05)]
    loud = fill(build("narrow"), {name: 1e3 * value for name, value in untrained().items()})
    plan = Plan(rounds=1, local=LOCAL, aggregation=aggregation, trim=0.25)
    said = np.stack([predict_logits(teacher, PUBLIC).numpy().copy() for teacher in [*quiet, loud]])
    expected = np.sort(said.astype(np.float64), axis=0)[1:3].mean(axis=0)  # of four, also their median
    ours = predict_ensemble([*quiet, loud], PUBLIC, plan).numpy()
    np.testing.assert_allclose(ours, expected, rtol=1e-6)
    calm = said[:3]
    assert ((calm.min(axis=0) <= ours) & (ours <= calm.max(axis=0))).all()
    mean = predict_ensemble([*quiet, loud], PUBLIC, Plan(rounds=1, local=LOCAL)).numpy()
    assert np.abs(mean - expected).max() > 10


def make_scores(values):
    remaining = iter(values)
    return lambda _: next(remaining)


def distil(model, score_fn, *, epochs=10, patience=2):
    teacher = fill(build("narrow"), shifted(untrained(), 0.05))
    distil_on_proxy(
        model,
        PUBLIC,
        predict_mean([teacher], PUBLIC),
        training=Training(epochs=epochs, batch_size=100, optimizer="adam", lr=0.01, schedule="constant"),
        temperature=1.0,
        patience=patience,
        score_fn=score_fn,
        seed=3,
    )
    return model.state_dict()


def test_early_stop_keeps_the_best_epoch():
    # The second epoch is best; after two more without a higher score nothing else is asked for.
    stopped = distil(build("narrow"), make_scores([0.1, 0.2, 0.4, 0.4, 0.3]))
    two_epochs = distil(build("narrow"), make_scores([0.1, 0.2, 0.3]), epochs=2)
    assert equal(stopped, two_epochs)


def test_a_model_that_distilling_only_makes_worse_stays():
    assert equal(distil(build("narrow"), make_scores([0.5, 0.4, 0.5])), untrained())


def test_distilling_raises_the_validation_accuracy_of_the_average():
    clients = make_clients(alpha=0.3)
    federation = make_federation(clients)
    messages = {
        index: FEDDF.local_fn(
            client,
            FEDDF.request_fn(
                federation,
                ServerState(round=0, models={"narrow": untrained()}),
                federation.parties[index],
                FEDDF.defaults,
            ),
            FEDDF.defaults,
        )
        for index, client in clients.items()
    }
    request = Message(task="feddf", round=1)
    replies = [
        Reply(party=party, request=request, message=messages[party.index].as_reply(request))
        for party in federation.parties
    ]
    state = ServerState(round=0, models={"narrow": untrained()})
    averaged, distilled = (
        FEDDF.combine_fn(federation, state, replies, FedDFSettings(**{**BUDGET, "steps": steps}))
        for steps in (0, 60)
    )
    before, after = (score(fill(build("narrow"), one.models["narrow"])) for one in (averaged, distilled))
    assert after > before


def test_groups_of_architectures_learn_from_one_another():
    standing = run("feddf", make_clients(("narrow", "wide", "wide"), alpha=0.3), settings=BUDGET, rounds=3)[
        -1
    ]
    assert set(standing.state.models) == {"narrow", "wide"}
    assert standing.history[-1].accuracy > standing.history[0].accuracy + 0.3


def test_it_learns_and_repeats_bit_for_bit():
    clients = make_clients(alpha=0.3)
    first, second = (run("feddf", clients, settings=BUDGET, rounds=3)[-1] for _ in range(2))
    assert first.history[-1].accuracy > first.history[0].accuracy + 0.4
    assert equal(first.state.models["narrow"], second.state.models["narrow"])


def test_it_needs_a_proxy_set():
    federation = make_federation(make_clients())
    with pytest.raises(InputError, match="proxy set"):
        FEDDF.check(type(federation)(**{**vars(federation), "proxy": None}), FEDDF.defaults)


@pytest.mark.parametrize(
    ("wrong", "rule"),
    [
        ({"steps": -1}, "steps >= 0"),
        ({"patience": 0}, "patience >= 1"),
        ({"lr": 0.0}, "lr > 0"),
        ({"batch_size": 0}, "batch_size >= 1"),
        ({"temperature": 0.0}, "temperature > 0"),
    ],
)
def test_settings_out_of_range_are_refused(wrong, rule):
    with pytest.raises(InputError, match=rule):
        FedDFSettings(**wrong)


def test_steps_are_rounded_up_to_whole_passes():
    # 300 samples are 3 batches of 128, so 10 steps need 4 passes.
    assert FedDFSettings().training_on(300).epochs == 334
    assert FedDFSettings().count_epochs(10, 300) == 4
