"""What the mirror holds of records and their versions, as far as planning needs it: no content, so it costs little."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, case, func, or_, select

from versionsync.ledger.events import EventType
from versionsync.ledger.ids import ModelId, RecordId, VersionId
from versionsync.ledger.records import Editor, KnownRecord
from versionsync.ledger.sameness import ContentFields
from versionsync.ledger.versions import Version
from versionsync.mirror.bulk import chunked
from versionsync.mirror.tables import events, fields, models, records, version_rewrites, versions

__all__ = [
    "StoredContent",
    "content_fields",
    "former_contents",
    "former_texts",
    "has_due_schedule",
    "known_records",
    "known_versions",
    "live_counts_by_model",
    "live_counts_by_status",
    "live_record_count",
    "oldest_synced",
    "publication_candidates",
    "stored_texts",
]

MOST_LATE = timedelta(minutes=10)
UPDATED, PUBLISHED = "updated", "published"
SCRUB_UPDATED_AFTER = timedelta(days=1)
CONTENTS_AT_ONCE = 16  # each may be hundreds of kilobytes long
RESHAPES = ("field_type", "localized")

_RECORD = select(
    records.c.id,
    records.c.model_id,
    records.c.fingerprint,
    records.c.created_at,
    records.c.updated_at,
    records.c.published_at,
    records.c.first_published_at,
    records.c.current_version_id,
    records.c.published_version_id,
    records.c.version_count,
    records.c.synced_at,
    records.c.deleted_at,
)
_VERSION = select(
    versions.c.record_id,
    versions.c.id,
    versions.c.model_id,
    versions.c.ordinal,
    versions.c.created_at,
    versions.c.editor_type,
    versions.c.editor_id,
    versions.c.is_current,
    versions.c.is_published,
    versions.c.published_from,
    versions.c.published_until,
    versions.c.is_valid,
    versions.c.attributes_hash,
    versions.c.missing_since,
)


def known_records(connection: Connection, source_id: int, ids: Iterable[RecordId]) -> dict[RecordId, KnownRecord]:
    """Those of `ids` that the mirror holds, deleted ones too."""
    found: dict[RecordId, KnownRecord] = {}
    for chunk in chunked(ids):
        query = _RECORD.where(records.c.source_id == source_id, records.c.id.in_(chunk))
        for row in connection.execute(query):
            found[RecordId(row.id)] = _record(row)
    return found


def known_versions(
    connection: Connection, source_id: int, record_ids: Iterable[RecordId]
) -> dict[RecordId, tuple[Version, ...]]:
    """The versions of these records, oldest first (by ordinal), missing ones too; a record without any is left out."""
    found: dict[RecordId, list[Version]] = {}
    for chunk in chunked(record_ids):
        query = _VERSION.where(versions.c.source_id == source_id, versions.c.record_id.in_(chunk)).order_by(
            versions.c.record_id, versions.c.ordinal
        )
        for row in connection.execute(query):
            found.setdefault(RecordId(row.record_id), []).append(_version(row))
    return {id: tuple(listed) for id, listed in found.items()}


def former_contents(connection: Connection, source_id: int, ids: Iterable[VersionId]) -> dict[VersionId, set[bytes]]:
    """The hashes of what these versions said before they were rewritten; one that never was is left out."""
    found: dict[VersionId, set[bytes]] = {}
    for chunk in chunked(ids):
        query = select(version_rewrites.c.version_id, version_rewrites.c.attributes_hash).where(
            version_rewrites.c.source_id == source_id, version_rewrites.c.version_id.in_(chunk)
        )
        for row in connection.execute(query):
            found.setdefault(VersionId(row.version_id), set()).add(row.attributes_hash)
    return found


@dataclass(frozen=True, slots=True)
class StoredContent:
    """The content of a version as the mirror stored it.

    `text` is its JSON text, `hash` that of its value. `stored_at` is when the mirror first saw it.
    """

    version_id: VersionId
    text: bytes
    hash: bytes
    stored_at: datetime


def stored_texts(connection: Connection, source_id: int, ids: Iterable[VersionId]) -> Iterator[StoredContent]:
    """The contents that these versions have in the mirror, a few of them in memory at a time."""
    last = (
        select(func.max(version_rewrites.c.observed_at))
        .where(version_rewrites.c.source_id == versions.c.source_id, version_rewrites.c.version_id == versions.c.id)
        .scalar_subquery()
    )
    for chunk in chunked(ids, CONTENTS_AT_ONCE):
        query = select(
            versions.c.id,
            versions.c.attributes,
            versions.c.attributes_exact,
            versions.c.attributes_hash,
            func.coalesce(last, versions.c.first_seen_at, type_=versions.c.first_seen_at.type),
        ).where(versions.c.source_id == source_id, versions.c.id.in_(chunk))
        for id, text, exact, hash, stored_at in connection.execute(query):
            yield StoredContent(VersionId(id), text.encode() if exact is None else exact, hash, stored_at)


def former_texts(connection: Connection, source_id: int, id: VersionId) -> Iterator[StoredContent]:
    """The contents that a version had before it was rewritten, a few of them in memory at a time."""
    observed = connection.scalars(
        select(version_rewrites.c.observed_at)
        .where(version_rewrites.c.source_id == source_id, version_rewrites.c.version_id == id)
        .order_by(version_rewrites.c.observed_at.desc())
    ).all()
    for chunk in chunked(observed, CONTENTS_AT_ONCE):
        query = select(
            version_rewrites.c.attributes,
            version_rewrites.c.attributes_exact,
            version_rewrites.c.attributes_hash,
            version_rewrites.c.first_seen_at,
        ).where(
            version_rewrites.c.source_id == source_id,
            version_rewrites.c.version_id == id,
            version_rewrites.c.observed_at.in_(chunk),
        )
        for text, exact, hash, stored_at in connection.execute(query):
            yield StoredContent(id, text.encode() if exact is None else exact, hash, stored_at)


def content_fields(connection: Connection, source_id: int) -> ContentFields:
    """What is known of the fields of a source: their types now, and which were reshaped when."""
    types: dict[ModelId, dict[str, str]] = {}
    present: dict[str, tuple[ModelId, str]] = {}
    query = select(fields.c.id, fields.c.model_id, fields.c.api_key, fields.c.field_type, fields.c.deleted_at).where(
        fields.c.source_id == source_id
    )
    for row in connection.execute(query):
        of_model = types.setdefault(ModelId(row.model_id), {})  # a model that lost all of its fields is known, too
        if row.deleted_at is None:
            of_model[row.api_key] = row.field_type
            present[row.id] = ModelId(row.model_id), row.api_key
    reshaped: dict[ModelId, dict[str, datetime]] = {}
    told = (
        select(events.c.data, events.c.occurred_at)
        .where(
            events.c.source_id == source_id,
            events.c.record_id.is_(None),  # for the index: few events are about no record
            events.c.type == EventType.FIELD_CHANGED.value,
        )
        .order_by(events.c.id)
    )
    for text, at in connection.execute(told):
        data = json.loads(text)
        if present.get(data["field"]["id"]) and any(name in data.get("changes", {}) for name in RESHAPES):
            model_id, api_key = present[data["field"]["id"]]
            reshaped.setdefault(model_id, {})[api_key] = at
    return ContentFields(types, reshaped)


def has_due_schedule(connection: Connection, source_id: int, *, after: datetime, until: datetime) -> bool:
    """Whether a live record was to be published or unpublished by schedule from `after` to `until`, upstream's clock.

    Or shortly before, and the mirror does not show that it was: upstream may carry it out a little late.
    """
    live = select(records.c.id).where(records.c.source_id == source_id, records.c.deleted_at.is_(None))
    publication, unpublishing = records.c.publication_scheduled_at, records.c.unpublishing_scheduled_at
    was_published = func.coalesce(records.c.published_at >= publication, False)
    is_overdue = {publication: ~was_published, unpublishing: records.c.published_version_id.is_not(None)}
    is_due = [
        *(live.where(column.between(after, until)) for column in is_overdue),
        *(live.where(column.between(after - MOST_LATE, after), still) for column, still in is_overdue.items()),
    ]
    return connection.scalar(select(or_(*(query.exists() for query in is_due)))) is True  # each has an index


def live_record_count(connection: Connection, source_id: int) -> int:
    """How many records of the source are not deleted."""
    query = select(func.count()).where(records.c.source_id == source_id, records.c.deleted_at.is_(None))
    return connection.scalar(query) or 0


def live_counts_by_model(connection: Connection, source_id: int) -> dict[ModelId, int]:
    """How many records of each model are not deleted; a model without any is left out."""
    query = (
        select(records.c.model_id, func.count())
        .where(records.c.source_id == source_id, records.c.deleted_at.is_(None))
        .group_by(records.c.model_id)
    )
    return {ModelId(row[0]): row[1] for row in connection.execute(query)}


def live_counts_by_status(connection: Connection, source_id: int) -> dict[str | None, int]:
    """Count the live records of each status, without those of models that are block models now.

    None counts those without a status, which upstream's schema allows.
    """
    query = select(records.c.status, func.count()).where(*_live(source_id)).group_by(records.c.status)
    return {row[0]: row[1] for row in connection.execute(query)}


def oldest_synced(connection: Connection, source_id: int, limit: int, *, now: datetime) -> list[KnownRecord]:
    """Return the live records whose versions were not read for the longest time, at most `limit` of them.

    Up to half of them are records with status `updated` that were not read for a day: of these alone a publication can
    leave no trace in the list of records, behind another edit of the same record.
    """
    longest_first = (records.c.synced_at, records.c.id)
    updated = _RECORD.where(
        *_live(source_id), records.c.status == UPDATED, records.c.synced_at <= now - SCRUB_UPDATED_AFTER
    )
    first = [_record(row) for row in connection.execute(updated.order_by(*longest_first).limit(-(-limit // 2)))]
    rest = _RECORD.where(*_live(source_id), records.c.id.not_in([record.id for record in first]))
    others = connection.execute(rest.order_by(*longest_first).limit(limit - len(first)))
    return first + [_record(row) for row in others]


def publication_candidates(
    connection: Connection, source_id: int, *, since: datetime, published_after: datetime, limit: int
) -> list[KnownRecord]:
    """Return live records that may have been published without a trace, and whose versions were not read `since`.

    Those with status `updated` come first, then those published after `published_after`; of each the one that was
    published last. Models without draft mode are left out: there each publication is a new version.
    """
    without_drafts = select(models.c.id).where(models.c.source_id == source_id, models.c.draft_mode.is_(False))
    is_updated = records.c.status == UPDATED
    query = (
        _RECORD.where(
            *_live(source_id),
            records.c.model_id.not_in(without_drafts),
            records.c.synced_at < since,
            or_(is_updated, and_(records.c.status == PUBLISHED, records.c.published_at >= published_after)),
        )
        .order_by(case((is_updated, 0), else_=1), records.c.published_at.desc(), records.c.id)
        .limit(limit)
    )
    return [_record(row) for row in connection.execute(query)]


def _live(source_id: int) -> tuple[ColumnElement[bool], ...]:
    """Conditions for the records that upstream should list.

    Records of a model that became a block model stay as they were: upstream shows them as blocks, if at all.
    """
    blocks = select(models.c.id).where(models.c.source_id == source_id, models.c.is_block)
    return records.c.source_id == source_id, records.c.deleted_at.is_(None), records.c.model_id.not_in(blocks)


def _record(row: Row[*tuple[Any, ...]]) -> KnownRecord:
    return KnownRecord(
        id=RecordId(row.id),
        model_id=ModelId(row.model_id),
        fingerprint=row.fingerprint,
        created_at=row.created_at,
        updated_at=row.updated_at,
        published_at=row.published_at,
        first_published_at=row.first_published_at,
        current_version_id=row.current_version_id,
        published_version_id=row.published_version_id,
        version_count=row.version_count,
        synced_at=row.synced_at,
        deleted_at=row.deleted_at,
    )


def _version(row: Row[*tuple[Any, ...]]) -> Version:
    return Version(
        id=VersionId(row.id),
        model_id=ModelId(row.model_id),
        ordinal=row.ordinal,
        created_at=row.created_at,
        editor=None if row.editor_type is None else Editor(row.editor_type, row.editor_id),
        is_current=row.is_current,
        is_published=row.is_published,
        published_from=row.published_from,
        published_until=row.published_until,
        is_valid=row.is_valid,
        content_hash=row.attributes_hash,
        missing_since=row.missing_since,
    )
