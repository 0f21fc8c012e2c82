"""Queries of users on PostgreSQL: with a role that may only read, in a read-only transaction that is rolled back.

A read-only transaction alone is not enough: a superuser runs programs in it with COPY. So the rights of the role count.
They are read before each query, from the same transaction.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, cast

from sqlalchemy import Connection

from versionsync.mirror.database import Mirror
from versionsync.mirror.engine.driver_errors import translate_error
from versionsync.mirror.engine.sqlalchemy_urls import safe_url, secrets_in
from versionsync.mirror.errors import QueryError, WritableRole
from versionsync.mirror.sql.answer import Answer, query_error, took_too_long
from versionsync.mirror.sql.rights import rights_to_write

if TYPE_CHECKING:
    import psycopg

__all__ = ["answer"]

CURSOR: Final = "answer"
BEFORE_QUERY: Final = len(f'DECLARE "{CURSOR}" NO SCROLL CURSOR FOR ')
"""How far a position in the statement that is sent is ahead of that in the query."""
ROWS_FETCHED: Final = 500
REASONS_SHOWN: Final = 3

_COMMENT: Final = r"(?:\s|--[^\n]*(?:\n|$)|/\*.*?\*/)*"
_FIRST_WORD: Final = re.compile(rf"{_COMMENT}(\w+|\(|)", re.DOTALL)
_DECLARED: Final = frozenset({"SELECT", "WITH", "VALUES", "TABLE", "("})
"""What a query begins with that PostgreSQL makes a cursor for. It accepts no other statement there."""
_LISTED: Final = frozenset({"EXPLAIN", "SHOW"})
"""Statements without a cursor, whose answer is short."""


@contextmanager
def answer(mirror: Mirror, query: str, *, seconds: float | None) -> Iterator[Answer]:
    """Do as `query.ask`, on PostgreSQL."""
    beginning = _FIRST_WORD.match(query)
    first = beginning[1].upper() if beginning else ""
    if not query.strip().strip(";"):
        raise QueryError("there is no query", hint="Write one, such as: SELECT count(*) FROM versions")
    if first not in _DECLARED | _LISTED:
        raise QueryError(
            f"PostgreSQL is not asked to {first or 'run this'}: `versionsync sql` only reads this database",
            hint="A query begins with SELECT, WITH, VALUES, TABLE, EXPLAIN or SHOW.",
        )
    with mirror.read() as connection:
        raw = cast("psycopg.Connection", connection.connection.driver_connection)
        if reasons := rights_to_write(raw):
            raise _writable(raw.info.user, reasons)
        try:
            with _asked(connection, raw, query, seconds=seconds, is_declared=first in _DECLARED) as found:
                yield found
        finally:
            if not raw.closed and (transaction := connection.get_transaction()):
                transaction.rollback()  # what a function may have done in this transaction, such as pg_notify
                raw.execute("SELECT pg_advisory_unlock_all()")  # these outlive a transaction
                raw.rollback()


@contextmanager
def _asked(
    connection: Connection, raw: psycopg.Connection, query: str, *, seconds: float | None, is_declared: bool
) -> Iterator[Answer]:
    from psycopg.types.string import TextLoader

    raw.execute(
        "SELECT set_config('statement_timeout', %s, true), set_config('cursor_tuple_fraction', '1', true)",
        [f"{(seconds or 0) * 1000:.0f}"],
    )
    raw.adapters.register_loader("json", TextLoader)  # as it is stored, to the last digit
    sent = query.encode()
    # Both send the query in the extended protocol, which takes one statement alone.
    if is_declared:
        with raw.cursor(CURSOR, scrollable=False) as cursor:
            cursor.itersize = ROWS_FETCHED
            with _errors(connection, query, seconds, before=BEFORE_QUERY):
                cursor.execute(sent)
            yield Answer(_names(cursor), _rows(connection, cursor, query, seconds))
        return
    with raw.cursor() as listing:
        with _errors(connection, query, seconds):
            rows = list(listing.stream(sent))
        yield Answer(_names(listing), iter(rows))


def _names(cursor: psycopg.Cursor | psycopg.ServerCursor) -> tuple[str, ...]:
    return tuple(column.name for column in cursor.description or ())


def _rows(
    connection: Connection, rows: Iterable[tuple[object, ...]], query: str, seconds: float | None
) -> Iterator[tuple[object, ...]]:
    with _errors(connection, query, seconds):
        yield from rows


@contextmanager
def _errors(connection: Connection, query: str, seconds: float | None, *, before: int = 0) -> Iterator[None]:
    """Turn an error of PostgreSQL into one of the query; `before` characters were sent before it."""
    import psycopg

    try:
        yield
    except psycopg.Error as error:
        state = error.sqlstate or ""
        said = error.diag.message_primary or str(error)
        if state == "57014":
            raise took_too_long(seconds) from error
        if state in ("25006", "42501"):
            raise query_error(
                f"PostgreSQL refuses this: {said}", query, hint="`versionsync sql` only reads."
            ) from error
        if state == "42601" and "multiple commands" in said:
            raise query_error("there is more than one statement: write one", query) from error
        if isinstance(error, psycopg.OperationalError) and not state.startswith(("42", "22")):
            url = connection.engine.url
            raise translate_error(error, safe_url(url), secrets=secrets_in(url)) or error from error
        position = error.diag.statement_position
        at = int(position) - 1 - before if position else None
        raise query_error(said, query, at, hint=error.diag.message_hint) from error


def _writable(user: str, reasons: list[str]) -> WritableRole:
    shown = "; ".join(reasons[:REASONS_SHOWN])
    more = f"; and {len(reasons) - REASONS_SHOWN} more" if len(reasons) > REASONS_SHOWN else ""
    return WritableRole(f"the role {user} of PostgreSQL may write: {shown}{more}")
