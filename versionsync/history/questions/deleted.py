"""The bin: records that were deleted upstream, the latest first. Their versions are kept."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import Any, Final

from sqlalchemy import Connection, Row, Select, and_, func, select

from versionsync.history.model import Deleted
from versionsync.history.questions.details import stream, titles_of_versions
from versionsync.history.scope import ModelName, Scope
from versionsync.ledger.events import EventType
from versionsync.mirror.schema import events, records, versions
from versionsync.mirror.tables.events import OF_RECORD

__all__ = ["deleted"]

BATCH: Final = 100
RECORD: Final = ("id", "model_id", "current_version_id", "published_version_id", "deleted_at", "deletion_evidence")


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
    # Only what the index and the records have: the database sorts it, and more would be computed for every row.
    query = (
        select(*(records.c[name] for name in RECORD))
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
    details = {row.id: row for row in connection.execute(_details(source_id, [row.id for row in batch]))}
    for row in batch:
        its = details[row.id]
        yield Deleted(
            source=scope.name_of(source_id),
            record_id=row.id,
            version_id=row.current_version_id,
            model=scope.model(source_id, row.model_id),
            model_id=row.model_id,
            title=titles.get(row.current_version_id),
            deleted_at=row.deleted_at,
            deletion_evidence=row.deletion_evidence,
            editor_type=its.editor_type,
            editor_id=its.editor_id,
            editor_name=scope.editor_name(source_id, its.editor_type, its.editor_id),
            version_count=its.version_count,
            was_published=row.published_version_id is not None,
            actor_type=its.actor_type,
            actor_id=its.actor_id,
        )


def _details(source_id: int, ids: Sequence[str]) -> Select[Any]:
    """Return the query for who saved the last version of each record, its number of versions, and who deleted it.

    Of a record's events it reads its deletions only.
    """
    r, v, e = records.c, versions.c, events.c
    counted = select(func.count()).where(v.source_id == r.source_id, v.record_id == r.id)
    deletion = events.alias("deletion")
    last_deletion = (
        select(deletion.c.id)
        .where(
            deletion.c.source_id == r.source_id,
            deletion.c.record_id == r.id,
            deletion.c.type == EventType.RECORD_DELETED.value,
            # For the index: a key begins with its type and ":", which comes before ";".
            deletion.c.key >= f"{EventType.RECORD_DELETED}:",
            deletion.c.key < f"{EventType.RECORD_DELETED};",
        )
        .with_hint(deletion, OF_RECORD, "sqlite")
        .order_by(deletion.c.id.desc())
        .limit(1)
    )
    last = versions.alias("last")
    return (
        select(r.id, last.c.editor_type, last.c.editor_id, e.actor_type, e.actor_id)
        .add_columns(counted.correlate(records).scalar_subquery().label("version_count"))
        .select_from(
            records.outerjoin(last, and_(last.c.source_id == r.source_id, last.c.id == r.current_version_id)).outerjoin(
                events, e.id == last_deletion.correlate(records).scalar_subquery()
            )
        )
        .where(r.source_id == source_id, r.id.in_(ids))
    )
