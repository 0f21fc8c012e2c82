"""Empty databases to measure with: a SQLite file, and one of a PostgreSQL server that is started for it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from uuid import uuid4

import psycopg
from sqlalchemy import make_url

from benchmarks.processes import cpu_seconds_of_server
from tests.fixtures.postgres_server import packaged_server

__all__ = ["Database", "Databases", "databases"]


@dataclass(frozen=True, slots=True)
class Database:
    """An empty database; `server_seconds` tells the CPU seconds that its server has used (SQLite has none)."""

    kind: str
    url: str
    server_seconds: Callable[[], float]

    def size(self) -> int:
        """Bytes that it takes on disk, its write-ahead log left out."""
        if self.kind == "PostgreSQL":
            with psycopg.connect(self.url) as connection:
                row = connection.execute("SELECT pg_database_size(current_database())").fetchone()
            assert row is not None
            return int(row[0])
        return Path(make_url(self.url).database or "").stat().st_size

    def settled_size(self) -> int:
        """The same, after everything that was written is in it."""
        if self.kind != "PostgreSQL":
            with closing(sqlite3.connect(make_url(self.url).database or "")) as connection:
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return self.size()


class Databases:
    """Makes them; they go with the folder and the server behind them."""

    def __init__(self, folder: Path, server: str, server_pid: int) -> None:
        self._folder = folder
        self._server = server
        self._server_pid = server_pid

    def sqlite(self) -> Database:
        """A file that does not exist yet."""
        return Database("SQLite", f"sqlite:///{self._folder / uuid4().hex}.db", lambda: 0.0)

    def postgres(self) -> Database:
        """A database with nothing in it, on a server that keeps its promises (`fsync`), as in production."""
        name = f"bench_{uuid4().hex}"
        with psycopg.connect(self._server, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} ENCODING 'UTF8' TEMPLATE template0".encode())
        url = make_url(self._server).set(database=name).render_as_string(hide_password=False)
        return Database("PostgreSQL", url, lambda: cpu_seconds_of_server(self._server_pid))

    def both(self) -> list[Database]:
        """One of each kind."""
        return [self.sqlite(), self.postgres()]


@contextmanager
def databases() -> Iterator[Databases]:
    """Databases until the block ends."""
    folder = Path(gettempdir()) / f"versionsync-bench-{uuid4().hex[:8]}"
    with TemporaryDirectory(prefix="versionsync-bench-") as files, packaged_server(folder) as server:
        pid = int((folder / "postmaster.pid").read_text().split("\n", 1)[0])
        yield Databases(Path(files), server, pid)
