"""Errors cost no import, and say what a driver's error means."""

from __future__ import annotations

import sqlite3
import subprocess
import sys

import psycopg
import pytest
from psycopg import errors

from versionsync.mirror.engine.driver_errors import (
    POSTGRES_CONNECT_ERRORS,
    POSTGRES_PERMANENT,
    SQLITE_ERRORS,
    translate_error,
)
from versionsync.mirror.engine.sqlalchemy_urls import database_url, secrets_in
from versionsync.mirror.errors import ContentRejected, DatabaseUnavailable, MirrorError, NotAMirror, TransactionLost

WHERE = "postgresql://me:***@host/db"


def test_errors_load_no_library() -> None:
    """Exit codes can be told without SQLAlchemy."""
    program = "import sys, versionsync.mirror.errors; print('sqlalchemy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (errors.InvalidPassword, DatabaseUnavailable, "refuses the user or the password"),
        (errors.InvalidCatalogName, DatabaseUnavailable, "does not exist"),
        (errors.InsufficientPrivilege, DatabaseUnavailable, "does not allow this user"),
        (errors.ReadOnlySqlTransaction, DatabaseUnavailable, "is read-only"),
        (errors.DiskFull, DatabaseUnavailable, "disk is full"),
        (errors.TooManyConnections, TransactionLost, "too many connections"),
        (errors.OutOfMemory, DatabaseUnavailable, "lacks a resource"),
        (errors.LockNotAvailable, DatabaseUnavailable, "is locked"),
        (errors.DeadlockDetected, TransactionLost, "try again"),
        (errors.SerializationFailure, TransactionLost, "try again"),
        (errors.QueryCanceled, DatabaseUnavailable, "statement_timeout"),
        (errors.IdleInTransactionSessionTimeout, TransactionLost, "paused too long"),
        (errors.AdminShutdown, TransactionLost, "is shutting down"),
        (errors.ConnectionFailure, TransactionLost, "lost the connection"),
        (errors.DataCorrupted, DatabaseUnavailable, "internal error"),
        (errors.UniqueViolation, ContentRejected, "UniqueViolation"),
        (errors.UntranslatableCharacter, ContentRejected, "UntranslatableCharacter"),
        (errors.ProgramLimitExceeded, ContentRejected, "ProgramLimitExceeded"),
    ],
)
def test_postgresql_says_it_by_code(error: type[psycopg.Error], kind: type[MirrorError], words: str) -> None:
    """And nothing of what the server says is quoted: it may hold content."""
    meaning = translate_error(error("secret content"), WHERE)
    assert type(meaning) is kind
    assert words in str(meaning)
    assert WHERE in str(meaning)
    assert "secret" not in str(meaning)


@pytest.mark.parametrize("words", [words for words, _ in POSTGRES_CONNECT_ERRORS])
def test_a_connection_that_never_was_is_told_by_its_words(words: str) -> None:
    """There is no code for it. What waiting does not mend is not waited for."""
    meaning = translate_error(psycopg.OperationalError(f"connection failed: FATAL: {words} for me"), WHERE)
    assert type(meaning) is (DatabaseUnavailable if words in POSTGRES_PERMANENT else TransactionLost)
    assert set(POSTGRES_PERMANENT) <= {words for words, _ in POSTGRES_CONNECT_ERRORS}


