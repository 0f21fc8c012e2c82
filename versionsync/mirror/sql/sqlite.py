"""Queries of users on SQLite: a connection of their own, whose authorizer allows reading and nothing else.

`mode=ro` and `PRAGMA query_only` are not enough: a query could switch the one off, and attach another file that it may
write. The authorizer is asked for each action of a statement, also within views and triggers, before it runs.
"""

from __future__ import annotations

import re
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Final

from versionsync.mirror.database import Mirror
from versionsync.mirror.engine.driver_errors import translate_error
from versionsync.mirror.engine.engine import connect_to_read
from versionsync.mirror.errors import QueryError
from versionsync.mirror.sql.answer import Answer, query_error, took_too_long

__all__ = ["answer"]

READS: Final = frozenset({sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_RECURSIVE})

# These describe the database. With a value, some of them would change it, so only a table or an index may be named.
PRAGMAS_OF_NAMES: Final = frozenset(
    {"foreign_key_list", "index_info", "index_list", "index_xinfo", "table_info", "table_list", "table_xinfo"}
)
PRAGMAS: Final = PRAGMAS_OF_NAMES | {
    *("application_id", "collation_list", "compile_options", "data_version", "database_list", "encoding"),
    *("freelist_count", "function_list", "journal_mode", "module_list", "page_count", "page_size", "pragma_list"),
    *("schema_version", "user_version"),
}

# Functions that reach outside of the database or write. SQLite's other functions only compute.
FUNCTIONS_REFUSED: Final = frozenset(
    {"edit", "eval", "fts3_tokenizer", "load_extension", "optimize", "readfile", "writefile"}
)

ACTIONS: Final = {
    getattr(sqlite3, f"SQLITE_{name.replace(' ', '_')}"): name
    for name in (
        *("ALTER TABLE", "ANALYZE", "ATTACH", "CREATE INDEX", "CREATE TABLE", "CREATE TRIGGER", "CREATE VIEW"),
        *("CREATE TEMP INDEX", "CREATE TEMP TABLE", "CREATE TEMP TRIGGER", "CREATE TEMP VIEW", "CREATE VTABLE"),
        *("DELETE", "DETACH", "DROP INDEX", "DROP TABLE", "DROP TRIGGER", "DROP VIEW", "DROP VTABLE", "FUNCTION"),
        *("INSERT", "PRAGMA", "REINDEX", "SAVEPOINT", "TRANSACTION", "UPDATE"),
    )
}

# A query that was made to need much must not take the machine with it.
LIMITS: Final = {
    sqlite3.SQLITE_LIMIT_ATTACHED: 0,
    sqlite3.SQLITE_LIMIT_LENGTH: 256 * 1024 * 1024,  # of a value, such as a joined text
    sqlite3.SQLITE_LIMIT_SQL_LENGTH: 1_000_000,
    sqlite3.SQLITE_LIMIT_TRIGGER_DEPTH: 1,
    sqlite3.SQLITE_LIMIT_WORKER_THREADS: 0,
}
STEPS: Final = 20_000  # between two looks at the clock: less than a millisecond

_NAMED: Final = (
    re.compile(r'^near "(.+)": syntax error$', re.DOTALL),
    re.compile(r'^unrecognized token: "(.+)"$', re.DOTALL),
    re.compile(r"^(?:no such (?:column|table|function|collation sequence|module)|ambiguous column name): (\S+)$"),
    re.compile(r"^wrong number of arguments to function (\w+)\(\)$"),
)


@contextmanager
def answer(mirror: Mirror, query: str, *, seconds: float | None) -> Iterator[Answer]:
    """Do as `query.ask`, on SQLite."""
    with mirror.read() as opened:  # it has checked the file, and removes the log that reading a quiet file makes
        url = opened.engine.url
    with closing(connect_to_read(url)) as connection:
        asked = _Asked(query, mirror.where, seconds)
        asked.restrict(connection)
        with asked.errors():
            cursor = connection.execute(query)
        if cursor.description is None:
            raise QueryError("there is no query", hint="Write one, such as: SELECT count(*) FROM versions")
        yield Answer(tuple(column[0] for column in cursor.description), asked.rows(cursor))


