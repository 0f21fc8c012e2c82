"""Read and write versions and their contents, and archive the content of a version before it is rewritten."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    ScalarSelect,
    and_,
    bindparam,
    func,
    insert,
    literal,
    select,
    update,
)

from versionsync.ledger.events import EventType
from versionsync.ledger.ids import RecordId, VersionId, uuid_of
from versionsync.ledger.records import Change, Editor, SeenVersion, Version
from versionsync.mirror.engine.bulk import chunked, field_names, run_many
from versionsync.mirror.engine.dialects import Dialect, dialect_of
from versionsync.mirror.errors import ContentRejected
from versionsync.mirror.schema import events, version_rewrites, versions
from versionsync.mirror.tables.events import OF_RECORD

__all__ = [
    "StoredContent",
    "VersionPlace",
    "archive_rewritten",
    "clear_flags",
    "former_texts",
    "insert_versions",
    "load_versions",
    "stored_contents",
    "stored_texts",
    "update_contents",
    "update_versions",
    "version_order",
]

# The columns that are fields of SeenVersion of the same name; `editor` is two columns, `content_hash` another name.
SEEN = field_names(SeenVersion, "id", "editor", "content_hash", "rewrite_cause")
STATE = (*SEEN, "editor_type", "editor_id", "ordinal", "missing_since")
CONTENT = ("attributes", "attributes_exact", "attributes_hash")
CONTENTS_AT_ONCE = 16  # each may be hundreds of kilobytes long
FLAGS = ("ordinal", "is_current", "is_published")
KEY = ("of_source", "version")

_this_one = (versions.c.source_id == bindparam("of_source"), versions.c.id == bindparam("version"))


def _set(*columns: str) -> dict[str, Any]:
    return {name: bindparam(f"new_{name}") for name in columns}


INSERT_COLUMNS = ("source_id", "id", "uuid", "record_id", "first_seen_at", "changed_at", *STATE, *CONTENT)
UPDATE = update(versions).where(*_this_one).values(_set("changed_at", *STATE))
UPDATE_CONTENT = update(versions).where(*_this_one).values(_set(*CONTENT))
CLEAR_FLAGS = update(versions).where(*_this_one).values(_set(*FLAGS))


_VERSION = select(*(versions.c[name] for name in ("record_id", "id", *STATE, "attributes_hash")))
_seen = attrgetter(*SEEN)


def load_versions(
    connection: Connection, source_id: int, record_ids: Iterable[RecordId]
) -> dict[RecordId, tuple[Version, ...]]:
    """Return the versions of these records, oldest first, missing ones too. A record without any is left out."""
    found: dict[RecordId, list[Version]] = {}
    for chunk in chunked(record_ids):
        query = _VERSION.where(versions.c.source_id == source_id, versions.c.record_id.in_(chunk)).order_by(
            versions.c.record_id, versions.c.ordinal
        )
        for row in connection.execute(query):
            found.setdefault(RecordId(row.record_id), []).append(_version(row))
    return {id: tuple(listed) for id, listed in found.items()}


def stored_contents(connection: Connection, source_id: int, ids: Iterable[VersionId]) -> dict[VersionId, set[bytes]]:
    """Return the hashes of the contents that these versions had before they were rewritten."""
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

    `text` is its JSON text, `hash` that of its value. `stored_by` is the id of the event that came with it. For a
    former content that may be an earlier event of the version.
    """

    version_id: VersionId
    text: bytes
    hash: bytes
    stored_by: int


def stored_texts(connection: Connection, source_id: int, ids: Iterable[VersionId]) -> Iterator[StoredContent]:
    """Yield the contents that these versions have in the mirror; only a few are in memory at a time."""
    rewritten, created = (
        _event_of(type, func.max) for type in (EventType.VERSION_REWRITTEN, EventType.VERSION_CREATED)
    )
    for chunk in chunked(ids, CONTENTS_AT_ONCE):
        query = select(
            versions.c.id,
            versions.c.attributes,
            versions.c.attributes_exact,
            versions.c.attributes_hash,
            func.coalesce(rewritten, created, 0),
        ).where(versions.c.source_id == source_id, versions.c.id.in_(chunk))
        for id, text, exact, hash, stored_by in connection.execute(query):
            yield StoredContent(VersionId(id), text.encode() if exact is None else exact, hash, stored_by)


