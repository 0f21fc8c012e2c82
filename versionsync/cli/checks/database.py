"""What `doctor` checks in the database and around it. It changes nothing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from versionsync.cli.checks.result import CheckResult, error, from_error, ok, warning
from versionsync.cli.exit_codes import ExitCode
from versionsync.mirror.database import Mirror
from versionsync.mirror.engine.sqlalchemy_urls import database_url, safe_url, sqlite_path
from versionsync.mirror.engine.sqlite_files import filesystem_of, problems_in, unsafe_for_wal
from versionsync.mirror.errors import MirrorError, NotAMirror, SchemaBehind
from versionsync.mirror.holder import Holder
from versionsync.mirror.schema import migrate
from versionsync.mirror.tables.leases import current as current_lease
from versionsync.mirror.tables.sources import SourceRow, all_sources, sources_of
from versionsync.mirror.tables.sources import load_source as source_row
from versionsync.text import size

__all__ = ["check_database", "mirrored_source"]

LITTLE_SPACE: Final = 1 << 30
NO_SPACE: Final = 50 << 20


def check_database(url: str) -> Iterator[CheckResult]:
    """Check that the database at `url` can be reached and written, has this schema, has space, and is not locked."""
    try:
        parsed = database_url(url)
        path = sqlite_path(parsed) if parsed.get_backend_name() == "sqlite" else None
    except MirrorError as failure:
        yield from_error("database", failure)
        return
    if path is not None:
        yield from _check_file(path)
        if not path.exists():
            return
    try:
        yield from _check_schema(url, is_file=path is not None)
    except MirrorError as failure:
        yield from_error("database", failure)


def mirrored_source(url: str, source: str) -> SourceRow | None:
    """Return the source of this name in the database at `url`; None: there is none, or it cannot be read."""
    try:
        if migrate.current(url) is None:
            return None
        with Mirror.open(url, reads_only=True) as mirror, mirror.read() as connection:
            return source_row(connection, source)
    except MirrorError:
        return None  # `check_database` reports it


def _check_file(path: Path) -> Iterator[CheckResult]:
    folder = path.parent
    if not folder.is_dir():
        yield error("database", f"there is no folder {folder}", f"Run: mkdir -p {folder}", ExitCode.DATABASE)
        return
    if not os.access(folder, os.W_OK):
        hint = "SQLite writes files beside the database: make the folder writable, or choose another."
        yield error("database", f"the folder {folder} cannot be written", hint, ExitCode.DATABASE)
    elif path.exists() and not os.access(path, os.W_OK):
        yield error("database", f"{path} cannot be written", "Check its owner and mode.", ExitCode.DATABASE)
    elif not path.exists():
        yield ok("database", f"{path} does not exist yet; the first sync creates it")
    if unsafe := unsafe_for_wal(folder):
        hint = "Put the database on a local disk, or use PostgreSQL."
        yield error("file system", f"{folder} is on {unsafe}, where SQLite's log is not safe", hint, ExitCode.DATABASE)
    else:
        yield ok("file system", f"{filesystem_of(folder) or 'this file system'} is fit for SQLite")
    yield _check_space(folder)


def _check_space(folder: Path) -> CheckResult:
    free = shutil.disk_usage(folder).free
    message = f"{size(free)} free in {folder}"
    if free < NO_SPACE:
        return error("disk space", message, "Free some space: a full disk stops the sync.", ExitCode.DATABASE)
    if free < LITTLE_SPACE:
        return warning(
            "disk space", message, "A version takes about as much space as its JSON: check that this is enough."
        )
    return ok("disk space", message)


def _check_schema(url: str, *, is_file: bool) -> Iterator[CheckResult]:
    where = safe_url(url)
    try:
        migrate.check(url)
    except SchemaBehind as failure:
        if is_file:
            yield warning(
                "schema", f"{where} is at schema {failure.current}; the next sync upgrades it to {failure.head}"
            )
        else:
            yield from_error("schema", failure)
        return
    except NotAMirror:
        if migrate.current(url) is None:
            if is_file:
                yield warning("schema", f"{where} is empty; the next sync fills it")
            else:
                yield error("schema", f"{where} is empty", "Run: versionsync db upgrade", ExitCode.DATABASE)
            return
        raise
    yield ok("database", f"{where} answers")
    yield ok("schema", f"schema {migrate.HEAD}, which this version needs")
    with Mirror.open(url, reads_only=True) as mirror:
        if is_file:
            yield _check_integrity(mirror)
        yield from _check_leases(mirror)
        yield from _check_views(mirror)


def _check_integrity(mirror: Mirror) -> CheckResult:
    """Check every page of a SQLite file: a copy made during a write may be damaged."""
    with mirror.read() as connection:
        found = problems_in(connection)
    if found:
        hint = "Restore it from a backup. To copy it, use `versionsync db backup`: a file in use must not be copied."
        return error("integrity", f"{mirror.where} is damaged: {'; '.join(found)}", hint, ExitCode.DATABASE)
    return ok("integrity", "every page of the database was read and is correct")


def _check_views(mirror: Mirror) -> Iterator[CheckResult]:
    """Check that every typed view follows the schema. If not, the tables still have everything."""
    with mirror.read() as connection:
        blocked = [(one.name, view, why) for one in sources_of(connection) for view, why in one.blocked_views.items()]
    for source, view, obstacle in blocked:
        yield warning("views", f"{view} could not follow the schema and stays as it was", obstacle).of(source)


def _check_leases(mirror: Mirror) -> Iterator[CheckResult]:
    """Check whether another process is writing. That is no error, but a sync would have to wait."""
    with mirror.read() as connection:
        for source in all_sources(connection):
            held = current_lease(connection, source.id)
            if held is None:
                yield ok("lease", "no process is writing").of(source.name)
            elif held.is_free:
                message = f"{held.holder} ended without releasing its lease; the next sync takes it"
                yield ok("lease", message).of(source.name)
            elif held.holder != Holder.of_this_process():
                until = f"{held.expires_at:%H:%M:%S} UTC"
                message = f"{held.holder} is writing; its lease lasts until {until} unless renewed"
                yield warning("lease", message, "A sync started now would wait with --wait SECONDS.").of(source.name)
