"""The rate limiter of one token, shared by all its clients.

The rules are in `pacing`; this module only waits. Requests leave in the order in which they were made. Only the first
of the queue sleeps; each change of the rate (an answer, a 429, a request that left) wakes it to check again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from math import isinf
from typing import Final, Literal

from versionsync.cma.rate_limit_rules import Pacer, Slot
from versionsync.errors import VersionsyncError

__all__ = ["UNLIMITED", "Blocked", "RateLimiter"]

UNLIMITED: Final = "unlimited"
CONCURRENCY: Final = 24


class Blocked(VersionsyncError):
    """A 429 blocks all requests for longer than this one may wait."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"blocked for {seconds:.0f} s")
        self.seconds = seconds


class RateLimiter:
    """Limits the rate of all requests of one token.

    `rate_limit`: requests in 3 seconds; None: what upstream announces (60 before it does); UNLIMITED, for a local
    server: no limit, although a 429 still blocks all requests. `concurrency`: the maximum number of concurrent
    requests.
    """

    def __init__(
        self,
        rate_limit: int | Literal["unlimited"] | None = None,
        *,
        concurrency: int = CONCURRENCY,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.unlimited = rate_limit == UNLIMITED
        self.concurrency = concurrency
        self._pacer = Pacer(ceiling=None if isinstance(rate_limit, str) else rate_limit)
        self._clock = clock
        self._in_flight = asyncio.Semaphore(concurrency)
        self._turn = asyncio.Lock()
        self._changed = asyncio.Event()

    @property
    def limit(self) -> int | None:
        """The requests in 3 s that upstream announces (or the settings allow); None: unlimited."""
        return None if self.unlimited else self._pacer.limit

    @property
    def share(self) -> float:
        """The part of `limit` that this process uses, while others use the same token: above 0 and at most 1."""
        return self._pacer.share

    @share.setter
    def share(self, share: float) -> None:
        self._pacer.share = share
        self._changed.set()

    @property
    def budget(self) -> int | None:
        """The requests in 3 s that are used now: fewer than `limit` while other clients use the project."""
        return None if self.unlimited else self._pacer.budget(self._clock())

    @property
    def blocked(self) -> float:
        """The seconds for which a 429 still blocks all requests."""
        return self._pacer.blocked(self._clock())

    @asynccontextmanager
    async def acquire(self, *, max_wait: float = float("inf")) -> AsyncIterator[Slot]:
        """Wait until one request may be sent, and keep its slot until the answer is read.

        Raise `Blocked` at once if a 429 blocks all requests for longer than `max_wait` seconds.
        """
        async with self._in_flight:
            slot = await self._grant(max_wait)
            try:
                yield slot
            finally:
                self.sent(slot)
                self.over(slot)

    def sent(self, slot: Slot) -> None:
        """Record that the request has left. The transport calls this; at the latest the end of the slot does."""
        if slot.sent_at is None:
            self._pacer.sent(slot, self._clock())
            self._changed.set()

    def over(self, slot: Slot) -> None:
        """The answer has begun (the transport says so), or will not come (the end of `slot` does)."""
        if slot.over_at is None:
            self._pacer.over(slot, self._clock())
            self._changed.set()

    def unsent(self, slot: Slot) -> None:
        """Record that the request could not leave: it is not counted."""
        self._pacer.unsent(slot)
        self._changed.set()

    def answered(self, slot: Slot, *, limit: int | None, remaining: int | None) -> None:
        """Use the rate headers of an answer."""
        if not self.unlimited:
            self._pacer.answered(slot, self._clock(), limit=limit, remaining=remaining)
            self._changed.set()

    def throttled(self, slot: Slot, *, reset: float | None) -> float:
        """Block all requests after a 429; return for how many seconds."""
        blocked = self._pacer.throttled(slot, self._clock(), reset=reset)
        self._changed.set()
        return blocked

    async def _grant(self, max_wait: float) -> Slot:
        async with self._turn:
            while (wait := self._wait()) > 0:
                if (blocked := self.blocked) > max_wait:
                    raise Blocked(blocked)
                await self._sleep(wait)
            return self._pacer.grant(self._clock())

    def _wait(self) -> float:
        now = self._clock()
        return self._pacer.blocked(now) if self.unlimited else self._pacer.wait(now)

    async def _sleep(self, seconds: float) -> None:
        """Wait for a change, at most this long."""
        self._changed.clear()
        timer = None if isinf(seconds) else asyncio.get_running_loop().call_later(seconds, self._changed.set)
        try:
            await self._changed.wait()
        finally:
            if timer is not None:
                timer.cancel()
