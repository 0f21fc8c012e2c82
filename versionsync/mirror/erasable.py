"""Where the database keeps contents of records, and how they are erased there.

Each table is in `PLACES` or in `FREE`; a test walks all tables and fails otherwise. An erasure works through `PLACES`,
so a new table with content needs one line there. Rows of derived tables are deleted: the event `record.erased`, written
in the same transaction, has the projections compute them again from what is left.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Table, Text, bindparam, cast, delete, func, or_, select, update

from versionsync.ledger.content import content_hash
from versionsync.ledger.events import EventType
from versionsync.ledger.ids import VersionId
from versionsync.mirror.engine.bulk import chunked, run_many
from versionsync.mirror.engine.dialects import dialect_of
from versionsync.mirror.schema import (
    changes,
    events,
    links,
    passages,
    restore_plans,
    restore_steps,
    titles,
    upload_changes,
    uploads,
    version_rewrites,
    versions,
)
from versionsync.mirror.tables.events import OF_RECORD
from versionsync.mirror.tables.versions import stored_texts

__all__ = [
    "FREE",
    "PLACES",
    "EraseContent",
    "Found",
    "Kind",
    "Place",
    "empty_plans",
    "erase_contents",
    "erase_derived",
    "erase_hashes",
    "find_contents",
    "records_naming",
]

EraseContent = Callable[[bytes, int | None], bytes]
"""Returns what is left of a content, a JSON text. The number is the event that stored it. None: a former content."""


class Kind(StrEnum):
    """How the contents of a record are erased in a table."""

    CONTENT = "content"
    """The content is replaced by what is left of it, and its hash with it."""
    DERIVED = "derived"
    """The rows of the record, by `record_id`, are deleted and computed again."""
    HASHES = "hashes"
    """Hashes of contents are removed: the hash of a short text can be guessed."""
    UPLOADS = "uploads"
    """What is known of an upload. The erasure of a record leaves it: several records can use one file."""
    PLANS = "plans"
    """Plans of `restore` that name the record are emptied."""


@dataclass(frozen=True, slots=True)
class Place:
    """A table that holds contents of records. `columns`: those with content. Of a derived table all rows go."""

    table: Table
    kind: Kind
    columns: tuple[str, ...] = ()


CONTENT: Final = ("attributes", "attributes_exact", "attributes_hash")

PLACES: Final = (
    Place(versions, Kind.CONTENT, CONTENT),
    Place(version_rewrites, Kind.CONTENT, CONTENT),
    Place(events, Kind.HASHES, ("data",)),
    Place(changes, Kind.DERIVED),
    Place(titles, Kind.DERIVED),
    Place(links, Kind.DERIVED),
    Place(passages, Kind.DERIVED),
    Place(
        uploads,
        Kind.UPLOADS,
        ("filename", "basename", "url", "path", "mime_type", "format", "md5", "default_field_metadata", "tags"),
    ),
    Place(upload_changes, Kind.UPLOADS, ("before",)),
    Place(restore_plans, Kind.PLANS, ("hash", "wanted", "body", "report")),
    Place(restore_steps, Kind.PLANS, ("body", "error_code", "error")),
)

FREE: Final[Mapping[str, str]] = {
    "sources": "names, settings and progress of the project",
    "models": "the schema",
    "fields": "the schema",
    "editors": "people as authors of versions: they are not content",
    "records": "ids, times, states, and a hash of the meta",
    "erasures": "ids, and what the person who erased wrote",
    "intervals": "ids and times",
    "projection_cursors": "positions",
    "reordered_records": "ids",
    "runs": "counts and errors, which quote no content",
    "leases": "processes",
    "daemons": "processes, and names of sources",
    "source_claims": "processes",
    "request_usage": "counts",
    "webhook_queue": "ids and times",
    "webhook_log_cursors": "ids and times",
    "webhooks": "states and times",
    "sent_notifications": "states of the source",
}
"""The tables without content of records, and what they hold."""


@dataclass(frozen=True, slots=True)
class Found:
    """What an erasure finds of a record.

    Attributes:
        versions: How many versions have content that is erased.
        rewrites: How many former contents of versions are.
        events: How many events have hashes of contents.
        derived: How many rows of each projection are computed again.
        plans: The plans of `restore` that are emptied.
    """

    versions: int
    rewrites: int
    events: int
    derived: Mapping[str, int]
    plans: tuple[str, ...]


def find_contents(connection: Connection, source_id: int, record_id: str, erase: EraseContent) -> Found:
    """Return what an erasure would erase of a record."""
    derived = {
        place.table.name: int(
            connection.scalar(
                select(func.count()).select_from(place.table).where(*_of_record(place.table, source_id, record_id))
            )
            or 0
        )
        for place in PLACES
        if place.kind is Kind.DERIVED
    }
    return Found(
        versions=sum(1 for _ in _changed_versions(connection, source_id, record_id, erase)),
        rewrites=sum(1 for _ in _changed_rewrites(connection, source_id, record_id, erase)),
        events=len(_with_hashes(connection, source_id, record_id)),
        derived=derived,
        plans=tuple(_plans(connection, source_id, record_id)),
    )


def records_naming(connection: Connection, source_id: int, upload_id: str) -> list[str]:
    """Return the records of which a content has the id of an upload in it. This reads all contents of the source."""
    named = cast(versions.c.attributes, Text).contains(upload_id, autoescape=True)
    formerly = cast(version_rewrites.c.attributes, Text).contains(upload_id, autoescape=True)
    former = select(version_rewrites.c.version_id).where(version_rewrites.c.source_id == source_id, formerly)
    query = (
        select(versions.c.record_id)
        .distinct()
        .where(versions.c.source_id == source_id, or_(named, versions.c.id.in_(former)))
    )
    return sorted(connection.scalars(query))


def erase_contents(tx: Connection, source_id: int, record_id: str, erase: EraseContent, *, at: datetime) -> None:
    """Erase the contents of a record's versions, former ones too."""
    key = (versions.c.source_id == bindparam("of_source"), versions.c.id == bindparam("version"))
    new: dict[str, Any] = {name: bindparam(f"new_{name}") for name in (*CONTENT, "changed_at")}
    names = (*new, "of_source", "version")
    parameters = tuple(f"new_{name}" if name in new else name for name in names)
    run_many(
        tx,
        update(versions).where(*key).values(new),
        parameters,
        (
            (*_storable(tx, content), at, source_id, id)
            for id, content in _changed_versions(tx, source_id, record_id, erase)
        ),
    )
    former = version_rewrites.c
    of_rewrite = (
        former.source_id == bindparam("of_source"),
        former.version_id == bindparam("version"),
        former.observed_at == bindparam("at"),
    )
    run_many(
        tx,
        update(version_rewrites).where(*of_rewrite).values({name: new[name] for name in CONTENT}),
        (*(f"new_{name}" for name in CONTENT), "of_source", "version", "at"),
        (
            (*_storable(tx, content), source_id, id, observed_at)
            for id, observed_at, content in _changed_rewrites(tx, source_id, record_id, erase)
        ),
    )


