"""Access to the database from the event loop. Both the lease and the stages of a run need it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy import Connection

from versionsync.mirror.database import Mirror
from versionsync.mirror.engine.thread import DatabaseThread

__all__ = ["AsyncMirror"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class AsyncMirror:
    """The mirror with two lanes: one reads, one writes. Both may run at once."""

    mirror: Mirror
    reading: DatabaseThread
    writing: DatabaseThread

    async def read(self, query: Callable[[Connection], T]) -> T:
        """Return what `query` finds in one snapshot."""
        return await self.reading.run(self.mirror.query, query)

    async def write(self, change: Callable[[Connection], T]) -> T:
        """Return the result of `change`. Its transaction is committed at its end, and rolled back if it raises."""
        return await self.writing.run(self.mirror.transact, change)