def former_texts(connection: Connection, source_id: int, id: VersionId) -> Iterator[StoredContent]:
    """Yield the contents that a version had before it was rewritten; only a few are in memory at a time."""
    observed = connection.scalars(
        select(version_rewrites.c.observed_at)
        .where(version_rewrites.c.source_id == source_id, version_rewrites.c.version_id == id)
        .order_by(version_rewrites.c.observed_at.desc())
    ).all()
    created, rewritten = (
        _event_of(type, func.min) for type in (EventType.VERSION_CREATED, EventType.VERSION_REWRITTEN)
    )
    rewrites = version_rewrites.join(
        versions,
        and_(versions.c.source_id == version_rewrites.c.source_id, versions.c.id == version_rewrites.c.version_id),
    )
    for chunk in chunked(observed, CONTENTS_AT_ONCE):
        query = (
            select(
                version_rewrites.c.attributes,
                version_rewrites.c.attributes_exact,
                version_rewrites.c.attributes_hash,
                func.coalesce(created, rewritten, 0),
            )
            .select_from(rewrites)
            .where(
                version_rewrites.c.source_id == source_id,
                version_rewrites.c.version_id == id,
                version_rewrites.c.observed_at.in_(chunk),
            )
        )
        for text, exact, hash, stored_by in connection.execute(query):
            yield StoredContent(id, text.encode() if exact is None else exact, hash, stored_by)


def _event_of(type: EventType, choose: Callable[..., ColumnElement[Any]]) -> ScalarSelect[Any]:
    """Return the id of the first or last event of this type of each row of `versions`, or NULL."""
    key = literal(f"{type}:") + versions.c.id
    return (
        select(choose(events.c.id))
        .where(
            events.c.source_id == versions.c.source_id,
            events.c.record_id == versions.c.record_id,
            events.c.version_id == versions.c.id,
            events.c.type == type.value,
            # For the index. After the version, a key ends or goes on with "#" or ":", which come before ";".
            events.c.key >= key,
            events.c.key < key + ";",
        )
        .with_hint(events, OF_RECORD, "sqlite")
        .correlate(versions)
        .scalar_subquery()
    )


def insert_versions(
    tx: Connection,
    source_id: int,
    new: Sequence[tuple[RecordId, Version]],
    contents: Mapping[VersionId, bytes],
    *,
    observed_at: datetime,
) -> int:
    """Insert versions with their contents; return their number."""

    dialect = dialect_of(tx)

    def rows() -> Iterator[tuple[object, ...]]:
        for record_id, version in new:
            id = version.seen.id
            content = _content(dialect, version, contents)
            yield source_id, id, uuid_of(id), record_id, observed_at, observed_at, *_state(version), *content

    return dialect.insert_many(tx, versions, INSERT_COLUMNS, rows())


def clear_flags(tx: Connection, source_id: int, changed: Sequence[Change]) -> None:
    """Take flags and ordinals from versions that lose them, so that others can have them."""
    run_many(
        tx,
        CLEAR_FLAGS,
        KEY + tuple(f"new_{name}" for name in FLAGS),
        [
            (
                source_id,
                after.id,
                # No version has a negative ordinal: through these, two versions can swap theirs.
                before.ordinal if before.ordinal == after.ordinal else -1 - after.ordinal,
                before.seen.is_current and after.seen.is_current,
                before.seen.is_published and after.seen.is_published,
            )
            for change in changed
            if (before := change.before) is not None and _is_lossy(before, after := change.after)
        ],
    )


def update_versions(tx: Connection, source_id: int, changed: Sequence[Version], *, observed_at: datetime) -> None:
    """Set everything but the content of known versions."""
    run_many(
        tx,
        UPDATE,
        KEY + tuple(f"new_{name}" for name in ("changed_at", *STATE)),
        [(source_id, version.id, observed_at, *_state(version)) for version in changed],
    )


def update_contents(
    tx: Connection, source_id: int, rewritten: Sequence[Version], contents: Mapping[VersionId, bytes]
) -> None:
    """Set the content of versions that upstream has rewritten."""
    run_many(
        tx,
        UPDATE_CONTENT,
        KEY + tuple(f"new_{name}" for name in CONTENT),
        ((source_id, version.id, *_content(dialect_of(tx), version, contents)) for version in rewritten),
    )


