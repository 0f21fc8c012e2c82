"""Database URLs for SQLAlchemy, and as they are shown: without secrets."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote, quote_plus

from sqlalchemy import URL

from versionsync.database_urls import BadDatabaseUrl, DatabaseUrl, parse
from versionsync.mirror.errors import DatabaseUnavailable

__all__ = ["database_url", "parsed_url", "safe_url", "secrets_in", "sqlite_path"]

DRIVERS = {"sqlite": "sqlite+pysqlite", "postgresql": "postgresql+psycopg"}


def parsed_url(url: str) -> DatabaseUrl:
    """`url` in its parts. Raises DatabaseUnavailable for what is none; the message never quotes it."""
    try:
        return parse(url)
    except BadDatabaseUrl as error:
        raise DatabaseUnavailable(f"{error}. {error.hint}") from None


def database_url(url: str) -> URL:
    """`url` as SQLAlchemy's: `postgres://` and `postgresql://` mean psycopg 3, a bare path means SQLite.

    Raises DatabaseUnavailable for anything that is neither; the message never quotes the URL.
    """
    parts = parsed_url(url)
    query: dict[str, tuple[str, ...]] = {}
    for name, value in parts.query:
        query[name] = (*query.get(name, ()), value)
    return URL.create(
        DRIVERS[parts.backend],
        username=parts.user,
        password=parts.password,
        host=parts.host,
        port=parts.port,
        database=parts.database,
        query={name: values if len(values) > 1 else values[0] for name, values in query.items()},
    )


def safe_url(url: str | URL) -> str:
    """`url` for people and logs, without any secret in it (invariant 11)."""
    return (parsed_url(url) if isinstance(url, str) else _parts(url)).shown()


def secrets_in(url: URL) -> frozenset[str]:
    """What of `url` must not be shown, in each form in which a driver may repeat it."""
    plain = _parts(url).secret_parts()
    return frozenset([*plain, *(quote(one, safe="") for one in plain), *(quote_plus(one) for one in plain)])


def sqlite_path(url: URL) -> Path:
    """The file that a SQLite URL names.

    Raises DatabaseUnavailable for a database in memory, which would be lost, and for a place that cannot be looked at.
    """
    if not url.database or url.database == ":memory:":
        raise DatabaseUnavailable("a mirror in memory would be lost: name a file, such as sqlite:///versionsync.db")
    try:
        path = Path(url.database).expanduser().absolute()
        path.exists()
    except RuntimeError:
        raise DatabaseUnavailable(f"no home folder is known for {url.database}: write the whole path") from None
    except PermissionError as error:
        raise DatabaseUnavailable(
            f"the database {path} cannot be reached ({error.strerror}): name one in a folder that this user may enter"
        ) from error
    return path


def _parts(url: URL) -> DatabaseUrl:
    values = ((name, value) for name, value in url.query.items())
    return DatabaseUrl(
        backend="sqlite" if url.get_backend_name() == "sqlite" else "postgresql",
        database=url.database,
        host=url.host,
        port=url.port,
        user=url.username,
        password=url.password,
        query=tuple((name, one) for name, many in values for one in ((many,) if isinstance(many, str) else many)),
    )
