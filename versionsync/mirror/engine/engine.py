"""Open a database: SQLAlchemy engines for SQLite and PostgreSQL, set up the way the mirror needs them.

An engine made here raises only MirrorErrors for problems of the database. Its transactions write: on SQLite they begin
with a lock, so that a read before a write cannot fail half way. Those of `reading(engine)` read from one snapshot.
"""

from __future__ import annotations

import os
import select
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, ExceptionContext, FromClause, create_engine, event
from sqlalchemy.dialects.sqlite.base import SQLiteCompiler
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.pool import ConnectionPoolEntry

from versionsync.mirror.engine.dialects import READS, dialect_of
from versionsync.mirror.engine.driver_errors import TRUNCATED, translate_error
from versionsync.mirror.engine.sqlalchemy_urls import database_url, safe_url, secrets_in, sqlite_path
from versionsync.mirror.engine.sqlite_files import has_log, is_in_use, is_read_only, is_truncated, unsafe_for_wal
from versionsync.mirror.engine.types import POSTGRES
from versionsync.mirror.errors import DatabaseUnavailable, NotAMirror, another_programs
from versionsync.private_files import no_file

if TYPE_CHECKING:
    import psycopg

__all__ = ["VERSION_TABLE", "connect_to_read", "open_engine", "reading"]

VERSION_TABLE = "versionsync_schema"  # not Alembic's usual name: other programs may share a PostgreSQL database

SQLITE_NEEDED = (3, 35, 0)
POSTGRES_NEEDED = 13
BUSY_SECONDS = 30.0
PAUSE_SECONDS = 0.02
CACHE_KIB = 16 * 1024
CHECKPOINT_PAGES = 4000  # 16 MB: a page that several batches change is copied into the file once
CONNECT_SECONDS = 10
PING_SECONDS = 5.0
"""A connection that has rested for longer is tried before it is used."""
SQLITE_KEPT = 5
"""Opening one is quick, and each may have a page cache of CACHE_KIB: the others are closed when they rest."""
POSTGRES_KEPT = 1000
RESTING_SINCE = "versionsync_resting_since"
POOLED = "versionsync_pooled"
READ_ONLY = "mode=ro"
UNCHANGING = "mode=ro&immutable=1"

_OPENING = threading.Lock()
"""Held while a SQLite file is opened outside of SQLite and until the first connection has: see `is_in_use`."""

# Settings that rows, times and bytes are read with, and that an administrator, a role or the environment may change.
SESSION = {
    "TimeZone": "UTC",  # in other zones the first or the last day that a datetime can hold is out of its range
    "DateStyle": "ISO, MDY",
    "client_encoding": "UTF8",
    "standard_conforming_strings": "on",  # else COPY and DDL have backslashes taken for escapes
}

READING_SESSION = {"lock_timeout": "15s"}
"""Only a migration or a maintenance command locks out readers: a person should not wait for it without a word."""


def open_engine(url: str, *, create: bool = False, reads_only: bool = False, connections: int | None = None) -> Engine:
    """Return an engine for `url`, after a first connection that proves that it works.

    Args:
        url: The URL of the database.
        create: Make the file of a SQLite database that does not exist yet, readable by its owner only.
        reads_only: Nothing is written through this engine. A SQLite file that this process cannot write, such as one
            on a read-only mount, can be opened then.
        connections: How many connections there may be at once. None: as many as SQLAlchemy allows.

    Raises:
        DatabaseUnavailable: It cannot be opened.
        NotAMirror: There is no database, or another program's.
    """
    parsed = database_url(url)
    if parsed.get_backend_name() == POSTGRES:
        return _open_postgres(parsed, reads_only=reads_only, connections=connections)
    return _open_sqlite(parsed, create=create, reads_only=reads_only, connections=connections)


def reading(engine: Engine) -> Engine:
    """Return the same database for transactions that only read, each from one snapshot, and never wait for a writer."""
    return dialect_of(engine).reading(engine)


