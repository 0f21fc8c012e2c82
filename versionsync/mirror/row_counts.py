"""Count what is mirrored of a source, and how long that takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import ColumnElement, Connection, Table, desc, func, select

from versionsync.mirror.schema import events, models, records, runs, versions

__all__ = ["LagQuantiles", "SourceCounts", "count_rows", "lag"]

NEWEST_EVENTS = 1000
NEWEST_VERSIONS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class LagQuantiles:
    """The time from a version's creation upstream to its row, for the newest `versions` that were not backfilled.

    Half of them took at most `p50`, nine of ten at most `p90`.
    """

    p50: timedelta
    p90: timedelta
    versions: int

    @classmethod
    def of(cls, took: Sequence[timedelta]) -> LagQuantiles | None:
        """Return the quantiles, or None without values. If our clock is behind upstream's, the lag counts as 0."""
        if not took:
            return None
        ordered = sorted(max(one, timedelta(0)) for one in took)
        return cls(
            p50=ordered[(len(ordered) - 1) // 2], p90=ordered[-(-9 * len(ordered) // 10) - 1], versions=len(ordered)
        )


def lag(connection: Connection, source_id: int) -> LagQuantiles | None:
    """Return the lag of the newest versions, or None if there was none since the backfill."""
    newest = (
        select(events.c.id, events.c.type, events.c.occurred_at, events.c.observed_at, events.c.run_id)
        .where(events.c.source_id == source_id)
        .order_by(desc(events.c.id))
        .limit(NEWEST_EVENTS)
        .subquery("newest")
    )
    seen = connection.execute(
        select(newest.c.occurred_at, newest.c.observed_at)
        .join(runs, runs.c.id == newest.c.run_id)
        .where(newest.c.type == "version.created", runs.c.kind != "backfill")
        .order_by(desc(newest.c.id))
        .limit(NEWEST_VERSIONS)
    )
    return LagQuantiles.of([observed - occurred for occurred, observed in seen])


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceCounts:
    """What the mirror holds of a source. `records` includes deleted ones, `versions` missing ones."""

    models: int
    records: int
    records_deleted: int
    versions: int
    versions_missing: int
    events: int


def count_rows(connection: Connection, source_id: int) -> SourceCounts:
    """Count the rows of a source. In a large mirror that takes a while, so do it only on request.

    Each count uses an index, since the tables hold all contents.
    """

    def count(table: Table, *conditions: ColumnElement[bool]) -> int:
        query = select(func.count()).select_from(table).where(table.c.source_id == source_id, *conditions)
        return connection.scalar(query) or 0

    return SourceCounts(
        models=count(models, models.c.deleted_at.is_(None), models.c.is_block.is_(False)),
        records=count(records),
        records_deleted=count(records, records.c.deleted_at.is_not(None)),
        versions=count(versions),
        versions_missing=count(versions, versions.c.missing_since.is_not(None)),
        events=count(events),
    )
