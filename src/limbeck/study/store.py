"""The store: every finished run is one transaction in a SQL database, and every run in hand is claimed there.

A run is there whole or not at all, whatever ends the process. Several studies of one spec can work on one
store at a time: a run is done by the one that claims it. A claim lives as long as its beat goes on.
"""

import datetime
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from sqlalchemy import (
    JSON,
    Column,
    Connection,
    Engine,
    Float,
    Integer,
    MetaData,
    String,
    Table,
    delete,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.exc import DatabaseError, IntegrityError

from limbeck.core.errors import require
from limbeck.study.database import connect, damaged, explain_refusals, hide_password, parse_address
from limbeck.study.owner import name_owner
from limbeck.study.plan import Run
from limbeck.study.spec import StudySpec

STORE_FORMAT = 1
OPEN_ATTEMPTS = 3

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
    Column("id", String(64), primary_key=True),
    Column("kind", String, nullable=False),
    Column("status", String, nullable=False),
    Column("config", JSON, nullable=False),
    Column("result", JSON),
    Column("error", String),
    Column("seconds", Float),
    Column("finished", String, nullable=False),
)
_CLAIMS = Table(
    "claims",
    _METADATA,
    Column("run_id", String(64), primary_key=True),
    Column("owner", String),
    Column("beat", Integer, nullable=False),
    Column("taken", Integer, nullable=False),
    Column("losses", Integer, nullable=False),
)


