"""A federation over Flower's grid is the simulation's bit for bit, and what goes wrong costs one reply."""

import tracemalloc
from collections import deque

import pytest
import torch
from tests.federate.digits_world import assert_same_bits

from limbeck.core.errors import RunError
from limbeck.core.spec_files import parse_part
from limbeck.federate import Entry, Ledger, Message, Simulation, decode, encode
from limbeck.federate.assembly import assemble
from limbeck.federate.session import run_session
from limbeck.federate.spec import FederateSpec

WHY = "Flower is not installed"
grids = pytest.importorskip("tests.federate.flower.loopback_grid", reason=WHY)
courier = pytest.importorskip("limbeck.federate.flower.courier", reason=WHY)
envelope = pytest.importorskip("limbeck.federate.flower.envelope", reason=WHY)
run_file = pytest.importorskip("limbeck.federate.flower.run_file", reason=WHY)
flwr_app = pytest.importorskip("flwr.app", reason=WHY)

SPEC = """
name: small
data: {source: digits, validation_samples: 100}
split: {strategy: dirichlet, num_clients: 3, parameters: {alpha: 0.5}, train_samples: 300}
held_out: 0.2
arch: mlp
start: chain
pretrain: {epochs: 1, batch_size: 32}
distil: {technique: kd, temperature: 2, weight: 0.5, training: {epochs: 1, batch_size: 32}}
strategy: scaffold
rounds: 2
local: {epochs: 1, batch_size: 32}
"""
UNAVAILABLE, RAISED = 5, 2
ROLL = Message(task="upload", round=3)
NUM_MANY, LARGE_BYTES = 12, 2**20


@pytest.fixture(scope="module")
def assembly():
    return assemble(parse_part(SPEC, FederateSpec, origin="spec", remedy=""))


@pytest.fixture(scope="module")
def simulated(assembly, tmp_path_factory):
    """What the simulation comes to."""
    cpu = torch.device("cpu")
    courier = Simulation(assembly.make_clients(cpu), workers=1)
    folder = tmp_path_factory.mktemp("simulated")
    return run_session(assembly, assembly.make_server(cpu), courier, folder=folder)


def make_courier(grid, folder, **changes):
    settings = {"num_clients": 3, "num_needed": 1, "seconds": 1.0, **changes}
    return courier.FlowerCourier(grid, run_file.begin_session(folder), **settings)


def upload(grid, folder, **changes):
    """What comes back when all three clients are asked for their models, and the ledger."""
    ledger = Ledger()
    replies = make_courier(grid, folder, **changes).carry(dict.fromkeys(range(3), ROLL), ledger)
    return replies, ledger


def test_a_federation_over_the_grid_equals_the_simulation_in_weights_and_ledger(
    assembly, simulated, tmp_path
):
    server = assembly.make_server(torch.device("cpu"))
    grid = grids.LoopbackGrid(grids.make_trial_nodes(tmp_path, 3))
    carried = run_session(
        assembly, server, make_courier(grid, tmp_path / "run", seconds=60), folder=tmp_path / "run"
    )
    assert carried.ledger.entries == simulated.ledger.entries
    assert_same_bits(carried.standing.state.models["mlp"], simulated.standing.state.models["mlp"])
    assert_same_bits(carried.standing.state.memory, simulated.standing.state.memory)


def test_a_run_that_goes_on_equals_one_that_was_never_interrupted(assembly, tmp_path):
    server = assembly.make_server(torch.device("cpu"))

    class StoppedError(Exception):
        pass

    def stop_after_first(standing):
        if standing.state.round == 1:
            raise StoppedError

    def go(name, **more):
        grid = grids.LoopbackGrid(grids.make_trial_nodes(tmp_path / f"{name}-sites", 3))
        carrier = make_courier(grid, tmp_path / name, seconds=60)
        return run_session(assembly, server, carrier, folder=tmp_path / name, **more)

    whole = go("whole")
    with pytest.raises(StoppedError):
        go("halved", after_round=stop_after_first)
    halved = go("halved")
    assert halved.ledger.entries == whole.ledger.entries
    assert_same_bits(halved.standing.state.models["mlp"], whole.standing.state.models["mlp"])


