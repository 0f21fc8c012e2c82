"""The versions of a record, a model, an editor or the project, newest first, each with what it changed."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from math import inf
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, Row, Select, and_, exists, func, or_, select

from versionsync.history.errors import NotFilled, UnknownName
from versionsync.history.model import FieldChange, RecordKey, Version
from versionsync.history.names import FoundEditor
from versionsync.history.questions.details import Details, details_of_record, details_of_versions, stream
from versionsync.history.scope import ModelName, Scope, fillings
from versionsync.mirror.schema import changes, fields, models, versions
from versionsync.mirror.tables.projection_cursors import CHANGES
from versionsync.text import nearest

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
    queries = list(_queries(connection, scope, wanted, lookup.in_memory, with_content=with_content))
    for batch in _batches(_merged(connection, queries)):
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
    if len(queries) == 1:
        yield from queries[0].rows(connection)
        return
    waiting = [((_before(query.newest), -inf), number) for number, query in enumerate(queries)]
    heapq.heapify(waiting)
    begun: dict[int, tuple[Row[Any], Iterator[Row[Any]]]] = {}
    while waiting:
        _, number = heapq.heappop(waiting)
        if number in begun:
            row, rows = begun.pop(number)
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
    """Yield the queries whose rows, merged by time, are the answer."""
    query = _query(with_content=with_content)
    if wanted.since is not None:
        query = query.where(versions.c.created_at >= wanted.since)
    if wanted.until is not None:
        query = query.where(versions.c.created_at < wanted.until)
    if wanted.field is not None:
        query = query.where(_changes_field(connection, scope, wanted.field, in_memory))
    newest_first = (versions.c.created_at.desc(), versions.c.ordinal.desc())
    if (record := wanted.record) is not None:
        of_record = (versions.c.source_id == record.source_id, versions.c.record_id == record.record_id)
        query = query.where(*of_record).order_by(versions.c.ordinal.desc())
        if wanted.editors:
            query = query.where(or_(*(_by_editor(one) for one in wanted.editors)))
        yield _Query(query)
    elif wanted.editors:
        for editor in wanted.editors:
            of_editor = query.where(_by_editor(editor)).order_by(*newest_first)
            ids = [model.id for model in wanted.models if model.source_id == editor.source_id]
            if not wanted.models or ids:
                yield _Query(of_editor.where(versions.c.model_id.in_(ids)) if wanted.models else of_editor)
    else:
        for source_id, model_id, newest in _with_versions(connection, scope, wanted.models):
            of_model = (versions.c.source_id == source_id, versions.c.model_id == model_id)
            yield _Query(query.where(*of_model).order_by(*newest_first), newest)


def _query(*, with_content: bool) -> Select[Any]:
    earlier = versions.alias("earlier")
    is_later = exists().where(
        earlier.c.source_id == versions.c.source_id,
        earlier.c.record_id == versions.c.record_id,
        earlier.c.ordinal < versions.c.ordinal,
    )
    content = (versions.c.attributes, versions.c.attributes_exact) if with_content else ()
    return select(*(versions.c[name] for name in COLUMNS), is_later.label("is_later"), *content)


def _by_editor(editor: FoundEditor) -> Any:
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


def _changes_field(connection: Connection, scope: Scope, name: str, in_memory: Details | None) -> Any:
    """Return the condition that a version changed the field of this API key, label or id."""
    of_source = fields.c.source_id.in_(scope.ids)
    known = connection.execute(select(fields.c.id, fields.c.api_key, fields.c.label).where(of_source)).all()
    ids = {row.id for row in known if name in (row.id, row.api_key)} or {
        row.id for row in known if row.label.casefold() == name.casefold()
    }
    if in_memory is not None:
        made = in_memory.changes.items()
        changed = [id for id, its in made if any(one.field == name or one.field_id in ids for one in its)]
        condition: Any = versions.c.id.in_(changed)
        is_known = bool(ids or changed)
    else:
        of_version = (changes.c.source_id == versions.c.source_id, changes.c.version_id == versions.c.id)
        condition = exists().where(*of_version, or_(changes.c.field_id.in_(ids), changes.c.field == name))
        ever = select(changes.c.number).where(changes.c.source_id.in_(scope.ids), changes.c.field == name)
        is_known = bool(ids) or connection.scalar(ever.limit(1)) is not None
    if not is_known:
        meant = nearest(name, {row.api_key for row in known})
        raise UnknownName(
            f"there is no field {name}", hint=f"Did you mean {meant}?" if meant else "Name it by its API key."
        )
    return condition


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