@dataclass(frozen=True, kw_only=True)
class End:
    """How a run ended.

    Attributes:
        result: What it gave, None when it failed.
        error: Why it failed, None when it did not.
        finished: When, UTC; tells one end of a run from a later one.
    """

    result: dict[str, Any] | None
    error: str | None
    finished: str


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A run in someone's hands.

    Attributes:
        run_id: The run.
        owner: Who has it.
        beat: A number that grows while its owner lives.
    """

    run_id: str
    owner: str
    beat: int


class Store:
    """The runs of one study, opened by one owner of claims. Use as a context manager, or call `close`.

    Attributes:
        place: The store's file, or its address without a password.
        owner: The name under which runs are claimed.
    """

    def __init__(self, engine: Engine, place: str) -> None:
        self._engine = engine
        self.place = place
        self.owner = name_owner()

    @classmethod
    def open(cls, place: Path | str, spec: StudySpec) -> Self:
        """Open the store of a study, or make it.

        Args:
            place: A SQLite file, or the URL of a database.
            spec: The study.

        Raises:
            InputError: When what is there is no store, is damaged, or belongs to another spec.
            RunError: When it cannot be reached or written.
        """
        url = parse_address(f"sqlite:///{place}" if isinstance(place, Path) else place)
        store = cls(connect(url), hide_password(url))
        try:
            with explain_refusals(store.place):
                store._make_tables()
                store._enter(spec)
        except BaseException:
            store.close()
            raise
        return store

    def _make_tables(self) -> None:
        """Make what is missing; a study that does the same at this moment may come first."""
        for _ in range(OPEN_ATTEMPTS - 1):
            try:
                _METADATA.create_all(self._engine)
            except DatabaseError:
                continue
            return
        _METADATA.create_all(self._engine)

    def _enter(self, spec: StudySpec) -> None:
        """Write the spec into a new store; check that an old one is of this spec."""
        row = {"name": spec.name, "spec_hash": spec.hash, "spec_yaml": spec.to_yaml()}
        try:
            with self._engine.begin() as connection:
                found = connection.execute(select(_STUDY)).first()
                if found is None:
                    connection.execute(insert(_STUDY).values(key=1, format=STORE_FORMAT, **row))
                    return
        except IntegrityError:  # another study was faster
            with self._engine.connect() as connection:
                found = connection.execute(select(_STUDY)).one()
        require(
            found.format == STORE_FORMAT,
            f"the store has format {STORE_FORMAT}",
            f"format {found.format} in `{self.place}`",
            "Use the version of limbeck that wrote it, or another folder.",
        )
        require(
            found.spec_hash == spec.hash,
            "a store belongs to one spec",
            f"`{self.place}` of study `{found.name}` ({found.spec_hash}) for `{spec.name}` ({spec.hash})",
            "Choose another folder with --out, or another --store, or run the spec that wrote it.",
        )

    def read_ends(self, run_ids: Iterable[str] | None = None) -> dict[str, End]:
        """How each run ended that did, by id.

        Args:
            run_ids: Which runs; None for all.

        Raises:
            InputError: When the store is damaged.
        """
        columns = ("id", "kind", "status", "result", "error", "finished")
        wanted = select(*(_RUNS.c[name] for name in columns))
        if run_ids is not None:
            wanted = wanted.where(_RUNS.c.id.in_(list(run_ids)))
        with explain_refusals(self.place), self._engine.connect() as connection:
            rows = connection.execute(wanted).all()
        for row in rows:
            if row.status == "done" and not _is_whole(row.kind, row.result):
                raise damaged(self.place, f"the result of run {row.id} is not whole")
        return {row.id: End(result=row.result, error=row.error, finished=row.finished) for row in rows}

    def take(self, run_id: str, *, known: str | None = None) -> int | None:
        """Claim a run, or go on with one that is claimed already.

        Args:
            run_id: The run.
            known: When it finished before, for a run that is to be done again.

        Returns:
            How often its worker or study was lost under it since it last ended; None when another study has
            it in hand, or has ended it.

        Raises:
            RunError: When the database refuses.
        """
        with explain_refusals(self.place), self._engine.connect() as connection:
            if not self._try_to_claim(connection, run_id):
                return None
            finished = connection.scalar(select(_RUNS.c.finished).where(_RUNS.c.id == run_id))
            if finished not in (None, known):
                return None  # and nothing is committed
            losses = connection.scalar(select(_CLAIMS.c.losses).where(_CLAIMS.c.run_id == run_id))
            connection.commit()
        return losses

    def _try_to_claim(self, connection: Connection, run_id: str) -> bool:
        is_free = or_(_CLAIMS.c.owner.is_(None), _CLAIMS.c.owner == self.owner)
        free = update(_CLAIMS).where(_CLAIMS.c.run_id == run_id, is_free)
        if connection.execute(free.values(owner=self.owner, taken=_CLAIMS.c.taken + 1)).rowcount:
            return True
        new = {"run_id": run_id, "owner": self.owner, "beat": 0, "taken": 1, "losses": 0}
        try:
            connection.execute(insert(_CLAIMS).values(new))
        except IntegrityError:
            return False
        return True

    def beat(self) -> None:
        """Say that the owner of this store's claims lives."""
        mine = update(_CLAIMS).where(_CLAIMS.c.owner == self.owner)
        with explain_refusals(self.place), self._engine.begin() as connection:
            connection.execute(mine.values(beat=_CLAIMS.c.beat + 1))

    def release(self) -> None:
        """Give up every claim; nobody is to blame for it."""
        mine = update(_CLAIMS).where(_CLAIMS.c.owner == self.owner)
        with explain_refusals(self.place), self._engine.begin() as connection:
            connection.execute(mine.values(owner=None))

    def read_claims(self, run_ids: Iterable[str]) -> dict[str, Claim]:
        """Who has runs in hand, by run; runs that nobody has are left out."""
        wanted = select(_CLAIMS.c.run_id, _CLAIMS.c.owner, _CLAIMS.c.beat)
        wanted = wanted.where(_CLAIMS.c.run_id.in_(list(run_ids)), _CLAIMS.c.owner.is_not(None))
        with explain_refusals(self.place), self._engine.connect() as connection:
            rows = connection.execute(wanted).all()
        return {row.run_id: Claim(run_id=row.run_id, owner=row.owner, beat=row.beat) for row in rows}

    def free(self, claim: Claim) -> None:
        """Take a run out of the hands of an owner that is gone, unless its beat has gone on since."""
        held = update(_CLAIMS).where(
            _CLAIMS.c.run_id == claim.run_id, _CLAIMS.c.owner == claim.owner, _CLAIMS.c.beat == claim.beat
        )
        with explain_refusals(self.place), self._engine.begin() as connection:
            connection.execute(held.values(owner=None, losses=_CLAIMS.c.losses + 1))

    def count_loss(self, run_id: str) -> None:
        """Note that a worker was lost under a claimed run."""
        mine = update(_CLAIMS).where(_CLAIMS.c.run_id == run_id, _CLAIMS.c.owner == self.owner)
        with explain_refusals(self.place), self._engine.begin() as connection:
            connection.execute(mine.values(losses=_CLAIMS.c.losses + 1))

    def record_done(self, run: Run, result: Mapping[str, Any]) -> bool:
        """Keep the result of a claimed run, in place of an earlier end.

        Returns:
            Whether it was kept: False when the claim had been taken over.

        Raises:
            RunError: When the database refuses.
        """
        return self._record(
            run, status="done", result=dict(result), error=None, seconds=result.get("seconds")
        )

    def record_failed(self, run: Run, reason: str) -> bool:
        """Keep the reason why a claimed run failed; starting the study again tries it again."""
        return self._record(run, status="failed", result=None, error=reason, seconds=None)

    def _record(self, run: Run, **values: Any) -> bool:
        row = {"id": run.id, "kind": run.kind, "config": run.config, "finished": _stamp(), **values}
        mine = update(_CLAIMS).where(_CLAIMS.c.run_id == run.id, _CLAIMS.c.owner == self.owner)
        with explain_refusals(self.place), self._engine.begin() as connection:
            if not connection.execute(mine.values(owner=None, losses=0)).rowcount:
                return False
            connection.execute(delete(_RUNS).where(_RUNS.c.id == run.id))
            connection.execute(insert(_RUNS).values(row))
        return True

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def _is_whole(kind: str, result: Any) -> bool:
    return isinstance(result, dict) and _REQUIRED_KEYS.get(kind, set()) <= result.keys()


def utc_now() -> str:
    """The time now, ISO 8601 to the second."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def _stamp() -> str:
    """The time now, ISO 8601 to the microsecond."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="microseconds")
