"""The versions of a record, a model, an editor or the project, newest first, each with what it changed."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from math import inf
from typing import Any, Final, Self, TypeVar

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, exists, func, or_, select, true

from versionsync.history.errors import NotFilled, UnknownName
from versionsync.history.model import FieldChange, RecordKey, Version
from versionsync.history.names import FoundEditor, find_fields
from versionsync.history.questions.details import Details, details_of_record, details_of_versions, stream
from versionsync.history.scope import ModelName, Scope, fillings
from versionsync.mirror.schema import changes, models, versions
from versionsync.mirror.tables.projection_cursors import CHANGES

__all__ = ["LogFilter", "exact_text", "log", "version_of"]

FIRST_BATCH: Final = 40
BATCH: Final = 400
COLUMNS: Final = (
    *("source_id", "id", "record_id", "model_id", "ordinal", "created_at", "editor_type", "editor_id"),
    *("is_current", "is_published", "is_valid", "missing_since", "first_seen_at"),
)

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class LogFilter:
    """Which versions: those that satisfy all that is given.

    Attributes:
        record: Versions of this record.
        models: Versions of records of these models.
        editors: Versions that these editors saved.
        since: Versions made then or later.
        until: Versions made before.
        field: Versions that changed this field: its API key, its label or its id.
    """

    record: RecordKey | None = None
    models: Sequence[ModelName] = ()
    editors: Sequence[FoundEditor] = ()
    since: datetime | None = None
    until: datetime | None = None
    field: str | None = None


def log(connection: Connection, scope: Scope, wanted: LogFilter, *, with_content: bool = False) -> Iterator[Version]:
    """Yield versions, newest first; those of one record by `ordinal`. Only some are in memory at a time.

    Args:
        connection: An open connection that reads.
        scope: The sources.
        wanted: Which versions.
        with_content: Whether to read their contents too.

    Raises:
        UnknownName: No field is called `wanted.field`.
        NotFilled: `changes` is empty, and a field is asked for.
    """
    lookup = _Lookup(connection, scope, wanted.record)
    if wanted.field is not None and lookup.in_memory is None and any(one.is_empty for one in lookup.filled.values()):
        raise NotFilled(
            "what each version changed is not computed yet, so the life of a field is not known",
            hint="The next sync or the daemon does it; `versionsync db rebuild changes` does it now.",
        )
    queries = _queries(connection, scope, wanted, lookup.in_memory, with_content=with_content)
    for batch in _batches(_merged(connection, list(queries))):
        yield from lookup.versions(batch, with_content=with_content)


def version_of(connection: Connection, scope: Scope, key: RecordKey, version_id: str) -> Version:
    """Return one version of a record with its content."""
    query = _query(with_content=True).where(versions.c.source_id == key.source_id, versions.c.id == version_id)
    rows = connection.execute(query).all()
    (version,) = _Lookup(connection, scope, key).versions(rows, with_content=True)
    return version


@dataclass(frozen=True, slots=True)
class _Query:
    """A query that reads one index in its order. `newest`: no row of it is newer; None: not known."""

    select: Select[Any]
    newest: datetime | None = None

    def rows(self, connection: Connection) -> Iterator[Row[Any]]:
        return stream(connection, self.select, at_once=BATCH)


def _merged(connection: Connection, queries: Sequence[_Query]) -> Iterator[Row[Any]]:
    """Yield the rows of all queries by time, newest first. A query begins only when its turn comes."""
    waiting = [((_before(query.newest), -inf), number) for number, query in enumerate(queries)]
    heapq.heapify(waiting)
    begun: dict[int, tuple[Row[Any], Iterator[Row[Any]]]] = {}
    yielded: tuple[datetime | None, set[str]] = None, set()
    while waiting:
        _, number = heapq.heappop(waiting)
        if number in begun:
            row, rows = begun.pop(number)
            if row.created_at != yielded[0]:
                yielded = row.created_at, set()
            if row.id not in yielded[1]:  # a version that changed a field in two locales comes twice
                yielded[1].add(row.id)
                yield row
        else:
            rows = queries[number].rows(connection)
        if (after := next(rows, None)) is not None:
            begun[number] = after, rows
            heapq.heappush(waiting, ((_before(after.created_at), -after.ordinal), number))


def _before(at: datetime | None) -> float:
    return -inf if at is None else -at.timestamp()


def _queries(
    connection: Connection, scope: Scope, wanted: LogFilter, in_memory: Details | None, *, with_content: bool
) -> Iterator[_Query]:
    """Yield the queries whose rows, merged by time, are the answer. Each reads one index in its order."""
    query = _query(with_content=with_content)
    if wanted.since is not None:
        query = query.where(versions.c.created_at >= wanted.since)
    if wanted.until is not None:
        query = query.where(versions.c.created_at < wanted.until)
    newest_first = (versions.c.created_at.desc(), versions.c.ordinal.desc())
    by_editors = or_(*(_by_editor(one) for one in wanted.editors)) if wanted.editors else true()
    if (record := wanted.record) is not None:
        query = query.where(versions.c.source_id == record.source_id, versions.c.record_id == record.record_id)
        if wanted.field is not None:
            query = query.where(_Field.find(connection, scope, wanted.field, in_memory).is_changed(in_memory))
        yield _Query(query.where(by_editors).order_by(versions.c.ordinal.desc()))
    elif wanted.field is not None:
        field = _Field.find(connection, scope, wanted.field, None)
        by_models = or_(*(_of_model(one.source_id, one.id) for one in wanted.models)) if wanted.models else true()
        for of_field in field.changes_of_sources(scope):
            changed = query.select_from(changes.join(versions, _OF_CHANGE)).where(of_field, by_editors, by_models)
            yield _Query(changed.order_by(changes.c.created_at.desc(), versions.c.ordinal.desc()))
    elif wanted.editors:
        for editor in wanted.editors:
            ids = [model.id for model in wanted.models if model.source_id == editor.source_id]
            if not wanted.models or ids:
                by_models = versions.c.model_id.in_(ids) if ids else true()
                yield _Query(query.where(_by_editor(editor), by_models).order_by(*newest_first))
    else:
        for source_id, model_id, newest in _with_versions(connection, scope, wanted.models):
            yield _Query(query.where(_of_model(source_id, model_id)).order_by(*newest_first), newest)


_OF_CHANGE = and_(versions.c.source_id == changes.c.source_id, versions.c.id == changes.c.version_id)


def _of_model(source_id: int, model_id: str) -> ColumnElement[bool]:
    return and_(versions.c.source_id == source_id, versions.c.model_id == model_id)


def _query(*, with_content: bool) -> Select[Any]:
    earlier = versions.alias("earlier")
    is_later = exists().where(
        earlier.c.source_id == versions.c.source_id,
        earlier.c.record_id == versions.c.record_id,
        earlier.c.ordinal < versions.c.ordinal,
    )
    content = (versions.c.attributes, versions.c.attributes_exact) if with_content else ()
    return select(*(versions.c[name] for name in COLUMNS), is_later.label("is_later"), *content)


def _by_editor(editor: FoundEditor) -> ColumnElement[bool]:
    return and_(
        versions.c.source_id == editor.source_id,
        versions.c.editor_type == editor.type,
        versions.c.editor_id == editor.id,
    )


def _with_versions(
    connection: Connection, scope: Scope, chosen: Sequence[ModelName]
) -> Iterator[tuple[int, str, datetime]]:
    """Yield source and id of the models that have versions, of the chosen ones or of all, and the newest's time."""
    newest = (
        select(func.max(versions.c.created_at))
        .where(versions.c.source_id == models.c.source_id, versions.c.model_id == models.c.id)
        .scalar_subquery()
    )
    query = select(models.c.source_id, models.c.id, newest).where(models.c.source_id.in_(scope.ids))
    ids = {(model.source_id, model.id) for model in chosen}
    for source_id, model_id, at in connection.execute(query).all():
        if at is not None and (not ids or (source_id, model_id) in ids):
            yield source_id, model_id, at