def archive_rewritten(
    tx: Connection,
    source_id: int,
    rewritten: Sequence[Version],
    *,
    observed_at: datetime,
    run_id: int | None,
) -> None:
    """Copy the rows of these versions into `version_rewrites` before their content is replaced (invariant 1)."""
    for chunk in chunked(version.id for version in rewritten):
        for id, last in _last_rewrites(tx, source_id, chunk).items():
            at = observed_at if last is None else max(observed_at, last + timedelta(microseconds=1))
            kept = select(
                versions.c.source_id,
                versions.c.id,
                bindparam("at", at, type_=version_rewrites.c.observed_at.type),
                versions.c.created_at,
                versions.c.editor_type,
                versions.c.editor_id,
                versions.c.attributes,
                versions.c.attributes_exact,
                versions.c.attributes_hash,
                versions.c.first_seen_at
                if last is None
                else bindparam("since", last, type_=version_rewrites.c.first_seen_at.type),
                bindparam("run", run_id, type_=version_rewrites.c.run_id.type),
            ).where(versions.c.source_id == source_id, versions.c.id == id)
            tx.execute(insert(version_rewrites).from_select(REWRITE_COLUMNS, kept))


REWRITE_COLUMNS = [
    "source_id",
    "version_id",
    "observed_at",
    "created_at",
    "editor_type",
    "editor_id",
    *CONTENT,
    "first_seen_at",
    "run_id",
]


def _last_rewrites(tx: Connection, source_id: int, ids: Sequence[VersionId]) -> dict[VersionId, datetime | None]:
    """Return when each of these versions was last rewritten, and so got its current content."""
    query = (
        select(version_rewrites.c.version_id, func.max(version_rewrites.c.observed_at))
        .where(version_rewrites.c.source_id == source_id, version_rewrites.c.version_id.in_(ids))
        .group_by(version_rewrites.c.version_id)
    )
    last = {row[0]: row[1] for row in tx.execute(query)}
    return {id: last.get(id) for id in ids}


def _is_lossy(before: Version, after: Version) -> bool:
    return (
        (before.seen.is_current and not after.seen.is_current)
        or (before.seen.is_published and not after.seen.is_published)
        or before.ordinal != after.ordinal
    )


def _state(version: Version) -> tuple[object, ...]:
    editor = version.seen.editor
    return (
        *_seen(version.seen),
        editor.type if editor else None,
        editor.id if editor else None,
        version.ordinal,
        version.missing_since,
    )


def _version(row: Row[*tuple[Any, ...]]) -> Version:
    seen = SeenVersion(
        id=VersionId(row.id),
        editor=None if row.editor_type is None else Editor(row.editor_type, row.editor_id),
        content_hash=row.attributes_hash,
        **{name: getattr(row, name) for name in SEEN},
    )
    return Version(seen=seen, ordinal=row.ordinal, missing_since=row.missing_since)


def _content(
    dialect: Dialect, version: Version, contents: Mapping[VersionId, bytes]
) -> tuple[str, bytes | None, bytes]:
    raw = contents[version.id]
    try:
        text, exact = dialect.storable_json(raw)
    except UnicodeDecodeError as error:
        raise ContentRejected(f"the content of the version {version.id} is not UTF-8 at byte {error.start}") from error
    return text, exact, version.seen.content_hash


@dataclass(frozen=True, slots=True)
class VersionPlace:
    """A version without its content: its place in the order of its record."""

    id: str
    record_id: str
    model_id: str
    ordinal: int
    created_at: datetime


_PLACE = select(*(versions.c[name] for name in field_names(VersionPlace)))


def version_order(connection: Connection, source_id: int, record_ids: Iterable[str]) -> dict[str, list[VersionPlace]]:
    """Return all versions of each record, oldest first, missing ones too."""
    found: dict[str, list[VersionPlace]] = {}
    for chunk in chunked(record_ids):
        query = _PLACE.where(versions.c.source_id == source_id, versions.c.record_id.in_(chunk)).order_by(
            versions.c.record_id, versions.c.ordinal
        )
        for row in connection.execute(query):
            found.setdefault(row.record_id, []).append(VersionPlace(*row))
    return found
