"""The store: every finished run is one transaction in a SQL database.

A run is there whole or not at all, whatever ends the process. SQLite in a file by default.
"""

import datetime
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from sqlalchemy import (
    JSON,
    Column,
    Engine,
    Float,
    Integer,
    MetaData,
    String,
    Table,
    create_engine,
    event,
    select,
)
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.exc import DatabaseError

from limbeck.core.errors import InputError, RunError, require
from limbeck.core.files import explain_disk_errors
from limbeck.study.plan import Run
from limbeck.study.spec import StudySpec

STORE_FORMAT = 1
LOCK_TIMEOUT_SECONDS = 30

_REQUIRED_KEYS = {
    "pretrain": {"accuracy", "weights_hash", "seconds"},
    "transfer": {"models", "share_from_teacher", "seconds"},
    "federate": {"rounds", "start_bytes", "start_seconds", "seconds"},
}
_METADATA = MetaData()
_STUDY = Table(
    "study",
    _METADATA,
    Column("key", Integer, primary_key=True),
    Column("format", Integer, nullable=False),
    Column("name", String, nullable=False),
    Column("spec_hash", String, nullable=False),
    Column("spec_yaml", String, nullable=False),
)
_RUNS = Table(
    "runs",
    _METADATA,
    Column("id", String, primary_key=True),
    Column("kind", String, nullable=False),
    Column("status", String, nullable=False),
    Column("config", JSON, nullable=False),
    Column("result", JSON),
    Column("error", String),
    Column("seconds", Float),
    Column("finished", String, nullable=False),
)


class Store:
    """The runs of one study. Use as a context manager, or call `close`."""

    def __init__(self, engine: Engine, path: Path) -> None:
        self._engine = engine
        self.path = path

    @classmethod
    def open(cls, path: Path, spec: StudySpec) -> Self:
        """Open the store of a study, or make it.

        Raises:
            InputError: When the file is no store, is damaged, or belongs to another spec.
            RunError: When it cannot be written.
        """
        with explain_disk_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        engine = create_engine(f"sqlite:///{path}", connect_args={"timeout": LOCK_TIMEOUT_SECONDS})
        event.listen(engine, "connect", _use_write_ahead_log)
        store = cls(engine, path)
        try:
            with _explain(path):
                _METADATA.create_all(engine)
                store._claim(spec)
        except BaseException:
            store.close()
            raise
        return store

    def _claim(self, spec: StudySpec) -> None:
        with self._engine.begin() as connection:
            row = connection.execute(select(_STUDY)).first()
            if row is None:
                connection.execute(
                    _STUDY.insert().values(
                        key=1,
                        format=STORE_FORMAT,
                        name=spec.name,
                        spec_hash=spec.hash,
                        spec_yaml=spec.to_yaml(),
                    )
                )
                return
        require(
            row.format == STORE_FORMAT,
            f"the store has format {STORE_FORMAT}",
            f"format {row.format} in `{self.path}`",
            "Use the version of limbeck that wrote it, or another folder.",
        )
        require(
            row.spec_hash == spec.hash,
            "a store belongs to one spec",
            f"`{self.path}` of study `{row.name}` ({row.spec_hash}) for study `{spec.name}` ({spec.hash})",
            "Choose another folder with --out, or run the spec that wrote it.",
        )

    def read_results(self) -> dict[str, dict[str, Any]]:
        """The result of every finished run by id.

        Raises:
            InputError: When the store is damaged.
        """
        done = select(_RUNS.c.id, _RUNS.c.kind, _RUNS.c.result).where(_RUNS.c.status == "done")
        with _explain(self.path), self._engine.connect() as connection:
            rows = connection.execute(done).all()
        for row in rows:
            if (
                not isinstance(row.result, dict)
                or not _REQUIRED_KEYS.get(row.kind, set()) <= row.result.keys()
            ):
                raise _damaged(self.path, f"the result of run {row.id} is not whole")
        return {row.id: row.result for row in rows}

    def read_errors(self) -> dict[str, str]:
        """Why each failed run failed, by id."""
        failed = select(_RUNS.c.id, _RUNS.c.error).where(_RUNS.c.status == "failed")
        with _explain(self.path), self._engine.connect() as connection:
            return {row.id: row.error for row in connection.execute(failed)}

    def record_done(self, run: Run, result: Mapping[str, Any]) -> None:
        """Keep the result of a run, in place of an earlier failure.

        Raises:
            RunError: When the disk refuses.
        """
        self._record(run, status="done", result=dict(result), error=None, seconds=result.get("seconds"))

    def record_failed(self, run: Run, reason: str) -> None:
        """Keep the reason why a run failed; starting the study again tries it again."""
        self._record(run, status="failed", result=None, error=reason, seconds=None)

    def _record(self, run: Run, **values: Any) -> None:
        row = {"id": run.id, "kind": run.kind, "config": run.config, "finished": utc_now(), **values}
        statement = insert(_RUNS).values(row)
        upsert = statement.on_conflict_do_update(index_elements=["id"], set_={**row, "config": run.config})
        with _explain(self.path), self._engine.begin() as connection:
            connection.execute(upsert)

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def utc_now() -> str:
    """The time now, ISO 8601 to the second."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def _use_write_ahead_log(connection: Any, record: object) -> None:
    del record
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")


def _damaged(path: Path, reason: str) -> InputError:
    return InputError(
        f"`{path}` must be a limbeck store, but it is damaged or something else ({reason}). "
        "Restore it, or move it away and start again; the models beside it can still be loaded."
    )


@contextmanager
def _explain(path: Path) -> Iterator[None]:
    try:
        yield
    except InputError:
        raise
    except ValueError as error:  # a column that should hold JSON holds something else
        raise _damaged(path, str(error)) from error
    except DatabaseError as error:
        reason = str(error.orig)
        if "not a database" in reason or "malformed" in reason or "no such column" in reason:
            raise _damaged(path, reason) from error
        raise RunError(
            f"`{path}` must be writable, but the database says: {reason}. "
            "Free space there or choose another folder; finished runs are kept."
        ) from error