def erase_hashes(tx: Connection, source_id: int, record_id: str) -> None:
    """Remove the hashes of contents from the events of a record."""
    for id, data in _with_hashes(tx, source_id, record_id).items():
        text = dialect_of(tx).storable_json_text(json.dumps({**data, **dict.fromkeys(HASHES)}))
        tx.execute(update(events).where(events.c.source_id == source_id, events.c.id == id).values(data=text))


def erase_derived(tx: Connection, source_id: int, record_id: str) -> None:
    """Delete the rows that were derived from a record's contents."""
    for place in PLACES:
        if place.kind is Kind.DERIVED:
            tx.execute(delete(place.table).where(*_of_record(place.table, source_id, record_id)))


def empty_plans(tx: Connection, source_id: int, record_id: str) -> None:
    """Empty the plans of `restore` that name a record. They can be applied no more."""
    for chunk in chunked(_plans(tx, source_id, record_id)):
        tx.execute(
            update(restore_steps)
            .where(restore_steps.c.source_id == source_id, restore_steps.c.plan_id.in_(chunk))
            .values(body="{}", error=None, error_code=None)
        )
        tx.execute(
            update(restore_plans)
            .where(restore_plans.c.source_id == source_id, restore_plans.c.id.in_(chunk))
            .values(body="{}", wanted="", report=None, hash=bytes(32), state="erased", holder=None, expires_at=None)
        )