class _Asked:
    """One query, and why it ended if it fails."""

    def __init__(self, query: str, where: str, seconds: float | None) -> None:
        self._query = query
        self._where = where
        self._seconds = seconds
        self._refused: str | None = None
        self._is_late = False

    def restrict(self, connection: sqlite3.Connection) -> None:
        """Allow reading alone on `connection`, and limit what one query may need.

        It loads no extensions: sqlite3 has that switched off, and here the authorizer refuses it as well.
        """
        connection.text_factory = lambda text: text.decode(errors="replace")  # half an emoji is no UTF-8
        connection.execute("PRAGMA query_only = ON")
        for limit, most in LIMITS.items():
            connection.setlimit(limit, most)
        connection.set_progress_handler(self._clock(), STEPS)
        connection.set_authorizer(self._authorize)

    def rows(self, cursor: sqlite3.Cursor) -> Iterator[tuple[object, ...]]:
        with self.errors():
            for row in cursor:  # noqa: UP028 - `yield from` would close the cursor after its connection
                yield row

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Turn an error of SQLite into one of the query."""
        try:
            yield
        except (sqlite3.Error, sqlite3.Warning) as error:
            raise self._meaning(error) from error

    def _clock(self) -> Callable[[], int]:
        until = None if self._seconds is None else time.monotonic() + self._seconds

        def is_over() -> int:
            self._is_late = until is not None and time.monotonic() > until
            return self._is_late

        return is_over

    def _authorize(self, action: int, one: str | None, two: str | None, database: str | None, _: str | None) -> int:
        match action:
            case sqlite3.SQLITE_FUNCTION:
                is_allowed = (two or "").lower() not in FUNCTIONS_REFUSED
            case sqlite3.SQLITE_PRAGMA:
                name = (one or "").lower()
                is_allowed = name in PRAGMAS and (two is None or name in PRAGMAS_OF_NAMES)
            case sqlite3.SQLITE_UPDATE:
                # SQLite asks for this when it sets up a virtual table, such as json_each, and then writes nothing. A
                # statement that updates this table is refused by SQLite itself, unless a PRAGMA allowed it before.
                is_allowed = (one, database) == ("sqlite_master", "main")
            case _:
                is_allowed = action in READS
        if is_allowed:
            return sqlite3.SQLITE_OK
        if self._refused is None:
            what, named = ACTIONS.get(action, "this"), two if action == sqlite3.SQLITE_FUNCTION else one
            self._refused = f"{what} {named}" if named and what in ("FUNCTION", "PRAGMA") else what
        return sqlite3.SQLITE_DENY

    def _meaning(self, error: sqlite3.Error | sqlite3.Warning) -> BaseException:
        said = str(error)
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
        if self._refused is not None or code in (sqlite3.SQLITE_AUTH, sqlite3.SQLITE_READONLY):
            return query_error(
                f"SQLite refuses {self._refused or 'this'}: `versionsync sql` only reads this database", self._query
            )
        if code == sqlite3.SQLITE_INTERRUPT:
            return took_too_long(self._seconds) if self._is_late else KeyboardInterrupt()
        if "one statement at a time" in said:
            return query_error("there is more than one statement: write one", self._query)
        if "Incorrect number of bindings" in said:
            return query_error("the query has a parameter (?, :name): write the value itself", self._query)
        if said == "table sqlite_master may not be modified":
            return query_error("SQLite refuses UPDATE: `versionsync sql` only reads this database", self._query)
        of_query = query_error(said, self._query, _place(said, self._query))
        if code in (sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_MISMATCH, sqlite3.SQLITE_RANGE):
            return of_query
        return translate_error(error, self._where) or of_query


def _place(said: str, query: str) -> int | None:
    """Return where the name or token of a message is in the query; None: nowhere, or in several places.

    SQLite knows the place, but Python does not pass it on.
    """
    if said == "incomplete input":
        return len(query.rstrip())
    for pattern in _NAMED:
        if found := pattern.match(said):
            word = re.escape(found[1])
            start, end = (r"\b" if re.match(r"\w", found[1]) else ""), (r"\b" if re.search(r"\w$", found[1]) else "")
            places = [one.start() for one in re.finditer(f"{start}{word}{end}", query)]
            return places[0] if len(places) == 1 else None
    return None