class _Compiler(SQLiteCompiler):
    """Writes hints of statements: `INDEXED BY name`.

    Without statistics, SQLite believes that one source has ten rows of a table, so that any index is good enough. The
    tables of projections have none until they are large.
    """

    def get_from_hint_text(self, table: FromClause, text: str | None) -> str | None:
        return text


def _open_sqlite(url: URL, *, create: bool, reads_only: bool, connections: int | None) -> Engine:
    if sqlite3.sqlite_version_info < SQLITE_NEEDED:
        raise DatabaseUnavailable(
            f"Python's SQLite is {sqlite3.sqlite_version}; versionsync needs 3.35 or later: use a newer Python"
        )
    path, where = sqlite_path(url), safe_url(url)
    busy_seconds = _busy_seconds(url)
    is_fixed = reads_only and is_read_only(path)
    if (filesystem := unsafe_for_wal(path)) and not is_fixed:
        raise DatabaseUnavailable(
            f"{where} lies on a file system ({filesystem}) on which SQLite's write-ahead log is not safe: "
            "put it on a local disk, or use PostgreSQL"
        )
    if path.exists() and (there := no_file(path.resolve())) and not path.is_dir():
        raise NotAMirror(f"{where} is {there}, not a file: choose another file name")
    opened: tuple[int, int] | None = None

    def check_file() -> None:
        if opened is not None and _identity(path) != opened:
            raise DatabaseUnavailable(
                f"the database {where} was deleted, moved or replaced while it was in use, and is not written to any "
                "more: see that the right file is in its place, then run this again"
            )

    with _OPENING:
        engine, mode = _first_connection(
            url,
            path,
            where,
            create=create,
            reads_only=reads_only,
            is_fixed=is_fixed,
            busy_seconds=busy_seconds,
            connections=connections,
            check_file=check_file,
        )
    opened = _identity(path)

    def begin(connection: Connection) -> None:
        check_file()
        if mode == UNCHANGING and has_log(path):
            raise DatabaseUnavailable(f"another process has begun to write the database {where}: run this again")
        _begin_sqlite(connection)

    event.listen(engine, "begin", begin)
    return engine


def _first_connection(
    url: URL,
    path: Path,
    where: str,
    *,
    create: bool,
    reads_only: bool,
    is_fixed: bool,
    busy_seconds: float,
    connections: int | None,
    check_file: Callable[[], None],
) -> tuple[Engine, str]:
    """Return an engine of the file, and how it opens it. `check_file` runs before each connection."""
    if is_truncated(path):
        raise DatabaseUnavailable(f"the database {where} {TRUNCATED}")
    if create:
        _make_file(path, where)
    elif not path.exists():
        raise NotAMirror(f"there is no database at {where}: `versionsync db upgrade` or the first `sync` makes it")

    mode = _mode_of(path, where, busy_seconds=busy_seconds) if is_fixed else "mode=rw"

    def connect() -> sqlite3.Connection:
        check_file()
        connection = _connect_sqlite(path, mode, busy_seconds=busy_seconds)
        try:
            _set_up(connection, where, busy_seconds=busy_seconds, reads_only=reads_only)
        except BaseException:
            connection.close()
            raise
        return connection

    engine = create_engine(url, creator=connect, hide_parameters=True, **_pool_options(connections, kept=SQLITE_KEPT))
    engine.dialect.statement_compiler = _Compiler
    _translate_errors(engine, where)
    engine.connect().close()
    return engine, mode


def connect_to_read(url: URL) -> sqlite3.Connection:
    """Return a connection that cannot write the SQLite file of `url`. The file was opened by `open_engine` before."""
    path, where = sqlite_path(url), safe_url(url)
    busy_seconds = _busy_seconds(url)
    mode = _mode_of(path, where, busy_seconds=busy_seconds) if is_read_only(path) else READ_ONLY
    return _connect_sqlite(path, mode, busy_seconds=busy_seconds)


