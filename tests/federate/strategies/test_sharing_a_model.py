"""What every strategy that shares a model keeps: a round asked for again, and a run that was cut off."""

from dataclasses import replace

import pytest
from tests.federate.strategies.shared_model import (
    PLAN,
    TRAINING,
    assert_close,
    assert_equal,
    make_clients,
    make_federation,
    run,
    with_rounds,
)

from limbeck.federate import Ledger, encode
from limbeck.federate.keeping import keep, recall
from limbeck.federate.memory import FolderMemory
from limbeck.federate.site import remember, reply_to
from limbeck.federate.strategies import get_strategy

NAMES = ("fedavg", "fedprox", "fedavgm", "fedadam", "scaffold", "fedntd", "fedgkd", "fedlc", "fml")
every_strategy = pytest.mark.parametrize("name", NAMES)
PARTIAL = with_rounds(4, participation=0.7)


@every_strategy
def test_a_round_asked_for_again_is_answered_the_same(name):
    clients, strategy = make_clients(), get_strategy(name)
    federation, standing = make_federation(clients), run(name, clients, plan=with_rounds(1))[-1]
    request = strategy.request_fn(federation, standing.state, federation.parties[1], strategy.defaults)
    request = replace(request, facts={**request.facts, "settings": vars(strategy.defaults)})
    answers = []
    for _ in range(2):
        reply, kept = reply_to(clients[1], request)
        remember(clients[1], kept, round_number=reply.round)
        answers.append((encode(reply), kept))
    assert answers[0][0] == answers[1][0]
    for key, state in answers[0][1].items():
        assert_equal(state, answers[1][1][key])


@every_strategy
def test_a_run_cut_off_in_a_round_goes_on_to_the_same_result(name, tmp_path):
    clients, whole = make_clients(), run(name, plan=PARTIAL)[-1]
    clients = {
        index: replace(client, memory=FolderMemory(tmp_path / str(index)))
        for index, client in clients.items()
    }
    standings = run(name, clients, plan=replace(PARTIAL, rounds=3))
    # Round 3 is lost at the server after its clients have answered it.
    keep(tmp_path / "server", standings[2], Ledger(), spec_hash="same")
    recalled = recall(tmp_path / "server", spec_hash="same").standing
    resumed = run(name, clients, plan=PARTIAL, standing=recalled)[-1]
    for arch, model in whole.state.models.items():
        assert_equal(resumed.state.models[arch], model)
    assert_equal(resumed.state.memory, whole.state.memory)


@every_strategy
def test_equal_clients_that_take_no_step_leave_the_model_where_it_is(name):
    plan = replace(PLAN, local=replace(TRAINING, epochs=0))
    first, *_, last = run(name, plan=plan)
    for arch, model in last.state.models.items():
        assert_close(model, first.state.models[arch], tolerance=1e-12)


@every_strategy
def test_no_reply_is_rejected(name):
    assert all(not this.rejected for this in run(name, plan=PARTIAL)[-1].history)
