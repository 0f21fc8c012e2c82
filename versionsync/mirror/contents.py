"""What the mirror holds of contents and fields: to compare content with that is seen again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, ScalarSelect, func, select

from versionsync.ledger.events import EventType
from versionsync.ledger.ids import ModelId, VersionId
from versionsync.ledger.sameness import ContentFields
from versionsync.mirror.engine.bulk import chunked
from versionsync.mirror.schema import events, fields, version_rewrites, versions

__all__ = ["StoredContent", "content_fields", "former_texts", "stored_texts"]

CONTENTS_AT_ONCE = 16  # each may be hundreds of kilobytes long
RESHAPES = ("field_type", "localized")


@dataclass(frozen=True, slots=True)
class StoredContent:
    """The content of a version as the mirror stored it.

    `text` is its JSON text, `hash` that of its value. `stored_by` is the id of the event
    with which the mirror stored it; of a former content it may be an earlier one of the version.
    """

    version_id: VersionId
    text: bytes
    hash: bytes
    stored_by: int


def stored_texts(connection: Connection, source_id: int, ids: Iterable[VersionId]) -> Iterator[StoredContent]:
    """The contents that these versions have in the mirror, a few of them in memory at a time."""
    last = _event_of(versions.c.source_id, versions.c.id, func.max)
    for chunk in chunked(ids, CONTENTS_AT_ONCE):
        query = select(
            versions.c.id,
            versions.c.attributes,
            versions.c.attributes_exact,
            versions.c.attributes_hash,
            last,
        ).where(versions.c.source_id == source_id, versions.c.id.in_(chunk))
        for id, text, exact, hash, stored_by in connection.execute(query):
            yield StoredContent(VersionId(id), text.encode() if exact is None else exact, hash, stored_by)


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
            _event_of(version_rewrites.c.source_id, version_rewrites.c.version_id, func.min),
        ).where(
            version_rewrites.c.source_id == source_id,
            version_rewrites.c.version_id == id,
            version_rewrites.c.observed_at.in_(chunk),
        )
        for text, exact, hash, stored_by in connection.execute(query):
            yield StoredContent(id, text.encode() if exact is None else exact, hash, stored_by)


def _event_of(
    source_id: ColumnElement[int], version_id: ColumnElement[str], choose: Callable[..., ColumnElement[Any]]
) -> ScalarSelect[Any]:
    """The id of the first or last event with which a content of a version was stored; 0: none."""
    stored = (EventType.VERSION_CREATED.value, EventType.VERSION_REWRITTEN.value)
    return (
        select(func.coalesce(choose(events.c.id), 0))
        .where(events.c.source_id == source_id, events.c.version_id == version_id, events.c.type.in_(stored))
        .scalar_subquery()
    )


def content_fields(connection: Connection, source_id: int) -> ContentFields:
    """What is known of the fields of a source: their types now, which were reshaped when, and their former names."""
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
    reshaped: dict[ModelId, dict[str, int]] = {}
    former: dict[ModelId, dict[str, str]] = {}
    told = (
        select(events.c.data, events.c.id)
        .where(
            events.c.source_id == source_id,
            events.c.record_id.is_(None),  # for the index: few events are about no record
            events.c.type == EventType.FIELD_CHANGED.value,
        )
        .order_by(events.c.id)
    )
    for text, id in connection.execute(told):
        data = json.loads(text)
        if data["field"]["id"] not in present:
            continue
        model_id, api_key = present[data["field"]["id"]]
        changes = data.get("changes", {})
        if any(name in changes for name in RESHAPES):
            reshaped.setdefault(model_id, {})[api_key] = id
        if isinstance(changes.get("api_key"), list) and isinstance(changes["api_key"][0], str):
            former.setdefault(model_id, {})[changes["api_key"][0]] = api_key
    return ContentFields(types, reshaped, former)
