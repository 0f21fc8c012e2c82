"""What a query of a user comes to: its columns and rows, or what is wrong with it and where."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from versionsync.mirror.errors import QueryError

__all__ = ["Answer", "query_error", "took_too_long"]


@dataclass(frozen=True, slots=True)
class Answer:
    """The names of the columns, and the rows as the database sends them."""

    columns: tuple[str, ...]
    rows: Iterator[tuple[object, ...]]


def query_error(message: str, query: str, at: int | None = None, *, hint: str | None = None) -> QueryError:
    """Return the error for `query`, with the line and the column of the character `at`."""
    if at is None or not 0 <= at <= len(query):
        return QueryError(message, hint=hint)
    before = query[:at]
    line, column = before.count("\n") + 1, at - (before.rfind("\n") + 1) + 1
    return QueryError(f"line {line}, column {column}: {message}", hint=hint)


def took_too_long(seconds: float | None) -> QueryError:
    return QueryError(
        f"the query was ended after {seconds:g} s" if seconds else "the server ended the query: it took too long",
        hint="Ask for less, or allow more time with --timeout SECONDS (0: no limit).",
    )
