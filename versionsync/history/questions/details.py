"""Look up what belongs to some versions: titles, intervals, changes. A few hundred versions at a time, by index."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, select

from versionsync.history.model import FieldChange, Interval
from versionsync.history.scope import Scope
from versionsync.mirror.engine.bulk import chunked
from versionsync.mirror.schema import changes, intervals, titles

__all__ = ["Spans", "changes_of_versions", "spans_of_versions", "titles_of_versions"]

CHANGE = (
    *("field_id", "field", "locale", "block_id", "block_path", "kind", "operation", "words_added", "words_removed"),
)


@dataclass(frozen=True, slots=True)
class Spans:
    """When a version was the newest one of its record, and when it was live, oldest first."""

    current: list[Interval] = field(default_factory=list)
    published: list[Interval] = field(default_factory=list)


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


def spans_of_versions(connection: Connection, source_id: int, version_ids: Iterable[str]) -> Mapping[str, Spans]:
    """Return the intervals of each version that has any."""
    found: dict[str, Spans] = {}
    for chunk in chunked(version_ids):
        query = (
            select(intervals.c.version_id, intervals.c.kind, intervals.c.valid_from, intervals.c.valid_until)
            .where(intervals.c.source_id == source_id, intervals.c.version_id.in_(chunk))
            .order_by(intervals.c.valid_from, intervals.c.number)
        )
        for row in connection.execute(query):
            spans = found.setdefault(row.version_id, Spans())
            of_kind = spans.current if row.kind == "current" else spans.published
            of_kind.append(Interval(row.valid_from, row.valid_until))
    return found


def changes_of_versions(
    connection: Connection, source_id: int, version_ids: Sequence[str]
) -> Mapping[str, list[FieldChange]]:
    """Return what each version changed, in the order of its fields."""
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
