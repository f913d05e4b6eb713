"""The database behind a store: its address, its connections, and what its refusals mean.

SQLite in a file, PostgreSQL on a server (extra `postgres`). A password is never printed nor written.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, NoSuchModuleError

from limbeck.core.errors import InputError, RunError, describe_error, require
from limbeck.core.files import explain_disk_errors

LOCK_LIMIT_SECONDS = 30
CONNECT_LIMIT_SECONDS = 10
STATEMENT_LIMIT_SECONDS = 60
SIGNS_OF_DAMAGE = ("not a database", "malformed", "no such column", "UndefinedColumn")


def parse_address(address: str) -> URL:
    """The address of a database as SQLAlchemy reads it; PostgreSQL is spoken through psycopg.

    Raises:
        InputError: When it is none, or names a database that is gone with its process.
    """
    remedy = "Examples: `sqlite:////data/store.sqlite`, `postgresql://user@host/database`."
    try:
        url = make_url(address)
        is_async = url.get_dialect().is_async
    except (ArgumentError, NoSuchModuleError, ValueError) as error:
        raise InputError(f"A store must be the URL of a database that SQLAlchemy knows. {remedy}") from error
    in_memory = url.get_backend_name() == "sqlite" and url.database in (None, "", ":memory:")
    require(not in_memory, "a store is kept in a file or on a server", f"`{hide_password(url)}`", remedy)
    require(not is_async, "a store's driver waits for answers", f"`{hide_password(url)}`", remedy)
    return url.set(drivername="postgresql+psycopg") if url.drivername == "postgresql" else url


def hide_password(url: URL) -> str:
    """The address with stars for every password, that of a SQLite file as its path."""
    if url.get_backend_name() == "sqlite":
        return str(url.database)
    hidden = {key: "***" for key in url.query if "password" in key}
    return url.update_query_dict(hidden).render_as_string(hide_password=True)


def hide_passwords(argument: str) -> str:
    """An argument of a command as it may be kept: the same, but for a password in an address."""
    option, sign, address = argument.partition("=") if argument.startswith("--") else ("", "", argument)
    try:
        url = make_url(address)
    except (ArgumentError, ValueError):
        return argument
    return argument if url.get_backend_name() == "sqlite" else option + sign + hide_password(url)


def connect(url: URL) -> Engine:
    """Connections to a database, in which every wait has a limit.

    Raises:
        InputError: When its driver is not installed.
        RunError: When the folder of its file cannot be made.
    """
    try:
        if url.get_backend_name() == "sqlite":
            return _connect_file(url)
        if url.get_backend_name() == "postgresql":
            return _connect_server(url)
        return create_engine(url, pool_pre_ping=True)
    except ModuleNotFoundError as error:
        raise _name_missing(error) from error


def _connect_file(url: URL) -> Engine:
    folder = Path(str(url.database)).parent
    with explain_disk_errors(Path(str(url.database))):
        folder.mkdir(parents=True, exist_ok=True)
    engine = create_engine(url, connect_args={"timeout": LOCK_LIMIT_SECONDS})
    event.listen(engine, "connect", _use_write_ahead_log)
    return engine


def _connect_server(url: URL) -> Engine:
    arguments = {
        "connect_timeout": CONNECT_LIMIT_SECONDS,
        "tcp_user_timeout": 1000 * STATEMENT_LIMIT_SECONDS,
    }
    engine = create_engine(url, pool_pre_ping=True, connect_args=arguments)
    event.listen(engine, "connect", _limit_waits)
    return engine


def _use_write_ahead_log(connection: Any, record: object) -> None:
    del record
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")


def _limit_waits(connection: Any, record: object) -> None:
    del record
    connection.execute(f"SET lock_timeout = '{LOCK_LIMIT_SECONDS}s'")
    connection.execute(f"SET statement_timeout = '{STATEMENT_LIMIT_SECONDS}s'")
    connection.commit()


@contextmanager
def explain_refusals(place: str) -> Iterator[None]:
    """Turn what a database refuses into one sentence that names the store and the remedy.

    Raises:
        InputError: When what is there is no store, or a damaged one.
        RunError: When it cannot be reached or written.
    """
    try:
        yield
    except InputError:
        raise
    except ValueError as error:  # a column that should hold JSON holds something else
        raise damaged(place, str(error)) from error
    except DatabaseError as error:
        reason = describe_error(error.orig or error)
        if any(sign in f"{type(error.orig).__name__} {error.orig}" for sign in SIGNS_OF_DAMAGE):
            raise damaged(place, reason) from error
        raise RunError(
            f"`{place}` must be a database that can be reached and written, but it says: {reason}. "
            "Free space there or choose another store; finished runs are kept."
        ) from error


def damaged(place: str, reason: str) -> InputError:
    """The error for something that is no store, or no longer a whole one."""
    return InputError(
        f"`{place}` must be a limbeck store, but it is damaged or something else ({reason}). "
        "Restore it, or move it away and start again; the models beside it can still be loaded."
    )


def _name_missing(error: ModuleNotFoundError) -> InputError:
    is_ours = error.name == "psycopg"
    remedy = "Run `pip install 'limbeck[postgres]'`." if is_ours else "Install the package that has it."
    return InputError(
        f"The driver of the store's database must be installed, but `{error.name}` is missing. {remedy}"
    )
