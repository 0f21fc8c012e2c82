"""The mirror as the settings describe it. Used by every command that reads or writes the database."""

from __future__ import annotations

from versionsync.mirror.database import MAX_OUTAGE_SECONDS, Mirror
from versionsync.mirror.engine.sqlalchemy_urls import database_url
from versionsync.mirror.schema import migrate

__all__ = ["open_mirror"]


def open_mirror(
    url: str,
    *,
    create: bool = False,
    upgrade: bool = False,
    outage_seconds: float | None = None,
    reads_only: bool = False,
    threads: int | None = None,
) -> Mirror:
    """Open the mirror at `url`. Use it as a context manager.

    Args:
        url: The URL of the database, with its password.
        create: Create or upgrade a SQLite file first, if that is needed.
        upgrade: Upgrade any database first, also PostgreSQL.
        outage_seconds: How long to wait for a server that goes away later. None: the default.
        reads_only: Nothing is written. The database may lie on a read-only mount then.
        threads: How many threads all that uses the mirror shares. See `Mirror.open`.

    Raises:
        MirrorError: The database cannot be opened, or has another schema.
    """
    if upgrade or (create and database_url(url).get_backend_name() == "sqlite"):
        migrate.upgrade(url)
    waits = MAX_OUTAGE_SECONDS if outage_seconds is None else outage_seconds
    return Mirror.open(url, outage_seconds=waits, reads_only=reads_only, threads=threads)
