"""A run that is kept is read back as it was, and goes on as if it had not stopped."""

from dataclasses import replace

import pytest
import torch
from tests.federate.couriers import Meddler, change_tensors, fail, poison
from tests.federate.digits_world import assert_same_bits, make_clients, make_recipe, make_server, run

from limbeck.core.errors import InputError
from limbeck.federate import Ledger, Message, Simulation, encode, federate
from limbeck.federate.keeping import CHECKPOINT_FILE, keep, recall
from limbeck.federate.memory import FolderMemory
from limbeck.federate.messages import decode

# Each keeps something else at the server or at clients; `fd` and `fedmd` share no model.
WITH_MEMORY = (
    "fedavg",
    "fedavgm",
    "fedadam",
    "scaffold",
    "fedgkd",
    "fml",
    "fd",
    "fedavg-refit",
    "fading-pull",
)


def assert_same_standing(ours, theirs):
    assert ours.parties == theirs.parties
    assert ours.history == theirs.history
    assert ours.state.round == theirs.state.round
    assert_same_bits(ours.state.memory, theirs.state.memory)
    assert (ours.best_round, ours.start_bytes) == (theirs.best_round, theirs.start_bytes)
    assert ours.start_seconds == theirs.start_seconds
    assert ours.start_settings == theirs.start_settings
    for mine, other in ((ours.state.models, theirs.state.models), (ours.best_models, theirs.best_models)):
        assert mine.keys() == other.keys()
        for arch, state in other.items():
            assert_same_bits(mine[arch], state)


def with_folders(clients, folder):
    return {
        index: replace(client, memory=FolderMemory(folder / str(index))) for index, client in clients.items()
    }


def forget_seconds(history):
    return [replace(this, seconds=0.0) for this in history]


def go(recipe, clients, ledger, *, standing=None):
    courier = Simulation(clients)
    return federate(recipe, make_server(), courier, num_clients=4, ledger=ledger, standing=standing)


@pytest.mark.parametrize("name", ["fedavg", "scaffold", "fd"])
def test_what_is_kept_is_recalled(name, tmp_path):
    clients = make_clients()
    for index in clients:
        clients[index] = replace(
            clients[index], held_out=(clients[index].inputs[:9], clients[index].labels[:9])
        )
    meddler = Meddler(
        Simulation(clients), damage={1: fail("it was cut off"), 2: lambda _: None, 3: change_tensors(poison)},
        rounds=(1,),
    )  # fmt: skip
    ledger = Ledger()
    for standing in run(make_recipe(strategy=name, rounds=2), meddler, ledger=ledger):
        keep(tmp_path, standing, ledger, spec_hash="this")
        kept = recall(tmp_path, spec_hash="this")
        assert_same_standing(kept.standing, standing)
        assert kept.ledger.entries == ledger.entries
    first = kept.standing.history[1]
    assert set(first.rejected) == {1, 3}
    assert first.missing == (2,)
    assert set(first.client_accuracies) == {0}


def test_two_architectures_are_kept_apart(tmp_path):
    clients = make_clients()
    clients[1] = replace(clients[1], arch="cnn")
    recipe = make_recipe(strategy="fedmd", rounds=0)
    server = make_server(proxy=clients[0].inputs[:20])
    clients = {index: replace(client, proxy=server.proxy) for index, client in clients.items()}
    (standing,) = federate(recipe, server, Simulation(clients), num_clients=4, ledger=Ledger())
    keep(tmp_path, standing, Ledger(), spec_hash="this")
    ours = recall(tmp_path, spec_hash="this").standing
    assert set(ours.state.models) == {"mlp", "cnn"}
    assert_same_standing(ours, standing)


@pytest.mark.slow
@pytest.mark.parametrize("name", WITH_MEMORY)
def test_a_run_that_goes_on_is_as_if_it_had_not_stopped(name, tmp_path):
    recipe = make_recipe(strategy=name, rounds=3, participation=0.75)
    whole, account = None, Ledger()
    for standing in go(recipe, with_folders(make_clients(), tmp_path / "whole"), account):
        whole = standing
    clients, ledger = with_folders(make_clients(), tmp_path / "cut"), Ledger()
    for standing in go(recipe, clients, ledger):
        if standing.state.round == 2:  # clients have answered it, and the server is lost before it keeps it
            break
        keep(tmp_path, standing, ledger, spec_hash="this")
    kept = recall(tmp_path, spec_hash="this")
    assert kept.standing.state.round == 1
    *_, resumed = go(recipe, clients, kept.ledger, standing=kept.standing)
    assert_same_bits(resumed.state.models["mlp"], whole.state.models["mlp"])
    assert_same_bits(resumed.state.memory, whole.state.memory)
    assert_same_bits(resumed.best_models["mlp"], whole.best_models["mlp"])
    assert resumed.best_round == whole.best_round
    assert forget_seconds(resumed.history) == forget_seconds(whole.history)
    assert kept.ledger.entries == account.entries


