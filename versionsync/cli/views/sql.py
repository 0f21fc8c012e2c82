"""The answer of a query: as a table that fits the terminal, as CSV, or as JSON."""

from __future__ import annotations

import csv
import io
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from itertools import chain, islice

import msgspec

from versionsync.cli.terminal.output import Cell, Column, Output
from versionsync.mirror.sql.answer import Answer
from versionsync.text import printable_lines

__all__ = ["show_answer"]

LEAST_WIDTH = 9
"""If a column would have less, each row is written as a list."""
NULL: Cell = ("NULL", "dim")

_WHOLE_SECONDS = re.compile(r"^(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)\.000000Z$")

Row = tuple[object, ...]


def show_answer(output: Output, answer: Answer, *, as_csv: bool, limit: int | None) -> None:
    """Write an answer, row by row as the database sends it; at most `limit` rows."""
    rows = islice(answer.rows, limit)
    if output.as_json:
        names = _different(answer.columns)
        for row in rows:
            output.json(dict(zip(names, map(_json_value, row), strict=True)))
        return
    if as_csv:
        _write_csv(output, answer.columns, rows)
    elif output.results.width < len(answer.columns) * (LEAST_WIDTH + 2):
        _write_lists(output, answer.columns, rows)
    else:
        _write_table(output, answer.columns, rows)
    if limit is not None and next(answer.rows, None) is not None:
        output.note("There are more rows: --limit N shows more.", style="dim")


def _write_table(output: Output, names: Sequence[str], rows: Iterable[Row]) -> None:
    rest = iter(rows)
    first = next(rest, None)
    sides = [isinstance(value, int | float | Decimal) for value in first or [None] * len(names)]
    columns = [
        Column(name, "right" if is_number else "left", shrinks=True, least=LEAST_WIDTH)
        for name, is_number in zip(names, sides, strict=True)
    ]

    def cells() -> Iterator[list[Cell]]:
        for row in chain([first], rest) if first is not None else ():
            yield [_cell(value) for value in row]

    output.stream_table(columns, cells())


def _write_lists(output: Output, names: Sequence[str], rows: Iterable[Row]) -> None:
    """Write each row as lines of a name and a value: a table of all columns would not fit."""
    columns = [Column("column", style="bold"), Column("value", shrinks=True)]
    for number, row in enumerate(rows):
        if number:
            output.plain_line()
        lines = [[name, _cell(value)] for name, value in zip(names, row, strict=True)]
        output.live(output.table_lines(columns, lines)[1:])


def _write_csv(output: Output, names: Sequence[str], rows: Iterable[Row]) -> None:
    is_terminal = sys.stdout.isatty()
    line = io.StringIO()
    writer = csv.writer(line, lineterminator="\n")
    for row in chain([names], rows):
        writer.writerow(["" if value is None else _text(value) for value in row])
        text = line.getvalue()
        output.document(f"{printable_lines(text)}\n" if is_terminal else text)
        line.seek(0)
        line.truncate()


def _cell(value: object) -> Cell:
    """Return a value for a person: a time of whole seconds is shorter."""
    return NULL if value is None else _WHOLE_SECONDS.sub(r"\1 \2", _text(value))


def _text(value: object) -> str:
    """Return a value as text that is the same from both databases."""
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case bytes() | memoryview():
            return bytes(value).hex()
        case datetime():
            return f"{value.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}" if value.tzinfo else value.isoformat()
        case date() | time():
            return value.isoformat()
        case list() | dict():
            return msgspec.json.encode(_json_value(value)).decode()
        case _:
            return str(value)


def _json_value(value: object) -> object:
    match value:
        case None | bool() | int() | float() | str():
            return value
        case Decimal():
            return msgspec.Raw(str(value).encode()) if value.is_finite() else None
        case list():
            return [_json_value(each) for each in value]
        case dict():
            return {str(name): _json_value(each) for name, each in value.items()}
        case _:
            return _text(value)


def _different(names: Sequence[str]) -> list[str]:
    """Return the names with a number after those that are there already: an object has each name once."""
    found: list[str] = []
    for name in names:
        number, fresh = 2, name
        while fresh in found:
            fresh, number = f"{name}_{number}", number + 1
        found.append(fresh)
    return found