HASHES: Final = ("previous_hash", "hash")
"""The members of the data of `version.rewritten` that are hashes of contents."""


def _changed_versions(
    connection: Connection, source_id: int, record_id: str, erase: EraseContent
) -> Iterator[tuple[str, bytes]]:
    """Yield the versions that lose content, with what is left."""
    query = select(versions.c.id).where(versions.c.source_id == source_id, versions.c.record_id == record_id)
    ids = [VersionId(id) for id in connection.scalars(query)]
    for some in chunked(ids, CONTENTS_AT_ONCE):
        for stored in list(stored_texts(connection, source_id, some)):
            left = erase(stored.text, stored.stored_by)
            if left != stored.text:
                yield stored.version_id, left


def _changed_rewrites(
    connection: Connection, source_id: int, record_id: str, erase: EraseContent
) -> Iterator[tuple[str, datetime, bytes]]:
    """Yield the former contents that lose something, with what is left."""
    former = version_rewrites.c
    of_record = select(versions.c.id).where(versions.c.source_id == source_id, versions.c.record_id == record_id)
    keys = connection.execute(
        select(former.version_id, former.observed_at).where(
            former.source_id == source_id, former.version_id.in_(of_record)
        )
    ).all()
    for id, observed_at in keys:
        text, exact = connection.execute(
            select(former.attributes, former.attributes_exact).where(
                former.source_id == source_id, former.version_id == id, former.observed_at == observed_at
            )
        ).one()
        content = text.encode() if exact is None else exact
        left = erase(content, None)
        if left != content:
            yield id, observed_at, left


CONTENTS_AT_ONCE: Final = 16


def _storable(tx: Connection, content: bytes) -> tuple[str, bytes | None, bytes]:
    text, exact = dialect_of(tx).storable_json(content)
    return text, exact, content_hash(content)


def _of_record(table: Table, source_id: int, record_id: str) -> tuple[ColumnElement[bool], ...]:
    return table.c.source_id == source_id, table.c.record_id == record_id


def _with_hashes(connection: Connection, source_id: int, record_id: str) -> dict[int, dict[str, Any]]:
    """Return the data of the events of a record that have hashes, by id."""
    query = select(events.c.id, events.c.data).where(
        events.c.source_id == source_id,
        events.c.record_id == record_id,
        events.c.type == EventType.VERSION_REWRITTEN.value,
    )
    rows = connection.execute(query.with_hint(events, OF_RECORD, "sqlite"))
    found = {id: json.loads(data) for id, data in rows}
    return {id: data for id, data in found.items() if any(data.get(name) is not None for name in HASHES)}


def _plans(connection: Connection, source_id: int, record_id: str) -> list[str]:
    """Return the plans that name a record in a step or anywhere else."""
    steps, plans, name = restore_steps.c, restore_plans.c, f'"{record_id}"'  # as JSON: an old id is a short number
    in_steps = select(steps.plan_id).where(
        steps.source_id == source_id,
        or_(steps.record_id == record_id, steps.body.contains(name, autoescape=True)),
    )
    query = select(plans.id).where(
        plans.source_id == source_id,
        plans.state != "erased",
        or_(
            plans.id.in_(in_steps),
            plans.body.contains(name, autoescape=True),
            plans.report.contains(name, autoescape=True),
        ),
    )
    return list(connection.scalars(query.order_by(plans.id)))
