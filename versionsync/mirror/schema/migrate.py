"""Bring a database to this program's schema, or say how far it is from it.

Reading comes first: a database that is there already costs one SELECT and no lock, however many processes start at
once. Only a migration takes a lock, in its own transaction, and reads again once it has it. A revision is a name; their
order is that of `REVISIONS`. A database at a revision that is not in there was made by a newer program, or before the
first release.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sqlalchemy import Connection, Engine, inspect, select, text
from sqlalchemy.sql.expression import column, table

from versionsync.mirror.engine.engine import VERSION_TABLE, open_engine, reading
from versionsync.mirror.engine.types import POSTGRES
from versionsync.mirror.engine.urls import database_url, safe_url, sqlite_path
from versionsync.mirror.errors import NotAMirror, SchemaBehind, SchemaNewer, SchemaUnreleased, another_programs
from versionsync.mirror.schema.ddl import Occupant, occupants

__all__ = [
    "HEAD",
    "REVISIONS",
    "UNRELEASED",
    "VERSION_TABLE",
    "check",
    "check_known",
    "check_released",
    "current",
    "head",
    "migrations_folder",
    "require_head",
    "revision_of",
    "upgrade",
]

REVISIONS: Final = ("initial",)
"""Every revision that a released program has made, oldest first. A test compares it with `migrations/`."""

HEAD: Final = REVISIONS[-1]
UNRELEASED: Final = frozenset(f"{number:04}" for number in range(1, 9))
"""The revisions of development before 0.1.0. No migration leads from them to the first schema."""

LOCK_KEY = 0x7665727379  # "versy": any number that no other program takes

_revision = table(VERSION_TABLE, column("version_num"))

SEARCH_PATH = text(
    """
    SELECT current_schema(), current_setting('search_path'), (
        SELECT n.nspname
        FROM pg_class AS c
        JOIN pg_namespace AS n ON n.oid = c.relnamespace
        WHERE c.relname = :name AND pg_table_is_visible(c.oid)
    )
    """
)


def head() -> str:
    """The schema that this program needs. It is noted here, since Alembic takes long to import."""
    return HEAD


def migrations_folder() -> Path:
    """Where the migrations are: within the package when it was installed, at the top level in a checkout."""
    package = Path(__file__).resolve().parents[2]
    for folder in (package / "migrations", package.parent / "migrations"):
        if (folder / "env.py").is_file():
            return folder
    raise FileNotFoundError("versionsync was installed without its migrations: install it again")


def current(url: str) -> str | None:
    """The schema of the database at `url`; None: it is empty, or a file that does not exist yet.

    Raises NotAMirror if it is another program's, SchemaUnreleased if it is from before 0.1.0.
    """
    parsed = database_url(url)
    if parsed.get_backend_name() != POSTGRES and not sqlite_path(parsed).exists():
        return None
    engine = open_engine(url)
    try:
        with reading(engine).connect() as connection:
            return _current(connection, safe_url(engine.url))
    finally:
        engine.dispose()


def check(url: str) -> None:
    """Nothing, if the database at `url` is at this program's schema.

    Raises NotAMirror, SchemaBehind, SchemaNewer or SchemaUnreleased.
    """
    engine = open_engine(url)
    try:
        with reading(engine).connect() as connection:
            require_head(connection, safe_url(engine.url))
    finally:
        engine.dispose()


def require_head(connection: Connection, where: str) -> None:
    """As `check`, for an open connection to the database `where` (a safe URL)."""
    found = _current(connection, where)
    if found is None:
        raise NotAMirror(f"the database {where} is empty: `versionsync db upgrade` makes it a mirror")
    check_known(found, where)
    if found != HEAD:
        raise SchemaBehind(where, current=found, head=HEAD)


def upgrade(url: str) -> tuple[str | None, str]:
    """Bring the database at `url` to this program's schema; returns the schema before and after.

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
        if engine.dialect.name == POSTGRES:
            transaction.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK_KEY})
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
    """The schema that the database says it is at; None: it says nothing.

    Of PostgreSQL's schemas only the current one counts, the first of `search_path`: that is where tables are made.
    """
    if VERSION_TABLE not in occupants(connection, [VERSION_TABLE]):
        return None
    return connection.scalar(select(_revision.c.version_num))


def _current(connection: Connection, where: str) -> str | None:
    if connection.dialect.name == POSTGRES:
        _check_search_path(connection, where)
    if (found := revision_of(connection)) is not None:
        check_released(found, where)
        return found
    if connection.dialect.name == POSTGRES:
        there = occupants(connection, _names())
    else:
        there = {name: Occupant("table", is_ours=False) for name in inspect(connection).get_table_names()}
    # Tables first: of several things in the way they say the most.
    for name, each in sorted(there.items(), key=lambda item: (item[1].kind != "table", item[0])):
        if not each.is_ours:
            raise another_programs(where, name, kind=each.with_article)
    return None


def _names() -> list[str]:
    """Of all that a first migration makes."""
    from versionsync.mirror.schema import metadata
    from versionsync.mirror.schema.views import VIEWS

    indexes = [index.name for each in metadata.tables.values() for index in each.indexes]
    keys = [each.primary_key.name for each in metadata.tables.values()]
    return [str(name) for name in (*metadata.tables, *indexes, *keys, *(view.name for view in VIEWS)) if name]


def _check_search_path(connection: Connection, where: str) -> None:
    """Raise NotAMirror where tables would be made in one schema, and are found in another, or would be made in none."""
    current, path, other = connection.execute(SEARCH_PATH, {"name": VERSION_TABLE}).one()
    if current is None:
        raise NotAMirror(
            f"the database {where} has none of the schemas that search_path names ({path}): create one "
            "(CREATE SCHEMA …), or name another one (?options=-csearch_path%3DSCHEMA)"
        )
    if other is not None and other != current:
        raise NotAMirror(
            f"the database {where} shows a mirror in the schema {other}, but search_path ({path}) begins with the "
            f"schema {current}, which has none: use one of them alone, with ?options=-csearch_path%3D{other} or "
            f"?options=-csearch_path%3D{current}"
        )


def check_known(found: str, where: str) -> None:
    """Return if this program knows the schema `found`. Raises SchemaNewer or SchemaUnreleased otherwise."""
    check_released(found, where)
    if found not in REVISIONS:
        raise SchemaNewer(where, current=found, head=HEAD)


def check_released(found: str, where: str) -> None:
    """Raise SchemaUnreleased if `found` is a schema from before the first release."""
    if found in UNRELEASED:
        raise SchemaUnreleased(where, current=found)
