"""Read and write `erasures`: what was erased on request, and whether that is still in force."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Row, func, insert, select, update

from versionsync.ledger.erasure import ErasedField, Erasure, Erasures
from versionsync.ledger.events import EventType
from versionsync.ledger.ids import ModelId, RecordId, VersionId
from versionsync.ledger.sameness import ContentFields
from versionsync.mirror.engine.bulk import chunked, field_names
from versionsync.mirror.schema import erasures, events, fields
from versionsync.mirror.tables.events import OF_RECORD, last_event_id
from versionsync.mirror.tables.models import content_fields

__all__ = [
    "ErasureRow",
    "erased_uploads",
    "find_erasure",
    "find_upload_erasure",
    "insert_erasure",
    "last_erasure_id",
    "lift_erasure",
    "lift_upload_erasure",
    "list_erasures",
    "load_erasures",
    "mark_cleaned",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasureRow:
    """An erasure as the database has it, of a record or of an upload.

    With both it is what is left of a lifted one: versions of that record keep nothing that was said of the upload.
    """

    id: int
    source_id: int
    record_id: str | None
    upload_id: str | None
    field_id: str | None
    locale: str | None
    erased_at: datetime
    erased_by: str
    reason: str | None
    cleaned_at: datetime | None
    lifted_at: datetime | None
    lifted_by: str | None
    lifted_after: int | None


_ROW = select(*(erasures.c[name] for name in field_names(ErasureRow)))


def list_erasures(connection: Connection, source_ids: Sequence[int]) -> list[ErasureRow]:
    """Return all erasures of these sources, the oldest first."""
    query = _ROW.where(erasures.c.source_id.in_(source_ids)).order_by(erasures.c.id)
    return [ErasureRow(**row._asdict()) for row in connection.execute(query)]


def last_erasure_id(connection: Connection, source_id: int) -> int:
    """Return the number of the newest erasure of a source; 0: there is none."""
    return connection.scalar(select(func.max(erasures.c.id)).where(erasures.c.source_id == source_id)) or 0


def find_erasure(
    connection: Connection, source_id: int, record_id: str, field_id: str | None, locale: str | None
) -> ErasureRow | None:
    """Return an erasure in force that covers this one, or None."""
    query = _ROW.where(
        erasures.c.source_id == source_id, erasures.c.record_id == record_id, erasures.c.lifted_at.is_(None)
    ).where(erasures.c.upload_id.is_(None))
    for row in connection.execute(query.order_by(erasures.c.id)):
        covers_field = row.field_id == field_id and row.locale in (None, locale)
        if row.field_id is None or covers_field:
            return ErasureRow(**row._asdict())
    return None


def find_upload_erasure(connection: Connection, source_id: int, upload_id: str) -> ErasureRow | None:
    """Return the erasure in force of an upload, or None."""
    query = _ROW.where(
        erasures.c.source_id == source_id,
        erasures.c.upload_id == upload_id,
        erasures.c.record_id.is_(None),
        erasures.c.lifted_at.is_(None),
    )
    row = connection.execute(query).first()
    return None if row is None else ErasureRow(**row._asdict())


def erased_uploads(connection: Connection, source_id: int) -> frozenset[str]:
    """Return the uploads of which nothing may be kept."""
    query = select(erasures.c.upload_id).where(
        erasures.c.source_id == source_id, erasures.c.record_id.is_(None), erasures.c.lifted_at.is_(None)
    )
    return frozenset(id for id in connection.scalars(query) if id is not None)


def insert_erasure(
    tx: Connection,
    source_id: int,
    record_id: str | None,
    *,
    upload_id: str | None = None,
    field_id: str | None = None,
    locale: str | None = None,
    at: datetime,
    by: str,
    reason: str | None,
) -> int:
    """Keep an erasure in force, and return its id.

    Args:
        tx: The transaction that erases the content.
        source_id: The source.
        record_id: The record. None: it is about an upload.
        upload_id: The upload.
        field_id: The field. None: all of the content.
        locale: The locale. None: all.
        at: When it was erased.
        by: The user and the host that erased it.
        reason: Why.
    """
    row = insert(erasures).values(
        source_id=source_id,
        record_id=record_id,
        upload_id=upload_id,
        field_id=field_id,
        locale=locale,
        erased_at=at,
        erased_by=by,
        reason=reason,
    )
    return int(tx.execute(row.returning(erasures.c.id)).scalar_one())


def lift_erasure(tx: Connection, source_id: int, id: int, *, at: datetime, by: str) -> None:
    """Record that an erasure is in force no more. What it erased stays erased."""
    _lift(tx, source_id, [id], at=at, by=by)


def lift_upload_erasure(
    tx: Connection, source_id: int, row: ErasureRow, record_ids: Iterable[str], *, at: datetime, by: str
) -> None:
    """Do the same for an upload. A row for each record that names it keeps its versions of today as they are."""
    ids = [
        insert_erasure(
            tx, source_id, record_id, upload_id=row.upload_id, at=row.erased_at, by=row.erased_by, reason=row.reason
        )
        for record_id in record_ids
    ]
    _lift(tx, source_id, [row.id, *ids], at=at, by=by)


def _lift(tx: Connection, source_id: int, ids: Sequence[int], *, at: datetime, by: str) -> None:
    last = last_event_id(tx, source_id)
    for chunk in chunked(ids):
        tx.execute(
            update(erasures)
            .where(erasures.c.source_id == source_id, erasures.c.id.in_(chunk))
            .values(lifted_at=at, lifted_by=by, lifted_after=last)
        )


def mark_cleaned(tx: Connection, source_id: int, *, before: datetime, at: datetime) -> None:
    """Record that the database was vacuumed after all erasures of a source up to `before`."""
    tx.execute(
        update(erasures)
        .where(erasures.c.source_id == source_id, erasures.c.cleaned_at.is_(None), erasures.c.erased_at <= before)
        .values(cleaned_at=at)
    )


def load_erasures(connection: Connection, source_id: int) -> Erasures:
    """Return what must not be kept of the contents that upstream shows now."""
    rows = list_erasures(connection, [source_id])
    if not rows:
        return Erasures()
    known = content_fields(connection, source_id) if any(row.field_id for row in rows) else ContentFields({}, {})
    found: dict[RecordId, list[Erasure]] = {}
    uploads = [row.upload_id for row in rows if row.upload_id and row.record_id is None and row.lifted_at is None]
    for row in rows:
        if row.record_id is None:
            continue
        field = None if row.field_id is None else _field(connection, source_id, row.field_id, row.locale, known)
        versions = None if row.lifted_after is None else _versions_until(connection, row, row.lifted_after)
        found.setdefault(RecordId(row.record_id), []).append(Erasure(field, versions, row.upload_id))
    return Erasures(found, uploads)


def _field(
    connection: Connection, source_id: int, field_id: str, locale: str | None, known: ContentFields
) -> ErasedField:
    """Return a field with the keys by which upstream may show it now: its own, and former ones that no field has."""
    row: Row[str, str, datetime | None] = connection.execute(
        select(fields.c.model_id, fields.c.api_key, fields.c.deleted_at).where(
            fields.c.source_id == source_id, fields.c.id == field_id
        )
    ).one()
    model_id, api_key, deleted_at = row
    present = known.types.get(ModelId(model_id), {})
    former = known.former.get(ModelId(model_id), {})
    keys = {old for old, now in former.items() if now == api_key and old not in present and deleted_at is None}
    if deleted_at is None or api_key not in present:
        keys.add(api_key)
    return ErasedField(ModelId(model_id), frozenset(keys), locale)


def _versions_until(connection: Connection, row: ErasureRow, event_id: int) -> frozenset[VersionId]:
    """Return the versions of a record that were mirrored up to an event."""
    query = select(events.c.version_id).where(
        events.c.source_id == row.source_id,
        events.c.record_id == row.record_id,
        events.c.type == EventType.VERSION_CREATED.value,
        events.c.id <= event_id,
    )
    ids = connection.scalars(query.with_hint(events, OF_RECORD, "sqlite"))
    return frozenset(VersionId(id) for id in ids if id is not None)
