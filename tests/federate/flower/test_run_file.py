"""A run keeps its key and counts its sessions, and one process at a time works in a folder."""

import json

import pytest

from limbeck.core.errors import InputError, RunError
from limbeck.federate.flower.run_file import RUN_FILE, begin_session, hold_folder


def test_a_run_keeps_its_key_and_its_sites_and_counts_its_sessions(tmp_path):
    first = begin_session(tmp_path).with_places(["bonn", "lyon"])
    second = begin_session(tmp_path)
    assert (first.session, second.session) == (1, 2)
    assert second.key == first.key
    assert second.places == ("bonn", "lyon")


def test_two_runs_have_different_keys_of_32_hexadecimal_digits(tmp_path):
    keys = {begin_session(tmp_path / name).key for name in "ab"}
    assert len(keys) == 2
    assert all(len(key) == 32 and int(key, 16) >= 0 for key in keys)


@pytest.mark.parametrize("text", ["{", "[]", json.dumps({"key": "0"})])
def test_a_damaged_file_is_named(text, tmp_path):
    (tmp_path / RUN_FILE).write_text(text)
    with pytest.raises(InputError, match=RUN_FILE):
        begin_session(tmp_path)


def test_a_folder_that_is_held_is_refused_after_the_time_and_free_afterwards(tmp_path):
    held = hold_folder(tmp_path, seconds=0.0)
    refused = pytest.raises(RunError, match=r"another has held it for 0\.3 s")
    with held, refused, hold_folder(tmp_path, seconds=0.3):
        pytest.fail("two processes worked in it")
    with hold_folder(tmp_path, seconds=0.0):
        pass
