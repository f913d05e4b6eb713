"""A real PostgreSQL server for the tests that need one, started and stopped here."""

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

LIMIT_SECONDS = 60


def find_server_programs() -> Path | None:
    """The folder with `initdb` and `postgres`: on the path, or where Debian puts them."""
    on_path = shutil.which("initdb")
    folders = [Path(on_path).parent] if on_path else sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    return next((folder for folder in reversed(folders) if (folder / "postgres").exists()), None)


def find_account() -> str | None:
    """Whom the server runs as: it refuses root. None where this is nobody to start it."""
    if os.geteuid() != 0:
        return pwd.getpwuid(os.geteuid()).pw_name
    names = {account.pw_name for account in pwd.getpwall()}
    return next((name for name in ("postgres", "nobody") if name in names), None)


def find_free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="session")
def postgres_server():
    """The URL of a server of our own, without a database."""
    pytest.importorskip("psycopg", reason="psycopg is not installed")
    programs, account = find_server_programs(), find_account()
    if programs is None or account is None:
        pytest.skip("PostgreSQL's server is not installed (Debian: postgresql)")
    folder, password, port = Path(tempfile.mkdtemp(prefix="pg-")), secrets.token_hex(8), find_free_port()
    (folder / "password").write_text(password)
    as_account = {"user": account, "cwd": "/"} if os.geteuid() == 0 else {"cwd": "/"}
    if os.geteuid() == 0:
        for path in (folder, folder / "password"):
            shutil.chown(path, account)
    make = [programs / "initdb", "-D", folder / "data", "-U", "postgres", "-A", "scram-sha-256", "-N"]
    subprocess.run(
        [*make, f"--pwfile={folder / 'password'}"],
        check=True,
        capture_output=True,
        timeout=LIMIT_SECONDS,
        **as_account,
    )
    settings = ["-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-k", folder]
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(
            [programs / "postgres", "-D", folder / "data", "-p", str(port), *settings],
            stdout=log,
            stderr=log,
            **as_account,
        )
    try:
        address = f"postgresql://postgres:{password}@127.0.0.1:{port}"
        wait_for_server(f"{address}/postgres", server)
        yield address
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(LIMIT_SECONDS)
        shutil.rmtree(folder)


def wait_for_server(address: str, server: subprocess.Popen) -> None:
    import psycopg

    deadline = time.monotonic() + LIMIT_SECONDS
    while True:
        try:
            return psycopg.connect(address, connect_timeout=LIMIT_SECONDS).close()
        except psycopg.OperationalError:
            assert server.poll() is None, "the server ended"
            assert time.monotonic() < deadline, "the server does not answer"
            time.sleep(0.1)


@pytest.fixture
def postgres_url(postgres_server):
    """The URL of a new, empty database."""
    import psycopg

    name = f"study_{secrets.token_hex(4)}"
    with psycopg.connect(f"{postgres_server}/postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    return f"{postgres_server}/{name}"
