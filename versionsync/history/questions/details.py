"""Look up what belongs to some versions: titles, intervals, changes.

They come from the tables, a few hundred versions at a time, by index. For one record they come from memory if the
tables are not filled that far.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Connection, Executable, Row, select

from versionsync.history.model import FieldChange, Interval, RecordKey
from versionsync.history.projections.reading import coverage, record_projections
from versionsync.history.projections.rows import content_rows
from versionsync.history.schema_at import SchemaHistory
from versionsync.history.scope import Scope
from versionsync.mirror.engine.bulk import chunked
from versionsync.mirror.schema import changes, intervals, titles
from versionsync.mirror.tables.projection_cursors import TITLES

__all__ = [
    "Details",
    "Spans",
    "batches",
    "details_of_record",
    "details_of_versions",
    "stream",
    "title_of_version",
    "titles_of_versions",
]

CHANGE: Final = (
    *("field_id", "field", "locale", "block_id", "block_path", "kind", "operation", "words_added", "words_removed"),
)
FIRST: Final = 100
SPAN: Final = ("version_id", "kind", "valid_from", "valid_until", "number")


@dataclass(frozen=True, slots=True)
class Spans:
    """When a version was the newest one of its record, and when it was live, oldest first."""

    current: list[Interval] = field(default_factory=list)
    published: list[Interval] = field(default_factory=list)

    def add(self, row: Any) -> None:
        """Add a row of `intervals`."""
        of_kind = self.current if row.kind == "current" else self.published
        of_kind.append(Interval(row.valid_from, row.valid_until))


@dataclass(frozen=True, slots=True)
class Details:
    """What belongs to some versions, by their ids. What a version has none of is left out."""

    titles: Mapping[str, str | None]
    spans: Mapping[str, Spans]
    changes: Mapping[str, Sequence[FieldChange]]


def stream(connection: Connection, query: Executable, *, at_once: int) -> Iterator[Row[*tuple[Any, ...]]]:
    """Yield the rows of a query; only some are in memory at a time. It is closed when the iteration ends early."""
    for rows in batches(connection, query, at_once=at_once):
        yield from rows


def batches(connection: Connection, query: Executable, *, at_once: int) -> Iterator[Sequence[Row[*tuple[Any, ...]]]]:
    """Yield the rows of a query in batches; only one is in memory. It is closed when the iteration ends early.

    The first batch is small, so that the first row comes soon.
    """
    # For this query alone: an option of the connection would give every later query a cursor of the server.
    options = {"stream_results": True, "max_row_buffer": at_once}
    with connection.execute(query, execution_options=options) as rows:
        size = min(FIRST, at_once)
        while batch := rows.fetchmany(size):
            yield batch
            size = at_once


def details_of_versions(connection: Connection, scope: Scope, source_id: int, version_ids: Sequence[str]) -> Details:
    """Return the details of versions as the tables have them."""
    return Details(
        titles_of_versions(connection, scope, source_id, version_ids),
        _spans(connection, source_id, version_ids),
        _changes(connection, source_id, version_ids),
    )


def details_of_record(connection: Connection, scope: Scope, key: RecordKey) -> Details:
    """Return the details of all versions of a record, computed in memory if the tables do not have all of them."""
    rows = record_projections(connection, key.source_id, key.record_id)
    by_locale: dict[str, dict[str, str]] = {}
    for title in rows.titles:
        by_locale.setdefault(title.version_id, {})[title.locale] = title.title
    spans: dict[str, Spans] = {}
    for interval in rows.intervals:
        spans.setdefault(interval.version_id, Spans()).add(interval)
    made: dict[str, list[FieldChange]] = {}
    for change in rows.changes:
        its = made.setdefault(change.version_id, [])
        its.append(FieldChange(**{name: getattr(change, name) for name in CHANGE}))
    return Details({id: scope.title(key.source_id, found) for id, found in by_locale.items()}, spans, made)


def title_of_version(connection: Connection, scope: Scope, key: RecordKey, version_id: str | None) -> str | None:
    """Return the title of a version of a record, computed in memory if the table does not have it."""
    if version_id is None:
        return None
    found = titles_of_versions(connection, scope, key.source_id, [version_id])
    if version_id in found or coverage(connection, key.source_id, [TITLES]).is_complete:
        return found.get(version_id)
    schemas = SchemaHistory.load(connection, key.source_id)
    rows = content_rows(
        connection, key.source_id, {key.record_id: {version_id}}, schemas, with_changes=False, with_links=False
    )
    return scope.title(key.source_id, {row.locale: row.title for row in rows.titles} if rows else {})


def titles_of_versions(
    connection: Connection, scope: Scope, source_id: int, version_ids: Iterable[str]
) -> dict[str, str | None]:
    """Return the title of each version that has one, in the project's main locale."""
    found: dict[str, dict[str, str]] = {}
    for chunk in chunked(version_ids):
        query = select(titles.c.version_id, titles.c.locale, titles.c.title).where(
            titles.c.source_id == source_id, titles.c.version_id.in_(chunk)
        )
        for row in connection.execute(query):
            found.setdefault(row.version_id, {})[row.locale] = row.title
    return {id: scope.title(source_id, by_locale) for id, by_locale in found.items()}


def _spans(connection: Connection, source_id: int, version_ids: Iterable[str]) -> dict[str, Spans]:
    found: dict[str, Spans] = {}
    for chunk in chunked(version_ids):
        query = (
            select(*(intervals.c[name] for name in SPAN))
            .where(intervals.c.source_id == source_id, intervals.c.version_id.in_(chunk))
            .with_hint(intervals, "INDEXED BY intervals_of_version", "sqlite")
        )
        for row in sorted(connection.execute(query), key=lambda row: (row.valid_from, row.number)):
            found.setdefault(row.version_id, Spans()).add(row)
    return found


def _changes(connection: Connection, source_id: int, version_ids: Sequence[str]) -> dict[str, list[FieldChange]]:
    found: dict[str, list[FieldChange]] = {}
    columns = (changes.c.version_id, *(changes.c[name] for name in CHANGE))
    for chunk in chunked(version_ids):
        query = (
            select(*columns)
            .where(changes.c.source_id == source_id, changes.c.version_id.in_(chunk))
            .order_by(changes.c.version_id, changes.c.number)
        )
        for version_id, *values in connection.execute(query):
            found.setdefault(version_id, []).append(FieldChange(**dict(zip(CHANGE, values, strict=True))))
    return found
