"""The memory that all runs of a process share: for what they read, and for what waits to be written.

A record takes memory twice: while its versions are read, and until they are written. Both are limited by bytes, each in
the order in which runs ask. What waits to be written waits for a database only, and never for memory. What is read may
wait for what is written, and never the other way round. So runs cannot wait for each other in a circle.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Final

from versionsync.cma.transport import LARGE_BYTES
from versionsync.sync.report import Progress
from versionsync.sync.temporary_files import CONTENTS_IN_MEMORY_BYTES

__all__ = ["READING_BYTES", "ByteSemaphore", "RunMemory", "SharedMemory"]

READING_BYTES: Final = CONTENTS_IN_MEMORY_BYTES + LARGE_BYTES
"""The most that one record takes while it is read: what is not on disk yet, and the answer that comes in."""
ALL_READING_BYTES: Final = 64 * READING_BYTES
ALL_QUEUED_BYTES: Final = 32 * 1024 * 1024


class ByteSemaphore:
    """A limit of bytes, first come, first served. More than the whole limit is allowed alone."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()
        self.used = 0

    async def acquire(self, size: int) -> None:
        """Take `size` bytes. Waits until all who came before have theirs, and these fit."""
        if not self._waiting and self._fits(size):
            self.used += size
            return
        mine = size, asyncio.get_running_loop().create_future()
        self._waiting.append(mine)
        try:
            await mine[1]
        except asyncio.CancelledError:
            if mine in self._waiting:
                self._waiting.remove(mine)
                self._grant()
            else:
                self.release(size)
            raise

    def release(self, size: int) -> None:
        """Give `size` bytes back."""
        self.used -= size
        self._grant()

    def _fits(self, size: int) -> bool:
        return self.used == 0 or self.used + size <= self._limit

    def _grant(self) -> None:
        while self._waiting and self._fits(self._waiting[0][0]):
            size, granted = self._waiting.popleft()
            self.used += size
            if not granted.done():
                granted.set_result(None)


@dataclass(frozen=True, slots=True)
class SharedMemory:
    """What the runs of a process may take together. Use it from one event loop.

    Attributes:
        reading: The memory for records that are being read.
        queued: The memory for records that wait to be written.
    """

    reading: ByteSemaphore = field(default_factory=lambda: ByteSemaphore(ALL_READING_BYTES))
    queued: ByteSemaphore = field(default_factory=lambda: ByteSemaphore(ALL_QUEUED_BYTES))


class RunMemory:
    """What one run takes of it.

    Args:
        shared: What all runs may take. None: there is no other run.
        queue_bytes: The most bytes of this run that may wait to be written.
        progress: It shows how much waits, and whether the run can only go on when others free some memory.
    """

    def __init__(self, shared: SharedMemory | None, *, queue_bytes: int, progress: Progress) -> None:
        self._shared = shared or SharedMemory()
        self._own = ByteSemaphore(queue_bytes)
        self._progress = progress
        self._queued = 0
        self._reading = 0
        self._waiting = 0

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[None]:
        """Hold the memory for one record while the block reads it, and puts it into the queue."""
        with self._wait():
            await self._shared.reading.acquire(READING_BYTES)
        self._reading += 1
        self._show()
        try:
            yield
        finally:
            self._reading -= 1
            self._shared.reading.release(READING_BYTES)
            self._show()

    async def queue(self, size: int) -> None:
        """Take `size` bytes of the queue, within the block that has read them. Waits while it is full."""
        await self._own.acquire(size)
        self._reading -= 1  # while it waits it reads nothing
        try:
            with self._wait():
                await self._shared.queued.acquire(size)
        except BaseException:
            self._own.release(size)
            raise
        finally:
            self._reading += 1
        self._queued += size
        self._show()

    def written(self, size: int) -> None:
        """Give `size` bytes of the queue back."""
        self._queued -= size
        self._own.release(size)
        self._shared.queued.release(size)
        self._show()

    @contextmanager
    def _wait(self) -> Iterator[None]:
        self._waiting += 1
        self._show()
        try:
            yield
        finally:
            self._waiting -= 1
            self._show()

    def _show(self) -> None:
        """The run waits for others if all of it waits, and nothing is left that it could write itself."""
        self._progress.queued_bytes = self._queued
        self._progress.waits_for_others = self._waiting > 0 and not self._reading and not self._queued
