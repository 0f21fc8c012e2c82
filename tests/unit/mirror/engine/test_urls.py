"""Database URLs, as users write them and as they may be shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from versionsync.mirror.engine.sqlalchemy_urls import database_url, safe_url, sqlite_path
from versionsync.mirror.errors import DatabaseUnavailable

SECRET = "pa55-w0rd"


@pytest.mark.parametrize(
    ("written", "driver"),
    [
        ("postgresql://me@host/db", "postgresql+psycopg"),
        ("postgres://me@host/db", "postgresql+psycopg"),
        ("postgresql+psycopg://me@host/db", "postgresql+psycopg"),
        ("sqlite:///mirror.db", "sqlite+pysqlite"),
        ("sqlite+pysqlite:////var/lib/mirror.db", "sqlite+pysqlite"),
        ("mirror.db", "sqlite+pysqlite"),
        ("/var/lib/mirror.db", "sqlite+pysqlite"),
        ("./a b%20c.db", "sqlite+pysqlite"),
    ],
)
def test_the_driver_is_chosen(written: str, driver: str) -> None:
    """psycopg 3, whatever the URL says of PostgreSQL; a bare path is a SQLite file."""
    assert database_url(written).drivername == driver


@pytest.mark.parametrize("written", ["mirror.db", "sqlite:///mirror.db"])
def test_a_relative_path_is_one_of_this_folder(written: str) -> None:
    """As everywhere else."""
    assert sqlite_path(database_url(written)) == Path.cwd() / "mirror.db"


def test_a_path_is_taken_as_it_is() -> None:
    """Nothing in it is decoded."""
    assert sqlite_path(database_url("/x/a b%20c?d.db")) == Path("/x/a b%20c?d.db")


@pytest.mark.parametrize("written", ["sqlite://", "sqlite:///:memory:", ":memory:"])
def test_a_mirror_in_memory_is_refused(written: str) -> None:
    """It would be gone with the process."""
    with pytest.raises(DatabaseUnavailable, match=r"name a file"):
        sqlite_path(database_url(written))


@pytest.mark.parametrize(
    "written",
    [
        f"postgresql://me:{SECRET}@host/db",
        f"postgres://me:{SECRET}@host:5433/db?sslmode=require",
        f"postgresql://host/db?user=me&password={SECRET}",
        f"postgresql://host/db?user=me&PassWord={SECRET}&sslpassword={SECRET}",
    ],
)
def test_what_is_shown_has_no_password(written: str) -> None:
    """But everything by which the database is known."""
    shown = safe_url(written)
    assert SECRET not in shown
    assert shown.startswith("postgresql://")
    assert "host" in shown
    assert "/db" in shown


@pytest.mark.parametrize(
    "written",
    [
        f"postgresql://me:{SECRET}@host:port/db",
        f"mysql://me:{SECRET}@host/db",
        f"://me:{SECRET}@host/db",
        f"postgresql+asyncpg://me:{SECRET}@host/db",
    ],
)
def test_what_cannot_be_read_is_not_quoted(written: str) -> None:
    """Neither in the error, nor in what caused it."""
    with pytest.raises(DatabaseUnavailable) as caught:
        database_url(written)
    assert SECRET not in f"{caught.value!r} {caught.value.__cause__!r}"
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
