"""How fast to ask: the rules, pure. Time is an argument, in seconds of any clock that does not run backwards.

Upstream allows `limit` requests in any 3 seconds, and counts when they *arrive*. We know when they leave. So a request
may leave when fewer than `limit` others left within the last 3 s plus a guard: as long as the time on the way varies by
less than the guard, no 3 seconds at upstream hold more than `limit`, be its windows fixed or sliding. The guard is the
whole price: 3 / 3.05 = 98.4 % of what is allowed.

Three things make us slower:

- *others*: `X-RateLimit-Remaining` is smaller than our own requests explain, so another program uses the same
  project. We leave it what it used lately, and some room to grow.
- *a 429*: everybody waits until upstream's reset. Something that we cannot see (a way that varies more, a shared plan
  under load) made our arithmetic wrong, so the guard doubles, and narrows again in minutes without another 429.
- *a ceiling* set by the user.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import Final

__all__ = ["DOCUMENTED_LIMIT", "GUARD_SECONDS", "WINDOW_SECONDS", "Pacer", "Slot"]

DOCUMENTED_LIMIT: Final = 60
WINDOW_SECONDS: Final = 3.0
GUARD_SECONDS: Final = 0.05

# How long another program's use is remembered: few of our answers see the moment in which two bursts of its count.
_OTHER_CLIENTS_SECONDS: Final = 10 * WINDOW_SECONDS
# Room to grow, as a share of what others use. Of a program that asks for a third of the limit at once, whenever a
# window is over, two bursts count for a moment: with a quarter of room, 2 % of all requests were its 429s.
_HEADROOM: Final = 0.6
# Less than this share of the limit is noise: requests on the way, or counted at both ends of a window.
_OTHER_CLIENTS_NOISE: Final = 0.04
# However much others use, this share of the limit is asked for.
_FLOOR: Final = 0.1
# A third of a window may leave at once, so that little work is done quickly; the rest is spread over half of the
# window. Measured against bursts and against an even pace, with stalls on the way and with others at work: as fast as
# bursts, with half of their 429s, and other programs get a word in.
_BURST: Final = 1 / 3
_SPACING: Final = 0.5
# Evenly among others: who asks only at the start of a window never sees what the others use of its end.
_SPACING_BESIDE_OTHERS: Final = 0.95
# How wide a guard may get: the pace is then half of what is allowed.
_GUARD_SECONDS_MAX: Final = WINDOW_SECONDS
# What a window without a 429 leaves of a wider guard: half of it in 70 s.
_NARROWING: Final = 0.97
# 429s with less time between them are in a row.
_IN_A_ROW_SECONDS: Final = 5 * WINDOW_SECONDS
_LIMIT_RANGE: Final = range(1, 100_001)
_HOLD_SECONDS_MAX: Final = 3600.0


@dataclass(slots=True, eq=False)
class Slot:
    """The right to send one request. `sent_at` is None until it has left."""

    granted_at: float
    sent_at: float | None = None


class Pacer:
    """The state of one token's pace. Not safe for threads: it belongs to one event loop.

    `ceiling` is the most requests in 3 s that the user allows, None for what upstream announces. Nothing is ever sent
    faster than upstream announces, whatever the ceiling.
    """

    def __init__(self, *, ceiling: int | None = None, guard: float = GUARD_SECONDS) -> None:
        if ceiling is not None and ceiling < 1:
            raise ValueError(f"a rate limit is at least 1 request in 3 seconds, not {ceiling}")
        self._announced = DOCUMENTED_LIMIT if ceiling is None else max(ceiling, DOCUMENTED_LIMIT)
        self._ceiling = ceiling
        self._steady_guard = self._guard = guard
        self._guard_at = float("-inf")
        self._sent: list[float] = []  # rises; kept for two windows, since answers are compared with what left before
        self._pending = 0  # granted and not yet sent
        self._granted_at = float("-inf")
        self._others: list[tuple[float, int]] = []  # (when, how many of the window's requests were not ours)
        self._held_until = 0.0
        self._episode = 0  # 429s in a row, those of one moment counted once

    @property
    def limit(self) -> int:
        """Requests in 3 s that upstream, or the ceiling, allows to everybody together."""
        return self._announced if self._ceiling is None else min(self._announced, self._ceiling)

    def held(self, now: float) -> float:
        """Seconds for which a 429 holds everybody, 0 when nothing does."""
        return max(0.0, self._held_until - now)

    def budget(self, now: float) -> int:
        """Requests in 3 s that we allow ourselves now."""
        budget = self._announced
        if others := self._others_now(now):
            budget -= others + max(2, round(others * _HEADROOM))
        floor = max(1, int(self._announced * _FLOOR))
        return min(self.limit, max(floor, budget))

    def wait(self, now: float) -> float:
        """Seconds until the next request may leave: 0 for now, infinity for when one of those granted has left."""
        if held := self.held(now):
            return held
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
        """Take the right to send one request; only when `wait` is 0."""
        self._pending += 1
        self._granted_at = now
        return Slot(now)

    def sent(self, slot: Slot, now: float) -> None:
        """The request has left (counted once, however often this is called)."""
        if slot.sent_at is None:
            slot.sent_at = now
            self._pending -= 1
            self._sent.append(now)
            self._forget(now)

    def unsent(self, slot: Slot) -> None:
        """The request never left: nothing is counted, unless it did leave after all."""
        if slot.sent_at is None:
            slot.sent_at = slot.granted_at
            self._pending -= 1

    def answered(self, slot: Slot, now: float, *, limit: int | None = None, remaining: int | None = None) -> None:
        """Follow what an answer says of the limit and of what is left of it."""
        if limit is not None and limit in _LIMIT_RANGE:
            self._announced = limit
        if remaining is None or slot.sent_at is None or remaining < 0:
            return
        # Upstream counted when this request arrived, which was some time between its leaving and now. Whether others
        # are there is judged by all of ours that it can have counted, so that we never mistake ourselves for others;
        # how many they are by those that it must have counted.
        since = slot.sent_at - WINDOW_SECONDS
        most_of_ours = len(self._sent) - bisect_right(self._sent, since - 2 * self._guard)
        least_of_ours = bisect_right(self._sent, slot.sent_at) - bisect_right(self._sent, since)
        used = self._announced - remaining
        if used - most_of_ours > self._announced * _OTHER_CLIENTS_NOISE:
            others = used - least_of_ours
            while self._others and self._others[-1][1] <= others:  # so that the first is always the most
                del self._others[-1]
            self._others.append((now, others))

    def throttled(self, slot: Slot, now: float, *, reset: float | None = None) -> float:
        """A 429: hold everybody until upstream's reset. Returns the seconds of the hold."""
        first_of_episode = slot.sent_at is None or slot.sent_at >= self._held_until
        if first_of_episode:
            self._episode = self._episode + 1 if now < self._held_until + _IN_A_ROW_SECONDS else 1
            self._narrow(now)
            self._guard, self._guard_at = min(2 * self._guard, _GUARD_SECONDS_MAX), now
        pause = min(2.0 ** (self._episode - 1), 30.0) if reset is None else min(max(reset, 0.0), _HOLD_SECONDS_MAX)
        self._held_until = max(self._held_until, now + pause + self._steady_guard)
        return self.held(now)

    def _space(self, used: int, budget: int) -> float:
        """Seconds between two requests while there is room for both."""
        if self._others:
            return WINDOW_SECONDS / budget * _SPACING_BESIDE_OTHERS
        return WINDOW_SECONDS / budget * _SPACING if used > budget * _BURST else 0.0

    def _narrow(self, now: float) -> None:
        """Every window without a 429 gives back a part of what the last ones added to the guard."""
        if self._guard > self._steady_guard:
            windows = max(0.0, now - max(self._guard_at, self._held_until)) / WINDOW_SECONDS
            self._guard = self._steady_guard + (self._guard - self._steady_guard) * _NARROWING**windows
            self._guard_at = now

    def _others_now(self, now: float) -> int:
        """The most that others used in a window lately."""
        while self._others and self._others[0][0] < now - _OTHER_CLIENTS_SECONDS:
            del self._others[0]
        return self._others[0][1] if self._others else 0

    def _forget(self, now: float) -> None:
        old = bisect_right(self._sent, now - 2 * WINDOW_SECONDS - 1.0)
        if old > 64:
            del self._sent[:old]
