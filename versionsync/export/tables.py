"""What an export has: its tables, their columns, and the rows of each that are new since an event."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import (
    Boolean,
    ColumnElement,
    Connection,
    DateTime,
    Integer,
    LargeBinary,
    Select,
    Text,
    cast,
    null,
    select,
    true,
    type_coerce,
    union,
)
from sqlalchemy import Column as SqlColumn
from sqlalchemy import Table as SqlTable

from versionsync.mirror.engine.types import POSTGRES, JsonText, UtcTime, UuidText
from versionsync.mirror.schema import (
    changes,
    editors,
    events,
    fields,
    intervals,
    links,
    models,
    records,
    titles,
    uploads,
    versions,
)

__all__ = ["CHANGED", "PROJECTED", "SNAPSHOTS", "TABLES", "Column", "ExportTable", "Kind", "Rows", "Since", "read_rows"]

Rows = Sequence[Sequence[Any]]
"""Rows as the driver gives them: on SQLite a time is its text and a boolean a number."""


class Kind(StrEnum):
    """What the values of a column are."""

    TEXT = "text"
    INTEGER = "integer"
    BOOLEAN = "boolean"
    TIME = "time"
    BINARY = "binary"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class Column:
    """A column of an exported table."""

    name: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class ExportTable:
    """A table as it is exported.

    Attributes:
        name: Its name.
        columns: Its columns, in order.
        table: The table of the mirror.
        rows_at_once: The number of rows that are in memory at a time.
    """

    name: str
    columns: tuple[Column, ...]
    table: SqlTable
    rows_at_once: int


@dataclass(frozen=True, slots=True)
class Since:
    """What an export has already. The default: nothing.

    Attributes:
        event_id: Its last event.
        synced_at: The latest `records.synced_at` that it saw. A row may change without an event, such as in the order
            of its versions. None: look at events alone.
        changed_at: The latest `changed_at` of this table that it saw. None: no row.
    """

    event_id: int = 0
    synced_at: datetime | None = None
    changed_at: datetime | None = None


_LEFT_OUT: Final = {"source_id", "attributes_exact"}
"""`source_id` means something in one database only. `attributes_exact` replaces `attributes` if it has a value."""
_ROWS_AT_ONCE: Final = 2000
_CONTENTS_AT_ONCE: Final = 200


def _kind_of(column: SqlColumn[Any]) -> Kind:
    match column.type:
        case UtcTime():
            return Kind.TIME
        case JsonText():
            return Kind.JSON
        case Boolean():
            return Kind.BOOLEAN
        case LargeBinary():
            return Kind.BINARY
        case Integer():
            return Kind.INTEGER
        case _:
            return Kind.TEXT


def _exported(table: SqlTable) -> ExportTable:
    columns = tuple(Column(str(one.name), _kind_of(one)) for one in table.columns if one.name not in _LEFT_OUT)
    return ExportTable(str(table.name), columns, table, _CONTENTS_AT_ONCE if table is versions else _ROWS_AT_ONCE)


TABLES: Final[Mapping[str, ExportTable]] = {
    str(table.name): _exported(table)
    for table in (records, versions, events, changes, intervals, titles, links, uploads, editors, models, fields)
}
"""The tables of an export, by name, in the order in which they are written."""
PROJECTED: Final = ("changes", "intervals", "titles", "links")
"""Tables that are filled after the commit. All rows of a record come together."""
SNAPSHOTS: Final = ("editors", "models", "fields")
"""Small tables that are written as a whole."""
CHANGED: Final = ("uploads",)
"""Tables that know when each row last changed. No event says so."""


def read_rows(
    connection: Connection, table: ExportTable, source_id: int, since: Since, *, last_event_id: int
) -> Iterator[Rows]:
    """Yield the rows of a table that are new or changed since then, some at a time.

    Args:
        connection: A transaction with one snapshot.
        table: The table.
        source_id: The source.
        since: What is there already.
        last_event_id: The newest event to export.
    """
    dialect = connection.dialect.name
    columns = [_selected(table.table, column, dialect) for column in table.columns]
    exact = versions.c.attributes_exact if table.table is versions else None
    query = select(*columns, *([] if exact is None else [exact])).where(table.table.c.source_id == source_id)
    query = _narrowed(query, table.table, source_id, since, last_event_id)
    options = {"stream_results": True, "max_row_buffer": table.rows_at_once}
    with connection.execute(query, execution_options=options) as found:
        while rows := found.fetchmany(table.rows_at_once):
            yield _with_exact_contents(table, rows) if exact is not None else rows


def _selected(table: SqlTable, column: Column, dialect: str) -> ColumnElement[Any]:
    """Return a column whose values the driver's own types hold, so that nothing is converted row by row."""
    found = table.c[column.name]
    if dialect == POSTGRES:
        if isinstance(found.type, UuidText):
            return cast(found, Text)
        return type_coerce(found, DateTime(timezone=True)) if column.kind is Kind.TIME else found
    if column.kind is Kind.BOOLEAN:
        return type_coerce(found, Integer)
    return type_coerce(found, Text) if column.kind in (Kind.TIME, Kind.TEXT) else found


def _narrowed(query: Select[Any], table: SqlTable, source_id: int, since: Since, last: int) -> Select[Any]:
    if table is events:
        query = query.where(events.c.id > since.event_id, events.c.id <= last).order_by(events.c.id)
        return query.with_hint(events, "INDEXED BY events_in_order", "sqlite")
    if table.name in SNAPSHOTS:
        return query.order_by(*(column for column in table.primary_key.columns))
    if table.name in CHANGED:
        new = true() if since.changed_at is None else table.c.changed_at > since.changed_at
        return query.where(new).order_by(table.c.id)
    if since.event_id == 0:
        return query
    if table is versions:
        return query.where(versions.c.id.in_(_touched_versions(source_id, since, last)))
    key = records.c.id if table is records else table.c.record_id
    return query.where(key.in_(_touched_records(source_id, since, last)))


def _new_events(column: SqlColumn[Any], source_id: int, since: Since, last: int) -> Select[Any]:
    new = select(column).where(events.c.source_id == source_id, events.c.id > since.event_id, events.c.id <= last)
    return new.where(column.is_not(null())).with_hint(events, "INDEXED BY events_in_order", "sqlite")


def _touched_records(source_id: int, since: Since, last: int) -> Any:
    new = _new_events(events.c.record_id, source_id, since, last)
    if since.synced_at is None:
        return new
    synced = select(records.c.id).where(records.c.source_id == source_id, records.c.synced_at > since.synced_at)
    return union(new, synced)


def _touched_versions(source_id: int, since: Since, last: int) -> Any:
    new = _new_events(events.c.version_id, source_id, since, last)
    if since.synced_at is None:
        return new
    joined = versions.join(
        records, (records.c.source_id == versions.c.source_id) & (records.c.id == versions.c.record_id)
    )
    silent = (
        select(versions.c.id)
        .select_from(joined)
        .where(
            records.c.source_id == source_id,
            records.c.synced_at > since.synced_at,
            versions.c.changed_at > since.synced_at,
        )
    )
    return union(new, silent)


def _with_exact_contents(table: ExportTable, rows: Rows) -> Rows:
    """Return the rows without their last value, which replaces the content unless it is NULL."""
    at = next(index for index, column in enumerate(table.columns) if column.name == "attributes")
    return [
        row[:-1] if row[-1] is None else (*row[:at], bytes(row[-1]).decode(), *row[at + 1 : -1])
        for row in map(tuple, rows)
    ]