@pytest.mark.parametrize(
    "said",
    [
        "consuming input failed: server closed the connection unexpectedly",
        "consuming input failed: SSL connection has been closed unexpectedly",
        "consuming input failed: SSL SYSCALL error: EOF detected",
        "sending query failed: could not send data to server: Broken pipe",
        "the connection is closed",
        "the connection is lost",
        "sending query failed: server closed the connection: not allowed any more",
    ],
)
def test_a_connection_that_went_away_is_not_taken_for_a_wrong_setting(said: str) -> None:
    """As over TLS, whose name is in what is said of every loss."""
    meaning = translate_error(psycopg.OperationalError(said), WHERE)
    assert type(meaning) is TransactionLost
    assert "has lost the connection" in str(meaning)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ('invalid connection option "pgbouncer"', "does not know, pgbouncer: leave it out"),
        ('invalid URI query parameter: "supa"', "does not know, supa: leave it out"),
        ('invalid connection option "schema"', "leave it out, or write options=-csearch_path%3DSCHEMA"),
        ('gssencmode value "require" invalid when GSSAPI support is not compiled in', "cannot be used like this: gss"),
        ('invalid integer value "x" for connection option "connect_timeout"', "cannot be used like this: invalid int"),
        ('root certificate file "/x.pem" does not exist', "cannot be used like this: root certificate file"),
        ("connection failed: FATAL: unsupported startup parameter: options", "unsupported startup parameter: options"),
        ("session is read-only", "cannot be used like this: session is read-only"),
        ("ERROR: transaction blocks not allowed in statement pooling mode", "pooler in statement mode"),
    ],
)
@pytest.mark.parametrize("kind", [psycopg.OperationalError, psycopg.ProgrammingError, errors.ProtocolViolation])
def test_what_is_refused_at_the_door_is_quoted(kind: type[psycopg.Error], said: str, told: str) -> None:
    """It has no code, or one that says nothing, and no waiting mends it."""
    meaning = translate_error(kind(said), WHERE)
    assert type(meaning) is DatabaseUnavailable
    assert told in str(meaning)


@pytest.mark.parametrize("host", ["no-such-host.invalid", "invalid", "required-host", "unsupported"])
def test_the_name_of_a_host_is_no_refusal(host: str) -> None:
    """Whatever words it is made of."""
    said = f"failed to resolve host '{host}': [Errno -2] Name or service not known"
    assert "its host name is not known" in str(translate_error(psycopg.OperationalError(said), WHERE))


def test_what_nobody_knows_is_quoted_in_one_line_without_a_secret() -> None:
    """As far as it is of use."""
    said = "connection failed:\n\tthe moon \x1b[31mis full, pa%40ss or pa@ss of me, x or xx" + "!" * 1000
    meaning = translate_error(psycopg.OperationalError(said), WHERE, secrets=["pa@ss", "pa%40ss", "x"])
    assert type(meaning) is TransactionLost
    assert "lost the connection: connection failed: the moon [31mis full, *** or *** of me, *** or xx!!" in str(meaning)
    assert str(meaning).isprintable()
    assert len(str(meaning)) < 500


def test_all_that_a_url_must_not_show_is_known() -> None:
    """In the URL's own spelling, too."""
    url = database_url("postgresql://me:pa%40ss+word@host/db?sslpassword=a%2Fb&sslmode=require")
    assert {"pa@ss+word", "pa%40ss%2Bword", "a/b", "a%2Fb"} <= secrets_in(url)
    assert "require" not in secrets_in(url)
    assert secrets_in(database_url("sqlite:///x.db")) == frozenset()
    assert "a b+c" in secrets_in(database_url("postgresql://host/db?password=a%20b%2Bc"))


def test_a_mistake_in_a_statement_is_a_bug() -> None:
    """It is not hidden behind a message for users."""
    assert translate_error(errors.UndefinedColumn("no such column"), WHERE) is None
    assert translate_error(errors.SyntaxError("oops"), WHERE) is None
    assert translate_error(psycopg.ProgrammingError("cannot adapt type 'dict' using placeholder '%s'"), WHERE) is None
    with pytest.raises(sqlite3.OperationalError) as caught:
        sqlite3.connect(":memory:").execute("SELEC 1")
    assert translate_error(caught.value, "sqlite:///x.db") is None
    assert translate_error(ZeroDivisionError(), WHERE) is None


@pytest.mark.parametrize("code", SQLITE_ERRORS)
def test_sqlite_says_it_by_code(code: int) -> None:
    """The extended codes too, whose last byte is the code."""
    for extended in (code, code | 5 << 8):
        error = sqlite3.OperationalError("said")
        error.sqlite_errorcode = extended
        meaning = translate_error(error, "sqlite:///x.db")
        assert type(meaning) is DatabaseUnavailable
        assert str(meaning) == f"the database sqlite:///x.db {SQLITE_ERRORS[code]}"


def test_a_file_that_is_no_database_and_a_broken_rule() -> None:
    """Neither goes away by waiting."""
    for code, kind in ((sqlite3.SQLITE_NOTADB, NotAMirror), (sqlite3.SQLITE_CONSTRAINT_CHECK, ContentRejected)):
        error = sqlite3.DatabaseError("said")
        error.sqlite_errorcode = code
        assert type(translate_error(error, "sqlite:///x.db")) is kind
