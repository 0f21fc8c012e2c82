"""Many rows at the driver's own speed: PostgreSQL's COPY for new ones, `executemany` for everything else.

SQLAlchemy compiles a statement once and tells how each value is sent; the rows then go to the driver without being
handled one by one again (psycopg pipelines its `executemany`). COPY takes two thirds of the time of that, and a third
of ours, for rows of 100 bytes and of 4 KB alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import Connection, Dialect, Table, insert, or_
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.dml import Insert, Update

from versionsync.mirror.engine.engine import our_errors
from versionsync.mirror.engine.types import POSTGRES

if TYPE_CHECKING:
    import psycopg

__all__ = ["IDS_AT_ONCE", "chunked", "insert_ignore", "insert_many", "run_many", "upsert"]

ROWS_AT_ONCE = 500
CHARACTERS_AT_ONCE = 1024 * 1024
IDS_AT_ONCE = 500

T = TypeVar("T")
Row = Sequence[Any]


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A statement as the driver takes it: which value of a row stands at each place, and how some are converted."""

    sql: str
    parameter_names: tuple[int, ...]
    converters: tuple[tuple[int, Callable[[Any], Any]], ...]

    def parameters(self, row: Row) -> tuple[Any, ...]:
        values = [row[place] for place in self.parameter_names]
        for place, convert in self.converters:
            values[place] = convert(values[place])
        return tuple(values)


def run_many(tx: Connection, statement: Insert | Update, columns: tuple[str, ...], rows: Iterable[Row]) -> int:
    """Run `statement` for each of `rows`, whose values are its parameters named `columns`; returns their number.

    The rows are taken a few hundred, or a few megabytes, at a time: an iterator of any length costs little memory.
    """
    prepared = _prepare(statement, columns, tx.dialect)
    count = 0
    for chunk in _bounded(rows, columns):
        tx.exec_driver_sql(prepared.sql, [prepared.parameters(row) for row in chunk])
        count += len(chunk)
    return count


def insert_many(tx: Connection, table: Table, columns: tuple[str, ...], rows: Iterable[Row]) -> int:
    """Insert `rows`, whose values are those of `columns`; returns their number. An iterator of any length costs little.

    Raises the errors of the mirror, as everything that an engine of ours does.
    """
    if tx.dialect.name != POSTGRES:
        return run_many(tx, _insert(table), columns, rows)
    driver: psycopg.Connection = tx.connection.driver_connection  # type: ignore[assignment]
    names = ", ".join(columns)
    count = 0
    with our_errors(tx), driver.cursor() as cursor, cursor.copy(f"COPY {table.name} ({names}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)
            count += 1
    return count


def insert_ignore(table: Table, dialect: str) -> Insert:
    """An INSERT that leaves a row of the same primary key as it is."""
    if dialect == POSTGRES:
        return postgresql.insert(table).on_conflict_do_nothing()
    return sqlite.insert(table).on_conflict_do_nothing()


def upsert(table: Table, dialect: str, columns: Iterable[str]) -> Insert:
    """An INSERT that sets `columns` of a row of the same primary key, and writes nothing where they are so already."""
    upsert = postgresql.insert(table) if dialect == POSTGRES else sqlite.insert(table)
    keys = [column.name for column in table.primary_key]
    new = {name: upsert.excluded[name] for name in columns}
    differs = or_(*(table.c[name].is_distinct_from(value) for name, value in new.items()))
    return upsert.on_conflict_do_update(index_elements=keys, set_=new, where=differs)


def chunked(items: Iterable[T], size: int = IDS_AT_ONCE) -> Iterator[list[T]]:
    """`items` in lists of at most `size`."""
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk


def _bounded(rows: Iterable[Row], columns: tuple[str, ...]) -> Iterator[list[Row]]:
    """`rows` in lists that are short, and small where they hold contents."""
    heavy = next((place for place, name in enumerate(columns) if name.endswith("attributes")), None)
    chunk: list[Row] = []
    characters = 0
    for row in rows:
        chunk.append(row)
        if heavy is not None:
            characters += len(row[heavy])
        if len(chunk) == ROWS_AT_ONCE or characters >= CHARACTERS_AT_ONCE:
            yield chunk
            chunk, characters = [], 0
    if chunk:
        yield chunk


@lru_cache
def _insert(table: Table) -> Insert:
    return insert(table)


@lru_cache(maxsize=128)
def _prepare(statement: Insert | Update, columns: tuple[str, ...], dialect: Dialect) -> _Prepared:
    compiled = statement.compile(dialect=dialect, column_keys=list(columns))
    names = compiled.positiontup
    assert names is not None, "both drivers are opened with parameters by place"
    converters = []
    for place, name in enumerate(names):
        type_ = compiled.binds[name].type
        if convert := type_.dialect_impl(dialect).bind_processor(dialect):
            converters.append((place, convert))
    return _Prepared(compiled.string, tuple(columns.index(name) for name in names), tuple(converters))
