"""What changed in the project in a span of time: a line for each record, the most important first.

Importance: deleted, unpublished, published, created, edited; then by how many words and versions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, exists, func, literal_column, select

from versionsync.history.model import ActKind, RecordChanges
from versionsync.history.questions.details import stream, titles_of_versions
from versionsync.history.scope import ModelName, Scope, fillings
from versionsync.mirror.engine.bulk import chunked
from versionsync.mirror.schema import changes, intervals, records, versions
from versionsync.mirror.tables.intervals import PUBLISHED

__all__ = ["IMPORTANCE", "recent"]

IMPORTANCE: Final = (ActKind.DELETED, ActKind.UNPUBLISHED, ActKind.PUBLISHED, ActKind.CREATED, ActKind.EDITED)


@dataclass(slots=True)
class _Found:
    """What was found of one record so far."""

    model_id: str
    acts: set[ActKind] = field(default_factory=set)
    editors: dict[str, None] = field(default_factory=dict)
    versions: int = 0
    words: dict[str, tuple[int, int]] = field(default_factory=dict)
    last_at: datetime | None = None

    def act(self, kind: ActKind, at: datetime) -> None:
        self.acts.add(kind)
        self.last_at = at if self.last_at is None else max(self.last_at, at)


@dataclass(frozen=True, slots=True)
class _Span:
    """The span of time, in one source: [since, until)."""

    source_id: int
    since: datetime
    until: datetime
    models: Sequence[str]

    def has(self, column: Any) -> tuple[Any, ...]:
        return column >= self.since, column < self.until

    def of_models(self, column: Any) -> tuple[Any, ...]:
        return (column.in_(self.models),) if self.models else ()


def recent(
    connection: Connection,
    scope: Scope,
    *,
    since: datetime,
    until: datetime,
    chosen: Sequence[ModelName] = (),
) -> Iterator[RecordChanges]:
    """Yield what happened to each record in [since, until), the most important first."""
    everything: list[RecordChanges] = []
    filled = {one.source: one for one in fillings(connection, scope, ("changes",))}
    for source in scope.sources:
        ids = [model.id for model in chosen if model.source_id == source.id]
        if chosen and not ids:
            continue
        span = _Span(source.id, since, until, ids)
        found: dict[str, _Found] = {}
        _saved(connection, scope, span, found)
        _went_live(connection, span, found)
        _ended(connection, span, found)
        _deleted(connection, span, found)
        _fields(connection, span, found)
        has_fields = not filled[source.name].is_empty
        everything += _rows(connection, scope, source.id, found, has_fields=has_fields)
    everything.sort(key=_importance)
    yield from everything


def _importance(one: RecordChanges) -> tuple[int, int, int, float, str]:
    rank = min(IMPORTANCE.index(kind) for kind in one.acts)
    words = one.words_added + one.words_removed
    return rank, -words, -one.versions, -one.last_at.timestamp(), one.record_id


def _saved(connection: Connection, scope: Scope, span: _Span, found: dict[str, _Found]) -> None:
    """Find the versions that were saved. By model, since that is the index of versions by time."""
    v, earlier = versions.c, versions.alias("earlier")
    is_later = exists().where(
        earlier.c.source_id == v.source_id, earlier.c.record_id == v.record_id, earlier.c.ordinal < v.ordinal
    )
    ids = span.models or [id for source_id, id in scope.models if source_id == span.source_id]
    columns = (v.record_id, v.model_id, v.created_at, v.editor_type, v.editor_id, is_later.label("is_later"))
    query = (
        select(*columns)
        .where(v.source_id == span.source_id, v.model_id.in_(ids), *span.has(v.created_at))
        .with_hint(versions, "INDEXED BY versions_of_model", "sqlite")
    )
    for record_id, model_id, created_at, editor_type, editor_id, is_later in stream(connection, query, at_once=1000):
        one = found.get(record_id)
        if one is None:
            one = found[record_id] = _Found(model_id)
        one.act(ActKind.EDITED if is_later else ActKind.CREATED, created_at)
        one.versions += 1
        if editor_id is not None:
            name = scope.editor_name(span.source_id, editor_type, editor_id)
            one.editors[name or f"{editor_type} {editor_id}"] = None


def _went_live(connection: Connection, span: _Span, found: dict[str, _Found]) -> None:
    i = intervals.c
    query = select(i.record_id, i.model_id, i.valid_from).where(
        i.source_id == span.source_id, i.kind == PUBLISHED, *span.has(i.valid_from), *span.of_models(i.model_id)
    )
    for row in connection.execute(query):
        found.setdefault(row.record_id, _Found(row.model_id)).act(ActKind.PUBLISHED, row.valid_from)


def _ended(connection: Connection, span: _Span, found: dict[str, _Found]) -> None:
    """Find what was unpublished: no other version of the record was live right after."""
    i, after = intervals.c, intervals.alias("after")
    is_replaced = exists().where(
        after.c.source_id == i.source_id,
        after.c.kind == PUBLISHED,
        after.c.record_id == i.record_id,
        after.c.valid_from == i.valid_until,
    )
    was_deleted = exists().where(
        records.c.source_id == i.source_id, records.c.id == i.record_id, records.c.deleted_at == i.valid_until
    )
    query = select(i.record_id, i.model_id, i.valid_until).where(
        i.source_id == span.source_id,
        i.kind == literal_column(f"'{PUBLISHED}'"),  # a parameter would hide it from the partial index
        i.valid_until.is_not(None),
        *span.has(i.valid_until),
        *span.of_models(i.model_id),
        ~is_replaced,
        ~was_deleted,
    )
    for row in connection.execute(query):
        found.setdefault(row.record_id, _Found(row.model_id)).act(ActKind.UNPUBLISHED, row.valid_until)


def _deleted(connection: Connection, span: _Span, found: dict[str, _Found]) -> None:
    r = records.c
    query = select(r.id, r.model_id, r.deleted_at).where(
        r.source_id == span.source_id, *span.has(r.deleted_at), *span.of_models(r.model_id)
    )
    for row in connection.execute(query):
        found.setdefault(row.id, _Found(row.model_id)).act(ActKind.DELETED, row.deleted_at)


def _fields(connection: Connection, span: _Span, found: dict[str, _Found]) -> None:
    c = changes.c
    words = (func.sum(c.words_added), func.sum(c.words_removed))
    query = (
        select(c.record_id, c.field, *words)
        .where(c.source_id == span.source_id, *span.has(c.created_at), *span.of_models(c.model_id))
        .group_by(c.record_id, c.field)
    )
    for record_id, name, added, removed in connection.execute(query):
        if record_id in found:
            found[record_id].words[name] = int(added), int(removed)


def _rows(
    connection: Connection, scope: Scope, source_id: int, found: dict[str, _Found], *, has_fields: bool
) -> Iterator[RecordChanges]:
    for chunk in chunked(found):
        query = select(records.c.id, records.c.current_version_id).where(
            records.c.source_id == source_id, records.c.id.in_(chunk)
        )
        newest = {row.id: row.current_version_id for row in connection.execute(query)}
        titles = titles_of_versions(connection, scope, source_id, [id for id in newest.values() if id])
        for id in chunk:
            one = found[id]
            assert one.last_at is not None
            by_words = sorted(one.words, key=lambda name: (-sum(one.words[name]), name))
            yield RecordChanges(
                source=scope.name_of(source_id),
                record_id=id,
                model=scope.model(source_id, one.model_id),
                model_id=one.model_id,
                title=titles.get(newest.get(id) or ""),
                acts=tuple(kind for kind in IMPORTANCE if kind in one.acts),
                fields=tuple(by_words) if has_fields else None,
                editors=tuple(one.editors),
                versions=one.versions,
                words_added=sum(added for added, _ in one.words.values()),
                words_removed=sum(removed for _, removed in one.words.values()),
                last_at=one.last_at,
            )
