"""Copy a whole mirror into another database, between SQLite and PostgreSQL in any direction.

The source is read in one snapshot. The target is filled in many transactions. Each of them also records how far it
came, so that a copy that was killed continues there. Until the copy is complete and compared, the target records
COPYING instead of a revision: no other command takes it for a mirror. Indexes and foreign keys are made at the end,
which is faster and checks all rows once more. The full-text index is not copied: the next filling of projections makes
it.

A copy is for moving. So it is refused while another process writes to the source, and if one did so meanwhile.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final

from sqlalchemy import Column, Connection, Engine, MetaData, Table, Text, func, insert, select, update

from versionsync.mirror.copied_rows import RowBatch, TableDigest, rows_of
from versionsync.mirror.engine.copying import CopyDialect, copy_dialect_of
from versionsync.mirror.engine.dialects import dialect_of
from versionsync.mirror.engine.engine import open_engine, reading
from versionsync.mirror.engine.sqlalchemy_urls import safe_url
from versionsync.mirror.errors import CopyRefused, MirrorInUse
from versionsync.mirror.holder import Holder
from versionsync.mirror.schema import (
    leases,
    metadata,
    projection_cursors,
    request_usage,
    restore_plans,
    sent_notifications,
    sources,
    webhook_log_cursors,
    webhooks,
)
from versionsync.mirror.schema.migrate import COPYING, HEAD, require_head, revision_of, set_revision, upgrade
from versionsync.mirror.schema.typed_views import rebuild_typed_views
from versionsync.mirror.tables.daemons import active_daemon
from versionsync.mirror.tables.leases import current

__all__ = ["Copied", "CopyLimits", "CopyProgress", "CopyStage", "TableComparison", "compare_mirrors", "copy_mirror"]

MARK_TABLE: Final = "versionsync_copy"
HEADER: Final = ""

_marks = Table(
    MARK_TABLE,
    MetaData(),
    Column("name", Text, primary_key=True),
    Column("state", Text, nullable=False),
)
"""In the target while it is filled: a row for each table that was begun, and one for the source. `state` is JSON."""

_NUMBERED: Final = tuple(table for table in metadata.sorted_tables if table.autoincrement_column is not None)
"""The tables whose rows the database numbers."""

_STATE_TABLES: Final = (
    sources,
    leases,
    projection_cursors,
    request_usage,
    restore_plans,
    sent_notifications,
    webhook_log_cursors,
    webhooks,
)
"""Small tables that show whether a mirror was written to. Each run raises the epoch of its lease."""

CopyStage = str
CopyProgress = Callable[[CopyStage, int, int], object]
"""Called with the stage (`copying versions`), and how many rows of how many are done in all tables."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyLimits:
    """How much is written in one transaction, and so held in memory: rows, and characters of content."""

    rows: int = 10_000
    size: int = 4_000_000


@dataclass(frozen=True, slots=True)
class TableComparison:
    """A table in both databases. `different` has the first keys of rows that are not the same."""

    name: str
    source: TableDigest
    target: TableDigest
    different: tuple[str, ...] = ()

    @property
    def is_same(self) -> bool:
        """Return whether both hold the same rows."""
        return (self.source.rows, self.source.sum) == (self.target.rows, self.target.sum)


@dataclass(frozen=True, slots=True)
class Copied:
    """A copy that was made and compared. `resumed`: an earlier one that had been stopped was continued."""

    tables: tuple[TableComparison, ...]
    resumed: bool

    @property
    def differences(self) -> tuple[TableComparison, ...]:
        return tuple(table for table in self.tables if not table.is_same)


@dataclass(slots=True)
class _Reached:
    """How far a table is copied."""

    digest: TableDigest = field(default_factory=TableDigest)
    last_key: list[Any] | None = None
    is_done: bool = False

    def to_json(self) -> str:
        said = [self.digest.rows, self.digest.hex, self.digest.damaged, self.last_key, self.is_done]
        return json.dumps(said)

    @classmethod
    def from_json(cls, text: str) -> _Reached:
        rows, sum, damaged, last_key, is_done = json.loads(text)
        return cls(TableDigest(rows, int(sum, 16), damaged), last_key, is_done)


@dataclass(frozen=True, slots=True)
class _Source:
    """What identifies a source mirror, and in which state it was."""

    sources: list[list[Any]]
    state: str
    numbers: dict[str, int]


