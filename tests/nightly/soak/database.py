"""A PostgreSQL of the soak's own, and what it says of who follows the source."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from sqlalchemy import make_url

from tests.fixtures.disk import Disk
from tests.fixtures.postgres_server import OwnServer, own_server
from versionsync.mirror.schema.migrate import upgrade

__all__ = ["Database", "database"]

NAME = "soak"
START_SECONDS = 60.0
# The small disk must be filled by the ballast, and not before by logs that PostgreSQL keeps for a gigabyte.
SETTINGS = ("max_wal_size = '64MB'", "min_wal_size = '32MB'", "log_min_messages = 'panic'")


class Database:
    """The mirror's database, on a server that may be stopped and started."""

    def __init__(self, server: OwnServer) -> None:
        self._server = server
        self.url = make_url(server.url).set(database=NAME).render_as_string(hide_password=False)

    def stop(self, mode: str) -> None:
        """As `pg_ctl stop -m MODE` does."""
        self._server.stop(mode)

    def start(self) -> None:
        """Until it takes connections."""
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                self._server.start()
                with psycopg.connect(self.url):
                    return
            except Exception:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.5)

    def follower(self) -> int | None:
        """The process that follows the source; 0: none does; None: the database does not say."""
        try:
            with psycopg.connect(self.url, connect_timeout=2) as connection:
                row = connection.execute(
                    "SELECT holder ->> 'pid' FROM source_claims JOIN daemons ON daemons.id = daemon_id"
                ).fetchone()
        except psycopg.Error:
            return None
        return 0 if row is None or row[0] is None else int(row[0])

    def outcomes(self) -> dict[str, int]:
        """How many runs ended how."""
        with psycopg.connect(self.url) as connection:
            return dict(connection.execute("SELECT outcome, count(*) FROM runs GROUP BY 1 ORDER BY 1").fetchall())

    def count(self, table: str) -> int:
        """Rows of a table."""
        with psycopg.connect(self.url) as connection:
            row = connection.execute(f"SELECT count(*) FROM {table}".encode()).fetchone()
        assert row is not None
        return int(row[0])


@contextmanager
def database(disk: Disk) -> Iterator[Database]:
    """A new one on `disk` while the block runs."""
    folder: Path = disk.folder / "data"
    with own_server(folder) as server:
        with psycopg.connect(server.url, autocommit=True) as connection:
            for setting in SETTINGS:
                connection.execute(f"ALTER SYSTEM SET {setting}".encode())
            connection.execute(f"CREATE DATABASE {NAME} ENCODING 'UTF8' TEMPLATE template0".encode())
        server.stop("fast")
        server.start()
        made = Database(server)
        upgrade(made.url)
        yield made
