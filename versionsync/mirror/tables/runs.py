"""Runs: each sync of a source, from its first request to its recorded outcome."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Row,
    delete,
    desc,
    exists,
    func,
    insert,
    literal_column,
    select,
    update,
)

from versionsync.mirror.engine.bulk import among, field_names
from versionsync.mirror.engine.dialects import dialect_of
from versionsync.mirror.schema import runs, sources, version_rewrites
from versionsync.mirror.tables.leases import Lease, assert_and_renew

__all__ = [
    "COUNTS",
    "KEEP_FAILED",
    "KEEP_UNCHANGED",
    "Counts",
    "RunRow",
    "delete_old_runs",
    "finish_run",
    "has_written_since",
    "interrupt_stale_runs",
    "last_changes_of",
    "last_runs",
    "last_runs_of",
    "start_run",
    "update_run",
]

KEEP_UNCHANGED = timedelta(days=7)
KEEP_FAILED = timedelta(days=90)
RUNS_AT_ONCE = 1000


def delete_old_runs(tx: Connection, lease: Lease, *, now: datetime) -> int:
    """Delete runs of the lease's source that wrote nothing, at most a thousand; return how many.

    A run's counts are written in the transactions of its events, so a run that wrote events has more than 0 of them.
    Successful ones are deleted after KEEP_UNCHANGED, others after KEEP_FAILED. The last run and the running one stay.
    """
    assert_and_renew(tx, lease)
    mine = runs.c.source_id == lease.source_id
    keep_for = {"succeeded": KEEP_UNCHANGED, "partial": KEEP_FAILED, "failed": KEEP_FAILED, "interrupted": KEEP_FAILED}
    newest = tx.scalar(select(func.max(runs.c.id)).where(mine)) or 0
    deleted = 0
    for outcome, age in keep_for.items():
        old = (
            select(runs.c.id)
            .where(
                mine,
                runs.c.id < newest,
                runs.c.outcome == outcome,
                runs.c.finished_at < now - age,
                runs.c.versions_inserted + runs.c.versions_changed + runs.c.events_written == 0,
                ~exists().where(
                    version_rewrites.c.run_id == runs.c.id, version_rewrites.c.source_id == runs.c.source_id
                ),
            )
            .order_by(runs.c.id)
            .limit(RUNS_AT_ONCE - deleted)
        )
        ids = tx.scalars(old).all()
        if ids:
            deleted += tx.execute(delete(runs).where(runs.c.id.in_(ids))).rowcount
    return deleted


@dataclass(slots=True)
class Counts:
    """The counts of a run so far: the columns of the same names."""

    requests: int = 0
    throttled: int = 0
    bytes_received: int = 0
    records_swept: int = 0
    records_pulled: int = 0
    records_failed: int = 0
    versions_inserted: int = 0
    versions_changed: int = 0
    versions_rewritten: int = 0
    events_written: int = 0

    def __add__(self, more: Counts) -> Counts:
        return Counts(**{each.name: getattr(self, each.name) + getattr(more, each.name) for each in fields(self)})


COUNTS = field_names(Counts)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRow:
    """A run as the database has it; `counts` has a number for each name in COUNTS."""

    id: int
    source_id: int
    kind: str
    trigger: str
    holder: str
    started_at: datetime
    finished_at: datetime | None
    outcome: str
    counts: Mapping[str, int]
    error: str | None
    error_kind: str | None


def start_run(tx: Connection, lease: Lease, *, kind: str, trigger: str, started_at: datetime) -> int:
    """Record that a run began; return its id."""
    assert_and_renew(tx, lease)
    return tx.execute(
        insert(runs)
        .values(
            source_id=lease.source_id,
            kind=kind,
            trigger=trigger,
            holder=str(lease.holder),
            started_at=started_at,
            outcome="running",
        )
        .returning(runs.c.id)
    ).scalar_one()


def update_run(tx: Connection, lease: Lease, run_id: int, counts: Mapping[str, int]) -> None:
    """Record how far a run is. `counts` has some of the names in COUNTS."""
    assert_and_renew(tx, lease)
    tx.execute(update(runs).where(runs.c.id == run_id).values(_only_counts(counts)))


def finish_run(
    tx: Connection,
    lease: Lease,
    run_id: int,
    *,
    outcome: str,
    finished_at: datetime,
    counts: Mapping[str, int],
    error: str | None = None,
    error_kind: str | None = None,
) -> None:
    """Record how a run ended (invariant 7).

    Args:
        lease: The right to write.
        outcome: One of succeeded, partial, failed, interrupted.
        finished_at: When it ended.
        counts: Its final counts, some of the names in COUNTS.
        error: Why it did not succeed.
        error_kind: The same as one of the values of `runs.error_kind`.
    """
    assert_and_renew(tx, lease)
    tx.execute(
        update(runs)
        .where(runs.c.id == run_id)
        .values(outcome=outcome, finished_at=finished_at, error=error, error_kind=error_kind, **_only_counts(counts))
    )
    if counts.get("versions_inserted"):
        dialect_of(tx).analyze_grown(tx)


def interrupt_stale_runs(tx: Connection, lease: Lease, *, finished_at: datetime) -> int:
    """Mark the unfinished runs of earlier holders as interrupted; return how many."""
    assert_and_renew(tx, lease)
    return tx.execute(
        update(runs)
        .where(runs.c.source_id == lease.source_id, runs.c.outcome == "running")
        .values(
            outcome="interrupted",
            finished_at=finished_at,
            error="the process ended without recording an outcome; what it had committed is kept",
        )
    ).rowcount


def last_runs(connection: Connection, source_id: int | None = None, *, limit: int = 20) -> list[RunRow]:
    """Return the newest runs of a source, or of all (None), newest first."""
    query = select(runs).order_by(desc(runs.c.id)).limit(limit)
    if source_id is not None:
        query = query.where(runs.c.source_id == source_id)
    return [_row(row) for row in connection.execute(query)]


def last_runs_of(
    connection: Connection, source_ids: Collection[int], *, limit: int, besides: str | None = None
) -> dict[int, list[RunRow]]:
    """Return the newest runs of each source, newest first. A source without runs is left out.

    One or two queries read them for all sources.

    Args:
        connection: The database.
        source_ids: The sources.
        limit: How many runs of each.
        besides: An `error_kind`. If there are runs of that kind among them, the newest `limit` others are there, too.
    """
    query = dialect_of(connection).newest(runs, sources, limit)
    found = {row.id: row for row in connection.execute(query.where(among(sources.c.id, source_ids)))}
    if missing := {row.source_id for row in found.values() if besides is not None and row.error_kind == besides}:
        query = dialect_of(connection).newest(
            runs, sources, limit, lambda table: table.c.error_kind.is_distinct_from(besides)
        )
        found |= {row.id: row for row in connection.execute(query.where(among(sources.c.id, missing)))}
    return _by_source(found.values())


def last_changes_of(connection: Connection, source_ids: Collection[int], *, limit: int) -> dict[int, list[RunRow]]:
    """Return the newest runs of each source that wrote a version or an event, newest first, with one query."""
    query = dialect_of(connection).newest(runs, sources, limit, _wrote)
    return _by_source(connection.execute(query.where(among(sources.c.id, source_ids))))


def _by_source(rows: Iterable[Row[Any]]) -> dict[int, list[RunRow]]:
    found: dict[int, list[RunRow]] = {}
    for row in sorted(rows, key=lambda row: row.id, reverse=True):
        found.setdefault(row.source_id, []).append(_row(row))
    return found


def _wrote(table: FromClause) -> ColumnElement[bool]:
    """Return whether a run changed something.

    The index `runs_with_changes` has these runs. SQLite uses it only for the same condition, without parameters.
    """
    return table.c.versions_inserted + table.c.versions_changed + table.c.events_written > literal_column("0")


def _only_counts(counts: Mapping[str, int]) -> dict[str, int]:
    if unknown := counts.keys() - set(COUNTS):
        raise TypeError(f"no counts of a run: {', '.join(sorted(unknown))}")
    return dict(counts)


def _row(row: Row[Any]) -> RunRow:
    values = {name: getattr(row, name) for name in field_names(RunRow, "counts")}
    return RunRow(**values, counts={name: getattr(row, name) for name in COUNTS})


def has_written_since(connection: Connection, source_id: int, *, since: datetime, besides: int) -> bool:
    """Return whether a run that began after `since` wrote events, other than the run `besides`."""
    query = select(runs.c.id).where(
        runs.c.source_id == source_id, runs.c.started_at > since, runs.c.id != besides, runs.c.events_written > 0
    )
    return connection.scalar(select(query.exists())) is True