def _connect_sqlite(path: Path, parameters: str, *, busy_seconds: float) -> sqlite3.Connection:
    return sqlite3.connect(
        f"file:{quote(os.fsencode(path))}?{parameters}",
        uri=True,
        timeout=busy_seconds,
        isolation_level=None,  # we begin transactions, sqlite3 does not guess
        check_same_thread=False,
    )


def _mode_of(path: Path, where: str, *, busy_seconds: float) -> str:
    """Return the parameters with which SQLite can read a file that this process cannot write.

    If another process writes it, SQLite reads that one's log. If none does, the file alone is the database. SQLite
    would make a file beside it, unless it may rely on the file not to change.
    """
    try:
        with closing(_connect_sqlite(path, READ_ONLY, busy_seconds=busy_seconds)) as connection:
            connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone()
    except sqlite3.OperationalError:
        if has_log(path):
            raise DatabaseUnavailable(
                f"the database {where} was not closed, and its log cannot be read here, as nothing can be written: "
                f"copy it together with {path.name}-wal to another folder, or make this one writable"
            ) from None
        return UNCHANGING
    except sqlite3.DatabaseError:
        return READ_ONLY  # the first use reports why
    return READ_ONLY


def _busy_seconds(url: URL) -> float:
    """Return how long to wait for other writers: `?timeout=SECONDS` of the URL, as in SQLAlchemy."""
    said = url.query.get("timeout", BUSY_SECONDS)
    try:
        return float(said)  # type: ignore[arg-type]  # several of them come as a tuple, an error too
    except (TypeError, ValueError):
        raise DatabaseUnavailable(f"the `timeout` of {safe_url(url)} must be a number of seconds") from None


def _identity(path: Path) -> tuple[int, int] | None:
    """Return device and inode of the file, or None if there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _set_up(connection: sqlite3.Connection, where: str, *, busy_seconds: float, reads_only: bool) -> None:
    if not reads_only and _journal_mode(connection) != "wal":
        _check_owner(connection, where)  # the journal mode is stored in the file
        _turn_wal_on(connection, where, busy_seconds=busy_seconds)
    for pragma in (
        "synchronous = NORMAL",
        "foreign_keys = ON",
        f"cache_size = -{CACHE_KIB:d}",
        f"wal_autocheckpoint = {CHECKPOINT_PAGES:d}",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _journal_mode(connection: sqlite3.Connection, *, new: str = "") -> str:
    (mode,) = connection.execute(f"PRAGMA journal_mode{new and f' = {new}'}").fetchone()
    return str(mode)


def _check_owner(connection: sqlite3.Connection, where: str) -> None:
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if tables and VERSION_TABLE not in tables:
        raise another_programs(where, min(tables))


def _turn_wal_on(connection: sqlite3.Connection, where: str, *, busy_seconds: float) -> None:
    """Switch to a write-ahead log as soon as no other process writes: SQLite itself does not always wait for that.

    Several processes that create the same new file at once meet here.
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
    if path.exists() and is_in_use(path):
        return
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


def _pool_options(connections: int | None, *, kept: int) -> dict[str, Any]:
    """Return the options of a pool with at most `connections`, of which it keeps `kept` open.

    The one that was used last is used next: the others rest, and few are opened while there is little to do.
    """
    if connections is None:
        return {"pool_use_lifo": True}
    kept = min(kept, connections)
    return {"pool_use_lifo": True, "pool_size": kept, "max_overflow": connections - kept}


