"""Who may send when: one governor for each token, shared by everything that uses it.

The rules are in `pacing`; here is only the waiting. Requests leave in the order in which they asked. Only the first of
the queue sleeps; whatever changes the pace (an answer, a 429, a request that left) wakes it to look again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from math import isinf
from typing import Final, Literal

from versionsync.cma.pacing import Pacer, Slot
from versionsync.errors import VersionsyncError

__all__ = ["UNLIMITED", "Blocked", "RateLimiter"]

UNLIMITED: Final = "unlimited"
CONCURRENCY: Final = 24


class Blocked(VersionsyncError):
    """Upstream holds everybody for longer than this request is ready to wait."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"held for {seconds:.0f} s")
        self.seconds = seconds


class RateLimiter:
    """Paces all requests of one token.

    `rate_limit`: requests in 3 seconds; None follows what upstream announces (60 until it does); UNLIMITED is for a
    local server: no pace, though a 429 still holds everybody. `concurrency` is the most requests under way at once.
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
        self._under_way = asyncio.Semaphore(concurrency)
        self._turn = asyncio.Lock()
        self._changed = asyncio.Event()

    @property
    def limit(self) -> int | None:
        """Requests in 3 s that upstream announces (or the settings allow); None when unlimited."""
        return None if self.unlimited else self._pacer.limit

    @property
    def budget(self) -> int | None:
        """Requests in 3 s that are asked for at present: below `limit` while others use the token."""
        return None if self.unlimited else self._pacer.budget(self._clock())

    @property
    def held(self) -> float:
        """Seconds for which a 429 still holds everybody."""
        return self._pacer.held(self._clock())

    @asynccontextmanager
    async def acquire(self, *, patience: float = float("inf")) -> AsyncIterator[Slot]:
        """Wait for the right to send one request, and hold it until the answer was read.

        Raises `Held` at once when a 429 holds everybody for longer than `patience` seconds.
        """
        async with self._under_way:
            slot = await self._grant(patience)
            try:
                yield slot
            finally:
                self.sent(slot)

    def sent(self, slot: Slot) -> None:
        """The request has left (the transport says so; at the latest the end of `slot` does)."""
        if slot.sent_at is None:
            self._pacer.sent(slot, self._clock())
            self._changed.set()

    def unsent(self, slot: Slot) -> None:
        """The request could not leave: it counts for nothing."""
        self._pacer.unsent(slot)
        self._changed.set()

    def answered(self, slot: Slot, *, limit: int | None, remaining: int | None) -> None:
        """Follow the rate headers of an answer."""
        if not self.unlimited:
            self._pacer.answered(slot, self._clock(), limit=limit, remaining=remaining)

    def throttled(self, slot: Slot, *, reset: float | None) -> float:
        """A 429: everybody waits. Returns for how many seconds."""
        held = self._pacer.throttled(slot, self._clock(), reset=reset)
        self._changed.set()
        return held

    async def _grant(self, patience: float) -> Slot:
        async with self._turn:
            while (wait := self._wait()) > 0:
                if (held := self.held) > patience:
                    raise Blocked(held)
                await self._sleep(wait)
            return self._pacer.grant(self._clock())

    def _wait(self) -> float:
        now = self._clock()
        return self._pacer.held(now) if self.unlimited else self._pacer.wait(now)

    async def _sleep(self, seconds: float) -> None:
        """Until something changed, at most for so long."""
        self._changed.clear()
        timer = None if isinf(seconds) else asyncio.get_running_loop().call_later(seconds, self._changed.set)
        try:
            await self._changed.wait()
        finally:
            if timer is not None:
                timer.cancel()
