"""Read two versions from the mirror and compare them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from sqlalchemy import Connection, select

from versionsync.history.comparison import Comparison
from versionsync.history.diff import compare
from versionsync.history.diff.model import ContentDiff
from versionsync.history.diff.schema import Schema
from versionsync.history.model import RecordKey
from versionsync.history.projections.changes import VersionContent, comparable, renamed
from versionsync.history.projections.reading import coverage
from versionsync.history.questions.details import title_of_version, titles_of_versions
from versionsync.history.questions.log import version_of
from versionsync.history.render.words import Names
from versionsync.history.schema_at import SchemaHistory
from versionsync.history.scope import Scope
from versionsync.ledger.content import ContentError, parse_value
from versionsync.ledger.ids import VersionId
from versionsync.mirror.engine.bulk import chunked
from versionsync.mirror.schema import records, uploads, versions
from versionsync.mirror.tables.projection_cursors import TITLES
from versionsync.mirror.tables.versions import stored_texts

__all__ = ["Pair", "compared", "content_of", "names_for"]

MAX_TITLES: Final = 2000
"""The most linked records whose titles are looked up."""
MAX_COMPUTED: Final = 50
"""The most records whose titles are computed because the table does not have them."""

_ID: Final = re.compile(r"[A-Za-z0-9_-]{22}|\d{1,20}")

Pair = tuple[str | None, str | None]
"""The ids of two versions of a record; None: it was not there."""


def compared(
    connection: Connection, scope: Scope, key: RecordKey, pair: Pair, *, key_before: RecordKey | None = None
) -> Comparison:
    """Compare two versions.

    Args:
        connection: A snapshot.
        scope: The sources.
        key: The record.
        pair: The ids of the versions, the one before first. One of them is there.
        key_before: The record of the version before, if it is another one of the same source.
    """
    schemas = SchemaHistory.load(connection, key.source_id)
    before, after = (content_of(connection, key.source_id, id, schemas) if id is not None else None for id in pair)
    diff, former, latter, schema = _diff(before, after)
    one = None if pair[0] is None else version_of(connection, scope, key_before or key, pair[0])
    other = None if pair[1] is None else version_of(connection, scope, key, pair[1])
    shown = other or one
    assert shown is not None, "one of the versions is there"
    return Comparison(
        source=scope.name_of(key.source_id),
        record_id=shown.record_id,
        model=shown.model,
        model_id=shown.model_id,
        title=shown.title,
        before=one,
        after=other,
        diff=diff,
        names=names_for(connection, scope, key.source_id, schema, _values_in(diff)),
        content_before=former,
        content_after=latter,
        attributes_before=None if before is None else before.attributes,
        attributes_after=None if after is None else after.attributes,
    )


def _diff(
    before: VersionContent | None, after: VersionContent | None
) -> tuple[ContentDiff, Mapping[str, Any] | None, Mapping[str, Any] | None, Schema]:
    """Return the diff, the contents as they were compared, and the schema."""
    if after is not None:
        former, latter, schema = comparable(after, before)
        return compare(former, latter, schema, after.model_id), former, latter, schema
    assert before is not None
    former, schema = renamed(before.attributes, before.state.former_keys, before.model_id), before.state.schema
    return compare(former, None, schema, before.model_id), former, None, schema


def content_of(connection: Connection, source_id: int, version_id: str, schemas: SchemaHistory) -> VersionContent:
    """Return a version's content with the schema that it was read with. An unreadable content is empty."""
    columns = (versions.c.record_id, versions.c.model_id, versions.c.created_at)
    row = connection.execute(
        select(*columns).where(versions.c.source_id == source_id, versions.c.id == version_id)
    ).one()
    (stored,) = stored_texts(connection, source_id, [VersionId(version_id)])
    try:
        attributes = parse_value(stored.text)
    except ContentError:
        attributes = {}
    return VersionContent(
        version_id=version_id,
        record_id=row.record_id,
        model_id=row.model_id,
        created_at=row.created_at,
        hash=stored.hash,
        attributes=attributes if isinstance(attributes, dict) else {},
        state=schemas.at(stored.stored_by),
    )


def names_for(connection: Connection, scope: Scope, source_id: int, schema: Schema, values: Iterable[Any]) -> Names:
    """Return what people call records and files that some values may name, and the fields and models of a schema."""
    ids = list(dict.fromkeys(id for value in values for id in _ids_in(value)))[:MAX_TITLES]
    current: dict[str, str] = {}
    for chunk in chunked(ids):
        query = select(records.c.id, records.c.current_version_id).where(
            records.c.source_id == source_id, records.c.id.in_(chunk), records.c.current_version_id.is_not(None)
        )
        current |= {row.id: row.current_version_id for row in connection.execute(query)}
    found = titles_of_versions(connection, scope, source_id, current.values())
    titles = {id: found.get(version_id) for id, version_id in current.items()}
    if current and not coverage(connection, source_id, [TITLES]).is_complete:
        for id in [id for id, title in titles.items() if title is None][:MAX_COMPUTED]:
            titles[id] = title_of_version(connection, scope, RecordKey(source_id, id), current[id])
    return Names(schema, titles, _files(connection, source_id, ids))


def _files(connection: Connection, source_id: int, ids: Iterable[str]) -> dict[str, str]:
    """Return the file names of the uploads among some ids, as far as they are known."""
    found: dict[str, str] = {}
    for chunk in chunked(ids):
        query = select(uploads.c.id, uploads.c.filename).where(
            uploads.c.source_id == source_id, uploads.c.id.in_(chunk), uploads.c.filename.is_not(None)
        )
        found |= {row.id: row.filename for row in connection.execute(query)}
    return found


def _values_in(diff: ContentDiff) -> Iterator[Any]:
    for change in diff.changes:
        yield change.before
        yield change.after


def _ids_in(value: Any) -> Iterator[str]:
    """Yield the texts in a value that may be ids."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            if _ID.fullmatch(one):
                yield one
        elif isinstance(one, dict):
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one
