"""Read and write uploads, and what changed about them from one reading to the next."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, Row, bindparam, or_, select, update

from versionsync.ledger.times import format_time
from versionsync.mirror.engine.bulk import chunked, field_names, run_many
from versionsync.mirror.engine.dialects import Dialect, dialect_of
from versionsync.mirror.schema import upload_changes, uploads
from versionsync.mirror.tables.erasures import erased_uploads
from versionsync.mirror.tables.leases import Lease, assert_and_renew

__all__ = [
    "UploadRow",
    "count_details",
    "erase_upload",
    "insert_upload_ids",
    "update_uploads",
    "uploads_to_read",
    "without_details",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadRow:
    """An upload as upstream shows it. The fields are columns; metadata and tags are JSON text."""

    id: str
    filename: str | None
    basename: str | None
    url: str | None
    path: str | None
    size: int | None
    width: int | None
    height: int | None
    mime_type: str | None
    format: str | None
    md5: str | None
    default_field_metadata: str | None
    tags: str | None
    created_at: datetime | None
    updated_at: datetime | None


DETAILS: Final = field_names(UploadRow, "id")
COMPARED: Final = tuple(name for name in DETAILS if name != "updated_at")
"""Columns whose changes are recorded. DatoCMS also moves `updated_at` for what the mirror does not hold."""
TIMES: Final = frozenset({"created_at", "updated_at"})
ERASABLE: Final = tuple(name for name in DETAILS if name not in TIMES)
"""Columns that an erasure of the upload empties."""
JSON: Final = frozenset({"default_field_metadata", "tags"})
STATE: Final = (*DETAILS, "changed_at", "checked_at", "deleted_at")
_this_one = (uploads.c.source_id == bindparam("of_source"), uploads.c.id == bindparam("upload"))
_UPDATE = update(uploads).where(*_this_one).values({name: bindparam(f"new_{name}") for name in STATE})
_CHANGE = ("source_id", "upload_id", "observed_at", "kind", "updated_at", "before")


def insert_upload_ids(tx: Connection, source_id: int, ids: Iterable[str], *, observed_at: datetime) -> None:
    """Make a row with an id only for each upload that has none."""
    rows = [(source_id, id, observed_at, observed_at) for id in sorted(ids)]
    if rows:
        run_many(tx, dialect_of(tx).insert_ignore(uploads), ("source_id", "id", "first_seen_at", "changed_at"), rows)


def uploads_to_read(connection: Connection, source_id: int, *, checked_before: datetime | None) -> list[str]:
    """Return the uploads that were never read, then those last read before that time, the oldest first."""
    never = uploads.c.checked_at.is_(None)
    query = (
        select(uploads.c.id)
        .where(
            uploads.c.source_id == source_id,
            never if checked_before is None else or_(never, uploads.c.checked_at < checked_before),
        )
        .order_by(uploads.c.checked_at.is_not(None), uploads.c.checked_at, uploads.c.id)
    )
    return list(connection.scalars(query))


def update_uploads(
    tx: Connection,
    lease: Lease,
    asked: Sequence[str],
    found: Sequence[UploadRow],
    *,
    unreadable: Collection[str] = (),
    observed_at: datetime,
) -> None:
    """Write what upstream shows of some uploads, and record what changed. Those it does not show are marked deleted.

    Args:
        tx: The transaction.
        lease: The right to write.
        asked: The uploads that upstream was asked for.
        found: What it showed.
        unreadable: Those that it showed in a form that cannot be read. They stay as they are.
        observed_at: When it was asked.
    """
    assert_and_renew(tx, lease)
    dialect, erased = dialect_of(tx), erased_uploads(tx, lease.source_id)
    by_id = {row.id: without_details(row) if row.id in erased else row for row in found}
    states: list[tuple[Any, ...]] = []
    changes: list[tuple[Any, ...]] = []
    for known in _load(tx, lease.source_id, asked):
        at = observed_at if known.checked_at is None else max(observed_at, known.checked_at + timedelta(microseconds=1))
        row = by_id.get(known.id)
        if row is None:
            is_gone = known.id not in unreadable
            values = tuple(getattr(known, name) for name in DETAILS)
            deleted_at = known.deleted_at or (at if is_gone else None)
            changed_at = known.changed_at if deleted_at == known.deleted_at else max(at, known.changed_at)
            states.append((lease.source_id, known.id, *values, changed_at, at, deleted_at))
            if is_gone and known.checked_at is not None and known.deleted_at is None:
                changes.append((lease.source_id, known.id, at, "deleted", None, "{}"))
            continue
        new = {name: _storable(dialect, name, getattr(row, name)) for name in DETAILS}
        is_same = known.deleted_at is None and all(
            _plain(name, getattr(known, name)) == _plain(name, value) for name, value in new.items()
        )
        changed_at = known.changed_at if is_same else max(at, known.changed_at)
        states.append((lease.source_id, known.id, *new.values(), changed_at, at, None))
        before = {} if known.filename is None else _former(known, new)
        if known.deleted_at is not None or before:
            kind = "changed" if known.deleted_at is None else "returned"
            changes.append((lease.source_id, known.id, at, kind, row.updated_at, json.dumps(before)))
    run_many(tx, _UPDATE, ("of_source", "upload", *(f"new_{name}" for name in STATE)), states)
    dialect.insert_many(tx, upload_changes, _CHANGE, changes)


def without_details(row: UploadRow) -> UploadRow:
    """Return what may be kept of an upload that was erased on request."""
    return UploadRow(
        id=row.id,
        filename=None,
        basename=None,
        url=None,
        path=None,
        size=None,
        width=None,
        height=None,
        mime_type=None,
        format=None,
        md5=None,
        default_field_metadata=None,
        tags=None,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def erase_upload(tx: Connection, source_id: int, upload_id: str, *, at: datetime) -> None:
    """Erase what is known of an upload, and what was. Its row stays, with its times."""
    tx.execute(
        update(uploads)
        .where(uploads.c.source_id == source_id, uploads.c.id == upload_id)
        .values({**dict.fromkeys(ERASABLE), "changed_at": at})
    )
    tx.execute(
        update(upload_changes)
        .where(upload_changes.c.source_id == source_id, upload_changes.c.upload_id == upload_id)
        .values(before="{}")
    )


def count_details(connection: Connection, source_id: int, upload_id: str) -> tuple[int, int]:
    """Return how many rows of `uploads` (1 or 0) and of `upload_changes` have details of an upload."""
    own = connection.execute(
        select(*(uploads.c[name] for name in ERASABLE)).where(
            uploads.c.source_id == source_id, uploads.c.id == upload_id
        )
    ).first()
    former = connection.scalars(
        select(upload_changes.c.before).where(
            upload_changes.c.source_id == source_id, upload_changes.c.upload_id == upload_id
        )
    )
    has_details = own is not None and any(value is not None for value in own)
    return int(has_details), sum(json.loads(before) != {} for before in former)


def _load(tx: Connection, source_id: int, ids: Iterable[str]) -> list[Row[Any]]:
    columns = (uploads.c.id, *(uploads.c[name] for name in STATE))
    return [
        row
        for chunk in chunked(ids)
        for row in tx.execute(select(*columns).where(uploads.c.source_id == source_id, uploads.c.id.in_(chunk)))
    ]


def _storable(dialect: Dialect, name: str, value: Any) -> Any:
    """Return a value as it comes back from the database."""
    if not isinstance(value, str):
        return value
    return dialect.storable_json_text(value) if name in JSON else value.replace("\0", "\ufffd")


def _former(known: Row[Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Return the previous values of the columns that changed, as JSON values."""
    before = {name: _plain(name, getattr(known, name)) for name in COMPARED}
    return {name: value for name, value in before.items() if value != _plain(name, new[name])}


def _plain(name: str, value: Any) -> Any:
    if isinstance(value, datetime):
        return format_time(value)
    return json.loads(value) if name in JSON and value is not None else value