def lose(task, node, *, then=lambda: None):
    """A node that is out of reach when the first message of a task comes."""
    lost = []

    def meddle(message):
        if lost or decode(envelope.unwrap(message.content)[0]).task != task:
            return node(message)
        lost.append(message)
        then()
        return grids.fail(message, code=UNAVAILABLE, reason="gone")

    return grids.only_for("train", meddle, node)


@pytest.mark.parametrize("task", ["hello", "distil"])
def test_a_site_that_was_lost_before_the_first_round_is_asked_once_more(task, assembly, simulated, tmp_path):
    server, said = assembly.make_server(torch.device("cpu")), []
    nodes = {number: lose(task, node) for number, node in grids.make_trial_nodes(tmp_path, 3).items()}
    carrier = make_courier(grids.LoopbackGrid(nodes), tmp_path / "run", seconds=60, say=said.append)
    carried = run_session(assembly, server, carrier, folder=tmp_path / "run")
    assert any(line.startswith("no reply from `client-") for line in said)
    assert len(carried.ledger.entries) > len(simulated.ledger.entries)
    assert_same_bits(carried.standing.state.models["mlp"], simulated.standing.state.models["mlp"])


def test_a_site_that_does_not_come_back_before_the_first_round_ends_the_run(assembly, tmp_path):
    nodes = grids.make_trial_nodes(tmp_path, 3)
    nodes[101] = lose("pretrain", nodes[101], then=lambda: nodes.pop(101))
    carrier = make_courier(grids.LoopbackGrid(nodes), tmp_path / "run")
    with pytest.raises(RunError, match=r"2 of 3 came \(client-0 and client-2\).*run the same command again"):
        run_session(assembly, assembly.make_server(torch.device("cpu")), carrier, folder=tmp_path / "run")


def test_a_start_that_begins_anew_waits_for_every_site(tmp_path):
    nodes, request = grids.make_trial_nodes(tmp_path, 3), Message(task="upload", round=0)
    make_courier(grids.LoopbackGrid(nodes), tmp_path / "run").carry({0: request}, Ledger())
    del nodes[101]
    with pytest.raises(RunError, match="2 of 3 came"):
        make_courier(grids.LoopbackGrid(nodes), tmp_path / "run", seconds=0.6).carry({0: request}, Ledger())


def test_a_client_that_does_not_reply_in_time_is_missing_and_its_request_is_in_the_ledger(tmp_path):
    nodes = grids.make_trial_nodes(tmp_path, 3)
    nodes[101] = grids.only_for("train", lambda message: None, nodes[101])
    replies, ledger = upload(grids.LoopbackGrid(nodes), tmp_path / "run", seconds=0.6)
    assert sorted(replies) == [0, 2]
    sent = [
        Entry(round=3, client=client, direction="down", message_bytes=len(encode(ROLL)))
        for client in range(3)
    ]
    assert ledger.entries[:3] == sent
    assert [(entry.client, entry.direction) for entry in ledger.entries[3:]] == [(0, "up"), (2, "up")]


def test_a_client_whose_node_is_gone_is_missing(tmp_path):
    nodes = grids.make_trial_nodes(tmp_path, 3)
    gone = grids.only_for(
        "train", lambda message: grids.fail(message, code=UNAVAILABLE, reason="gone"), nodes[101]
    )
    replies, _ = upload(grids.LoopbackGrid({**nodes, 101: gone}), tmp_path / "run")
    assert sorted(replies) == [0, 2]


def test_nothing_is_sent_to_a_client_that_is_not_online(tmp_path):
    nodes = grids.make_trial_nodes(tmp_path, 3)
    grid, ledger = grids.LoopbackGrid(nodes), Ledger()
    carrier = make_courier(grid, tmp_path / "run")
    carrier.carry({0: ROLL}, Ledger())
    del nodes[101]
    assert sorted(carrier.carry(dict.fromkeys(range(3), ROLL), ledger)) == [0, 2]
    assert [entry.client for entry in ledger.entries] == [0, 2, 0, 2]


def test_a_site_that_comes_back_under_another_node_is_found(tmp_path):
    nodes = grids.make_trial_nodes(tmp_path, 3)
    carrier = make_courier(grids.LoopbackGrid(nodes), tmp_path / "run")
    carrier.carry({0: ROLL}, Ledger())
    nodes[900] = nodes.pop(101)
    assert sorted(carrier.carry(dict.fromkeys(range(3), ROLL), Ledger())) == [0, 1, 2]


