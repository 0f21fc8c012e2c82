"""Database URLs: what users write, made into what SQLAlchemy takes, and shown without secrets."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from versionsync.mirror.errors import DatabaseUnavailable

__all__ = ["database_url", "safe_url", "sqlite_path"]

POSTGRES_DRIVERS = {"postgres", "postgresql", "postgresql+psycopg"}
SQLITE_DRIVERS = {"sqlite", "sqlite+pysqlite"}
SECRET_OPTIONS = {"password", "sslpassword", "sslkey", "passfile", "passcode"}


def database_url(url: str) -> URL:
    """`url` as SQLAlchemy's: `postgres://` and `postgresql://` mean psycopg 3, a bare path means SQLite.

    Raises DatabaseUnavailable for anything that is neither; the message never quotes the URL.
    """
    if "://" not in url:
        return URL.create("sqlite+pysqlite", database=url)
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        # `from None`: SQLAlchemy's own error quotes the whole URL, with the password in it.
        raise DatabaseUnavailable(
            "the database URL cannot be read; it looks like postgresql://USER:PASSWORD@HOST:PORT/DATABASE or "
            "sqlite:///PATH (a `/`, `@`, `:` or `%` within a password is written %2F, %40, %3A, %25)"
        ) from None
    if parsed.drivername in POSTGRES_DRIVERS:
        return parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername in SQLITE_DRIVERS:
        return parsed.set(drivername="sqlite+pysqlite")
    raise DatabaseUnavailable(
        f"versionsync does not know databases of the kind {parsed.drivername!r}: use sqlite:///PATH or postgresql://…"
    )


def safe_url(url: str | URL) -> str:
    """`url` for people and logs, without any secret in it (invariant 11)."""
    parsed = database_url(url) if isinstance(url, str) else url
    masked = {name: "***" if name.lower() in SECRET_OPTIONS else value for name, value in parsed.query.items()}
    plain = parsed.get_backend_name()
    return parsed.set(drivername=plain, query=masked).render_as_string(hide_password=True)


def sqlite_path(url: URL) -> Path:
    """The file that a SQLite URL names. Raises DatabaseUnavailable for a database in memory: it would be lost."""
    if not url.database or url.database == ":memory:":
        raise DatabaseUnavailable("a mirror in memory would be lost: name a file, such as sqlite:///versionsync.db")
    return Path(url.database).expanduser().absolute()
