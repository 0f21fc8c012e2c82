"""What a person names to restore: a version or a record. It reads the mirror alone."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, select

from versionsync.history.errors import AmbiguousName, UnknownName
from versionsync.history.names import FoundRecord, FoundVersion, find_record, find_version, short_id
from versionsync.history.scope import Scope
from versionsync.mirror.schema import changes, records
from versionsync.mirror.schema import fields as field_table
from versionsync.text import nearest

__all__ = ["check_parts", "find_target"]


def find_target(connection: Connection, scope: Scope, name: str) -> FoundRecord | FoundVersion:
    """Return the version or the record that `name` means.

    Args:
        connection: An open connection that reads.
        scope: One source.
        name: The id of a version, the beginning of one, or any name of a record.

    Raises:
        UnknownName: Nothing has this name. If it is a block's, the message says of which record.
        AmbiguousName: Several have it; its candidates list versions and records.
    """
    wanted = name.strip()
    version, several = _version(connection, scope, wanted)
    try:
        record = find_record(connection, scope, name)
    except UnknownName:
        if version is not None:
            return version
        if several is not None:
            raise several from None
        if (owner := _record_of_block(connection, scope, wanted)) is not None:
            raise UnknownName(
                f"{wanted} is a block of the record {owner}, and a block cannot be restored alone",
                hint=f"Name the record and the block: `versionsync restore {owner} --at TIME --block {wanted}`.",
            ) from None
        raise
    except AmbiguousName as error:
        if version is None:
            raise
        candidates = [*error.candidates, f"version {version}"]
        raise AmbiguousName(f"records and a version are called {name}", candidates=candidates) from None
    if record.record_id == wanted or (version is None and several is None):
        return record
    if version is not None and (version.version_id == wanted or not _is_about(record, wanted)):
        return version
    named = [f"record {record}", *([f"version {version}"] if version else several.candidates if several else ())]
    raise AmbiguousName(f"both a record and a version have an id that begins with {name}", candidates=named)


def check_parts(
    connection: Connection, scope: Scope, record_id: str | None, fields: Sequence[str], locales: Sequence[str]
) -> None:
    """Refuse fields and locales that do not exist: with them there would be nothing to restore.

    Args:
        connection: An open connection that reads.
        scope: One source.
        record_id: The record. None: several.
        fields: The API keys of fields.
        locales: The locales.

    Raises:
        UnknownName: There is no such field or locale.
    """
    f = field_table.c
    query = select(f.api_key).where(f.source_id.in_(scope.ids), f.deleted_at.is_(None))
    if record_id is not None:
        of_record = select(records.c.model_id).where(records.c.source_id.in_(scope.ids), records.c.id == record_id)
        query = query.where(f.model_id.in_(of_record))
    _check_known("field", fields, connection.scalars(query).all() if fields else ())
    _check_known("locale", locales, [one for source in scope.sources for one in source.project.locales])


def _check_known(kind: str, names: Sequence[str], known: Sequence[str | None]) -> None:
    there = sorted({one for one in known if one})
    for name in names:
        if name not in there:
            meant = nearest(name, there)
            raise UnknownName(
                f"there is no {kind} {name} here now",
                hint=f"Did you mean {meant}?" if meant else f"There are {', '.join(there) or 'none'}.",
            )


def _version(connection: Connection, scope: Scope, name: str) -> tuple[FoundVersion | None, AmbiguousName | None]:
    try:
        return find_version(connection, scope, name), None
    except UnknownName:
        return None, None
    except AmbiguousName as error:
        return None, error


def _is_about(record: FoundRecord, name: str) -> bool:
    """Return whether a record was found by what it is called itself, not by the id of one of its versions."""
    return record.record_id.startswith(name) or name in (record.title, short_id(record.record_id))


def _record_of_block(connection: Connection, scope: Scope, id: str) -> str | None:
    """Return a record that has or had a block of this id, as far as changes of it are known."""
    c = changes.c
    return connection.scalar(
        select(c.record_id).where(c.source_id.in_(scope.ids), c.block_id == id).order_by(c.created_at.desc()).limit(1)
    )
