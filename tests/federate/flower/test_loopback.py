"""Real Flower on this machine, encrypted, with registered keys: the simulation's result, whatever is killed.

Waiting is for events, each with a limit; how long they take changes no result.
"""

import threading

import pytest
import torch
from tests.federate.couriers import Meddler
from tests.federate.digits_world import assert_same_bits

from limbeck.core.errors import RunError
from limbeck.core.spec_files import parse_part
from limbeck.federate import Simulation
from limbeck.federate.assembly import assemble
from limbeck.federate.keeping import CHECKPOINT_FILE, recall
from limbeck.federate.session import run_session
from limbeck.federate.spec import FederateSpec

WHY = "Flower is not installed"
processes = pytest.importorskip("tests.federate.flower.processes", reason=WHY)
deployment = pytest.importorskip("limbeck.federate.flower.deployment", reason=WHY)

SPEC = """
name: small
data: {{source: digits, validation_samples: 100}}
split: {{strategy: uniform, num_clients: {num_clients}, train_samples: 300}}
arch: mlp
strategy: scaffold
rounds: 2
local: {{epochs: 1, batch_size: 32}}
min_replies: {min_replies}
"""
KILLED = 4
JOIN_SECONDS = 300.0

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _tidy_environment(monkeypatch):
    """What Flower's command line sees."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


def make_spec(num_clients, *, min_replies):
    text = SPEC.format(num_clients=num_clients, min_replies=min_replies)
    return parse_part(text, FederateSpec, origin="spec", remedy="")


def simulate(spec, folder, *, meddle=lambda courier: courier):
    assembly, cpu = assemble(spec), torch.device("cpu")
    courier = meddle(Simulation(assembly.make_clients(cpu), workers=1))
    return run_session(assembly, assembly.make_server(cpu), courier, folder=folder)


def deploy(setup, spec, monkeypatch, said):
    monkeypatch.setenv("FLWR_HOME", str(setup.server / "flower"))
    return deployment.deploy(spec, setup.folder / "run", superlink=None, print_fn=said.append)


def start(setup, num_sites):
    setup.start_server()
    for client in range(num_sites):
        setup.register(client)
    for client in range(num_sites):
        setup.start_site(client)


def test_three_sites_come_to_the_simulations_model_and_ledger_and_a_stranger_is_refused(
    tmp_path, monkeypatch
):
    spec, said = make_spec(3, min_replies=3), []
    with processes.open_deployment(tmp_path, num_sites=4) as setup:
        start(setup, 3)
        setup.start_site(3)
        assert deploy(setup, spec, monkeypatch, said) == 0
        setup.wait_for_end("site-3")
        assert "Exit Code: 305" in setup.read_log("site-3")
    simulated, carried = simulate(spec, tmp_path / "simulated"), recall(tmp_path / "run", spec_hash=spec.hash)
    assert carried.ledger.entries == simulated.ledger.entries
    assert_same_bits(carried.standing.state.models["mlp"], simulated.standing.state.models["mlp"])
    assert_same_bits(carried.standing.state.memory, simulated.standing.state.memory)
    assert said[-1].startswith("small: round 2 of 2")


def test_a_run_survives_a_site_killed_in_a_round_and_a_superlink_killed_in_the_next(tmp_path, monkeypatch):
    spec, said, ends = make_spec(5, min_replies=4), [], []

    def run():
        try:
            ends.append(deploy(setup, spec, monkeypatch, said))
        except RunError as error:
            ends.append(error)

    with processes.open_deployment(tmp_path, num_sites=5) as setup:
        start(setup, 5)
        thread = threading.Thread(target=run)
        thread.start()
        setup.wait_for_log(f"site-{KILLED}", "ROUND scaffold 1]")
        setup.kill(f"site-{KILLED}")
        processes.wait_until(lambda: is_kept(tmp_path / "run", spec, 1))
        setup.wait_for_log("site-0", "ROUND scaffold 2]")
        setup.kill("server")
        setup.start_server()
        thread.join(JOIN_SECONDS)
        assert not thread.is_alive()
        assert isinstance(ends[0], RunError)
        assert deploy(setup, spec, monkeypatch, said) == 0
    carried = recall(tmp_path / "run", spec_hash=spec.hash).standing
    assert [this.missing for this in carried.history] == [(), (KILLED,), (KILLED,)]
    expected = simulate(
        spec,
        tmp_path / "simulated",
        meddle=lambda courier: Meddler(courier, {KILLED: lambda reply: None}, rounds=(1, 2)),
    ).standing
    assert_same_bits(carried.state.models["mlp"], expected.state.models["mlp"])


def is_kept(folder, spec, round_number):
    """Whether the folder's checkpoint is of that round."""
    if not (folder / CHECKPOINT_FILE).exists():
        return False
    return recall(folder, spec_hash=spec.hash).standing.state.round == round_number
