"""Opening a database: SQLAlchemy engines for SQLite and PostgreSQL, set up the way the mirror needs them.

An engine made here raises only our own errors for what can happen to a database. Its transactions write (on SQLite
they begin with a lock, so that a read before a write cannot fail half way); those of `reading(engine)` only read, all
from one snapshot.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, ExceptionContext, create_engine, event
from sqlalchemy.pool import ConnectionPoolEntry

from versionsync.files import no_file
from versionsync.mirror.engine.driver_errors import TRUNCATED, translate_error
from versionsync.mirror.engine.sqlite_files import is_truncated, unsafe_for_wal
from versionsync.mirror.engine.types import POSTGRES
from versionsync.mirror.engine.urls import database_url, safe_url, secrets_in, sqlite_path
from versionsync.mirror.errors import DatabaseUnavailable, NotAMirror, another_programs

if TYPE_CHECKING:
    import psycopg

__all__ = ["VERSION_TABLE", "open_engine", "our_errors", "reading"]

VERSION_TABLE = "versionsync_schema"  # not Alembic's usual name: other programs may share a PostgreSQL database

SQLITE_NEEDED = (3, 35, 0)
POSTGRES_NEEDED = 13
BUSY_SECONDS = 30.0
PAUSE_SECONDS = 0.02
CACHE_KIB = 8 * 1024
CONNECT_SECONDS = 10
READS = "versionsync_reads"
POOLED = "versionsync_pooled"

# What an administrator, a role or the environment may set otherwise, and what rows, times and bytes are read with.
SESSION = {
    "TimeZone": "UTC",  # elsewhere the first or the last day of all that a datetime can hold is out of its range
    "DateStyle": "ISO, MDY",
    "client_encoding": "UTF8",
    "standard_conforming_strings": "on",  # else COPY and DDL have backslashes taken for escapes
}


def open_engine(url: str, *, create: bool = False) -> Engine:
    """An engine for `url`, with a first connection made to see that it works.

    `create`: make the file of a SQLite database that does not exist yet, readable by its owner only.
    Raises DatabaseUnavailable or NotAMirror.
    """
    parsed = database_url(url)
    if parsed.get_backend_name() == POSTGRES:
        return _open_postgres(parsed)
    return _open_sqlite(parsed, create=create)


def reading(engine: Engine) -> Engine:
    """The same database, for transactions that read only, from one snapshot each, and never wait for a writer."""
    if engine.dialect.name == POSTGRES:
        return engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    return engine.execution_options(**{READS: True})


@contextmanager
def our_errors(connection: Connection) -> Iterator[None]:
    """For what goes to the driver past SQLAlchemy: its errors become ours too."""
    try:
        yield
    except Exception as error:
        url = connection.engine.url
        if meaning := translate_error(error, safe_url(url), secrets=secrets_in(url)):
            raise meaning from error
        raise


def _open_sqlite(url: URL, *, create: bool) -> Engine:
    if sqlite3.sqlite_version_info < SQLITE_NEEDED:
        raise DatabaseUnavailable(
            f"Python's SQLite is {sqlite3.sqlite_version}; versionsync needs 3.35 or later: use a newer Python"
        )
    path, where = sqlite_path(url), safe_url(url)
    busy_seconds = _busy_seconds(url)
    if filesystem := unsafe_for_wal(path):
        raise DatabaseUnavailable(
            f"{where} lies on a file system ({filesystem}) on which SQLite's write-ahead log is not safe: "
            "put it on a local disk, or use PostgreSQL"
        )
    if path.exists() and (there := no_file(path.resolve())) and not path.is_dir():
        raise NotAMirror(f"{where} is {there}, not a file: choose another file name")
    if is_truncated(path):
        raise DatabaseUnavailable(f"the database {where} {TRUNCATED}")
    if create:
        _make_file(path, where)
    elif not path.exists():
        raise NotAMirror(f"there is no database at {where}: `versionsync db upgrade` or the first `sync` makes it")

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(
            f"file:{quote(os.fsencode(path))}?mode=rw",
            uri=True,
            timeout=busy_seconds,
            isolation_level=None,  # transactions begin where we say, not where sqlite3 guesses
            check_same_thread=False,
        )
        try:
            _set_up(connection, where, busy_seconds=busy_seconds)
        except BaseException:
            connection.close()
            raise
        return connection

    engine = create_engine(url, creator=connect, hide_parameters=True)
    _translate_errors(engine, where)
    engine.connect().close()
    opened = _identity(path)

    def begin(connection: Connection) -> None:
        if _identity(path) != opened:
            raise DatabaseUnavailable(
                f"the database {where} was deleted, moved or replaced while it was in use, and is not written to any "
                "more: see that the right file is in its place, then run this again"
            )
        _begin_sqlite(connection)

    event.listen(engine, "begin", begin)
    return engine


def _busy_seconds(url: URL) -> float:
    """How long to wait for other writers: `?timeout=SECONDS` of the URL, as SQLAlchemy has it."""
    said = url.query.get("timeout", BUSY_SECONDS)
    try:
        return float(said)  # type: ignore[arg-type]  # several of them come as a tuple, which is wrong too
    except (TypeError, ValueError):
        raise DatabaseUnavailable(f"the `timeout` of {safe_url(url)} must be a number of seconds") from None


def _identity(path: Path) -> tuple[int, int] | None:
    """Which file it is, whatever its name; None: there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _set_up(connection: sqlite3.Connection, where: str, *, busy_seconds: float) -> None:
    if _journal_mode(connection) != "wal":
        _refuse_strangers_file(connection, where)  # the change is for good
        _turn_wal_on(connection, where, busy_seconds=busy_seconds)
    for pragma in ("synchronous = NORMAL", "foreign_keys = ON", f"cache_size = -{CACHE_KIB:d}"):
        connection.execute(f"PRAGMA {pragma}")