def copy_mirror(
    source_url: str,
    target_url: str,
    *,
    restart: bool = False,
    limits: CopyLimits | None = None,
    progress: CopyProgress | None = None,
) -> Copied:
    """Copy the mirror at `source_url` to the database at `target_url`, and compare both.

    Args:
        source_url: A mirror at this program's schema that no other process writes to. It is only read.
        target_url: An empty database, or a copy of the same mirror that was stopped. A SQLite file is made.
        restart: Empty a copy that was stopped, and begin again.
        limits: How much one transaction writes.
        progress: Called after each transaction.

    Raises:
        CopyRefused: The target is the source, is not empty, or is the copy of another mirror or state.
        MirrorInUse: Another process writes to the source, or did so meanwhile.
        MirrorError: One of the databases cannot be used.
    """
    with _snapshot(source_url) as snapshot:
        _check_not_in_use(snapshot)
        copy = _Copy(target_url, limits or CopyLimits(), progress or _silent)
        try:
            resumed = copy.begin(snapshot, restart=restart)
            for table in metadata.sorted_tables:
                copy.fill(snapshot, table)
        except BaseException:
            copy.close()
            raise
    try:
        copy.make_indexes()
        compared = copy.compared(source_url)
        if all(one.is_same for one in compared):
            copy.finish(source_url)
        return Copied(compared, resumed)
    finally:
        copy.close()


def compare_mirrors(
    source_url: str, target_url: str, *, limits: CopyLimits | None = None, progress: CopyProgress | None = None
) -> Copied:
    """Compare all rows of two mirrors, in one snapshot each. Raises MirrorError."""
    limits, progress = limits or CopyLimits(), progress or _silent
    with _snapshot(source_url) as one, _snapshot(target_url) as other:
        _check_different(one, other)
        total = 2 * _count_all(one)
        done, tables = 0, []
        for table in metadata.sorted_tables:
            digests = []
            for connection in (one, other):
                digest = TableDigest()
                for part in rows_of(table).digest_of_all(connection, rows=limits.rows, size=limits.size):
                    digest += part
                    progress(f"comparing {table.name}", done + digest.rows, total)
                done += digest.rows
                digests.append(digest)
            tables.append(_compared(table, one, other, *digests, limits=limits))
    return Copied(tuple(tables), resumed=False)


