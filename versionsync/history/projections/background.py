"""Fill the projections of a source beside other work: off the event loop, in small batches, with pauses.

Nothing that goes wrong here may make a sync fail or wait. So errors are logged, and the next call tries again.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Final

from structlog.typing import FilteringBoundLogger

from versionsync.history.projections.filling import EVENTS_AT_ONCE, Filled, FillState, ProjectionFiller
from versionsync.mirror.database import Mirror
from versionsync.mirror.errors import MirrorError
from versionsync.mirror.tables.sources import load_source

__all__ = ["BackgroundFiller"]

IDLE_PAUSES: Final = 0.2
"""After a batch that took t seconds, the pause is this many times t."""
BUSY_PAUSES: Final = 30.0
"""The same while runs are in progress: computing takes at most a thirtieth of their time."""
BUSY_EVENTS: Final = 100
"""How many events a batch has while runs are in progress: so few that no run notices it."""
LONGEST_PAUSE: Final = 60.0
REPORTED_FROM: Final = 1000
"""From how many versions on a filling is logged for people."""
FAILURES_SHOWN: Final = 5


class BackgroundFiller:
    """Fills the projections of one source off the event loop, one batch at a time.

    Args:
        mirror: The mirror.
        name: The source's name. It may not be in the mirror yet.
        log: Where to log.
        is_busy: Whether runs are in progress in this process, which the filling must not slow down.
        idle_pauses: The pause after a batch, in times of the batch, while there are none.
        turns: Limits how many sources are filled at once: a batch and its pause take a turn.
        on_batch: Called after each batch.
    """

    def __init__(
        self,
        mirror: Mirror,
        name: str,
        *,
        log: FilteringBoundLogger,
        is_busy: Callable[[], bool] = lambda: False,
        idle_pauses: float = IDLE_PAUSES,
        turns: asyncio.Semaphore | None = None,
        on_batch: Callable[[Filled], None] = lambda _: None,
    ) -> None:
        self._mirror = mirror
        self._name = name
        self._log = log.bind(source=name)
        self._is_busy = is_busy
        self._idle_pauses = idle_pauses
        self._turns: AbstractAsyncContextManager[object] = turns or nullcontext()
        self._on_batch = on_batch
        self._filler: ProjectionFiller | None = None
        self._thread = mirror.lane(f"{name}-projections")
        self._is_failing = False

    async def fill(self) -> FillState | None:
        """Fill until nothing is left, or another process writes to the source; None: it failed, which is logged.

        Cancelling stops it between two versions.
        """
        began, versions = time.monotonic(), 0
        try:
            if self._filler is None and not await self._thread.run(self._open):
                return FillState.COMPLETE  # there is no such source yet
            assert self._filler is not None
            while True:
                async with self._turns:
                    started, is_busy = time.monotonic(), self._is_busy()
                    self._filler.events_at_once = BUSY_EVENTS if is_busy else EVENTS_AT_ONCE
                    filled = await self._thread.run(self._filler.fill_batch)
                    versions += filled.versions
                    self._report(filled)
                    if filled.state is not FillState.MORE:
                        break
                    pauses = BUSY_PAUSES if is_busy or self._is_busy() else self._idle_pauses
                    await asyncio.sleep(min(pauses * (time.monotonic() - started), LONGEST_PAUSE))
        except asyncio.CancelledError:
            if self._filler is not None:
                self._filler.stop()
            raise
        except Exception as error:
            self._failed(error)
            return None
        self._is_failing = False
        if versions:
            level = logging.INFO if versions >= REPORTED_FROM else logging.DEBUG
            seconds = round(time.monotonic() - began, 1)
            self._log.log(level, "projections.filled", versions=versions, seconds=seconds)
        return filled.state

    async def close(self) -> None:
        """Wait for the batch in progress, which is dropped if it is not yet computed."""
        if self._filler is not None:
            self._filler.stop()
        await self._thread.close()

    def _open(self) -> bool:
        source = self._mirror.query(lambda connection: load_source(connection, self._name))
        if source is not None:
            self._filler = ProjectionFiller(self._mirror, source.id)
        return source is not None

    def _report(self, filled: Filled) -> None:
        self._on_batch(filled)
        if filled.failed:
            some = dict(list(filled.failed.items())[:FAILURES_SHOWN])
            self._log.warning("projections.incomplete", versions=len(filled.failed), reasons=some)

    def _failed(self, error: Exception) -> None:
        """Log a failure; one of the database only once in a row, since the runs report it too."""
        is_database = isinstance(error, MirrorError)
        level = logging.DEBUG if self._is_failing else logging.INFO if is_database else logging.ERROR
        self._log.log(level, "projections.failed", reason=str(error), exc_info=None if is_database else error)
        self._is_failing = True
