"""Count what is mirrored of sources, and how long that takes."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import ColumnElement, Connection, Table, desc, func, select

from versionsync.mirror.engine.bulk import among
from versionsync.mirror.engine.dialects import dialect_of
from versionsync.mirror.schema import events, models, records, runs, sources, versions

__all__ = ["LagQuantiles", "SourceCounts", "count_rows", "lags"]

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


def lags(connection: Connection, source_ids: Collection[int]) -> dict[int, LagQuantiles]:
    """Return the lag of each source's newest versions, with one query.

    A source without a new version since its backfill, among its newest `NEWEST_EVENTS` events, is left out.
    """
    newest = dialect_of(connection).newest(events, sources, NEWEST_EVENTS).where(among(sources.c.id, source_ids))
    event = newest.subquery("event")
    found = connection.execute(
        select(event.c.source_id, event.c.occurred_at, event.c.observed_at)
        .join(runs, runs.c.id == event.c.run_id)
        .where(event.c.type == "version.created", runs.c.kind != "backfill")
        .order_by(desc(event.c.id))
    )
    took: dict[int, list[timedelta]] = {}
    for id, occurred_at, observed_at in found:
        if len(recent := took.setdefault(id, [])) < NEWEST_VERSIONS:
            recent.append(observed_at - occurred_at)
    return {id: quantiles for id, times in took.items() if (quantiles := LagQuantiles.of(times)) is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceCounts:
    """What the mirror holds of a source. `records` includes deleted ones, `versions` missing ones."""

    models: int
    records: int
    records_deleted: int
    versions: int
    versions_missing: int
    events: int


def count_rows(connection: Connection, source_ids: Collection[int]) -> dict[int, SourceCounts]:
    """Count the rows of sources, with one query a count. In a large mirror that takes a while: only on request.

    Each count uses an index, since the tables hold all contents.
    """

    def count(table: Table, *conditions: ColumnElement[bool]) -> dict[int, int]:
        id = table.c.source_id
        query = select(id, func.count()).where(among(id, source_ids), *conditions).group_by(id)
        return {row[0]: row[1] for row in connection.execute(query)}

    counts = {
        "models": count(models, models.c.deleted_at.is_(None), models.c.is_block.is_(False)),
        "records": count(records),
        "records_deleted": count(records, records.c.deleted_at.is_not(None)),
        "versions": count(versions),
        "versions_missing": count(versions, versions.c.missing_since.is_not(None)),
        "events": count(events),
    }
    return {id: SourceCounts(**{name: of.get(id, 0) for name, of in counts.items()}) for id in source_ids}