def _open_postgres(url: URL, *, reads_only: bool, connections: int | None) -> Engine:
    try:
        import psycopg  # noqa: F401 - an optional dependency; SQLAlchemy imports it by itself
    except ImportError:
        raise DatabaseUnavailable("PostgreSQL needs a driver: pip install 'versionsync[postgres]'") from None
    defaults: dict[str, Any] = {"application_name": "versionsync", "connect_timeout": CONNECT_SECONDS}
    where = safe_url(url)
    engine = create_engine(
        url,
        connect_args={name: value for name, value in defaults.items() if name not in url.query},
        isolation_level="READ COMMITTED",  # after a wait for a lock, a statement reads the newest rows
        paramstyle="format",  # positional, as SQLite; `bulk` needs it
        hide_parameters=True,
        **_pool_options(connections, kept=POSTGRES_KEPT),
    )
    event.listen(engine, "connect", _keep_jsonb_as_text)
    _ping_after_rest(engine)

    session = SESSION | (READING_SESSION if reads_only else {})

    def set_up(connection: psycopg.Connection, record: ConnectionPoolEntry) -> None:
        try:
            record.info[POOLED] = _set_up_session(connection, session)
        except Exception as error:
            connection.close()
            raise translate_error(error, where, secrets=secrets_in(url)) or error from error

    event.listen(engine, "connect", set_up, insert=True)  # before SQLAlchemy reads anything

    def begin(connection: Connection) -> None:
        """Set it for this transaction if a pooler may run it on another connection of the server than the last one."""
        if connection.connection.info.get(POOLED):
            connection.exec_driver_sql(f"SELECT {_settings(session, is_local=True)}")

    event.listen(engine, "begin", begin)
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


def _ping_after_rest(engine: Engine) -> None:
    """Try a connection that has rested before it is used: the server may have been restarted between two runs.

    One that was used a moment ago is tried only if the server has sent something since, as it does when it ends a
    session: a trial is a transaction more.
    """

    def rest(_: DBAPIConnection, record: ConnectionPoolEntry) -> None:
        record.info[RESTING_SINCE] = time.monotonic()

    def use(connection: DBAPIConnection, record: ConnectionPoolEntry, _: object) -> None:
        since = record.info.get(RESTING_SINCE)
        if since is None:
            return
        try:
            if time.monotonic() - since > PING_SECONDS or _has_unread_bytes(connection.fileno()):
                engine.dialect.do_ping(connection)
        except Exception as error:
            raise InvalidatePoolError("the server has closed a connection that rested") from error

    event.listen(engine, "checkin", rest)
    event.listen(engine, "checkout", use)


def _has_unread_bytes(socket: int) -> bool:
    """Return whether something waits to be read, or the other side has closed."""
    poll = select.poll()
    poll.register(socket, select.POLLIN)
    return bool(poll.poll(0))


def _keep_jsonb_as_text(connection: psycopg.Connection, _: object) -> None:
    """Read `jsonb` as text: Python's floats would lose digits."""
    from psycopg.types.string import TextLoader

    connection.adapters.register_loader("jsonb", TextLoader)


def _set_up_session(connection: psycopg.Connection, session: Mapping[str, str]) -> bool:
    """Set what the mirror depends on, and return whether a pooler such as PgBouncer is in between.

    Behind a pooler, the next transaction may get another connection of the server. Our prepared statements are missing
    there, or another client's have the same names, so nothing is prepared. A pooler is recognised by the process id
    that it names: it is not that of the process that answers.
    """
    row = connection.execute(f"SELECT pg_backend_pid(), {_settings(session, is_local=False)}".encode()).fetchone()
    connection.commit()
    is_pooled = row is None or row[0] != connection.info.backend_pid
    if is_pooled:
        connection.prepare_threshold = None
    return is_pooled


def _settings(session: Mapping[str, str], *, is_local: bool) -> str:
    return ", ".join(f"set_config('{name}', '{value}', {is_local})" for name, value in session.items())


def _translate_errors(engine: Engine, where: str) -> None:
    def on_error(context: ExceptionContext) -> None:
        if context.is_pre_ping:
            return  # an idle connection was lost: the pool makes another
        if meaning := translate_error(context.original_exception, where, secrets=secrets_in(engine.url)):
            raise meaning from context.original_exception

    event.listen(engine, "handle_error", on_error)
