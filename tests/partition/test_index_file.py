"""`save` and `load`: a split as a JSON file."""

import json

import numpy as np
import pytest

from limbeck.core.errors import InputError
from limbeck.partition import load, save, split

LABELS = np.tile(np.arange(4), 30)


@pytest.fixture
def parts():
    return split(LABELS, "dirichlet", num_clients=3, seed=5, alpha=0.5)


@pytest.fixture
def path(parts, tmp_path):
    file = tmp_path / "splits" / "three.json"
    save(parts, file, data_fingerprint="abc123")
    return file


def change(path, **fields):
    content = json.loads(path.read_text())
    path.write_text(json.dumps(content | fields))


@pytest.mark.parametrize(
    ("strategy", "parameters"),
    [
        ("uniform", {}),
        ("dirichlet", {"alpha": 0.1, "balance": False}),
        ("quantity", {"shares": [0.5, 0.3, 0.2]}),
        ("client-dirichlet", {"alpha": 1, "sizes": np.array([5, 6, 7])}),
        ("long-tail", {"imbalance_ratio": 3, "head": "client"}),
    ],
)
def test_a_saved_split_comes_back_as_it_was(strategy, parameters, tmp_path):
    parts = split(LABELS, strategy, num_clients=3, seed=5, **parameters)
    save(parts, tmp_path / "split.json", data_fingerprint="abc123")
    again = load(str(tmp_path / "split.json"), data_fingerprint="abc123")
    assert again.hash == parts.hash
    assert again.title == parts.title
    assert again.parameters == parts.parameters
    assert (again.strategy, again.num_clients, again.seed) == (parts.strategy, 3, 5)
    assert all(np.array_equal(mine, its) for mine, its in zip(again, parts, strict=True))
    assert all(ids.dtype == np.int64 for ids in again)


def test_the_file_says_where_the_split_comes_from(path, parts):
    content = json.loads(path.read_text())
    assert content["format"] == 1
    assert content["data_fingerprint"] == "abc123"
    assert content["hash"] == parts.hash
    assert content["parameters"] == {"alpha": 0.5, "balance": True, "min_samples": 1}


def test_saving_leaves_nothing_else_behind(path):
    assert [file.name for file in path.parent.iterdir()] == ["three.json"]


def test_a_file_of_other_data_is_refused(path):
    with pytest.raises(InputError, match="data def456 for a split of abc123"):
        load(path, data_fingerprint="def456")


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(InputError, match="cannot be read: No such file"):
        load(tmp_path / "nothing.json")


def test_a_file_cut_at_any_point_is_refused(path):
    whole = path.read_bytes()
    for length in range(0, len(whole) - 2, 37):
        path.write_bytes(whole[:length])
        with pytest.raises(InputError, match="not an intact partition file"):
            load(path)


def test_a_changed_index_is_noticed(path):
    lists = json.loads(path.read_text())["indices"]
    lists[0][0], lists[1][0] = lists[1][0], lists[0][0]
    change(path, indices=lists)
    with pytest.raises(InputError, match="indices do not match its hash"):
        load(path)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"format": 2}, "the format of a partition file is 1"),
        ({"num_clients": 4}, "indices do not match its hash"),
        ({"num_clients": True}, "`num_clients` is missing or not of type int"),
        ({"seed": None}, "`seed` is missing or not of type int"),
        ({"hash": "0" * 16}, "indices do not match its hash"),
        ({"indices": [[0, 1.5]]}, "not lists of whole numbers"),
        ({"indices": [[0, -1]]}, "not lists of whole numbers"),
        ({"indices": [[10**30], [1], [2]]}, "an index is too large"),
        ({"indices": [0, 1, 2]}, "not lists of whole numbers"),
        ({"strategy": "dirichlt"}, "Did you mean `dirichlet`"),
        ({"parameters": {"alpha": -1}}, "alpha > 0"),
    ],
)
def test_damaged_fields_are_named(path, fields, reason):
    change(path, **fields)
    with pytest.raises(InputError, match=reason):
        load(path)


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff\xfe\x00", b"[1, 2]", b"{}", b'"text"', b'{"model": 1}', b"[" * 100_000, b'{"format": 1}'],
)
def test_foreign_files_are_refused(tmp_path, content):
    file = tmp_path / "foreign.json"
    file.write_bytes(content)
    with pytest.raises(InputError, match="not an intact partition file"):
        load(file)
