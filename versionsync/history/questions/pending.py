"""What waits to go live: drafts, changes of live records, and what DatoCMS will publish or unpublish on schedule.

A record that was unpublished waits only if it was saved again since: most of them are retired.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, case, func, literal_column, or_, select

from versionsync.history.model import Pending, PendingReason
from versionsync.history.questions.details import titles_of_versions
from versionsync.history.scope import ModelName, Scope
from versionsync.mirror.engine.bulk import chunked
from versionsync.mirror.schema import intervals, records, versions
from versionsync.mirror.tables.intervals import PUBLISHED

__all__ = ["pending"]

BATCH: Final = 200
RECORD: Final = (
    *("id", "model_id", "current_version_id", "published_version_id", "first_published_at"),
    *("publication_scheduled_at", "unpublishing_scheduled_at"),
)


def pending(
    connection: Connection, scope: Scope, *, models: Sequence[ModelName] = (), limit: int | None = None
) -> Iterator[Pending]:
    """Yield the records that wait, the longest waiting first; what is only scheduled comes last, by its time.

    All of them are compared, but only those that are yielded are looked up in full.
    """
    found: list[tuple[datetime, int, Row[Any]]] = []
    for source in scope.sources:
        ids = [model.id for model in models if model.source_id == source.id]
        if models and not ids:
            continue
        rows = {row.id: row for query in _queries(source.id, ids) for row in connection.execute(query)}
        since = ((row.waiting_since or min(_scheduled(row), default=None), row) for row in rows.values())
        found += [(at, source.id, row) for at, row in since if at is not None]
    found.sort(key=lambda one: (one[2].waiting_since is None, one[0], one[2].id))
    for batch in chunked(found[:limit], BATCH):
        yield from _rows(connection, scope, batch)


def _scheduled(row: Row[Any]) -> list[datetime]:
    return [at for at in (row.publication_scheduled_at, row.unpublishing_scheduled_at) if at is not None]


def _queries(source_id: int, model_ids: Sequence[str]) -> list[Select[Any]]:
    """Return the queries for records that may wait, and since when: the oldest version newer than what was live."""
    r = records.c
    # Each of the three conditions has an index of its own. Together, with OR, they would read every record.
    is_behind = or_(r.published_version_id.is_(None), r.published_version_id != r.current_version_id)
    is_scheduled = (r.publication_scheduled_at.is_not(None), r.unpublishing_scheduled_at.is_not(None))
    may_wait = and_(or_(r.status.is_(None), r.status != literal_column("'published'")), is_behind)
    columns = (*(r[name] for name in RECORD), is_behind.label("is_behind"), *_last_live())
    query = select(*columns).where(r.source_id == source_id, r.deleted_at.is_(None))
    if model_ids:
        query = query.where(r.model_id.in_(model_ids))
    return [_with_newer(source_id, query.where(condition)) for condition in (may_wait, *is_scheduled)]


def _last_live() -> tuple[ColumnElement[Any], ColumnElement[Any]]:
    """Return the ordinal of a record's live version, and when its last publication ended."""
    live, was_live = versions.alias("live"), versions.alias("was_live")
    live_ordinal = (
        select(live.c.ordinal)
        .where(live.c.source_id == records.c.source_id, live.c.id == records.c.published_version_id)
        .correlate(records)
        .scalar_subquery()
    )
    ended = (
        select(func.max(intervals.c.valid_until))
        .where(
            intervals.c.source_id == records.c.source_id,
            intervals.c.kind == PUBLISHED,
            intervals.c.record_id == records.c.id,
        )
        .correlate(records)
        .scalar_subquery()
    )
    # While the intervals are not filled, DatoCMS's own time has to do. It knows none from before June 2026.
    stated = (
        select(func.max(was_live.c.published_until))
        .where(was_live.c.source_id == records.c.source_id, was_live.c.record_id == records.c.id)
        .correlate(records)
        .scalar_subquery()
    )
    return live_ordinal.label("live_ordinal"), func.coalesce(ended, stated).label("unpublished_at")


