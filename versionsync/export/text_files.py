"""JSON lines and CSV: rows as text, a few thousand at a time."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Final, Protocol

import msgspec

from versionsync.export.tables import Column, ExportTable, Kind, Rows
from versionsync.ledger.times import format_time

__all__ = ["CsvRows", "JsonLines", "TextStream"]


class TextStream(Protocol):
    """Where the text goes: a file that was opened with `newline=""`, or standard output."""

    def write(self, text: str, /) -> int: ...


def _time(value: Any) -> str:
    return format_time(value) if isinstance(value, datetime) else str(value)


def _boolean(value: Any) -> str:
    return "true" if value else "false"


def _one_line(text: str) -> str:
    """Return a JSON text without line breaks: between its members they mean nothing, and within texts are none."""
    return text.replace("\n", " ").replace("\r", " ") if "\n" in text or "\r" in text else text


def _quoted(text: str) -> str:
    return msgspec.json.encode(text).decode()


_JSON: Final[dict[Kind, Callable[[Any], str]]] = {
    Kind.TEXT: _quoted,
    Kind.INTEGER: str,
    Kind.BOOLEAN: _boolean,
    Kind.TIME: lambda value: f'"{_time(value)}"',
    Kind.BINARY: lambda value: f'"{bytes(value).hex()}"',
    Kind.JSON: _one_line,
}
_CSV: Final[dict[Kind, Callable[[Any], str]]] = {
    Kind.TEXT: str,
    Kind.INTEGER: str,
    Kind.BOOLEAN: _boolean,
    Kind.TIME: _time,
    Kind.BINARY: lambda value: bytes(value).hex(),
    Kind.JSON: str,
}


class JsonLines:
    """Writes one JSON object a line, which begins with the table and the source. JSON columns are values in it."""

    def __init__(self, stream: TextStream, table: ExportTable, source: str) -> None:
        self._stream = stream
        self._head = f'{{"table":{_quoted(table.name)},"source":{_quoted(source)}'
        self._columns = _writers(table.columns, _JSON)
        self._names = [f",{_quoted(column.name)}:" for column in table.columns]

    def write(self, rows: Rows) -> None:
        """Write rows."""
        lines = []
        for row in rows:
            values = (
                name + ("null" if value is None else write(value))
                for name, write, value in zip(self._names, self._columns, row, strict=True)
            )
            lines.append(f"{self._head}{''.join(values)}}}\n")
        self._stream.write("".join(lines))

    def close(self) -> None:
        """Do nothing: each line is complete."""


class CsvRows:
    """Writes CSV as RFC 4180 has it, with a header. NULL is an empty field, JSON a text, bytes are hexadecimal."""

    def __init__(self, stream: TextStream, table: ExportTable, source: str, *, header: bool = True) -> None:
        self._csv = csv.writer(stream, lineterminator="\r\n")
        self._source = source
        self._columns = _writers(table.columns, _CSV)
        if header:
            self._csv.writerow(["source", *(column.name for column in table.columns)])

    def write(self, rows: Rows) -> None:
        """Write rows."""
        source, columns = self._source, self._columns
        self._csv.writerows(
            [source, *("" if value is None else write(value) for write, value in zip(columns, row, strict=True))]
            for row in rows
        )

    def close(self) -> None:
        """Do nothing: each line is complete."""


def _writers(columns: Sequence[Column], by_kind: dict[Kind, Callable[[Any], str]]) -> list[Callable[[Any], str]]:
    return [by_kind[column.kind] for column in columns]
