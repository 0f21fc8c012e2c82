"""Run a statement for many rows at the driver's own speed.

SQLAlchemy compiles a statement once and says how to convert each value. The rows then go to the driver directly
(psycopg pipelines its `executemany`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import Connection, Dialect
from sqlalchemy.sql.dml import Delete, Insert, Update

__all__ = ["IDS_AT_ONCE", "SqlRow", "chunked", "field_names", "run_many"]

ROWS_AT_ONCE = 500
CHARACTERS_AT_ONCE = 1024 * 1024
IDS_AT_ONCE = 500

T = TypeVar("T")
SqlRow = Sequence[Any]


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A statement as the driver takes it.

    `parameters` are the indexes of a row's values in the order of the statement's parameters, `converters` the
    functions for some of these.
    """

    sql: str
    parameters: tuple[int, ...]
    converters: tuple[tuple[int, Callable[[Any], Any]], ...]

    def values(self, row: SqlRow) -> tuple[Any, ...]:
        values = [row[index] for index in self.parameters]
        for index, convert in self.converters:
            values[index] = convert(values[index])
        return tuple(values)


def run_many(
    tx: Connection, statement: Insert | Update | Delete, columns: tuple[str, ...], rows: Iterable[SqlRow]
) -> int:
    """Run `statement` for each of `rows`, whose values are its parameters named `columns`; return their number.

    The rows are taken a few hundred, or a few megabytes, at a time, so an iterator of any length needs little memory.
    """
    prepared = _prepare(statement, columns, tx.dialect)
    count = 0
    for chunk in _bounded(rows, columns):
        tx.exec_driver_sql(prepared.sql, [prepared.values(row) for row in chunk])
        count += len(chunk)
    return count


def chunked(items: Iterable[T], size: int = IDS_AT_ONCE) -> Iterator[list[T]]:
    """Yield `items` in lists of at most `size`."""
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk


def field_names(row: type, *besides: str) -> tuple[str, ...]:
    """Return the fields of a dataclass, except `besides`: those that are columns of the same name."""
    return tuple(field.name for field in fields(row) if field.name not in besides)


def _bounded(rows: Iterable[SqlRow], columns: tuple[str, ...]) -> Iterator[list[SqlRow]]:
    """Yield `rows` in lists that are limited in length, and in size if the rows hold content."""
    content = next((index for index, name in enumerate(columns) if name.endswith("attributes")), None)
    chunk: list[SqlRow] = []
    characters = 0
    for row in rows:
        chunk.append(row)
        if content is not None:
            characters += len(row[content])
        if len(chunk) == ROWS_AT_ONCE or characters >= CHARACTERS_AT_ONCE:
            yield chunk
            chunk, characters = [], 0
    if chunk:
        yield chunk


@lru_cache(maxsize=128)
def _prepare(statement: Insert | Update | Delete, columns: tuple[str, ...], dialect: Dialect) -> _Prepared:
    compiled = statement.compile(dialect=dialect, column_keys=list(columns))
    names = compiled.positiontup
    assert names is not None, "both drivers are opened with positional parameters"
    converters = []
    for index, name in enumerate(names):
        type_ = compiled.binds[name].type
        if convert := type_.dialect_impl(dialect).bind_processor(dialect):
            converters.append((index, convert))
    return _Prepared(compiled.string, tuple(columns.index(name) for name in names), tuple(converters))
