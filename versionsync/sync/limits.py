"""A run's limits: its deadline, which moves on with what it gets done, and the most requests that it may send.

One that hangs is ended, one that only takes long is not. What is committed stays, however a run is ended.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from versionsync.errors import ErrorKind, VersionsyncError

__all__ = ["RequestLimitReached", "StalledError", "within_limits"]

POLL_SECONDS = 0.2
"""How often it is seen whether anything moved, and how much was sent."""


class StalledError(VersionsyncError):
    """Nothing moved for too long, so the run was ended: no answer came, no transaction ended."""

    kind = ErrorKind.STALLED
    hint = "Nothing is lost: the next run goes on from there."

    def __init__(self, seconds: float, phase: str) -> None:
        super().__init__(f"nothing moved for {seconds:.0f} s while it was {phase}: the run was ended")


class RequestLimitReached(VersionsyncError):
    """The run was ended because it had sent all the requests that it may."""

    kind = ErrorKind.BUDGET
    hint = "Nothing is lost: the next run goes on from there."

    def __init__(self, requests: int) -> None:
        super().__init__(f"the run was ended after {requests:,} requests, as many as the budget leaves for one")


@asynccontextmanager
async def within_limits(
    mark: Callable[[], object],
    requests: Callable[[], int],
    *,
    phase: Callable[[], str],
    stall_seconds: float | None,
    max_requests: int | None,
) -> AsyncIterator[None]:
    """Cancel the block when `mark()` stays equal for `stall_seconds`, or `requests()` reaches `max_requests`.

    None is no limit. Raises Stalled or RequestLimitReached in the place of the cancellation.
    """
    if stall_seconds is None and max_requests is None:
        yield
        return
    limit = asyncio.timeout(stall_seconds)
    spent = False

    async def watch() -> None:
        nonlocal spent
        loop, seen = asyncio.get_running_loop(), mark()
        while not limit.expired():
            await asyncio.sleep(POLL_SECONDS)
            if max_requests is not None and requests() >= max_requests:
                spent = True
                limit.reschedule(loop.time())
                return
            if stall_seconds is not None and (now := mark()) != seen:
                seen = now
                limit.reschedule(loop.time() + stall_seconds)

    try:
        async with limit:
            watching = asyncio.create_task(watch())
            try:
                yield
            finally:
                watching.cancel()
    except TimeoutError:
        if not limit.expired():
            raise
        raise (RequestLimitReached(requests()) if spent else StalledError(stall_seconds or 0.0, phase())) from None
