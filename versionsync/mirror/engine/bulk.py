"""Write many rows at the driver's own speed: one statement for all of them, or PostgreSQL's COPY.

SQLAlchemy compiles a statement once and says how to convert each value. The rows then go to the driver directly
(psycopg pipelines its `executemany`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import ColumnElement, Connection, Dialect, true
from sqlalchemy.sql.dml import Delete, Insert, Update

from versionsync.mirror.engine.driver_errors import our_errors

if TYPE_CHECKING:
    import psycopg

__all__ = ["IDS_AT_ONCE", "SqlRow", "among", "chunked", "copy_many", "field_names", "insert_together", "run_many"]

ROWS_AT_ONCE = 500
STATEMENT_ROWS = (ROWS_AT_ONCE, 100, 20, 4)  # few sizes, so that the driver finds each statement prepared
CHARACTERS_AT_ONCE = 1024 * 1024
IDS_AT_ONCE = 500
IDS_IN_A_CONDITION = 20_000
MAX_PARAMETERS = 32_766  # of SQLite, since 3.32; PostgreSQL takes twice as many

T = TypeVar("T")
SqlRow = Sequence[Any]


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A statement as the driver takes it.

    `parameters` are the indexes of a row's values in the order of the statement's parameters, `converters` the
    functions for these, or None.
    """

    sql: str
    parameters: tuple[int, ...]
    converters: tuple[Callable[[Any], Any] | None, ...]

    def values(self, rows: Sequence[SqlRow]) -> list[tuple[Any, ...]]:
        """Return the values of `rows`. Each column is converted as a whole, which takes a third of the time."""
        columns = list(zip(*rows, strict=True))
        converted = (
            columns[index] if convert is None else map(convert, columns[index])
            for index, convert in zip(self.parameters, self.converters, strict=True)
        )
        return list(zip(*converted, strict=True))


def run_many(
    tx: Connection, statement: Insert | Update | Delete, columns: tuple[str, ...], rows: Iterable[SqlRow]
) -> int:
    """Run `statement` for each of `rows`, whose values are its parameters named `columns`; return their number.

    The rows are taken a few hundred, or a few megabytes, at a time, so an iterator of any length needs little memory.
    """
    prepared = _prepare(statement, columns, tx.dialect)
    count = 0
    for chunk in _bounded(rows, columns):
        tx.exec_driver_sql(prepared.sql, prepared.values(chunk))
        count += len(chunk)
    return count


def insert_together(tx: Connection, statement: Insert, columns: tuple[str, ...], rows: Iterable[SqlRow]) -> int:
    """Do as `run_many` with an INSERT for SQLite, by statements of many rows.

    Python's driver lets other threads run only while SQLite executes a statement. A statement for one row is so short
    that reading and planning in the other threads gain nothing from it: one of many rows leaves them a core.
    """
    prepared = _prepare(statement, columns, tx.dialect)
    sizes = [size for size in STATEMENT_ROWS if size * len(prepared.parameters) <= MAX_PARAMETERS]
    count = 0
    for chunk in _bounded(rows, columns):
        count += len(chunk)
        values = prepared.values(chunk)
        for size in sizes:
            while len(values) >= size:
                tx.exec_driver_sql(_of_rows(prepared.sql, size), tuple(chain.from_iterable(values[:size])))
                del values[:size]
        if values:
            tx.exec_driver_sql(prepared.sql, values)
    return count


@lru_cache(maxsize=128)
def _of_rows(sql: str, number: int) -> str:
    """Return an INSERT of one row as one of `number` rows."""
    head, values = sql.rsplit(" VALUES ", 1)
    return f"{head} VALUES {', '.join([values] * number)}"


def copy_many(tx: Connection, table: str, columns: tuple[str, ...], rows: Iterable[SqlRow]) -> int:
    """Insert `rows`, whose values are those of `columns`, with PostgreSQL's COPY; return their number.

    For rows of 100 bytes and of 4 KB alike, that takes two thirds of the time of psycopg's pipelined `executemany`, and
    a third of SQLAlchemy's own. The binary form would save half of the client's CPU for events, 1 µs a row, and none
    of the server's.
    """
    driver: psycopg.Connection = tx.connection.driver_connection  # type: ignore[assignment]
    count = 0
    with (
        our_errors(tx),
        driver.cursor() as cursor,
        cursor.copy(f"COPY {table} ({', '.join(columns)}) FROM STDIN") as copy,
    ):
        for row in rows:
            copy.write_row(row)
            count += 1
    return count


def chunked(items: Iterable[T], size: int = IDS_AT_ONCE) -> Iterator[list[T]]:
    """Yield `items` in lists of at most `size`."""
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk


def among(column: ColumnElement[int], ids: Collection[int]) -> ColumnElement[bool]:
    """Return the condition that `column` is one of `ids`.

    For more ids than every database takes as parameters it is always true: the caller ignores the rest.
    """
    return column.in_(ids) if len(ids) <= IDS_IN_A_CONDITION else true()


def field_names(row: type, *besides: str) -> tuple[str, ...]:
    """Return the fields of a dataclass, except `besides`: those that are columns of the same name."""
    return tuple(field.name for field in fields(row) if field.name not in besides)


def _bounded(rows: Iterable[SqlRow], columns: tuple[str, ...]) -> Iterator[list[SqlRow]]:
    """Yield `rows` in lists that are limited in length, and in size if the rows hold content."""
    content = next((index for index, name in enumerate(columns) if name.endswith("attributes")), None)
    if content is None:
        yield from chunked(rows, ROWS_AT_ONCE)
        return
    chunk: list[SqlRow] = []
    characters = 0
    for row in rows:
        chunk.append(row)
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
    types = (compiled.binds[name].type.dialect_impl(dialect) for name in names)
    return _Prepared(
        compiled.string,
        tuple(columns.index(name) for name in names),
        tuple(type_.bind_processor(dialect) for type_ in types),
    )