def test_a_folder_without_a_run_holds_none(tmp_path):
    assert recall(tmp_path / "nowhere", spec_hash="this") is None


@pytest.fixture
def kept(tmp_path):
    (standing,) = run(make_recipe(rounds=0))
    keep(tmp_path, standing, Ledger(), spec_hash="this")
    return tmp_path


def test_the_run_of_another_spec_is_refused(kept):
    with pytest.raises(
        InputError, match=r"a folder holds one run.*that of another spec\. Choose another folder"
    ):
        recall(kept, spec_hash="other")


def damage_half(content):
    return content[: len(content) // 2]


def damage_head(content):
    return b"\0" * 16 + content[16:]


@pytest.mark.parametrize(
    "damage", [damage_half, damage_head, lambda _: b"", lambda _: b"not a checkpoint " * 99]
)
def test_a_damaged_file_is_one_sentence_and_stays(kept, damage):
    path = kept / CHECKPOINT_FILE
    path.write_bytes(damage(path.read_bytes()))
    damaged = path.read_bytes()
    with pytest.raises(InputError) as caught:
        recall(kept, spec_hash="this")
    message = str(caught.value)
    assert message.startswith(f"`{path}` must be a whole checkpoint, but: ")
    assert message.endswith(". Remove it to begin anew.")
    assert "\n" not in message
    assert path.read_bytes() == damaged


@pytest.mark.parametrize("facts", [{}, {"format": 99, "spec": "this"}])
def test_a_file_of_another_format_is_refused(kept, facts):
    message = Message(task="checkpoint", round=0, facts=facts)
    (kept / CHECKPOINT_FILE).write_bytes(encode(message))
    with pytest.raises(InputError, match=r"a checkpoint has format 1.*or remove it to begin anew"):
        recall(kept, spec_hash="this")


FACTS = (
    *("archs", "best_archs", "parties", "history", "best_round"),
    *("start_bytes", "start_seconds", "start_settings"),
)


@pytest.mark.parametrize("name", [*FACTS, "ledger/round"])
def test_a_file_that_lacks_a_part_is_one_sentence_that_names_it(kept, name):
    path = kept / CHECKPOINT_FILE
    whole = decode(path.read_bytes())
    assert set(whole.facts) == {"format", "spec", *FACTS}
    parts = {
        part: {key: value for key, value in getattr(whole, part).items() if key != name}
        for part in ("facts", "tensors")
    }
    path.write_bytes(encode(replace(whole, **parts)))
    with pytest.raises(InputError) as caught:
        recall(kept, spec_hash="this")
    assert str(caught.value) == (
        f"`{path}` must be a whole checkpoint, but: it lacks `{name.removeprefix('ledger/')}`. Remove it to "
        "begin anew."
    )


@pytest.mark.parametrize(
    "facts",
    [{"parties": 3}, {"parties": [{"name": "north"}]}, {"history": [{"number": 0}]}, {"archs": None}],
    ids=str,
)
def test_a_file_whose_facts_are_of_another_kind_is_one_sentence(kept, facts):
    path = kept / CHECKPOINT_FILE
    whole = decode(path.read_bytes())
    path.write_bytes(encode(replace(whole, facts={**whole.facts, **facts})))
    with pytest.raises(InputError, match=r"must be a whole checkpoint, but: .*\. Remove it to begin anew\.$"):
        recall(kept, spec_hash="this")


def test_nothing_else_is_left_in_the_folder(kept):
    assert [path.name for path in kept.iterdir()] == [CHECKPOINT_FILE]


def test_what_is_kept_shares_no_memory_with_what_goes_on(kept):
    ours, again = (recall(kept, spec_hash="this").standing.state.models["mlp"] for _ in range(2))
    with torch.no_grad():
        ours["1.weight"].zero_()
    assert not torch.equal(ours["1.weight"], again["1.weight"])
