"""Bring a database to this program's schema, or report which schema it has.

A database that has the schema already costs one SELECT and no lock, however many processes start at once. Only a
migration takes a lock, in its own transaction, and reads the schema again under it. A revision is a name; their order
is that of `REVISIONS`. A revision that is not in there is that of a newer program, or from before the first release.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, Engine, select, update
from sqlalchemy.sql.expression import column, table

from versionsync.mirror.engine.dialects import dialect_of
from versionsync.mirror.engine.engine import VERSION_TABLE, open_engine, reading
from versionsync.mirror.engine.sqlalchemy_urls import database_url, safe_url, sqlite_path
from versionsync.mirror.engine.types import POSTGRES
from versionsync.mirror.errors import (
    NotAMirror,
    SchemaBehind,
    SchemaNewer,
    SchemaUnreleased,
    UnfinishedCopy,
    another_programs,
)

__all__ = [
    "COPYING",
    "HEAD",
    "REVISIONS",
    "UNRELEASED",
    "VERSION_TABLE",
    "check",
    "check_known",
    "check_released",
    "current",
    "migrations_folder",
    "require_head",
    "revision_of",
    "set_revision",
    "upgrade",
]

REVISIONS: Final = ("first",)
"""Every revision that a released program has made, oldest first. A test compares it with `migrations/`."""

HEAD: Final = REVISIONS[-1]
"""The schema that this program needs. It is a constant here, since Alembic takes long to import."""

UNRELEASED: Final = frozenset({"initial", *(f"{number:04}" for number in range(1, 9))})
"""The revisions of development before 0.1.0. No migration leads from them to the first schema."""

COPYING: Final = "copying"
"""What a database records instead of a revision while `db copy` fills it: no program may use it until then."""

_revision = table(VERSION_TABLE, column("version_num"))


def migrations_folder() -> Path:
    """Return the folder of the migrations: in the package of an installation, at the top level of a checkout."""
    package = Path(__file__).resolve().parents[2]
    for folder in (package / "migrations", package.parent / "migrations"):
        if (folder / "env.py").is_file():
            return folder
    raise FileNotFoundError("versionsync was installed without its migrations: install it again")


def current(url: str) -> str | None:
    """Return the schema of the database at `url`, or None if it is empty or a file that does not exist yet.

    Raises NotAMirror if it is another program's, SchemaUnreleased if it is from before 0.1.0.
    """
    parsed = database_url(url)
    if parsed.get_backend_name() != POSTGRES and not sqlite_path(parsed).exists():
        return None
    with _reading(url) as connection:
        return _current(connection, safe_url(parsed))


def check(url: str) -> None:
    """Return if the database at `url` is at this program's schema.

    Raises NotAMirror, SchemaBehind, SchemaNewer or SchemaUnreleased.
    """
    with _reading(url) as connection:
        require_head(connection, safe_url(database_url(url)))


@contextmanager
def _reading(url: str) -> Iterator[Connection]:
    engine = open_engine(url, reads_only=True)
    try:
        with reading(engine).connect() as connection:
            yield connection
    finally:
        engine.dispose()


def require_head(connection: Connection, where: str) -> None:
    """Do as `check`, for an open connection to the database `where` (a safe URL)."""
    found = _current(connection, where)
    if found is None:
        raise NotAMirror(f"the database {where} is empty: `versionsync db upgrade` makes it a mirror")
    check_known(found, where)
    if found != HEAD:
        raise SchemaBehind(where, current=found, head=HEAD)


def upgrade(url: str) -> tuple[str | None, str]:
    """Bring the database at `url` to this program's schema; return the schema before and after.

    A SQLite file that does not exist is made. Any number of processes may do so at once. Raises DatabaseUnavailable,
    NotAMirror, SchemaNewer or SchemaUnreleased, and has then changed nothing.
    """
    engine = open_engine(url, create=True)
    where = safe_url(engine.url)
    try:
        with reading(engine).connect() as connection:
            found = _current(connection, where)
        if found is not None:
            check_known(found, where)
        if found != HEAD:
            found = _migrate(engine, where)
        return found, HEAD
    finally:
        engine.dispose()


def _migrate(engine: Engine, where: str) -> str | None:
    from alembic import command
    from alembic.config import Config

    with engine.begin() as transaction:  # on SQLite this is the lock
        dialect_of(engine).lock_migrations(transaction)
        found = _current(transaction, where)
        if found is not None:
            check_known(found, where)
        if found != HEAD:
            config = Config()
            config.set_main_option("script_location", str(migrations_folder()).replace("%", "%%"))
            config.attributes["connection"] = transaction
            command.upgrade(config, "head")
    return found


def revision_of(connection: Connection) -> str | None:
    """Return the schema that the database records, or None.

    Of PostgreSQL's schemas only the current one counts, the first of `search_path`: new tables go there.
    """
    if VERSION_TABLE not in dialect_of(connection).occupants(connection, [VERSION_TABLE]):
        return None
    return connection.scalar(select(_revision.c.version_num))


def set_revision(tx: Connection, revision: str) -> None:
    """Record another revision, such as COPYING, in a database that has one."""
    tx.execute(update(_revision).values(version_num=revision))


def _current(connection: Connection, where: str) -> str | None:
    dialect = dialect_of(connection)
    dialect.check_search_path(connection, VERSION_TABLE, where)
    if (found := revision_of(connection)) is not None:
        check_released(found, where)
        return found
    # Tables first: of several occupants they say the most.
    others = dialect.another_programs(connection, _names())
    for name, occupant in sorted(others.items(), key=lambda item: (item[1].kind != "table", item[0])):
        raise another_programs(where, name, kind=occupant.with_article)
    return None


def _names() -> list[str]:
    """Return the names of everything that the first migration makes."""
    from versionsync.mirror.schema import metadata
    from versionsync.mirror.schema.views import VIEWS

    indexes = [index.name for each in metadata.tables.values() for index in each.indexes]
    keys = [each.primary_key.name for each in metadata.tables.values()]
    return [str(name) for name in (*metadata.tables, *indexes, *keys, *(view.name for view in VIEWS)) if name]


def check_known(found: str, where: str) -> None:
    """Return if this program knows the schema `found`. Raises SchemaNewer or SchemaUnreleased otherwise."""
    check_released(found, where)
    if found not in REVISIONS:
        raise SchemaNewer(where, current=found, head=HEAD)


def check_released(found: str, where: str) -> None:
    """Raise SchemaUnreleased if `found` is a schema from before the first release, UnfinishedCopy if it is none yet."""
    if found in UNRELEASED:
        raise SchemaUnreleased(where, current=found)
    if found == COPYING:
        raise UnfinishedCopy(where)
