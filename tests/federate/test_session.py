"""A run in its folder: stopped in time, kept every round, gone on with after the worst, and written down."""

import re
import resource
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pytest
import torch
from tests.federate.digits_world import assert_same_bits
from tests.federate.small_spec import make_spec

from limbeck import data, models
from limbeck.core.errors import InputError, RunError
from limbeck.engine import accuracy, predict
from limbeck.federate import Simulation
from limbeck.federate.assembly import assemble
from limbeck.federate.keeping import CHECKPOINT_FILE, recall
from limbeck.federate.session import read_outcome, run_session

CPU = torch.device("cpu")
ROUND_COLUMNS = [
    "round",
    "accuracy",
    "validation_accuracy",
    "client_accuracy",
    "client_spread",
    "bytes_sent",
    "seconds",
    "participants",
    "rejected",
    "missing",
    "start_seconds",
]


def go(spec, folder, **changes):
    """Run a spec in a folder, its clients' memories in it too."""
    assembly = assemble(spec)
    courier = changes.pop("courier", None) or Simulation(
        assembly.make_clients(CPU, folder=folder / "clients")
    )
    return run_session(assembly, assembly.make_server(CPU), courier, folder=folder, **changes)


def assert_same_outcome(ours, theirs):
    mine, other = ours.standing, theirs.standing
    assert mine.history[-1].number == other.history[-1].number
    assert_same_bits(mine.state.models["mlp"], other.state.models["mlp"])
    assert_same_bits(mine.state.memory, other.state.memory)
    assert_same_bits(mine.best_models["mlp"], other.best_models["mlp"])
    assert [this.accuracy for this in mine.history] == [this.accuracy for this in other.history]
    assert ours.ledger.entries == theirs.ledger.entries


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A whole run."""
    return go(make_spec(), tmp_path_factory.mktemp("done"))


def test_the_folder_holds_spec_curves_messages_and_models(done):
    names = {path.name for path in done.folder.iterdir()}
    assert names == {
        CHECKPOINT_FILE,
        "spec.yaml",
        "rounds.parquet",
        "ledger.parquet",
        "models",
        "clients",
    }
    assert done.reached_target is None
    assert done.epsilon is None


def test_the_curves_are_the_history(done):
    table, history = pl.read_parquet(done.folder / "rounds.parquet"), done.standing.history
    assert table.columns == ROUND_COLUMNS
    assert table["round"].to_list() == [0, 1, 2, 3]
    assert table["accuracy"].to_list() == [this.accuracy for this in history]
    assert table["bytes_sent"].to_list() == [this.bytes_sent for this in history]
    assert table["participants"].to_list() == [[], [0, 1, 2], [0, 1, 2], [0, 1, 2]]
    assert table["rejected"].to_list() == table["missing"].to_list() == [[]] * 4
    assert table["start_seconds"].to_list() == [done.standing.start_seconds] * 4
    assert done.standing.start_seconds > 0
    # Before the first round no client has measured anything.
    assert table["client_accuracy"].is_null().to_list() == [True, False, False, False]


def test_the_account_holds_every_message(done):
    table = pl.read_parquet(done.folder / "ledger.parquet")
    assert table.columns == ["round", "client", "direction", "message_bytes"]
    # Introduction, pre-training and upload, then three rounds; each down and up, with three clients.
    assert len(table) == (3 + 3) * 2 * 3
    in_rounds = table.filter(pl.col("round") > 0)["message_bytes"].sum()
    assert in_rounds == done.standing.history[-1].bytes_sent
    assert table["message_bytes"].sum() == done.ledger.total_bytes()


def test_the_best_model_loads_and_is_as_good_as_its_card_says(done):
    model, card = models.load(done.folder / "models" / "mlp")
    best = max(done.standing.history, key=lambda this: this.validation_accuracy)
    assert card.training["round"] == best.number
    assert card.accuracies == {"test": best.accuracy, "validation": best.validation_accuracy}
    digits = data.load("digits")
    inputs = data.normalize(digits.test.inputs, data.Normalization(mean=card.mean, std=card.std))
    assert accuracy(predict(model, inputs), digits.test.labels.numpy()) == best.accuracy
    assert card.class_names == digits.class_names


def test_a_run_that_is_over_is_only_read(done):
    told = []
    again = go(make_spec(), done.folder, courier=Unasked(), after_round=told.append)
    assert_same_outcome(again, done)
    assert [standing.state.round for standing in told] == [3]


class Unasked:
    """A courier that nobody should call."""

    def carry(self, requests, ledger):
        raise AssertionError(f"asked {len(requests)} clients, {len(ledger.entries)} messages so far")


def test_what_a_folder_holds_is_read_without_its_data(done, tmp_path):
    assert_same_outcome(read_outcome(make_spec(), done.folder), done)
    assert read_outcome(make_spec(), tmp_path) is None


def test_every_round_is_told_in_order(tmp_path):
    told = []
    go(make_spec(), tmp_path, after_round=lambda standing: told.append(standing.state.round))
    assert told == [0, 1, 2, 3]


def test_another_spec_in_the_same_folder_is_refused(done):
    with pytest.raises(InputError, match="a folder holds one run"):
        go(make_spec(seed=1), done.folder)
    assert recall(done.folder, spec_hash=make_spec().hash) is not None


def test_a_target_ends_the_run(done, tmp_path):
    reached = [this.validation_accuracy for this in done.standing.history]
    first = next(number for number, value in enumerate(reached) if number and value > max(reached[:number]))
    target = (max(reached[:first]) + reached[first]) / 2
    ours = go(make_spec(target=target), tmp_path / "reached")
    assert ours.reached_target is True
    assert ours.standing.history[-1].number == first
    again = go(make_spec(target=target), tmp_path / "reached", courier=Unasked())
    assert again.reached_target is True


def test_a_target_that_the_start_reaches_needs_no_round(tmp_path):
    ours = go(make_spec(target=0.01), tmp_path)
    assert (ours.reached_target, len(ours.standing.history)) == (True, 1)
    assert (tmp_path / "models" / "mlp").is_dir()


def test_a_target_that_is_never_reached_is_said(tmp_path):
    ours = go(make_spec(target=0.9999, rounds=1), tmp_path)
    assert (ours.reached_target, ours.standing.history[-1].number) == (False, 1)


def test_no_round_leaves_a_run_of_the_start_alone(tmp_path):
    ours = go(make_spec(rounds=0), tmp_path)
    assert pl.read_parquet(tmp_path / "rounds.parquet")["round"].to_list() == [0]
    assert ours.standing.best_round == 0


def test_two_architectures_leave_two_models(tmp_path):
    spec = make_spec(arch=["mlp", "cnn", "mlp"], strategy="feddf", rounds=1)
    go(spec, tmp_path)
    assert {models.load(path)[1].arch for path in (tmp_path / "models").iterdir()} == {"mlp", "cnn"}


@dataclass(frozen=True)
class Fatal:
    """Carries messages until a round has been answered, of which the server never hears.

    Attributes:
        inner: Carries them.
        round: The round.
    """

    inner: Simulation
    round: int

    def carry(self, requests, ledger):
        replies = self.inner.carry(requests, ledger)
        if any(request.round == self.round for request in requests.values()):
            raise ConnectionResetError
        return replies


@pytest.mark.parametrize("name", ["scaffold", "fedavg-refit"])
def test_a_run_that_lost_a_round_goes_on_to_the_same_result(name, tmp_path):
    spec = make_spec(strategy=name, participation=0.67)
    whole = go(spec, tmp_path / "whole")
    folder = tmp_path / "cut"
    clients = assemble(spec).make_clients(CPU, folder=folder / "clients")
    with pytest.raises(ConnectionResetError):
        go(spec, folder, courier=Fatal(Simulation(clients), 2))
    assert_same_outcome(go(spec, folder), whole)


KILLED = """
import os, signal, sys
from pathlib import Path
import torch
from tests.federate.test_session import CPU, go
from tests.federate.small_spec import make_spec

