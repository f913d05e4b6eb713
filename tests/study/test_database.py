"""Addresses of databases: what they mean, what is refused, and that no password gets out."""

import sys

import pytest
import yaml
from tests.study.tiny import TINY

from limbeck.core.errors import InputError, RunError
from limbeck.study import parse_spec
from limbeck.study.database import hide_password, hide_passwords, parse_address
from limbeck.study.store import Store

SPEC = parse_spec(yaml.safe_dump(TINY), origin="test")


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://ann:s3cret@host/db",
        "postgresql://ann@host/db?password=s3cret",
        "postgresql+psycopg://ann:s3cret@host:5433/db?sslpassword=s3cret",
    ],
)
def test_a_password_is_hidden_wherever_an_address_has_it(address):
    url = parse_address(address)
    assert url.drivername == "postgresql+psycopg"
    for shown in (hide_password(url), hide_passwords(address), hide_passwords(f"--store={address}")):
        assert "s3cret" not in shown
        assert "host" in shown
    assert hide_passwords(f"--store={address}").startswith("--store=postgresql")


@pytest.mark.parametrize(
    "argument", ["--out", "folder/a", "--workers=2", "sqlite:////data/s.sqlite", "--store=sqlite:///s.sqlite"]
)
def test_an_argument_without_password_stays_as_it_is(argument):
    assert hide_passwords(argument) == argument


def test_a_sqlite_url_is_shown_as_its_file():
    assert hide_password(parse_address("sqlite:////data/store.sqlite")) == "/data/store.sqlite"


@pytest.mark.parametrize("address", ["nonsense", "oracel://host/db", "", "postgresql://host:port/db"])
def test_what_is_no_address_is_refused_with_examples(address):
    with pytest.raises(InputError, match="Examples: `sqlite:"):
        parse_address(address)


@pytest.mark.parametrize("address", ["sqlite://", "sqlite:///:memory:"])
def test_a_store_in_memory_is_refused(address):
    with pytest.raises(InputError, match="a store is kept in a file or on a server"):
        parse_address(address)


def test_a_driver_without_waiting_is_refused():
    with pytest.raises(InputError, match="a store's driver waits for answers"):
        parse_address("postgresql+asyncpg://host/db")


def test_without_psycopg_the_command_that_installs_it_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(InputError, match=r"pip install 'limbeck\[postgres\]'"):
        Store.open("postgresql://host/db", SPEC)


def test_another_missing_driver_is_named():
    with pytest.raises(InputError, match="must be installed, but `MySQLdb` is missing"):
        Store.open("mysql://host/db", SPEC)


def test_a_server_that_does_not_answer_is_one_sentence_without_the_password():
    with pytest.raises(RunError, match="must be a database that can be reached") as caught:
        Store.open("postgresql://ann:s3cret@127.0.0.1:1/db", SPEC)
    assert "s3cret" not in str(caught.value)
    assert "ann:***@127.0.0.1:1/db" in str(caught.value)


@pytest.mark.slow
def test_a_wrong_password_is_one_sentence_without_it(postgres_url):
    address = postgres_url.replace("@", "wrong@")
    with pytest.raises(RunError, match="password authentication failed") as caught:
        Store.open(address, SPEC)
    assert "wrong@" not in str(caught.value)


@pytest.mark.slow
def test_one_database_keeps_several_studies_in_schemas_of_their_own(postgres_url):
    import psycopg

    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA first")
        connection.execute("CREATE SCHEMA second")
    other = parse_spec(yaml.safe_dump({**TINY, "seeds": [5]}), origin="test")
    for schema, spec in (("first", SPEC), ("second", other)):
        with Store.open(f"{postgres_url}?options=-csearch_path%3D{schema}", spec) as store:
            assert store.read_ends() == {}


@pytest.mark.slow
def test_a_database_with_other_tables_is_refused(postgres_url):
    import psycopg

    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE study (something TEXT)")
    with pytest.raises(InputError, match="must be a limbeck store"):
        Store.open(postgres_url, SPEC)
