"""The limits of a run: its pauses and time-outs, how much it does at once, and when it is ended.

A run that makes no progress is ended. One that only takes long is not. What is committed stays, however a run ends.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from versionsync.errors import ErrorKind, VersionsyncError
from versionsync.sync.run_memory import SharedMemory

__all__ = ["Limits", "RequestLimitReached", "StalledError", "Timings", "within_limits"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """The pauses of a run, in seconds. Tests pass shorter ones.

    Attributes:
        retry: Before DatoCMS is asked again because an answer may have been old.
        renew_lease: Between two renewals of the lease.
        poll_lease: Before a lease that another process holds is tried again.
        poll_progress: Between two checks of whether the run makes progress, and how many requests it has sent.
        fill_batch: How long a batch waits for more records before it is written.
    """

    retry: float = 0.5
    renew_lease: float = 10.0
    poll_lease: float = 1.0
    poll_progress: float = 0.2
    fill_batch: float = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much a run does at once.

    Attributes:
        batch_records: The most records that one transaction writes.
        batch_bytes: The most bytes of content that one transaction writes.
        queue_bytes: The most bytes of content that wait to be written. Reading waits beyond that.
        shared: What this run and others of the process may hold together. None: there is no other run.
        schema_questions: The most models and fields that one run asks for by id. Models that may be deleted do not
            count: their records depend on them.
    """

    batch_records: int = 256
    batch_bytes: int = 8 * 1024 * 1024
    queue_bytes: int = 16 * 1024 * 1024
    shared: SharedMemory | None = None
    schema_questions: int = 50


class StalledError(VersionsyncError):
    """The run was ended because it made no progress: no answer came, and no transaction ended."""

    kind = ErrorKind.STALLED
    hint = "Nothing is lost: the next run goes on from there."

    def __init__(self, seconds: float, phase: str) -> None:
        super().__init__(f"nothing moved for {seconds:.0f} s while it was {phase}: the run was ended")


class RequestLimitReached(VersionsyncError):
    """The run was ended because it had sent as many requests as it may."""

    kind = ErrorKind.BUDGET
    hint = "Nothing is lost: the next run goes on from there."

    def __init__(self, requests: int) -> None:
        super().__init__(f"the run was ended after {requests:,} requests, as many as the budget leaves for one")


@asynccontextmanager
async def within_limits(
    activity: Callable[[], object],
    requests: Callable[[], int],
    *,
    phase: Callable[[], str],
    stall_seconds: float | None,
    max_requests: int | None,
    poll_seconds: float,
) -> AsyncIterator[None]:
    """Cancel the block if it makes no progress, or sends too many requests.

    Args:
        activity: Return a value that changes with all progress.
        requests: Return how many requests were sent.
        phase: Return what the block is doing, for the error.
        stall_seconds: How long `activity()` may stay equal. None: there is no limit.
        max_requests: How many requests may be sent. None: there is no limit.
        poll_seconds: How often to check.

    Raises:
        StalledError: If the block made no progress.
        RequestLimitReached: If it sent too many requests.
    """
    if stall_seconds is None and max_requests is None:
        yield
        return
    limit = asyncio.timeout(stall_seconds)
    is_over_limit = False

    async def watch() -> None:
        nonlocal is_over_limit
        loop, last = asyncio.get_running_loop(), activity()
        while not limit.expired():
            await asyncio.sleep(poll_seconds)
            if max_requests is not None and requests() >= max_requests:
                is_over_limit = True
                limit.reschedule(loop.time())
                return
            if stall_seconds is not None and (now := activity()) != last:
                last = now
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
        if is_over_limit:
            raise RequestLimitReached(requests()) from None
        raise StalledError(stall_seconds or 0.0, phase()) from None