@dataclass(frozen=True, slots=True)
class _Field:
    """The fields that a name means: an API key, a label or an id. Content may have a name that no field has."""

    name: str
    ids: frozenset[str]

    @classmethod
    def find(cls, connection: Connection, scope: Scope, name: str, in_memory: Details | None) -> Self:
        """Return the fields of this name. Raises UnknownName if there never was one."""
        ids, meant = find_fields(connection, scope, name)
        found = cls(name, ids)
        if found.ids or (in_memory is not None and found.versions_in(in_memory)):
            return found
        ever = select(changes.c.number).where(found._unnamed, changes.c.source_id.in_(scope.ids))
        if connection.scalar(ever.limit(1)) is None:
            raise UnknownName(
                f"there is no field {name}", hint=f"Did you mean {meant}?" if meant else "Name it by its API key."
            )
        return found

    def versions_in(self, details: Details) -> list[str]:
        """Return the versions that changed it."""
        made = details.changes.items()
        return [id for id, its in made if any(one.field == self.name or one.field_id in self.ids for one in its)]

    def is_changed(self, in_memory: Details | None) -> ColumnElement[bool]:
        """Return the condition that a version of one record changed it."""
        if in_memory is not None:
            return versions.c.id.in_(self.versions_in(in_memory))
        return exists().where(_OF_CHANGE, or_(changes.c.field_id.in_(self.ids), self._unnamed))

    def changes_of_sources(self, scope: Scope) -> Iterator[ColumnElement[bool]]:
        """Yield the conditions for its changes, each of which an index answers."""
        for source_id in scope.ids:
            for id in sorted(self.ids):
                yield and_(changes.c.source_id == source_id, changes.c.field_id == id)
            yield and_(changes.c.source_id == source_id, self._unnamed)

    @property
    def _unnamed(self) -> ColumnElement[bool]:
        return and_(changes.c.field_id.is_(None), changes.c.field == self.name)