torch.set_num_threads(1)
kill = lambda standing: standing.state.round == 2 and os.kill(os.getpid(), signal.SIGKILL)
go(make_spec(strategy="fading-pull", start="mesh"), Path(sys.argv[1]), after_round=kill)
"""


@pytest.mark.slow
def test_a_run_that_was_killed_goes_on_in_another_process_to_the_same_result(tmp_path):
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path / "cut")],
        cwd=Path(__file__).parents[2],
        timeout=60,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    spec = make_spec(strategy="fading-pull", start="mesh")
    assert recall(tmp_path / "cut", spec_hash=spec.hash).standing.state.round == 2
    told = []
    resumed = go(spec, tmp_path / "cut", after_round=lambda standing: told.append(standing.state.round))
    assert told == [2, 3]
    assert_same_outcome(resumed, go(spec, tmp_path / "whole"))


def test_a_full_disk_is_one_sentence_and_keeps_the_rounds_before(tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill_disk(standing):
        if standing.state.round == 1:
            resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))

    try:
        with pytest.raises(RunError) as caught:
            go(make_spec(), tmp_path / "cut", after_round=fill_disk)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    path = re.escape(str(tmp_path / "cut" / CHECKPOINT_FILE))
    assert re.match(rf"`{path}` must be writable, but .*\. Free space there", str(caught.value))
    assert not list((tmp_path / "cut").glob(".*"))
    assert recall(tmp_path / "cut", spec_hash=make_spec().hash).standing.state.round == 1
    assert_same_outcome(go(make_spec(), tmp_path / "cut"), go(make_spec(), tmp_path / "whole"))


def test_a_round_with_too_few_replies_keeps_the_rounds_before(tmp_path):
    spec = make_spec(min_replies=3)
    clients = assemble(spec).make_clients(CPU)
    with pytest.raises(RunError, match="round 2 got 0 of 3"):
        go(spec, tmp_path, courier=Deaf(Simulation(clients)))
    assert recall(tmp_path, spec_hash=spec.hash).standing.state.round == 1


@dataclass(frozen=True)
class Deaf:
    """Carries messages until round 2, to which nobody replies.

    Attributes:
        inner: Carries them.
    """

    inner: Simulation

    def carry(self, requests, ledger):
        is_late = any(request.round == 2 for request in requests.values())
        return {} if is_late else self.inner.carry(requests, ledger)


def test_settings_that_clients_chose_for_the_start_are_kept(tmp_path):
    spec = make_spec(start="chain", rounds=0, tune={"temperatures": [1, 4], "weights": [0.5]})
    chosen = go(spec, tmp_path).standing.start_settings
    assert chosen in ({"temperature": 1, "weight": 0.5}, {"temperature": 4, "weight": 0.5})
    assert read_outcome(spec, tmp_path).standing.start_settings == chosen


def test_what_clipping_without_noise_promises_is_nothing(tmp_path):
    ours = go(make_spec(start="scratch", privacy={"clip_norm": 1.0}, rounds=1), tmp_path)
    assert ours.epsilon == float("inf")
