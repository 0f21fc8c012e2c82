"""What all steps of a run share: the database's two threads, the lease, the clock, and what is told of the run."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TypedDict, TypeVar

from sqlalchemy import Connection
from structlog.typing import FilteringBoundLogger

from versionsync.mirror.database import Mirror
from versionsync.mirror.engine.thread import DatabaseThread

__all__ = [
    "Checkpoint",
    "Context",
]


T = TypeVar("T")


class Checkpoint(TypedDict, total=False):
    """The columns of `sources` that a run's end may set; what is left out stays."""

    last_data_change_at: datetime | None
    last_data_change_is_settled: bool
    last_complete_sweep_at: datetime
    last_scrub_at: datetime
    last_success_at: datetime
    complete_as_of: datetime
    unexplained_change_since: datetime | None
    unexplained_read_at: datetime


class Context:
    """A run's door to the database: reading on one thread, writing on another."""

    def __init__(
        self,
        mirror: Mirror,
        reading: DatabaseThread,
        writing: DatabaseThread,
        *,
        now: Callable[[], datetime],
        log: FilteringBoundLogger,
    ) -> None:
        self.mirror = mirror
        self.reading = reading
        self.writing = writing
        self.now = now
        self.log = log

    async def read(self, query: Callable[[Connection], T]) -> T:
        """What `query` finds in one snapshot."""
        return await self.reading.run(self.mirror.query, query)

    async def write(self, change: Callable[[Connection], T]) -> T:
        """What `change` returns; its transaction is committed when it ends and rolled back when it raises."""
        return await self.writing.run(self.mirror.transact, change)