def _batches(rows: Iterator[T]) -> Iterator[list[T]]:
    """Yield the rows a few hundred at a time, the first of them sooner."""
    size = FIRST_BATCH
    while batch := list(islice(rows, size)):
        yield batch
        size = BATCH


class _Lookup:
    """Makes versions of rows. For one record, everything is in memory if the tables do not have all of it."""

    def __init__(self, connection: Connection, scope: Scope, key: RecordKey | None) -> None:
        self._connection = connection
        self._scope = scope
        filled = fillings(connection, scope)
        self.filled = {one.source: one for one in filled if one.projection == CHANGES}
        is_behind = any(not one.is_complete for one in filled)
        self.in_memory = details_of_record(connection, scope, key) if key is not None and is_behind else None

    def versions(self, rows: Sequence[Row[Any]], *, with_content: bool) -> Iterator[Version]:
        """Yield the versions of rows of `_query`."""
        scope = self._scope
        by_source: dict[int, list[str]] = {}
        for row in rows:
            by_source.setdefault(row.source_id, []).append(row.id)
        found = {
            key: self.in_memory or details_of_versions(self._connection, scope, key, ids)
            for key, ids in by_source.items()
        }
        for row in rows:
            details = found[row.source_id]
            spans = details.spans.get(row.id)
            yield Version(
                source=scope.name_of(row.source_id),
                record_id=row.record_id,
                version_id=row.id,
                model=scope.model(row.source_id, row.model_id),
                model_id=row.model_id,
                title=details.titles.get(row.id),
                created_at=row.created_at,
                editor_type=row.editor_type,
                editor_id=row.editor_id,
                editor_name=scope.editor_name(row.source_id, row.editor_type, row.editor_id),
                ordinal=row.ordinal,
                is_first=not row.is_later,
                is_current=row.is_current,
                is_published=row.is_published,
                is_valid=row.is_valid,
                missing_since=row.missing_since,
                changes=self._changes(row, details),
                current=tuple(spans.current) if spans else (),
                published=tuple(spans.published) if spans else (),
                attributes_json=exact_text(row.attributes, row.attributes_exact) if with_content else None,
            )

    def _changes(self, row: Row[Any], details: Details) -> tuple[FieldChange, ...] | None:
        """Return what a version changed; None if that is not computed yet."""
        its = details.changes.get(row.id)
        filled = self.filled[self._scope.name_of(row.source_id)]
        if its is None and self.in_memory is None and not filled.is_complete:
            return None if filled.until is None or row.first_seen_at >= filled.until else ()
        return tuple(its or ())


def exact_text(attributes: str, exact: bytes | None) -> str:
    """Return a content as DatoCMS sent it, as far as it is UTF-8."""
    return attributes if exact is None else exact.decode(errors="replace")
