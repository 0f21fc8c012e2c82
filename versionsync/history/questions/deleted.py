"""The bin: records that were deleted upstream, the latest first. Their versions are kept."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import Any, Final

from sqlalchemy import Connection, Row, and_, func, select

from versionsync.history.model import Deleted
from versionsync.history.questions.details import stream, titles_of_versions
from versionsync.history.scope import ModelName, Scope
from versionsync.ledger.events import EventType
from versionsync.mirror.schema import events, records, versions
from versionsync.mirror.tables.events import OF_RECORD

__all__ = ["deleted"]

BATCH: Final = 200


def deleted(
    connection: Connection,
    scope: Scope,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    models: Sequence[ModelName] = (),
) -> Iterator[Deleted]:
    """Yield the deleted records, the latest first; `since` and `until` limit when their deletion was observed."""
    each = [_of_source(connection, scope, source.id, since, until, models) for source in scope.sources]
    yield from heapq.merge(*each, key=lambda one: one.deleted_at, reverse=True)


def _of_source(
    connection: Connection,
    scope: Scope,
    source_id: int,
    since: datetime | None,
    until: datetime | None,
    models: Sequence[ModelName],
) -> Iterator[Deleted]:
    counted = (
        select(func.count())
        .where(versions.c.source_id == records.c.source_id, versions.c.record_id == records.c.id)
        .correlate(records)
        .scalar_subquery()
    )
    last = and_(versions.c.source_id == records.c.source_id, versions.c.id == records.c.current_version_id)
    names = ("id", "model_id", "current_version_id", "published_version_id", "deleted_at", "deletion_evidence")
    query = (
        select(*(records.c[name] for name in names), versions.c.editor_type, versions.c.editor_id)
        .add_columns(counted.label("version_count"))
        .select_from(records.outerjoin(versions, last))
        .where(records.c.source_id == source_id, records.c.deleted_at.is_not(None))
        .order_by(records.c.deleted_at.desc(), records.c.id)
    )
    if since is not None:
        query = query.where(records.c.deleted_at >= since)
    if until is not None:
        query = query.where(records.c.deleted_at < until)
    if models:
        query = query.where(records.c.model_id.in_([one.id for one in models if one.source_id == source_id]))
    rows = stream(connection, query, at_once=BATCH)
    while batch := list(islice(rows, BATCH)):
        yield from _rows(connection, scope, source_id, batch)


def _rows(connection: Connection, scope: Scope, source_id: int, batch: Sequence[Row[Any]]) -> Iterator[Deleted]:
    titles = titles_of_versions(connection, scope, source_id, [row.current_version_id for row in batch])
    actors = _actors(connection, source_id, [row.id for row in batch])
    for row in batch:
        actor_type, actor_id = actors.get(row.id, (None, None))
        yield Deleted(
            source=scope.name_of(source_id),
            record_id=row.id,
            version_id=row.current_version_id,
            model=scope.model(source_id, row.model_id),
            model_id=row.model_id,
            title=titles.get(row.current_version_id),
            deleted_at=row.deleted_at,
            deletion_evidence=row.deletion_evidence,
            editor_type=row.editor_type,
            editor_id=row.editor_id,
            editor_name=scope.editor_name(source_id, row.editor_type, row.editor_id),
            version_count=row.version_count,
            was_published=row.published_version_id is not None,
            actor_type=actor_type,
            actor_id=actor_id,
        )


def _actors(connection: Connection, source_id: int, ids: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Return who deleted each record, if its last event of a deletion says so."""
    query = (
        select(events.c.record_id, events.c.actor_type, events.c.actor_id)
        .where(
            events.c.source_id == source_id,
            events.c.record_id.in_(ids),
            events.c.type == EventType.RECORD_DELETED.value,
            events.c.actor_id.is_not(None),
        )
        .with_hint(events, OF_RECORD, "sqlite")
        .order_by(events.c.id)
    )
    return {row.record_id: (row.actor_type, row.actor_id) for row in connection.execute(query)}
