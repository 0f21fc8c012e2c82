"""The rate of requests: pure rules. Time is an argument, in seconds of any clock that does not run backwards.

Upstream allows `limit` requests in any 3 seconds, and counts them when they *arrive*. The client knows when they leave.
So a request may leave if fewer than `limit` others left within the last 3 s plus a guard. As long as the network delay
varies by less than the guard, no 3 seconds at upstream have more than `limit` requests, with fixed or sliding windows.
The guard is the only cost: 3 / 3.05 = 98.4 % of the allowed rate.

Three things make the client slower:

- *Other clients*: `X-RateLimit-Remaining` is smaller than its own requests explain, so another program uses the same
  project. It leaves them what they used lately, and some headroom.
- *A 429*: all requests wait until upstream's reset. Something unknown (a network delay that varies more, a shared plan
under
  load) made the rule wrong, so the guard doubles, and narrows again within minutes without another 429.
- *A ceiling* set by the user.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import Final

__all__ = ["DOCUMENTED_LIMIT", "GUARD_SECONDS", "WINDOW_SECONDS", "Pacer", "Slot"]

DOCUMENTED_LIMIT: Final = 60
WINDOW_SECONDS: Final = 3.0
GUARD_SECONDS: Final = 0.05

# How long another program's use counts: few answers come at the moment in which two of its bursts count.
_OTHER_CLIENTS_SECONDS: Final = 10 * WINDOW_SECONDS
# Headroom for other clients, as a share of what they use. If a program sends a third of the limit at once at each end
# of a window, two bursts count for a moment: with a headroom of a quarter, 2 % of all requests were its 429s.
_HEADROOM: Final = 0.6
# Less than this share of the limit is noise: requests in flight, or counted at both ends of a window.
_OTHER_CLIENTS_NOISE: Final = 0.04
# The client uses at least this share of the limit, even if others use more.
_FLOOR: Final = 0.1
# A third of a window may leave at once, so that little work is quick; the rest is spread over half of the window.
# Measured against bursts and against an even rate, with stalls and with other clients: as fast as bursts, with half of
# their 429s, and other programs get their share.
_BURST: Final = 1 / 3
_SPACING: Final = 0.5
# Even spacing beside other clients: requests only at the start of a window never show what others use at its end.
_SPACING_BESIDE_OTHERS: Final = 0.95
# The widest guard: the rate is then half of the allowed one.
_MAX_GUARD_SECONDS: Final = WINDOW_SECONDS
# The part of a wider guard that remains after a window without a 429: half of it after 70 s.
_NARROWING: Final = 0.97
# 429s with less time between them are in a row.
_IN_A_ROW_SECONDS: Final = 5 * WINDOW_SECONDS
_LIMIT_RANGE: Final = range(1, 100_001)
_MAX_BLOCK_SECONDS: Final = 3600.0


@dataclass(slots=True, eq=False)
class Slot:
    """Permission to send one request. `sent_at` is None until it has left."""

    granted_at: float
    sent_at: float | None = None


class Pacer:
    """The rate state of one token. Not thread-safe: it belongs to one event loop.

    `ceiling`: the maximum requests in 3 s that the user allows; None: what upstream announces. A higher ceiling than
    upstream's limit has no effect.
    """

    def __init__(self, *, ceiling: int | None = None, guard: float = GUARD_SECONDS) -> None:
        if ceiling is not None and ceiling < 1:
            raise ValueError(f"a rate limit is at least 1 request in 3 seconds, not {ceiling}")
        self._announced = DOCUMENTED_LIMIT if ceiling is None else max(ceiling, DOCUMENTED_LIMIT)
        self._ceiling = ceiling
        self._steady_guard = self._guard = guard
        self._guard_at = float("-inf")
        self._sent: list[
            float
        ] = []  # ascending; kept for two windows, since answers are compared with earlier requests
        self._pending = 0  # granted and not yet sent
        self._granted_at = float("-inf")
        self._others: list[tuple[float, int]] = []  # (when, how many of the window's requests were from others)
        self._blocked_until = 0.0
        self._episode = 0  # 429s in a row, those of one moment counted once

    @property
    def limit(self) -> int:
        """The requests in 3 s that upstream, or the ceiling, allows to all clients together."""
        return self._announced if self._ceiling is None else min(self._announced, self._ceiling)

    def blocked(self, now: float) -> float:
        """Return the seconds for which a 429 still blocks all requests, or 0."""
        return max(0.0, self._blocked_until - now)

    def budget(self, now: float) -> int:
        """Return the requests in 3 s that this client allows itself now."""
        budget = self._announced
        if others := self._others_now(now):
            budget -= others + max(2, round(others * _HEADROOM))
        floor = max(1, int(self._announced * _FLOOR))
        return min(self.limit, max(floor, budget))

    def wait(self, now: float) -> float:
        """Return the seconds until the next request may leave; infinity: when a granted request has left."""
        if blocked := self.blocked(now):
            return blocked
        self._narrow(now)
        window = WINDOW_SECONDS + self._guard
        recent = len(self._sent) - bisect_right(self._sent, now - window)
        budget = self.budget(now)
        used = recent + self._pending
        excess = used - budget
        if excess < 0:
            return max(0.0, self._granted_at + self._space(used, budget) - now)
        if excess >= recent:
            return float("inf")
        return self._sent[len(self._sent) - recent + excess] + window - now

    def grant(self, now: float) -> Slot:
        """Grant one request. Call it only if `wait` is 0."""
        self._pending += 1
        self._granted_at = now
        return Slot(now)

    def sent(self, slot: Slot, now: float) -> None:
        """Record that the request has left; repeated calls count once."""
        if slot.sent_at is None:
            slot.sent_at = now
            self._pending -= 1
            self._sent.append(now)
            self._delete_old(now)

    def unsent(self, slot: Slot) -> None:
        """Record that the request never left, unless it did."""
        if slot.sent_at is None:
            slot.sent_at = slot.granted_at
            self._pending -= 1

    def answered(self, slot: Slot, now: float, *, limit: int | None = None, remaining: int | None = None) -> None:
        """Use the limit and the remaining requests in an answer."""
        if limit is not None and limit in _LIMIT_RANGE:
            self._announced = limit
        if remaining is None or slot.sent_at is None or remaining < 0:
            return
        # Upstream counted when this request arrived, some time between its departure and now. All own requests that it
        # can have counted decide whether there are other clients, so that own requests never look like others'. Those
        # that it must have counted decide how many requests the others sent.
        since = slot.sent_at - WINDOW_SECONDS
        max_own = len(self._sent) - bisect_right(self._sent, since - 2 * self._guard)
        min_own = bisect_right(self._sent, slot.sent_at) - bisect_right(self._sent, since)
        used = self._announced - remaining
        if used - max_own > self._announced * _OTHER_CLIENTS_NOISE:
            others = used - min_own
            while self._others and self._others[-1][1] <= others:  # so that the first is always the largest
                del self._others[-1]
            self._others.append((now, others))

    def throttled(self, slot: Slot, now: float, *, reset: float | None = None) -> float:
        """Block all requests after a 429 until upstream's reset; return for how many seconds."""
        first_of_episode = slot.sent_at is None or slot.sent_at >= self._blocked_until
        if first_of_episode:
            self._episode = self._episode + 1 if now < self._blocked_until + _IN_A_ROW_SECONDS else 1
            self._narrow(now)
            self._guard, self._guard_at = min(2 * self._guard, _MAX_GUARD_SECONDS), now
        pause = min(2.0 ** (self._episode - 1), 30.0) if reset is None else min(max(reset, 0.0), _MAX_BLOCK_SECONDS)
        self._blocked_until = max(self._blocked_until, now + pause + self._steady_guard)
        return self.blocked(now)

    def _space(self, used: int, budget: int) -> float:
        """Return the seconds between two requests of the same window."""
        if self._others:
            return WINDOW_SECONDS / budget * _SPACING_BESIDE_OTHERS
        return WINDOW_SECONDS / budget * _SPACING if used > budget * _BURST else 0.0

    def _narrow(self, now: float) -> None:
        """Narrow the guard for each window without a 429."""
        if self._guard > self._steady_guard:
            windows = max(0.0, now - max(self._guard_at, self._blocked_until)) / WINDOW_SECONDS
            self._guard = self._steady_guard + (self._guard - self._steady_guard) * _NARROWING**windows
            self._guard_at = now

    def _others_now(self, now: float) -> int:
        """Return the maximum that others used in a recent window."""
        while self._others and self._others[0][0] < now - _OTHER_CLIENTS_SECONDS:
            del self._others[0]
        return self._others[0][1] if self._others else 0

    def _delete_old(self, now: float) -> None:
        old = bisect_right(self._sent, now - 2 * WINDOW_SECONDS - 1.0)
        if old > 64:
            del self._sent[:old]
