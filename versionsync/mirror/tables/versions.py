"""Rows of `versions`: inserted, changed, and kept aside before upstream's rewriting of them is followed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, bindparam, func, insert, select, update

from versionsync.ledger.ids import RecordId, VersionId, uuid_of
from versionsync.ledger.records import Change, Version
from versionsync.mirror.engine.bulk import chunked, insert_many, run_many
from versionsync.mirror.engine.jsonb import jsonb_form
from versionsync.mirror.engine.types import POSTGRES
from versionsync.mirror.errors import ContentRejected
from versionsync.mirror.schema import version_rewrites, versions

__all__ = ["archive_rewritten", "clear_flags", "insert_versions", "update_contents", "update_versions"]

STATE = (
    "model_id",
    "ordinal",
    "created_at",
    "editor_type",
    "editor_id",
    "is_current",
    "is_published",
    "published_from",
    "published_until",
    "is_valid",
    "missing_since",
)
CONTENT = ("attributes", "attributes_exact", "attributes_hash")
FLAGS = ("ordinal", "is_current", "is_published")
KEY = ("of_source", "version")

_this_one = (versions.c.source_id == bindparam("of_source"), versions.c.id == bindparam("version"))


def _set(*columns: str) -> dict[str, Any]:
    return {name: bindparam(f"new_{name}") for name in columns}


INSERT_COLUMNS = ("source_id", "id", "uuid", "record_id", "first_seen_at", "changed_at", *STATE, *CONTENT)
UPDATE = update(versions).where(*_this_one).values(_set("changed_at", *STATE))
UPDATE_CONTENT = update(versions).where(*_this_one).values(_set(*CONTENT))
CLEAR_FLAGS = update(versions).where(*_this_one).values(_set(*FLAGS))


def insert_versions(
    tx: Connection,
    source_id: int,
    new: Sequence[tuple[RecordId, Version]],
    contents: Mapping[VersionId, bytes],
    *,
    observed_at: datetime,
) -> int:
    """Insert versions with their contents; returns their number."""

    def rows() -> Iterator[tuple[object, ...]]:
        for record_id, version in new:
            yield (
                source_id,
                version.id,
                uuid_of(version.id),
                record_id,
                observed_at,
                observed_at,
                *_state(version),
                *_content(tx, version, contents),
            )

    return insert_many(tx, versions, INSERT_COLUMNS, rows())


def clear_flags(tx: Connection, source_id: int, changed: Sequence[Change]) -> None:
    """Take flags and places in the order from versions that lose them, so that others can have them."""
    run_many(
        tx,
        CLEAR_FLAGS,
        KEY + tuple(f"new_{name}" for name in FLAGS),
        [
            (
                source_id,
                after.id,
                # Negative places are nobody's: two versions can change places through them.
                before.ordinal if before.ordinal == after.ordinal else -1 - after.ordinal,
                before.is_current and after.is_current,
                before.is_published and after.is_published,
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
        ((source_id, version.id, *_content(tx, version, contents)) for version in rewritten),
    )


def archive_rewritten(
    tx: Connection,
    source_id: int,
    rewritten: Sequence[Version],
    *,
    observed_at: datetime,
    run_id: int | None,
) -> None:
    """Copy what `versions` holds of these into `version_rewrites`, before it is replaced (invariant 1)."""
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
    """When each of these versions was last rewritten: since then it has held what it holds now."""
    query = (
        select(version_rewrites.c.version_id, func.max(version_rewrites.c.observed_at))
        .where(version_rewrites.c.source_id == source_id, version_rewrites.c.version_id.in_(ids))
        .group_by(version_rewrites.c.version_id)
    )
    last = {row[0]: row[1] for row in tx.execute(query)}
    return {id: last.get(id) for id in ids}


def _is_lossy(before: Version, after: Version) -> bool:
    return (
        (before.is_current and not after.is_current)
        or (before.is_published and not after.is_published)
        or before.ordinal != after.ordinal
    )


def _state(version: Version) -> tuple[object, ...]:
    editor = version.editor
    return (
        version.model_id,
        version.ordinal,
        version.created_at,
        editor.type if editor else None,
        editor.id if editor else None,
        version.is_current,
        version.is_published,
        version.published_from,
        version.published_until,
        version.is_valid,
        version.missing_since,
    )


def _content(tx: Connection, version: Version, contents: Mapping[VersionId, bytes]) -> tuple[str, bytes | None, bytes]:
    raw = contents[version.id]
    try:
        text, exact = jsonb_form(raw) if tx.dialect.name == POSTGRES else (raw.decode(), None)
    except UnicodeDecodeError as error:
        raise ContentRejected(f"the content of the version {version.id} is not UTF-8 at byte {error.start}") from error
    return text, exact, version.content_hash