def test_an_app_that_raised_is_a_failed_reply_with_its_reason(tmp_path):
    nodes = grids.make_trial_nodes(tmp_path, 3)
    broken = grids.only_for(
        "train", lambda message: grids.fail(message, code=RAISED, reason="out of\nmemory"), nodes[101]
    )
    replies, ledger = upload(grids.LoopbackGrid({**nodes, 101: broken}), tmp_path / "run")
    assert replies[1] == Message(task="failed", round=3, facts={"reason": "out of memory"})
    assert [entry.direction for entry in ledger.entries] == ["down", "down", "down", "up", "up"]


def damage_bytes(message, node):
    content, marks = envelope.unwrap(node(message).content)
    return flwr_app.Message(envelope.wrap(content[:-9], marks), reply_to=message)


def answer_another(message, node):
    content, marks = envelope.unwrap(node(message).content)
    other = envelope.Marks(**{**vars(marks), "step": marks.step + 1})
    return flwr_app.Message(envelope.wrap(content, other), reply_to=message)


def answer_nothing(message, node):
    return flwr_app.Message(flwr_app.RecordDict(), reply_to=message)


@pytest.mark.parametrize(
    ("meddle", "reason"),
    [
        (damage_bytes, "safetensors format"),
        (answer_another, "answers another message"),
        (answer_nothing, "must be one of limbeck's"),
    ],
)
def test_a_reply_that_cannot_be_read_is_a_failed_reply(meddle, reason, tmp_path):
    nodes = grids.make_trial_nodes(tmp_path, 3)
    honest = nodes[101]
    nodes[101] = grids.only_for("train", lambda message: meddle(message, honest), honest)
    replies, _ = upload(grids.LoopbackGrid(nodes), tmp_path / "run")
    assert replies[1].task == "failed"
    assert reason in replies[1].facts["reason"]


def test_every_message_has_the_key_of_the_run_and_the_number_of_its_exchange(tmp_path):
    grid = grids.LoopbackGrid(grids.make_trial_nodes(tmp_path, 3))
    for _ in range(2):
        carrier = make_courier(grid, tmp_path / "run")
        for _ in range(2):
            carrier.carry({0: ROLL}, Ledger())
    trains = [message for _, message in grid.received if message.metadata.message_type == "train"]
    marks = [envelope.unwrap(message.content)[1] for message in trains]
    assert [(mark.session, mark.step) for mark in marks] == [(1, 1), (1, 2), (2, 1), (2, 2)]
    assert len({mark.run for mark in marks}) == 1


def test_too_few_sites_are_told_before_anything_is_sent(tmp_path):
    ledger = Ledger()
    grid = grids.LoopbackGrid(grids.make_trial_nodes(tmp_path, 2))
    with pytest.raises(RunError, match=r"in 0.6 s 2 of 3 came \(client-0 and client-1\)"):
        make_courier(grid, tmp_path / "run", seconds=0.6).carry({0: ROLL}, ledger)
    assert ledger.entries == []


def test_requests_that_differ_are_not_in_memory_together(tmp_path):
    def refuse(message):
        return grids.fail(message, code=RAISED, reason="not now")

    nodes = grids.make_trial_nodes(tmp_path, NUM_MANY)
    nodes = {number: grids.only_for("train", refuse, node) for number, node in nodes.items()}
    grid = grids.LoopbackGrid(nodes, received=deque(maxlen=0))
    carrier, ledger = make_courier(grid, tmp_path / "run", num_clients=NUM_MANY), Ledger()
    carrier.carry({0: ROLL}, ledger)
    tensors = {"model/weight": torch.zeros(LARGE_BYTES, dtype=torch.uint8)}
    requests = {
        client: Message(task="distil", round=3, tensors=tensors, facts={"visit": client})
        for client in range(NUM_MANY)
    }
    tracemalloc.start()
    try:
        assert len(carrier.carry(requests, ledger)) == NUM_MANY
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert sum(entry.message_bytes > LARGE_BYTES for entry in ledger.entries) == NUM_MANY
    assert peak_bytes < NUM_MANY / 2 * LARGE_BYTES
