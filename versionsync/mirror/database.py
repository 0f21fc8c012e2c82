"""An opened mirror: the one door through which everything else reads and writes the database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Literal, Self

from sqlalchemy import Connection, Engine

from versionsync.mirror.engines import open_engine, reading
from versionsync.mirror.migrate import require_head
from versionsync.mirror.urls import safe_url

__all__ = ["Mirror", "open_engine", "safe_url"]


class Mirror:
    """A database at this program's schema. Usable from several threads; each transaction belongs to one of them.

    Everything in it raises the errors of `versionsync.mirror.errors` for what can happen to a database.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._reader = reading(engine)
        self.where = safe_url(engine.url)

    @classmethod
    def open(cls, url: str) -> Self:
        """Open the mirror at `url`. Raises DatabaseUnavailable, NotAMirror, SchemaBehind or SchemaNewer."""
        engine = open_engine(url)
        try:
            with reading(engine).connect() as connection:
                require_head(connection, safe_url(engine.url))
        except BaseException:
            engine.dispose()
            raise
        return cls(engine)

    @property
    def dialect(self) -> Literal["sqlite", "postgresql"]:
        """Which of the two it is."""
        return "sqlite" if self._engine.dialect.name == "sqlite" else "postgresql"

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One snapshot to read from; it never waits for a writer, and cannot write."""
        with self._reader.begin() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction: committed when the block ends, rolled back when it raises."""
        with self._engine.begin() as transaction:
            yield transaction

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Mirror({self.where!r})"