class _Copy:
    """One copy: the connection to the target, and how far each table is."""

    def __init__(self, url: str, limits: CopyLimits, progress: CopyProgress) -> None:
        self._limits = limits
        self._progress = progress
        self._engine = _open_target(url)
        self._where = safe_url(self._engine.url)
        self._connection = self._engine.connect()
        self._dialect: CopyDialect = copy_dialect_of(self._connection)
        self._dialect.set_up(self._connection)
        self._reached: dict[str, _Reached] = {}
        self._numbers: dict[str, int] = {}
        self._state = ""
        self._total = 0

    def close(self) -> None:
        self._connection.close()
        self._engine.dispose()

    def begin(self, snapshot: Connection, *, restart: bool) -> bool:
        """Mark the target as a copy, or read how far it came; return whether it had been begun."""
        _check_different(snapshot, self._connection)
        self._connection.rollback()
        self._total = _count_all(snapshot)
        source = _describe(snapshot)
        self._state, self._numbers = source.state, source.numbers
        with self._connection.begin():
            dialect_of(self._connection).lock_migrations(self._connection)  # another copy may begin at once
            resumed = revision_of(self._connection) == COPYING
            if resumed and restart:
                self._dialect.empty(self._connection, list(reversed(metadata.sorted_tables)))
                self._connection.execute(_marks.delete())
                self._dialect.drop_indexes(self._connection, metadata)
                resumed = False
            elif resumed:
                self._resume(source)
            else:
                self._check_empty()
                _marks.create(self._connection)
                set_revision(self._connection, COPYING)
                self._dialect.drop_indexes(self._connection, metadata)
            if not resumed:
                header = json.dumps([source.sources, source.state, source.numbers])
                self._connection.execute(insert(_marks).values(name=HEADER, state=header))
        return resumed

    def fill(self, snapshot: Connection, table: Table) -> None:
        """Copy the rows of a table that are not copied yet."""
        reached = self._reached.get(table.name)
        if reached is None:
            reached = self._reached[table.name] = _Reached()
            with self._writing():
                mark = dialect_of(self._connection).insert_ignore(_marks)
                self._connection.execute(mark.values(name=table.name, state=reached.to_json()))
        if reached.is_done:
            return
        batches = rows_of(table).read(snapshot, rows=self._limits.rows, size=self._limits.size, after=reached.last_key)
        for batch in batches:
            self._write(table, reached, batch)
        self._write(table, reached, None)

    def make_indexes(self) -> None:
        """Make what was taken away at the beginning, and set the numbers of the next rows."""
        tables = metadata.sorted_tables
        for table in tables:
            self._progress(f"indexing {table.name}", self._total, self._total)
            with self._writing():
                self._dialect.make_indexes(self._connection, table)
        self._progress("checking foreign keys", self._total, self._total)
        with self._writing():
            self._dialect.check_foreign_keys(self._connection, metadata)
            self._dialect.set_last_numbers(self._connection, {name: n for name, n in self._numbers.items() if n})
        with self._writing():
            self._dialect.analyze(self._connection, tables)

    def compared(self, source_url: str) -> tuple[TableComparison, ...]:
        """Read the target to its end, and compare it with what was read from the source."""
        tables, done = [], 0
        with reading(self._engine).connect() as connection, connection.begin():
            for table in metadata.sorted_tables:
                digest = TableDigest()
                parts = rows_of(table).digest_of_all(connection, rows=self._limits.rows, size=self._limits.size)
                for part in parts:
                    digest += part
                    self._progress(f"comparing {table.name}", done + digest.rows, self._total)
                done += digest.rows
                found = TableComparison(str(table.name), self._reached[table.name].digest, digest)
                if not found.is_same:
                    with _snapshot(source_url) as snapshot:
                        found = _compared(table, snapshot, connection, found.source, digest, limits=self._limits)
                tables.append(found)
        return tuple(tables)

    def finish(self, source_url: str) -> None:
        """Make the typed views, and turn the target into a mirror. Raises MirrorInUse if the source has changed."""
        with _snapshot(source_url) as snapshot:
            _check_not_in_use(snapshot)
            if _describe(snapshot).state != self._state:
                raise MirrorInUse(
                    f"the database {safe_url(snapshot.engine.url)} was written to while it was copied: stop what "
                    "writes to it, and run this again with --restart"
                )
        with self._writing():
            for source_id in self._connection.scalars(select(sources.c.id).order_by(sources.c.id)).all():
                rebuild_typed_views(self._connection, source_id)
            _marks.drop(self._connection)
            set_revision(self._connection, HEAD)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Open a transaction on the target. Raises CopyRefused if another process has finished the copy meanwhile."""
        with self._connection.begin():
            if revision_of(self._connection) != COPYING:
                raise CopyRefused(f"another process has finished the copy {self._where}: there is nothing left to do")
            yield

    def _resume(self, source: _Source) -> None:
        for name, state in self._connection.execute(select(_marks.c.name, _marks.c.state)):
            if name != HEADER:
                self._reached[name] = _Reached.from_json(state)
                continue
            of_sources, state_then, _ = json.loads(state)
            if not _is_same_mirror(of_sources, source.sources):
                names = ", ".join(str(one[1]) for one in of_sources) or "no sources"
                raise CopyRefused(
                    f"the database {self._where} is an unfinished copy of another mirror (of {names}): name that one, "
                    "name another target, or empty this one and begin again (--restart)"
                )
            if state_then != source.state:
                raise CopyRefused(
                    f"the mirror was written to after its copy {self._where} was begun: empty the copy and begin again "
                    "(--restart)"
                )

    def _check_empty(self) -> None:
        for table in metadata.sorted_tables:
            if not rows_of(table).is_empty(self._connection):
                raise CopyRefused(
                    f"the database {self._where} is not empty (it has rows in {table.name}): name a database or a file "
                    "that does not exist yet"
                )

    def _write(self, table: Table, reached: _Reached, batch: RowBatch | None) -> None:
        """Write a batch and where it ends, in one transaction. None: the table ends here."""
        rows = rows_of(table)
        if batch is None:
            after = _Reached(reached.digest, reached.last_key, is_done=True)
        else:
            after = _Reached(reached.digest + rows.digest(batch.rows), batch.last_key)
        with self._writing():
            # First the mark: if another process copies to the same target, one of them stops here.
            marked = self._connection.execute(
                update(_marks)
                .where(_marks.c.name == table.name, _marks.c.state == reached.to_json())
                .values(state=after.to_json())
            )
            if marked.rowcount != 1:
                raise CopyRefused(f"another process copies to {self._where}: let it end")
            if batch is not None:
                rows.write(self._connection, batch.rows)
        reached.digest, reached.last_key, reached.is_done = after.digest, after.last_key, after.is_done
        done = sum(one.digest.rows for one in self._reached.values())
        self._progress(f"copying {table.name}", done, self._total)


@contextmanager
def _snapshot(url: str) -> Iterator[Connection]:
    """Open a mirror at this program's schema, to read from one snapshot."""
    engine = open_engine(url, reads_only=True)
    try:
        with reading(engine).connect() as connection, connection.begin():
            require_head(connection, safe_url(engine.url))
            yield connection
    finally:
        engine.dispose()


