"""The store keeps finished runs whole and refuses what is not its own."""

import sqlite3

import pytest
import yaml
from tests.study.tiny import TINY, tiny

from limbeck.core.errors import InputError, RunError
from limbeck.study import Run, parse_spec
from limbeck.study.store import Store

SPEC = parse_spec(yaml.safe_dump(TINY), origin="test")
RUN = Run(id="a" * 16, kind="transfer", config={"x": 1}, needs=(), cost=1.0)


def test_what_is_recorded_is_read_back_after_opening_again(tmp_path):
    result = {"models": [{"gain": 0.1 + 0.2}], "share_from_teacher": None, "seconds": 1.5}
    with Store.open(tmp_path / "store.sqlite", SPEC) as store:
        store.record_done(RUN, result)
    with Store.open(tmp_path / "store.sqlite", SPEC) as store:
        assert store.read_results() == {RUN.id: result}


def test_a_failed_run_is_not_done_and_a_later_success_replaces_it(tmp_path):
    with Store.open(tmp_path / "store.sqlite", SPEC) as store:
        store.record_failed(RUN, "the loss became nan")
        assert store.read_results() == {}
        assert store.read_errors() == {RUN.id: "the loss became nan"}
        result = {"models": [], "share_from_teacher": None, "seconds": 1.0}
        store.record_done(RUN, result)
        assert store.read_errors() == {}
        assert store.read_results() == {RUN.id: result}


def test_a_store_of_another_spec_is_refused(tmp_path):
    Store.open(tmp_path / "store.sqlite", SPEC).close()
    other = parse_spec(yaml.safe_dump(tiny(seeds=[5])), origin="test")
    with pytest.raises(InputError, match="a store belongs to one spec"):
        Store.open(tmp_path / "store.sqlite", other)


@pytest.mark.parametrize("content", [b"this is not a database, by far" * 100, b"\x00" * 5000])
def test_a_file_that_is_no_store_is_refused(tmp_path, content):
    (tmp_path / "store.sqlite").write_bytes(content)
    with pytest.raises(InputError, match="must be a limbeck store"):
        Store.open(tmp_path / "store.sqlite", SPEC)


def test_a_database_with_other_tables_is_refused(tmp_path):
    with sqlite3.connect(tmp_path / "store.sqlite") as connection:
        connection.execute("CREATE TABLE study (something TEXT)")
        connection.execute("CREATE TABLE runs (id TEXT)")
    connection.close()
    with pytest.raises(InputError, match="must be a limbeck store"):
        Store.open(tmp_path / "store.sqlite", SPEC)


def test_a_damaged_store_is_refused(tmp_path):
    path = tmp_path / "store.sqlite"
    with Store.open(path, SPEC) as store:
        for index in range(200):
            store.record_done(
                Run(id=f"{index:016d}", kind="transfer", config={}, needs=(), cost=1.0), {"x": "y" * 500}
            )
    content = bytearray(path.read_bytes())
    content[4096 * 3 :] = b"\xff" * (len(content) - 4096 * 3)
    path.write_bytes(bytes(content))
    with pytest.raises(InputError, match="must be a limbeck store"), Store.open(path, SPEC) as store:
        store.read_results()


def test_a_folder_that_cannot_be_made_is_named():
    from pathlib import Path

    with pytest.raises(RunError, match="must be writable"):
        Store.open(Path("/proc/nowhere/store.sqlite"), SPEC)


@pytest.mark.parametrize("content", ["{not json", "{}", "[]"])
def test_an_unreadable_result_is_refused(tmp_path, content):
    path = tmp_path / "store.sqlite"
    with Store.open(path, SPEC) as store:
        store.record_done(RUN, {"models": [], "share_from_teacher": None, "seconds": 1.0})
    connection = sqlite3.connect(path)
    connection.execute("UPDATE runs SET result = ?", (content,))
    connection.commit()
    connection.close()
    with Store.open(path, SPEC) as store, pytest.raises(InputError, match="must be a limbeck store"):
        store.read_results()
