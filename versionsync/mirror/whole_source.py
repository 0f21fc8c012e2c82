"""Read all of a source: its records with their versions and contents, a few records at a time, and its people."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, func, or_, select

from versionsync.ledger.records import Editor
from versionsync.mirror.schema import editors, records, versions
from versionsync.mirror.tables.editors import EditorRow

__all__ = [
    "StoredRecord",
    "StoredVersion",
    "first_interval",
    "stages_by_model",
    "stored_editors",
    "stored_records",
]

RECORDS_AT_ONCE: Final = 20
"""A record may have hundreds of versions, each of hundreds of kilobytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredVersion:
    """A version with its content, the JSON text `content`. `missing_since`: upstream does not list it any more."""

    id: str
    created_at: datetime
    editor: Editor | None
    is_current: bool
    is_published: bool
    published_from: datetime | None
    published_until: datetime | None
    is_valid: bool | None
    missing_since: datetime | None
    content: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRecord:
    """A record in its last known state, with versions, oldest first."""

    id: str
    model_id: str
    status: str | None
    stage: str | None
    created_at: datetime | None
    updated_at: datetime | None
    published_at: datetime | None
    first_published_at: datetime | None
    publication_scheduled_at: datetime | None
    unpublishing_scheduled_at: datetime | None
    creator: Editor | None
    deleted_at: datetime | None
    versions: tuple[StoredVersion, ...]


_RECORD: Final = (
    *("id", "model_id", "status", "stage", "created_at", "updated_at", "published_at", "first_published_at"),
    *("publication_scheduled_at", "unpublishing_scheduled_at", "deleted_at"),
)
_VERSION: Final = (
    *("id", "created_at", "is_current", "is_published", "published_from", "published_until", "is_valid"),
    "missing_since",
)


def stored_records(
    connection: Connection, source_id: int, *, with_deleted: bool = False, with_history: bool = True
) -> Iterator[StoredRecord]:
    """Yield the records of a source in the order of their ids. Only a few are in memory at a time.

    Args:
        connection: An open snapshot of the mirror.
        source_id: The source.
        with_deleted: Yield deleted records too.
        with_history: With all versions; otherwise only with those that are current or live.
    """
    query = select(records).where(records.c.source_id == source_id).order_by(records.c.id).limit(RECORDS_AT_ONCE)
    if not with_deleted:
        query = query.where(records.c.deleted_at.is_(None))
    found = connection.execute(query).all()
    while found:
        by_record: dict[str, list[StoredVersion]] = {row.id: [] for row in found}
        wanted = (
            select(versions)
            .where(versions.c.source_id == source_id, versions.c.record_id.in_(by_record))
            .order_by(versions.c.record_id, versions.c.ordinal)
        )
        if not with_history:
            wanted = wanted.where(or_(versions.c.is_current, versions.c.is_published))
        for row in connection.execute(wanted):
            by_record[row.record_id].append(_version(row))
        for row in found:
            yield StoredRecord(
                **{name: getattr(row, name) for name in _RECORD},
                creator=None if row.creator_type is None else Editor(row.creator_type, row.creator_id),
                versions=tuple(by_record[row.id]),
            )
        found = connection.execute(query.where(records.c.id > found[-1].id)).all()


def _version(row: Row[Any]) -> StoredVersion:
    return StoredVersion(
        **{name: getattr(row, name) for name in _VERSION},
        editor=None if row.editor_type is None else Editor(row.editor_type, row.editor_id),
        content=row.attributes.encode() if row.attributes_exact is None else row.attributes_exact,
    )


def stored_editors(connection: Connection, source_id: int) -> list[EditorRow]:
    """Return all editors of a source."""
    query = select(editors).where(editors.c.source_id == source_id).order_by(editors.c.type, editors.c.id)
    return [
        EditorRow(type=row.type, id=row.id, name=row.name, email=row.email, payload=row.payload)
        for row in connection.execute(query)
    ]


def stages_by_model(connection: Connection, source_id: int) -> dict[str, list[str]]:
    """Return the ids of the stages that records of each model are in, by the model's id."""
    query = (
        select(records.c.model_id, records.c.stage)
        .where(records.c.source_id == source_id, records.c.stage.is_not(None))
        .group_by(records.c.model_id, records.c.stage)
        .order_by(records.c.model_id, records.c.stage)
    )
    found: dict[str, list[str]] = {}
    for row in connection.execute(query):
        found.setdefault(row.model_id, []).append(str(row.stage))
    return found


def first_interval(connection: Connection, source_id: int) -> datetime | None:
    """Return the earliest known beginning of a publication, or None. Earlier ones were not recorded by upstream."""
    return connection.scalar(select(func.min(versions.c.published_from)).where(versions.c.source_id == source_id))