def _open_target(url: str) -> Engine:
    """Open the target at this program's schema, or an unfinished copy. An empty database gets the schema."""
    engine = open_engine(url, create=True)
    try:
        with reading(engine).connect() as connection:
            found = revision_of(connection)
            if found not in (None, COPYING):
                require_head(connection, safe_url(engine.url))
        if found is None:
            upgrade(url)
    except BaseException:
        engine.dispose()
        raise
    return engine


def _check_different(one: Connection, other: Connection) -> None:
    if one.dialect.name == other.dialect.name:
        copying = copy_dialect_of(one)
        if copying.identity(one) == copying.identity(other):
            raise CopyRefused(f"both are the same database, {safe_url(one.engine.url)}: name two")


def _check_not_in_use(connection: Connection) -> None:
    """Raise MirrorInUse if a process has the lease of a source, runs it as a daemon, or carries out a restore."""
    for id, name in connection.execute(select(sources.c.id, sources.c.name).order_by(sources.c.name)).all():
        if holder := _holder_of(connection, id):
            raise MirrorInUse(
                f"{holder} writes to the source {name} of {safe_url(connection.engine.url)}: stop it first "
                "(`systemctl stop versionsync`, or Ctrl-C), and start it again with the new database. If it ended by "
                "itself, its lease expires within a minute"
            )


def _holder_of(connection: Connection, source_id: int) -> Holder | None:
    lease, daemon = current(connection, source_id), active_daemon(connection, source_id)
    if lease is not None and not lease.is_free:
        return lease.holder
    if daemon is not None and not daemon.is_expired:
        return daemon.holder
    restoring = connection.scalars(
        select(restore_plans.c.holder).where(
            restore_plans.c.source_id == source_id,
            restore_plans.c.holder.is_not(None),
            restore_plans.c.expires_at > dialect_of(connection).now(),
        )
    )
    holders = (Holder.from_json(holder) for holder in restoring if holder is not None)
    return next((holder for holder in holders if not holder.is_known_dead()), None)


def _describe(connection: Connection) -> _Source:
    """Return what identifies a mirror, and a hash that changes with everything that is written to it."""
    known = connection.execute(
        select(
            sources.c.id, sources.c.name, sources.c.project_id, sources.c.environment, sources.c.created_at
        ).order_by(sources.c.id)
    )
    named = [[row[0], row[1], row[2], row[3], row[4].isoformat()] for row in known]
    numbers = copy_dialect_of(connection).last_numbers(connection, _NUMBERED)
    for table in _NUMBERED:
        numbers[table.name] = max(numbers[table.name], connection.scalar(select(func.max(table.c.id))) or 0)
    state = sha256(json.dumps(sorted(numbers.items())).encode())
    for table in _STATE_TABLES:
        digest = TableDigest()
        for part in rows_of(table).digest_of_all(connection, rows=1000, size=1_000_000):
            digest += part
        state.update(f"{table.name} {digest.rows} {digest.hex}\n".encode())
    return _Source(named, state.hexdigest(), numbers)


def _is_same_mirror(before: list[list[Any]], now: list[list[Any]]) -> bool:
    """Return whether the sources are the same ones. The project of one may have become known in between."""
    return len(before) == len(now) and all(
        one[:2] == other[:2] and (one[2] is None or one == other) for one, other in zip(before, now, strict=True)
    )


def _count_all(connection: Connection) -> int:
    return sum(rows_of(table).count(connection) for table in metadata.sorted_tables)


def _compared(
    table: Table, one: Connection, other: Connection, source: TableDigest, target: TableDigest, *, limits: CopyLimits
) -> TableComparison:
    found = TableComparison(str(table.name), source, target)
    if found.is_same:
        return found
    keys = rows_of(table).different_keys(one, other, rows=limits.rows, size=limits.size)
    return TableComparison(str(table.name), source, target, tuple(keys))


def _silent(stage: CopyStage, done: int, of: int) -> None:
    pass
