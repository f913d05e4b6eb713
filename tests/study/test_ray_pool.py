"""A study on a real Ray cluster of two nodes: the same numbers as with local workers, whatever dies."""

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from tests.study.test_run import assert_same_numbers, wait_for_runs
from tests.study.test_work import ENDLESS, NEEDS_PROC, read_endless, read_failures, wait_until
from tests.study.tiny import TINY

from limbeck.core.errors import RunError
from limbeck.study import Crew, parse_spec, run_study

pytest.importorskip("ray", reason="ray is not installed")
pytestmark = pytest.mark.slow

LIMIT_SECONDS = 240
LOOPBACK_ONLY = {**os.environ, "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}


class TwoNodes:
    """A cluster of two nodes with one core each, on 127.0.0.1 alone."""

    def __init__(self):
        script = Path(__file__).with_name("ray_cluster.py")
        self.process = subprocess.Popen(
            [sys.executable, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.address = self.process.stdout.readline().strip()

    def kill_second_node(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "removed\n"

    def find_actors(self):
        """Processes of this cluster's actors that do something."""
        parents, names = {}, {}
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
                names[int(folder.name)] = (folder / "cmdline").read_text()
            except OSError:
                continue
            parents[int(folder.name)] = int(fields[1])
        return [pid for pid, name in names.items() if "ray::Actor.do" in name and self._began(pid, parents)]

    def _began(self, process, parents):
        while process in parents:
            process = parents[process]
            if process == self.process.pid:
                return True
        return False

    def stop(self):
        self.process.communicate(timeout=LIMIT_SECONDS)


@pytest.fixture
def cluster():
    two = TwoNodes()
    yield two
    two.stop()


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("local")
    run_study(parse_spec(yaml.safe_dump(TINY), origin="test"), out=folder, crew=Crew(workers=2, device="cpu"))
    return folder


def start_study(cluster, folder, content, *options):
    path = folder.with_suffix(".yaml")
    path.write_text(yaml.safe_dump(content))
    command = [sys.executable, "-c", "from limbeck.cli.app import main; main()", "study", str(path)]
    return subprocess.Popen(
        [*command, "--out", str(folder), "--ray", cluster.address, "--device", "cpu", "--json", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=LOOPBACK_ONLY,
    )


def test_two_nodes_give_the_numbers_of_local_workers_bit_for_bit(cluster, finished, tmp_path):
    folder = tmp_path / "study"
    answer, errors = start_study(cluster, folder, TINY).communicate(timeout=LIMIT_SECONDS)
    assert json.loads(answer)["runs_done"] == 71, errors
    assert json.loads((folder / "study.json").read_text())["workers"] == 2
    assert_same_numbers(finished, folder)
    assert (folder / "workers.log").read_text() == ""
    assert not list(folder.glob("data-*"))
    again, _ = start_study(cluster, folder, TINY).communicate(timeout=LIMIT_SECONDS)
    assert json.loads(again)["runs_done"] == 0


def test_a_node_that_dies_costs_only_the_run_in_its_hands_which_is_done_again(cluster, finished, tmp_path):
    folder = tmp_path / "study"
    study = start_study(cluster, folder, TINY)
    wait_for_runs(folder, 3)
    cluster.kill_second_node()
    answer, errors = study.communicate(timeout=LIMIT_SECONDS)
    assert json.loads(answer)["runs_done"] == 71, errors
    assert_same_numbers(finished, folder)


@NEEDS_PROC
def test_a_run_whose_actor_is_killed_twice_is_marked_failed_with_the_reason(cluster, tmp_path):
    folder = tmp_path / "study"
    study = start_study(cluster, folder, ENDLESS, "--workers", "1")
    for losses in (0, 1):
        wait_until(lambda losses=losses: read_endless(folder) == (True, losses) and cluster.find_actors())
        [actor] = cluster.find_actors()
        os.kill(actor, signal.SIGKILL)
    answer, errors = study.communicate(timeout=LIMIT_SECONDS)
    assert study.returncode == 1
    assert json.loads(answer)["runs_done"] == 3, errors
    [reason] = read_failures(folder)
    assert "it was begun 2 times and did not end; the last time its worker on the Ray cluster ended" in reason
    assert "\n" not in reason


def test_a_cluster_that_is_not_there_is_one_sentence(tmp_path):
    spec = parse_spec(yaml.safe_dump(TINY), origin="test")
    with pytest.raises(RunError, match="A Ray cluster must answer at `nowhere`, but: ") as caught:
        run_study(spec, out=tmp_path, crew=Crew(ray="nowhere"))
    assert "ray start --head" in str(caught.value)


def test_a_port_that_does_not_speak_ray_is_given_up_after_the_limit(tmp_path, monkeypatch):
    from limbeck.study import ray_pool

    monkeypatch.setattr(ray_pool, "CONNECT_LIMIT_SECONDS", 5)
    spec = parse_spec(yaml.safe_dump(TINY), origin="test")
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(RunError, match="it does not within 5 s"):
            run_study(spec, out=tmp_path, crew=Crew(ray=address))
    with sqlite3.connect(tmp_path / "store.sqlite") as connection:
        assert connection.execute("SELECT count(*) FROM claims").fetchone() == (0,)
    connection.close()
