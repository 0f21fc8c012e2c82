"""Looks at how the sources stand, once a second, for those who tell others: nothing of a sync waits for them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Final, Protocol

from structlog.typing import FilteringBoundLogger

from versionsync.daemon.state import WorkerState

__all__ = ["POLL_SECONDS", "StatusListener", "polling"]

POLL_SECONDS: Final = 1.0


class StatusListener(Protocol):
    """Somebody who tells others how the sources stand."""

    def check(self, states: Mapping[str, WorkerState], now: datetime) -> None:
        """Begin to tell what there is to tell; must not wait."""

    async def close(self) -> None:
        """Tell nothing more."""


@asynccontextmanager
async def polling(
    states: Callable[[], Mapping[str, WorkerState]],
    watchers: Sequence[StatusListener],
    *,
    log: FilteringBoundLogger,
    every: float = POLL_SECONDS,
) -> AsyncIterator[None]:
    """While the block runs, let the `watchers` look every so many seconds."""
    task = asyncio.create_task(_watch(states, watchers, log, every))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})
        for watcher in watchers:
            await watcher.close()


async def _watch(
    states: Callable[[], Mapping[str, WorkerState]],
    watchers: Sequence[StatusListener],
    log: FilteringBoundLogger,
    every: float,
) -> None:
    while True:
        for watcher in watchers:
            try:
                watcher.check(states(), datetime.now(UTC))
            except Exception as error:  # a fault of ours: whoever follows must not end for it
                log.error(
                    "notifications.poll_failed", watcher=type(watcher).__name__, error=repr(error), exc_info=error
                )
        await asyncio.sleep(every)
