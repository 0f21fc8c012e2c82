"""A run's deadline, which moves on with what it gets done: one that hangs is ended, one that only takes long is not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

__all__ = ["Stalled", "ended_if_stalled"]

LOOKS = 10
"""How often within the time allowed it is seen whether anything moved."""


class Stalled(Exception):
    """Nothing moved for so long that the run was ended: no answer came, no transaction ended."""

    hint = "Nothing is lost: the next run goes on from there."

    def __init__(self, seconds: float, phase: str) -> None:
        super().__init__(f"nothing moved for {seconds:.0f} s while it was {phase}: the run was ended")


@asynccontextmanager
async def ended_if_stalled(
    mark: Callable[[], object], *, seconds: float | None, phase: Callable[[], str]
) -> AsyncIterator[None]:
    """Cancel the block when `mark()` stays equal for so many seconds (None: never), and raise Stalled in its place."""
    if seconds is None:
        yield
        return
    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            watch = asyncio.create_task(_watch(limit, mark, seconds))
            try:
                yield
            finally:
                watch.cancel()
    except TimeoutError:
        if limit.expired():
            raise Stalled(seconds, phase()) from None
        raise


async def _watch(limit: asyncio.Timeout, mark: Callable[[], object], seconds: float) -> None:
    loop, seen = asyncio.get_running_loop(), mark()
    while True:
        await asyncio.sleep(seconds / LOOKS)
        if (now := mark()) != seen and not limit.expired():
            seen = now
            limit.reschedule(loop.time() + seconds)
