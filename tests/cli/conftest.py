"""Two saved models that know different digits, and an empty folder to work in."""

import pytest
from tests.cli.saved_models import save_model

from limbeck import data


@pytest.fixture(scope="session")
def digits():
    return data.load("digits")


@pytest.fixture(scope="session")
def folders(digits, tmp_path_factory):
    """Two models that know different digits: `low` those below 6, `high` those from 4."""
    root = tmp_path_factory.mktemp("models")
    return {
        "low": save_model(digits, range(6), root / "low", seed=0),
        "high": save_model(digits, range(4, 10), root / "high", seed=1),
    }


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty current folder with a cache of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path
