"""Translate a driver's error to a MirrorError: one line that says what to do, without a password or content."""

from __future__ import annotations

import re
import sqlite3
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from versionsync.mirror.engine.sqlalchemy_urls import safe_url, secrets_in
from versionsync.mirror.errors import ContentRejected, DatabaseUnavailable, MirrorError, NotAMirror, TransactionLost

if TYPE_CHECKING:
    import psycopg

__all__ = ["our_errors", "translate_error"]

SQLITE_ERRORS: dict[int, str] = {
    sqlite3.SQLITE_PERM: "may not be opened by this user: check who owns it",
    sqlite3.SQLITE_BUSY: "is locked by another program that writes to it: stop that program, or try again later",
    sqlite3.SQLITE_LOCKED: "is locked by another connection: try again later",
    sqlite3.SQLITE_NOMEM: "needs more memory than there is",
    sqlite3.SQLITE_READONLY: "is read-only: check the permissions of the file and of its folder",
    sqlite3.SQLITE_IOERR: "cannot be read or written: the disk reports an error (is it full, or broken?)",
    sqlite3.SQLITE_CORRUPT: "is damaged: restore it from a backup; `versionsync doctor` says what is wrong with it",
    sqlite3.SQLITE_FULL: "cannot grow: the disk is full; free some space, then run this again",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened: check that its folder exists and may be written to",
    sqlite3.SQLITE_PROTOCOL: "is locked in a way that does not end: stop the other programs that use it",
    sqlite3.SQLITE_AUTH: "may not be changed by this connection",
}
TRUNCATED = "is damaged: its end is missing, as in a copy that was not finished; restore it from a backup"
SQLITE_REFUSALS = {sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISMATCH, sqlite3.SQLITE_RANGE}

CONNECTION_LOST = "has lost the connection: try again later"
POSTGRES_ERRORS: tuple[tuple[str, str], ...] = (
    ("28", "refuses the user or the password (check both in the database URL)"),
    ("3D", "does not exist: create it (`createdb NAME`), or check the name in the database URL"),
    ("42501", "does not allow this user to do that: grant it CREATE and the rights to its tables"),
    ("25006", "is read-only (a standby?): use the primary server"),
    ("25P03", "has ended a transaction that paused too long (idle_in_transaction_session_timeout): raise the limit"),
    ("25P04", "has ended a transaction that took too long (transaction_timeout): raise the limit"),
    ("53100", "cannot grow: the server's disk is full; free some space, then run this again"),
    ("53300", "has too many connections: raise max_connections, or close some"),
    ("53", "lacks a resource (memory, disk or connections): see the server's log"),
    (
        "55P03",
        "is locked by another session, perhaps a migration, or a process that was stopped: wait for it, or end it",
    ),
    ("40", "could not keep this transaction apart from another one: try again"),
    ("57014", "cancelled the statement (statement_timeout?): raise the limit"),
    ("57", "is shutting down or starting, or has ended our connection: try again later"),
    ("58", "reports an error of its system (disk or files): see the server's log"),
    ("08", CONNECTION_LOST),
    ("XX", "reports an internal error, perhaps damage: see the server's log"),
)
POSTGRES_REFUSALS = ("22", "23", "54")
# A retry may succeed. Time limits that the user has set are not among these: a retry would only reach them again.
POSTGRES_TRANSIENT = ("08", "25P03", "40", "53300", "57P01", "57P02", "57P03", "57P05")

# libpq gives no code for a connection that failed or was lost. Its words are the same in all of its versions.
POSTGRES_CONNECT_ERRORS: tuple[tuple[str, str], ...] = (
    ("password authentication failed", "refuses the user or the password (check both in the database URL)"),
    ("no password supplied", "wants a password, in the database URL or in a password file"),
    ("no pg_hba.conf entry", "does not let this user in from here: see pg_hba.conf on the server"),
    ("role ", "does not know this user: check the database URL"),
    ("does not exist", "does not exist: create it (`createdb NAME`), or check the name in the database URL"),
    ("starting up", "is starting: try again later"),
    ("recovery mode", "is starting: try again later"),
    ("not yet accepting connections", "is starting: try again later"),
    ("shutting down", "is shutting down: try again later"),
    ("too many clients", "has too many connections: raise max_connections, or close some"),
    ("Connection refused", "cannot be reached: is the server running, and are host and port right?"),
    ("No such file or directory", "cannot be reached: is the server running, and is its socket where the URL says?"),
    ("could not translate host name", "cannot be reached: its host name is not known"),
    ("failed to resolve host", "cannot be reached: its host name is not known"),
    ("Name or service not known", "cannot be reached: its host name is not known"),
    ("timeout", "does not answer: check host, port and firewall"),
    ("closed", CONNECTION_LOST),
    ("connection is lost", CONNECTION_LOST),
    ("EOF detected", CONNECTION_LOST),
    ("Connection reset", CONNECTION_LOST),
    ("Broken pipe", CONNECTION_LOST),
    ("SSL", "could not agree on encryption: check `sslmode` in the database URL"),
    ("certificate", "could not agree on encryption: check `sslmode` and `sslrootcert` in the database URL"),
)
# A value or a combination that libpq, the server or a pooler refuses: a retry changes nothing, and the driver's own
# words are the best. Checked first, since parameters in them (`connect_timeout`) hold words of the list above.
POSTGRES_REFUSES = re.compile(
    r"(?<![\w.'\"-])(?:invalid|unrecognized|unsupported|not supported|not allowed|required)(?![\w.-])|is read-only"
    r"|certificate file|private key file|hot standby|missing \"=\""
)
OUR_OWN = re.compile("adapt|placeholder|the query has|result")  # one of our statements with the wrong parameters
LOST_WORDS = re.compile(r"closed|connection is lost|EOF detected|Connection re|Broken pipe|starting up|shutting down")
STATEMENT_POOLING = "statement pooling"
UNKNOWN_PARAMETER = re.compile(r'invalid (?:connection option|URI query parameter):? "([^"]+)"')
SQLSTATES_QUOTED = ("0A", "26", "3F", "08P01")  # of a pooler, of another kind of server, of a search_path that is empty
LONGEST_QUOTE = 300

