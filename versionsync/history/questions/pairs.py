"""Which two versions to compare: those that a person names, or those of two moments."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final

from sqlalchemy import Connection, select

from versionsync.history.comparison import Comparison
from versionsync.history.errors import UnknownName
from versionsync.history.model import RecordKey
from versionsync.history.names import find_record, find_version
from versionsync.history.questions.as_of import AsOf, as_of
from versionsync.history.questions.compared import compared
from versionsync.history.questions.recent import recent
from versionsync.history.render.view import NOT_LIVE, NOT_THERE
from versionsync.history.scope import ModelName, Scope
from versionsync.mirror.schema import records, versions

__all__ = ["Against", "Located", "compared_moments", "compared_versions", "locate"]

_MAYBE_VERSION: Final = re.compile(r"[A-Za-z0-9_-]{4,22}|\d+")


class Against(StrEnum):
    """What a version is compared with. The values are public."""

    PREVIOUS = "previous"
    """The version before it."""
    LIVE = "live"
    """The version that is live now."""
    CURRENT = "current"
    """The newest version."""


@dataclass(frozen=True, slots=True)
class Located:
    """The version that a name means; of a record its current one."""

    key: RecordKey
    version_id: str


def locate(connection: Connection, scope: Scope, name: str) -> Located:
    """Return the version of this id, or the current version of the record of this name.

    Raises:
        UnknownName: Nothing has this name.
        AmbiguousName: Several have it.
    """
    wanted = name.strip()
    if _MAYBE_VERSION.fullmatch(wanted):
        try:
            found = find_version(connection, scope, wanted)
            return Located(RecordKey(found.source_id, found.record_id), found.version_id)
        except UnknownName:
            pass  # it may be the id of a record, or a title
    return current_of(connection, find_record(connection, scope, name).key)


def current_of(connection: Connection, key: RecordKey) -> Located:
    """Return the newest version of a record; of a deleted one the last that it had."""
    newest = (
        select(versions.c.id)
        .where(versions.c.source_id == key.source_id, versions.c.record_id == key.record_id)
        .order_by(versions.c.ordinal.desc())
        .limit(1)
    )
    found = _column(connection, key, "current_version_id") or connection.scalar(newest)
    if found is None:
        raise UnknownName(f"the mirror has no version of the record {key.record_id}")
    return Located(key, found)


def compared_versions(
    connection: Connection, scope: Scope, one: Located, other: Located | None, against: Against
) -> Comparison:
    """Compare two versions, or a version with another one of its record.

    Args:
        connection: A snapshot.
        scope: The sources.
        one: A version.
        other: The version after it. None: the one that `against` says.
        against: What to compare with. Of two versions of a record, the older one is the one before.

    Raises:
        UnknownName: The record is not live, or the versions are of two sources.
    """
    if other is not None:
        if one.key.source_id != other.key.source_id:
            raise UnknownName("the versions are of two sources", hint="Compare versions of one source.")
        pair = (one.version_id, other.version_id)
        return compared(connection, scope, other.key, pair, key_before=one.key)
    key = one.key
    if against is Against.PREVIOUS:
        return compared(connection, scope, key, (_previous(connection, one), one.version_id))
    second = _column(connection, key, "published_version_id")
    if against is Against.CURRENT:
        second = current_of(connection, key).version_id
    elif second is None:
        raise UnknownName(
            f"the record {key.record_id} is not live", hint="Compare it with another version, or with a time."
        )
    assert second is not None
    older, newer = sorted((one.version_id, second), key=lambda one: _ordinal(connection, key, one))
    return compared(connection, scope, key, (older, newer))


def compared_moments(
    connection: Connection,
    scope: Scope,
    since: datetime,
    until: datetime,
    *,
    record: RecordKey | None = None,
    models: Sequence[ModelName] = (),
    is_published: bool = False,
) -> Iterator[Comparison]:
    """Yield what is other at one moment than at another: of a record, or of all records that changed in between.

    Args:
        connection: A snapshot.
        scope: The sources.
        since: The first moment.
        until: The second moment.
        record: This record only.
        models: Records of these models only.
        is_published: Compare what was live; otherwise what was the newest version.

    Raises:
        BeforeHistory: The mirror knows nothing of the first moment.
    """
    if record is not None:
        keys = [record]
    else:
        ids = {name: id for id, name in ((source.id, source.name) for source in scope.sources)}
        changed = recent(connection, scope, since=since, until=until, chosen=models)
        keys = [RecordKey(ids[one.source], one.record_id) for one in changed]
    for key in keys:
        before, after = (_at(connection, scope, key, at, is_published=is_published) for at in (since, until))
        if before != after and (found := compared(connection, scope, key, (before, after))).diff:
            yield replace(found, absences=NOT_LIVE if is_published else NOT_THERE)


def _at(connection: Connection, scope: Scope, key: RecordKey, at: datetime, *, is_published: bool) -> str | None:
    states = as_of(connection, scope, AsOf(at=at, is_published=is_published, record=key))
    return next((state.version_id for state in states), None)


def _previous(connection: Connection, one: Located) -> str | None:
    key = one.key
    return connection.scalar(
        select(versions.c.id)
        .where(
            versions.c.source_id == key.source_id,
            versions.c.record_id == key.record_id,
            versions.c.ordinal < _ordinal(connection, key, one.version_id),
        )
        .order_by(versions.c.ordinal.desc())
        .limit(1)
    )


def _ordinal(connection: Connection, key: RecordKey, version_id: str) -> int:
    found = connection.scalar(
        select(versions.c.ordinal).where(versions.c.source_id == key.source_id, versions.c.id == version_id)
    )
    return found or 0


def _column(connection: Connection, key: RecordKey, column: str) -> str | None:
    return connection.scalar(
        select(records.c[column]).where(records.c.source_id == key.source_id, records.c.id == key.record_id)
    )