def _journal_mode(connection: sqlite3.Connection, *, new: str = "") -> str:
    (mode,) = connection.execute(f"PRAGMA journal_mode{new and f' = {new}'}").fetchone()
    return str(mode)


def _refuse_strangers_file(connection: sqlite3.Connection, where: str) -> None:
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if tables and VERSION_TABLE not in tables:
        raise another_programs(where, min(tables))


def _turn_wal_on(connection: sqlite3.Connection, where: str, *, busy_seconds: float) -> None:
    """Have a write-ahead log, as soon as nobody else writes: for this change SQLite itself does not always wait.

    Several processes that make one new file at once meet here.
    """
    deadline = time.monotonic() + busy_seconds
    while True:
        try:
            mode = _journal_mode(connection, new="WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() >= deadline:
                raise
            time.sleep(PAUSE_SECONDS)
            continue
        if mode != "wal":
            raise DatabaseUnavailable(
                f"the database {where} cannot have a write-ahead log here: put it on a local disk, or use PostgreSQL"
            )
        return


def _make_file(path: Path, where: str) -> None:
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        raise DatabaseUnavailable(
            f"the database {where} cannot be made or opened ({error.strerror}): "
            f"check that its folder exists, and that this user ({os.geteuid()}) may write to both"
        ) from error


def _begin_sqlite(connection: Connection) -> None:
    reads = bool(connection.get_execution_options().get(READS))
    connection.exec_driver_sql(f"PRAGMA query_only = {'ON' if reads else 'OFF'}")
    # A deferred transaction that reads and then writes fails at once when another has written in between.
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")


def _open_postgres(url: URL) -> Engine:
    try:
        import psycopg  # noqa: F401 - an optional dependency; SQLAlchemy imports it by itself
    except ImportError:
        raise DatabaseUnavailable("PostgreSQL needs a driver: pip install 'versionsync[postgres]'") from None
    defaults: dict[str, Any] = {"application_name": "versionsync", "connect_timeout": CONNECT_SECONDS}
    where = safe_url(url)
    engine = create_engine(
        url,
        connect_args={name: value for name, value in defaults.items() if name not in url.query},
        pool_pre_ping=True,  # the server may have been restarted between two runs
        isolation_level="READ COMMITTED",  # what waited for a lock goes on with what is there by then
        paramstyle="format",  # by place, as SQLite: `bulk` counts on it
        hide_parameters=True,
    )
    event.listen(engine, "connect", _keep_jsonb_as_text)

    def set_up(connection: psycopg.Connection, record: ConnectionPoolEntry) -> None:
        try:
            record.info[POOLED] = _set_up_session(connection)
        except Exception as error:
            connection.close()
            raise translate_error(error, where, secrets=secrets_in(url)) or error from error

    event.listen(engine, "connect", set_up, insert=True)  # before SQLAlchemy reads anything
    event.listen(engine, "begin", _begin_behind_a_pooler)
    _translate_errors(engine, where)
    with engine.connect() as connection:
        version = int(connection.exec_driver_sql("SHOW server_version_num").scalar_one()) // 10_000
        encoding = connection.exec_driver_sql("SHOW server_encoding").scalar()
    if version < POSTGRES_NEEDED:
        engine.dispose()
        raise DatabaseUnavailable(f"the server of {where} is PostgreSQL {version}; versionsync needs 13 or later")
    if encoding != "UTF8":
        engine.dispose()
        raise DatabaseUnavailable(
            f"the database {where} has the encoding {encoding}, which cannot hold every character: "
            "create it with ENCODING 'UTF8' TEMPLATE template0"
        )
    return engine


def _keep_jsonb_as_text(connection: psycopg.Connection, _: object) -> None:
    """Python's floats would lose digits."""
    from psycopg.types.string import TextLoader

    connection.adapters.register_loader("jsonb", TextLoader)


def _set_up_session(connection: psycopg.Connection) -> bool:
    """Set what the mirror depends on; returns whether a pooler stands between, where transactions take turns.

    There the next one may meet a connection on which no statement of ours is prepared, or another client's is under its
    name: nothing is prepared. A pooler (PgBouncer and its like) gives itself away: the process that it names is not the
    one that answers.
    """
    row = connection.execute(f"SELECT pg_backend_pid(), {_settings(is_local=False)}".encode()).fetchone()
    connection.commit()
    is_pooled = row is None or row[0] != connection.info.backend_pid
    if is_pooled:
        connection.prepare_threshold = None
    return is_pooled


def _begin_behind_a_pooler(connection: Connection) -> None:
    """Set it for this transaction: it may be on another connection of the server than the one before."""
    if connection.connection.info.get(POOLED):
        connection.exec_driver_sql(f"SELECT {_settings(is_local=True)}")


def _settings(*, is_local: bool) -> str:
    return ", ".join(f"set_config('{name}', '{value}', {is_local})" for name, value in SESSION.items())


def _translate_errors(engine: Engine, where: str) -> None:
    def on_error(context: ExceptionContext) -> None:
        if context.is_pre_ping:
            return  # a connection that was lost while it rested: the pool makes another
        if meaning := translate_error(context.original_exception, where, secrets=secrets_in(engine.url)):
            raise meaning from context.original_exception

    event.listen(engine, "handle_error", on_error)