POSTGRES_PERMANENT = (
    "password authentication failed",
    "no password supplied",
    "no pg_hba.conf entry",
    "role ",
    "does not exist",
    "SSL",
    "certificate",
)


@contextmanager
def our_errors(connection: Connection) -> Iterator[None]:
    """Translate the errors of driver calls that bypass SQLAlchemy."""
    try:
        yield
    except Exception as error:
        url = connection.engine.url
        if meaning := translate_error(error, safe_url(url), secrets=secrets_in(url)):
            raise meaning from error
        raise


def translate_error(error: BaseException, where: str, *, secrets: Collection[str] = ()) -> MirrorError | None:
    """Return the MirrorError for a driver's `error`, or None for a bug of this program.

    Args:
        error: What the driver raised.
        where: The database, as a safe URL.
        secrets: What must not be shown even if the driver's message contains it.
    """
    if isinstance(error, sqlite3.Error):
        return _of_sqlite(error, where)
    if isinstance(error, UnicodeEncodeError | OverflowError):
        return ContentRejected(f"the database {where} refuses a value: {type(error).__name__}")
    return _of_postgres(error, where, secrets) if "psycopg" in sys.modules else None


def _of_sqlite(error: sqlite3.Error, where: str) -> MirrorError | None:
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF  # the rest only details it
    if code == sqlite3.SQLITE_NOTADB:
        return NotAMirror(f"{where} is no SQLite database: choose another file name")
    if code in SQLITE_REFUSALS:
        return ContentRejected(f"the database {where} refuses a row: {error}")
    if isinstance(error, sqlite3.DataError | sqlite3.InterfaceError):
        return ContentRejected(f"the database {where} refuses a value: {type(error).__name__}")
    if meaning := SQLITE_ERRORS.get(code):
        return DatabaseUnavailable(f"the database {where} {meaning}")
    return None


def _of_postgres(error: BaseException, where: str, secrets: Collection[str]) -> MirrorError | None:
    import psycopg

    if not isinstance(error, psycopg.Error):
        return None
    state = error.sqlstate
    if state is None and isinstance(error, psycopg.DataError):
        return ContentRejected(f"the database {where} refuses a value: {type(error).__name__}")
    if state is None:
        return _without_a_code(error, where, _quoted(error, secrets))
    if state.startswith(SQLSTATES_QUOTED):
        return DatabaseUnavailable(f"the database {where} {_refusal(_quoted(error, secrets))}")
    if state.startswith(POSTGRES_REFUSALS):
        return ContentRejected(f"the database {where} refuses a row: {_what_was_refused(error)}")
    for start, meaning in POSTGRES_ERRORS:
        if state.startswith(start):
            kind = TransactionLost if state.startswith(POSTGRES_TRANSIENT) else DatabaseUnavailable
            return kind(f"the database {where} {meaning}")
    return None


def _without_a_code(error: psycopg.Error, where: str, said: str) -> MirrorError | None:
    """Translate an error without a code: mostly of a connection that failed or was lost."""
    import psycopg

    if isinstance(error, psycopg.ProgrammingError):
        if OUR_OWN.search(said):
            return None
        return DatabaseUnavailable(f"the database {where} {_refusal(said)}")
    if not isinstance(error, psycopg.OperationalError):
        return None
    if POSTGRES_REFUSES.search(said) and LOST_WORDS.search(said) is None:
        return DatabaseUnavailable(f"the database {where} {_refusal(said)}")
    for words, meaning in POSTGRES_CONNECT_ERRORS:
        if words in said:
            kind = DatabaseUnavailable if words in POSTGRES_PERMANENT else TransactionLost
            return kind(f"the database {where} {meaning}")
    return TransactionLost(f"the database {where} cannot be reached, or has lost the connection: {said}")


def _refusal(said: str) -> str:
    """Return what to do about a refused parameter of the URL, or else what the driver says."""
    if STATEMENT_POOLING in said:
        return "is behind a pooler in statement mode, which has no transactions: use its mode transaction or session"
    if unknown := UNKNOWN_PARAMETER.search(said):
        instead = ", or write options=-csearch_path%3DSCHEMA" if unknown[1] == "schema" else ""
        return f"has a URL with a parameter that PostgreSQL does not know, {unknown[1]}: leave it out{instead}"
    return f"cannot be used like this: {said}"


def _quoted(error: psycopg.Error, secrets: Collection[str]) -> str:
    """Return the driver's message in one line, without secrets and terminal control characters."""
    said = " ".join((error.diag.message_primary or str(error)).split())
    said = "".join(character for character in said if character.isprintable())
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        said = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)" if len(secret) < 4 else re.escape(secret), "***", said)
    return said if len(said) <= LONGEST_QUOTE else f"{said[:LONGEST_QUOTE]}…"


def _what_was_refused(error: psycopg.Error) -> str:
    """Return the kind of error and the names in it, since PostgreSQL's own sentence may quote content."""
    named = [error.diag.table_name, error.diag.column_name, error.diag.constraint_name]
    return " ".join([type(error).__name__, *(name for name in named if name)])
