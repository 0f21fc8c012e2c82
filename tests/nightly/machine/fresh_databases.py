"""Databases for a machine that wants a fresh one for each of its examples, and wants it at once."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from sqlalchemy import text

from versionsync.mirror.database import Mirror, open_engine
from versionsync.mirror.schema import metadata
from versionsync.mirror.schema.typed_views import drop_typed_views

__all__ = ["EmptiedPostgres", "FreshDatabase", "FreshSqlite"]


class FreshDatabase(Protocol):
    """Makes one empty mirror after the other."""

    @contextmanager
    def open(self) -> Iterator[tuple[Mirror, Mirror]]:
        """An empty mirror, opened twice: for the engine, and for who looks over its shoulder."""
        ...


class FreshSqlite:
    """A copy of an upgraded file for each."""

    def __init__(self, template: Path, folder: Path) -> None:
        self._template = template
        self._path = folder / "fresh.db"

    @contextmanager
    def open(self) -> Iterator[tuple[Mirror, Mirror]]:
        for suffix in ("", "-wal", "-shm"):
            Path(f"{self._path}{suffix}").unlink(missing_ok=True)
        shutil.copy(self._template, self._path)
        url = f"sqlite:///{self._path}"
        with Mirror.open(url) as mirror, Mirror.open(url) as witness:
            yield mirror, witness


class EmptiedPostgres:
    """One database, emptied for each."""

    def __init__(self, url: str) -> None:
        self._url = url

    @contextmanager
    def open(self) -> Iterator[tuple[Mirror, Mirror]]:
        engine = open_engine(self._url)
        with engine.begin() as tx:
            drop_typed_views(tx)
            tx.execute(text(f"TRUNCATE {', '.join(metadata.tables)} RESTART IDENTITY CASCADE"))
        engine.dispose()
        with Mirror.open(self._url) as mirror, Mirror.open(self._url) as witness:
            yield mirror, witness
