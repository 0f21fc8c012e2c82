"""Many rows through one statement, at the driver's own speed.

SQLAlchemy compiles the statement once and tells how each value is sent; the rows then go to the driver's `executemany`
(psycopg pipelines it) without being handled one by one again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import Connection, Dialect
from sqlalchemy.sql.dml import Insert, Update

__all__ = ["ROWS_AT_ONCE", "chunked", "run_many"]

ROWS_AT_ONCE = 500

T = TypeVar("T")
Row = Sequence[Any]


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A statement as the driver takes it: which value of a row stands at each place, and how some are converted."""

    sql: str
    places: tuple[int, ...]
    converters: tuple[tuple[int, Callable[[Any], Any]], ...]

    def parameters(self, row: Row) -> tuple[Any, ...]:
        values = [row[place] for place in self.places]
        for place, convert in self.converters:
            values[place] = convert(values[place])
        return tuple(values)


def run_many(tx: Connection, statement: Insert | Update, columns: tuple[str, ...], rows: Iterable[Row]) -> int:
    """Run `statement` for each of `rows`, whose values are its parameters named `columns`; returns their number.

    The rows are taken ROWS_AT_ONCE at a time, so that an iterator of any length costs little memory.
    """
    prepared = _prepare(statement, columns, tx.dialect)
    count = 0
    for chunk in chunked(rows):
        tx.exec_driver_sql(prepared.sql, [prepared.parameters(row) for row in chunk])
        count += len(chunk)
    return count


def chunked(items: Iterable[T], size: int = ROWS_AT_ONCE) -> Iterator[list[T]]:
    """`items` in lists of at most `size`."""
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk


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