def _with_newer(source_id: int, query: Select[Any]) -> Select[Any]:
    """Add when the oldest version was saved that is newer than what was live.

    Materialized, so that what was live is found once for a record, and not again for each of its versions.
    """
    found = query.cte("found").prefix_with("MATERIALIZED")
    newer = versions.alias("newer")
    is_newer: ColumnElement[bool] = case(
        (found.c.published_version_id.is_not(None), newer.c.ordinal > found.c.live_ordinal),
        (
            found.c.first_published_at.is_not(None),
            or_(found.c.unpublished_at.is_(None), newer.c.created_at > found.c.unpublished_at),
        ),
        else_=True,
    )
    oldest = (
        select(newer.c.created_at)
        .where(
            newer.c.source_id == source_id, newer.c.record_id == found.c.id, newer.c.missing_since.is_(None), is_newer
        )
        .order_by(newer.c.ordinal)
        .limit(1)
        .correlate(found)
        .scalar_subquery()
    )
    waiting_since = case((found.c.is_behind, oldest), else_=None).label("waiting_since")
    return select(*(found.c[name] for name in RECORD), waiting_since)


def _rows(connection: Connection, scope: Scope, batch: Sequence[tuple[datetime, int, Row[Any]]]) -> Iterator[Pending]:
    by_source: dict[int, list[Row[Any]]] = {}
    for _, source_id, row in batch:
        by_source.setdefault(source_id, []).append(row)
    titles = {
        key: titles_of_versions(connection, scope, key, [row.current_version_id for row in rows])
        for key, rows in by_source.items()
    }
    details = {key: _details(connection, key, [row.id for row in rows]) for key, rows in by_source.items()}
    for _, source_id, row in batch:
        editor_type, editor_id = details[source_id].editors.get(row.current_version_id, (None, None))
        made = details[source_id].made.get(row.id, ())
        yield Pending(
            source=scope.name_of(source_id),
            record_id=row.id,
            version_id=row.current_version_id,
            published_version_id=row.published_version_id,
            model=scope.model(source_id, row.model_id),
            model_id=row.model_id,
            title=titles[source_id].get(row.current_version_id),
            editor_type=editor_type,
            editor_id=editor_id,
            editor_name=scope.editor_name(source_id, editor_type, editor_id),
            reasons=tuple(_reasons(row)),
            waiting_since=row.waiting_since,
            versions=sum(1 for at in made if row.waiting_since is not None and at >= row.waiting_since),
            publication_scheduled_at=row.publication_scheduled_at,
            unpublishing_scheduled_at=row.unpublishing_scheduled_at,
        )


def _reasons(row: Row[Any]) -> Iterator[PendingReason]:
    if row.waiting_since is not None:
        yield PendingReason.DRAFT if row.published_version_id is None else PendingReason.CHANGES
    if row.publication_scheduled_at is not None:
        yield PendingReason.PUBLICATION
    if row.unpublishing_scheduled_at is not None:
        yield PendingReason.UNPUBLISHING


class _Details:
    """Who saved each version of some records, and when their versions were made."""

    def __init__(self) -> None:
        self.editors: dict[str, tuple[str | None, str | None]] = {}
        self.made: dict[str, list[datetime]] = {}


def _details(connection: Connection, source_id: int, record_ids: Sequence[str]) -> _Details:
    found = _Details()
    v = versions.c
    for chunk in chunked(record_ids):
        query = select(v.id, v.record_id, v.created_at, v.editor_type, v.editor_id).where(
            and_(v.source_id == source_id, v.record_id.in_(chunk), v.missing_since.is_(None))
        )
        for row in connection.execute(query):
            found.editors[row.id] = row.editor_type, row.editor_id
            found.made.setdefault(row.record_id, []).append(row.created_at)
    return found
