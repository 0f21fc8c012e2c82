"""A copy of a SQLite mirror that is whole, taken while others write to it.

Copying the file itself would tear it: what was committed last lies in the log beside it, and pages change while they
are read. Here all pages come from one snapshot, into a file beside the target that is checked before it takes its name:
whatever is interrupted, the target is the old one or a whole new one.
"""

from __future__ import annotations

import fcntl
import os
import shlex
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

from sqlalchemy import Connection, func, select, table, text
from sqlalchemy.dialects import sqlite

from versionsync.mirror.engine.driver_errors import translate_error
from versionsync.mirror.engine.engine import open_engine, reading
from versionsync.mirror.engine.sqlalchemy_urls import database_url, parsed_url, safe_url, sqlite_path
from versionsync.mirror.engine.types import POSTGRES
from versionsync.mirror.errors import BackupError, DatabaseUnavailable, NotAMirror
from versionsync.mirror.schema.migrate import check_released, revision_of
from versionsync.private_files import no_file

__all__ = ["CopyProgress", "back_up", "pg_dump_command"]

PAGES_AT_ONCE: Final = 2_000
"""About 8 MB: some tenths of a second, even on a slow disk."""

CORRUPT: Final = {sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}

CopyProgress = Callable[[int, int], object]
"""Told now and then how many pages of how many are copied."""


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup that was made and checked. `rows`: of each table, as counted in the database and in the backup alike."""

    path: Path
    size_bytes: int
    revision: str
    rows: dict[str, int]


def back_up(url: str, target: Path, *, replace: bool = False, copied: CopyProgress | None = None) -> Backup:
    """Copy the SQLite mirror at `url`, at whatever schema it is, to the file `target`, which only its owner can read.

    `replace`: a file of that name may be replaced, once the new one is whole. Raises BackupError for a target that
    cannot be taken and for PostgreSQL, NotAMirror, SchemaUnreleased or DatabaseUnavailable; there is no new target
    then.
    """
    parsed = database_url(url)
    if parsed.get_backend_name() == POSTGRES:
        raise BackupError(
            "a PostgreSQL database is backed up by PostgreSQL's own program, while versionsync runs: "
            f"{pg_dump_command(url, target)}"
        )
    source, target = sqlite_path(parsed), _absolute(target)
    _check_not_locked(source, target, replace=replace)
    engine = open_engine(url)
    try:
        with _partial(target) as partial, reading(engine).connect() as connection, connection.begin():
            # The first question begins the snapshot, from which all pages are then copied: no writer disturbs it.
            revision = revision_of(connection)
            if revision is None:
                raise NotAMirror(f"the database {safe_url(parsed)} is empty: there is nothing to back up")
            check_released(revision, safe_url(parsed))
            rows = {name: int(connection.exec_driver_sql(_counting(name)).scalar_one()) for name in _tables(connection)}
            _copy(connection, partial, copied)
            _check(partial, rows)
            size = partial.stat().st_size
            _check_not_locked(source, target, replace=replace)
            partial.replace(target)
            _sync(target.parent)
    finally:
        engine.dispose()
    return Backup(target, size, revision, rows)


def _absolute(target: Path) -> Path:
    try:
        return target.expanduser().absolute()
    except RuntimeError:
        raise BackupError(f"no home folder is known for {target}: write the whole path") from None


def pg_dump_command(url: str, target: Path) -> str:
    """The command that backs up the PostgreSQL database at `url`, without its password."""
    without = parsed_url(url).without_secrets()
    return f"pg_dump --format=custom --file={shlex.quote(str(target))} {shlex.quote(without)}"


def _check_not_locked(source: Path, target: Path, *, replace: bool) -> None:
    if target.exists() and source.exists() and target.samefile(source):
        raise BackupError(f"{target} is the database itself: name another file")
    if target.is_dir() and not target.is_symlink():
        raise BackupError(f"{target} is a folder: name a file in it")
    if there := no_file(target):  # whatever was said of replacing it
        raise BackupError(f"{target} is {there}, which is not replaced: name a file")
    if target.exists() and not replace:
        raise BackupError(f"{target} is there already: name another file, or replace it (--force)")
    for beside in (target.with_name(f"{target.name}-wal"), target.with_name(f"{target.name}-journal")):
        # SQLite would take it for the log of the new file, and spoil that.
        if beside.exists() and beside.stat().st_size:
            raise BackupError(
                f"{target} is a database in use, or one that was not closed ({beside.name} is beside it): "
                "name another file"
            )


@contextmanager
def _partial(target: Path) -> Iterator[Path]:
    """A file beside the target to write to: empty, its owner's alone, and gone afterwards unless it was renamed."""
    partial = target.with_name(f"{target.name}.partial")
    if there := no_file(partial):
        raise BackupError(f"{partial} is {there}, where the backup would be written first: remove it")
    try:
        file = os.open(partial, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise BackupError(
            f"{partial} cannot be written ({error.strerror}): check that its folder exists and may be written to"
        ) from error
    try:
        _take(file, partial)
        try:
            yield partial
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
    finally:
        os.close(file)


def _take(file: int, partial: Path) -> None:
    """Lock `file` for this backup, and empty it: one that was killed may have left something in it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        is_ours = os.path.samestat(os.fstat(file), partial.stat())  # else it has just become somebody's target
    except OSError:
        is_ours = False
    if not is_ours:
        raise BackupError(
            f"another backup to {partial.with_suffix('')} is being made: wait for it, or name another file"
        )
    os.ftruncate(file, 0)
    os.fchmod(file, 0o600)


def _copy(connection: Connection, partial: Path, copied: CopyProgress | None) -> None:
    def tell(_status: int, remaining: int, total: int) -> None:
        if copied is not None:
            copied(total - remaining, total)

    with _errors_of(partial), closing(sqlite3.connect(partial, isolation_level=None)) as copy:
        copy.execute("PRAGMA synchronous = OFF")  # it is written to the disk once, at the end
        copy.execute("PRAGMA journal_mode = OFF")
        _driver(connection).backup(copy, pages=PAGES_AT_ONCE, progress=tell, sleep=0)
    _sync(partial)


def _check(partial: Path, rows: dict[str, int]) -> None:
    """Open the copy as a restored one would be, and read all of it."""
    uri = f"file:{quote(os.fsencode(partial))}?mode=ro&immutable=1"  # so that SQLite puts no files of its own beside it
    with _errors_of(partial), closing(sqlite3.connect(uri, uri=True)) as copy:
        if problem := _problem_in(copy):
            raise DatabaseUnavailable(
                f"the backup is damaged ({problem}), and was removed: see whether the database is "
                "(`versionsync doctor`), and whether the disk is sound"
            )
        found = {name: copy.execute(_counting(name)).fetchone()[0] for name in rows}
    if found != rows:
        other = next(name for name in rows if found[name] != rows[name])
        raise DatabaseUnavailable(
            f"the backup has {found[other]:,} rows in {other} where the database has {rows[other]:,}, and was removed: "
            "run it again; if it stays, the disk is not sound"
        )


def _problem_in(copy: sqlite3.Connection) -> str | None:
    """The first thing that SQLite's own check of every page finds; None: it is whole."""
    try:
        said = [str(row[0]) for row in copy.execute("PRAGMA integrity_check(1)")]
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode & 0xFF in CORRUPT:
            return str(error)
        raise
    return None if said == ["ok"] else said[0].splitlines()[-1]


def _tables(connection: Connection) -> list[str]:
    """All tables that hold rows: also those of a schema that this program does not know."""
    kept = text(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite|_%' ESCAPE '|' "
        "AND sql NOT LIKE 'CREATE VIRTUAL TABLE%' ORDER BY 1"
    )
    return list(connection.scalars(kept))


def _counting(name: str) -> str:
    """The statement that counts a table's rows."""
    return str(select(func.count()).select_from(table(name)).compile(dialect=sqlite.dialect()))


def _driver(connection: Connection) -> sqlite3.Connection:
    driver = connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)
    return driver


@contextmanager
def _errors_of(partial: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        if meaning := translate_error(error, str(partial)):
            raise meaning from error
        raise


def _sync(path: Path) -> None:
    """See that a file, or a folder's names, are on the disk."""
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
