"""The store keeps finished runs whole and refuses what is not its own."""

import itertools
import sqlite3
from concurrent.futures import ThreadPoolExecutor

import pytest
import yaml
from tests.study.tiny import TINY, tiny

from limbeck.core.errors import InputError, RunError
from limbeck.study import Run, parse_spec
from limbeck.study.store import Store

SPEC = parse_spec(yaml.safe_dump(TINY), origin="test")
RUN = Run(id="a" * 16, kind="transfer", config={"x": 1}, needs=(), cost=1.0)


RESULT = {"models": [{"gain": 0.1 + 0.2}], "share_from_teacher": None, "seconds": 1.5}


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.slow)])
def place(request, tmp_path):
    """Where a new store can be: a file, or a database on a server."""
    return tmp_path / "store.sqlite" if request.param == "sqlite" else request.getfixturevalue("postgres_url")


@pytest.fixture
def two(place):
    """Two studies on one store."""
    with Store.open(place, SPEC) as first, Store.open(place, SPEC) as second:
        yield first, second


def test_what_is_recorded_is_read_back_after_opening_again(place):
    with Store.open(place, SPEC) as store:
        assert store.take(RUN.id) == 0
        assert store.record_done(RUN, RESULT)
    with Store.open(place, SPEC) as store:
        end = store.read_ends()[RUN.id]
        assert (end.result, end.error) == (RESULT, None)
        assert store.read_ends([]) == {}
        assert store.read_ends([RUN.id, "other"]) == {RUN.id: end}


def test_a_failed_run_is_not_done_and_a_later_success_replaces_it(place):
    with Store.open(place, SPEC) as store:
        store.take(RUN.id)
        store.record_failed(RUN, "the loss became nan")
        failed = store.read_ends()[RUN.id]
        assert (failed.result, failed.error) == (None, "the loss became nan")
        assert store.take(RUN.id, known=failed.finished) == 0
        store.record_done(RUN, RESULT)
        assert store.read_ends()[RUN.id].result == RESULT


def test_a_run_in_one_hand_cannot_be_taken_by_another(two):
    first, second = two
    assert first.take(RUN.id) == 0
    assert second.take(RUN.id) is None
    assert second.read_claims([RUN.id])[RUN.id].owner == first.owner
    assert not second.record_done(RUN, RESULT)
    assert second.read_ends() == {}


def test_what_another_study_has_ended_since_is_not_begun_again(two):
    first, second = two
    first.take(RUN.id)
    first.record_failed(RUN, "no")
    assert second.take(RUN.id) is None
    known = second.read_ends()[RUN.id].finished
    assert second.take(RUN.id, known=known) == 0
    second.record_failed(RUN, "no")
    assert first.take(RUN.id, known=known) is None
    assert first.read_claims([RUN.id]) == {}


def test_released_runs_are_free_and_nobody_is_blamed(two):
    first, second = two
    first.take(RUN.id)
    first.release()
    assert second.take(RUN.id) == 0


def test_a_run_is_freed_from_an_owner_whose_beat_stands_still_and_the_loss_is_counted(two):
    first, second = two
    first.take(RUN.id)
    seen = second.read_claims([RUN.id])[RUN.id]
    first.beat()
    second.free(seen)
    assert second.take(RUN.id) is None
    second.free(second.read_claims([RUN.id])[RUN.id])
    assert second.take(RUN.id) == 1
    assert not first.record_done(RUN, RESULT)
    assert second.record_done(RUN, RESULT)


def test_losses_outlive_the_study_and_end_with_the_run(place):
    with Store.open(place, SPEC) as store:
        store.take(RUN.id)
        store.count_loss(RUN.id)
        assert store.take(RUN.id) == 1
        store.count_loss(RUN.id)
        store.release()
    with Store.open(place, SPEC) as store:
        assert store.take(RUN.id) == 2
        store.record_failed(RUN, "lost twice")
        assert store.take(RUN.id, known=store.read_ends()[RUN.id].finished) == 0


def test_many_studies_that_take_the_same_runs_at_once_share_them_without_overlap(place):
    run_ids = [f"{number:016d}" for number in range(100)]

    def take_all(_):
        with Store.open(place, SPEC) as store:
            return [run_id for run_id in run_ids if store.take(run_id) is not None]

    with ThreadPoolExecutor(4) as threads:
        taken = list(threads.map(take_all, range(4)))
    assert sorted(itertools.chain(*taken)) == run_ids


def test_a_store_of_another_spec_is_refused(place):
    Store.open(place, SPEC).close()
    other = parse_spec(yaml.safe_dump(tiny(seeds=[5])), origin="test")
    with pytest.raises(InputError, match="a store belongs to one spec"):
        Store.open(place, other)


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
            run = Run(id=f"{index:016d}", kind="transfer", config={}, needs=(), cost=1.0)
            store.take(run.id)
            store.record_done(run, {"x": "y" * 500})
    content = bytearray(path.read_bytes())
    content[4096 * 3 :] = b"\xff" * (len(content) - 4096 * 3)
    path.write_bytes(bytes(content))
    with pytest.raises(InputError, match="must be a limbeck store"), Store.open(path, SPEC) as store:
        store.read_ends()


def test_a_folder_that_cannot_be_made_is_named():
    from pathlib import Path

    with pytest.raises(RunError, match="must be writable"):
        Store.open(Path("/proc/nowhere/store.sqlite"), SPEC)


@pytest.mark.parametrize("content", ["{not json", "{}", "[]"])
def test_an_unreadable_result_is_refused(tmp_path, content):
    path = tmp_path / "store.sqlite"
    with Store.open(path, SPEC) as store:
        store.take(RUN.id)
        store.record_done(RUN, RESULT)
    connection = sqlite3.connect(path)
    connection.execute("UPDATE runs SET result = ?", (content,))
    connection.commit()
    connection.close()
    with Store.open(path, SPEC) as store, pytest.raises(InputError, match="must be a limbeck store"):
        store.read_ends()


def test_a_store_from_before_claims_is_gone_on_with(tmp_path):
    path = tmp_path / "store.sqlite"
    with Store.open(path, SPEC) as store:
        store.take(RUN.id)
        store.record_done(RUN, RESULT)
    with sqlite3.connect(path) as connection:
        connection.execute("DROP TABLE claims")
    connection.close()
    with Store.open(path, SPEC) as store:
        assert store.read_ends()[RUN.id].result == RESULT
        assert store.take("b" * 16) == 0
