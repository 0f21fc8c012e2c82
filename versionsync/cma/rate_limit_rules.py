"""The rate of requests: pure rules. Time is an argument, in seconds of any clock that never runs backwards.

Upstream allows `limit` requests in 3 seconds and counts a request when it *arrives*: at some time between its leaving
and its answer. As recorded, upstream counts in fixed windows, and each answer says how many requests remain in the
present one. It may slide its windows one day, so both rules here are right for both kinds. A request may leave if one
of them shows room:

- *Remaining*: the newest answer says that `r` requests remain, and fewer than `r` of the client's own can have been
  counted since. In fixed windows this uses all of the limit.
- *Places*: a request takes a place in a sliding window for 3 seconds from the latest time at which it can have arrived.
  That is when its answer came, less the shortest delay there and back. If the answers show that upstream counts
  requests as they leave (the way there takes no time), it is when the request left.

Four things make the client slower:

- *Other clients*: `X-RateLimit-Remaining` is smaller than its own requests explain. It leaves them what they used
  lately, and some headroom.
- *A 429*: all requests wait until upstream's reset. A network delay that varies more than before made the rule wrong,
  so the guard grows, and narrows again within minutes without another 429.
- *A ceiling* set by the user.
- *A share*, while other processes use the same token for other sources: they get the rest.

With 50 to 300 ms on the way this uses 0.99 of the limit in fixed windows. In sliding ones it is 0.98 if that time
passes after the count, and 0.95 if it passes before: the mean delay beyond the shortest is lost. To send earlier gains
half a percent at best, as each 429 costs a second. No request gets a 429 (tests/unit/cma/test_rate_limit_rules.py).
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from typing import Final

from versionsync.backoff import Backoff

__all__ = ["DOCUMENTED_LIMIT", "GUARD_SECONDS", "WINDOW_SECONDS", "Pacer", "Slot"]

DOCUMENTED_LIMIT: Final = 60
WINDOW_SECONDS: Final = 3.0
# What is added to each time that is computed: timers and clocks are not exact.
GUARD_SECONDS: Final = 0.003
# The guard around requests that count as they leave: their time on the way to the counter may vary by this.
_LEAVING_GUARD_SECONDS: Final = 0.03

# How long another program's use counts: few answers come at the moment in which two of its bursts count.
_OTHER_CLIENTS_SECONDS: Final = 10 * WINDOW_SECONDS
# A small use counts for one window until answers have shown it for this long. A mistake is shorter: this process stood
# still, and read some answers late.
_OTHER_CLIENTS_SURE_SECONDS: Final = 0.3
# Headroom for other clients, as a share of what they use. If a program sends a third of the limit at once at each end
# of a window, two bursts count for a moment: with a headroom of a quarter, 2 % of all requests were its 429s.
_HEADROOM: Final = 0.6
# Less than this share of the limit is noise: requests in flight, or counted at both ends of a window.
_OTHER_CLIENTS_NOISE: Final = 0.04
# More of it is noise while the guesses do not explain the answers well; never more than this share.
_NOISE_DEVIATIONS: Final = 2.5
_NOISE_MAX: Final = 0.15
# The client uses at least this share of the limit, even if others use more.
_FLOOR: Final = 0.1
# A third of a window may leave at once, so that little work is done quickly; after that there is a little time between
# two requests, so that other programs get their share.
_BURST: Final = 1 / 3
_SPACING: Final = 0.2
# Even spacing beside other clients: requests only at the start of a window never show what others use at its end.
_SPACING_BESIDE_OTHERS: Final = 0.95
# The widest guard (the rate is then half of the allowed one), and the guard after a first 429.
_MAX_GUARD_SECONDS: Final = WINDOW_SECONDS
_GUARD_SECONDS_AFTER_429: Final = 0.03
# The part of a wider guard that remains after a window without a 429: half of it after 70 s.
_NARROWING: Final = 0.97
# 429s with less time between them are in a row.
_IN_A_ROW_SECONDS: Final = 5 * WINDOW_SECONDS
# Answers until it is known where upstream's counter is, the weight of a new one, and how much better the guess must be.
_ANSWERS_TO_LEARN: Final = 60
_LEARNING: Final = 0.02
_CLEARLY_BETTER: Final = 0.3
_UNPROVEN: Final = 10.0  # the variance of a guess that has explained nothing yet
_LIMIT_RANGE: Final = range(1, 100_001)
_MAX_BLOCK_SECONDS: Final = 3600.0
# How long a 429 without a reset blocks, by the number of 429s in a row.
_PAUSES: Final = Backoff(1.0, 30.0)
_DELETE_AT_ONCE: Final = 64


@dataclass(slots=True, eq=False)
class Slot:
    """Permission to send one request.

    `sent_at` is None until it has left. `over_at` is when its answer began, or when it was given up; None: not yet.
    """

    granted_at: float
    sent_at: float | None = None
    over_at: float | None = None


@dataclass(slots=True)
class _Guess:
    """How well a guess of when upstream counts explains its answers: the variance of the unexplained rest."""

    mean: float = 0.0
    variance: float = 1.0

    def add(self, unexplained: float) -> None:
        self.mean += _LEARNING * (unexplained - self.mean)
        self.variance += _LEARNING * ((unexplained - self.mean) ** 2 - self.variance)

    @property
    def deviation(self) -> float:
        return math.sqrt(self.variance)


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
        self._share = 1.0
        self._steady_guard = self._guard = guard
        self._guard_at = -math.inf
        self._pending = 0  # granted and not yet sent
        self._flying = 0  # granted, and neither answered nor given up
        self._sent: list[float] = []  # when requests left; rises
        self._back: list[float] = []  # when their answers came; rises
        self._shortest_way = math.inf
        self._granted_at = -math.inf
        self._newest: tuple[float, float, int] | None = None  # of the answer to what left last: left, back, remaining
        self._leaving, self._arriving = _Guess(variance=_UNPROVEN), _Guess()
        self._answers = 0
        self._others: list[tuple[float, int]] = []  # (until when it counts, how many requests of a window others sent)
        self._shown_since = -math.inf  # the first answer of the last window that showed others
        self._blocked_until = 0.0
        self._episode = 0  # 429s in a row, those of one moment counted once

    @property
    def limit(self) -> int:
        """The requests in 3 s that upstream, or the ceiling, allows to all clients together."""
        return self._announced if self._ceiling is None else min(self._announced, self._ceiling)

    @property
    def share(self) -> float:
        """The part of `limit` that this client uses; the rest is for other processes with the same token."""
        return self._share

    @share.setter
    def share(self, share: float) -> None:
        if not 0.0 < share <= 1.0:
            raise ValueError(f"a share of the rate limit is above 0 and at most 1, not {share}")
        self._share = share

    @property
    def counts_on_leaving(self) -> bool:
        """Whether the answers show that upstream counts a request when it leaves, rather than when its answer comes."""
        learnt = self._answers >= _ANSWERS_TO_LEARN
        return learnt and self._leaving.variance < _CLEARLY_BETTER * self._arriving.variance

    def blocked(self, now: float) -> float:
        """Return the seconds for which a 429 still blocks all requests, or 0."""
        return max(0.0, self._blocked_until - now)

    def budget(self, now: float) -> int:
        """Return the requests in 3 s that this client allows itself now."""
        budget = self._announced
        if others := self._others_now(now):
            budget -= others + max(2, round(others * _HEADROOM))
        floor = max(1, int(self._announced * _FLOOR))
        return min(max(1, int(self.limit * self._share)), max(floor, budget))

    def wait(self, now: float) -> float:
        """Return the seconds until the next request may leave; infinity: an answer has to come first."""
        if blocked := self.blocked(now):
            return blocked
        self._narrow(now)
        budget = self.budget(now)
        used, frees_at = self._places(now, budget)
        if used >= budget and not self._remains(now, budget):
            return frees_at - now
        return max(0.0, self._granted_at + self._space(used, budget) - now)

    def grant(self, now: float) -> Slot:
        """Grant one request. Call it only if `wait` is 0."""
        self._pending += 1
        self._flying += 1
        self._granted_at = now
        return Slot(now)

    def sent(self, slot: Slot, now: float) -> None:
        """Record that the request has left; repeated calls count once."""
        if slot.sent_at is None:
            slot.sent_at = now
            self._pending -= 1
            self._sent.append(now)

    def unsent(self, slot: Slot) -> None:
        """Record that the request never left, unless it did."""
        if slot.sent_at is None:
            slot.sent_at = slot.granted_at
            self._pending -= 1
            self._end(slot, slot.granted_at)

    def answered(self, slot: Slot, now: float, *, limit: int | None = None, remaining: int | None = None) -> None:
        """Use the limit and the remaining requests in an answer."""
        self.over(slot, now)
        if limit is not None and limit in _LIMIT_RANGE:
            self._announced = limit
        left, back = slot.sent_at, slot.over_at
        if remaining is None or left is None or back is None or remaining < 0:
            return
        self._shortest_way = min(self._shortest_way, back - left)
        if self._newest is None or left >= self._newest[0]:
            self._newest = (left, back, remaining)
        used = self._announced - remaining
        leaving, arriving = self._learn(left, back, used)
        # Others are there if upstream counted more than either guess explains; how many, by the better one.
        best, ours = min((self._leaving, leaving), (self._arriving, arriving), key=lambda guess: guess[0].variance)
        noise = min(_NOISE_DEVIATIONS * best.deviation, _NOISE_MAX * self._announced)
        if used - max(leaving, arriving) > max(noise, _OTHER_CLIENTS_NOISE * self._announced):
            self._show_others(now, used - ours)

    def over(self, slot: Slot, now: float) -> None:
        """Record that the answer began or never will: upstream has counted the request. Repeated calls count once."""
        if slot.over_at is None:
            self._end(slot, now)
            self._back.append(now)
            self._delete_old(now)

    def throttled(self, slot: Slot, now: float, *, reset: float | None = None) -> float:
        """Block all requests after a 429 until upstream's reset; return for how many seconds."""
        first_of_episode = slot.sent_at is None or slot.sent_at >= self._blocked_until
        if first_of_episode:
            self._episode = self._episode + 1 if now < self._blocked_until + _IN_A_ROW_SECONDS else 1
            self._narrow(now)
            self._guard = min(max(2 * self._guard, _GUARD_SECONDS_AFTER_429), _MAX_GUARD_SECONDS)
            self._guard_at = now
        pause = _PAUSES.delay(self._episode) if reset is None else min(max(reset, 0.0), _MAX_BLOCK_SECONDS)
        self._blocked_until = max(self._blocked_until, now + pause + self._steady_guard)
        return self.blocked(now)

    def _places(self, now: float, budget: int) -> tuple[int, float]:
        """Return how many places of a sliding window may be taken, and when one is free (infinity: not known)."""
        if self.counts_on_leaving:
            times, uncertain = self._sent, self._pending
            stay = WINDOW_SECONDS + max(self._guard, _LEAVING_GUARD_SECONDS)
        else:
            times, uncertain = self._back, self._flying
            stay = WINDOW_SECONDS + self._guard - (0.0 if math.isinf(self._shortest_way) else self._shortest_way)
        first = bisect_right(times, now - stay)
        taken = len(times) - first
        excess = taken + uncertain - budget
        if excess < 0:
            return taken + uncertain, now
        return taken + uncertain, times[first + excess] + stay if excess < taken else math.inf

    def _remains(self, now: float, budget: int) -> bool:
        """Return whether the newest answer shows room for one more, even if upstream counted all that came since."""
        if self._newest is None or budget < self._announced:  # with others or a ceiling, not all is for this client
            return False
        left, back, remaining = self._newest
        if back <= now - WINDOW_SECONDS:
            return False
        # What came back before that request left was counted before it.
        counted_since = len(self._back) - bisect_left(self._back, left) - 1 + self._flying
        return counted_since < remaining

    def _learn(self, left: float, back: float, used: int) -> tuple[int, int]:
        """Compare an answer with two guesses: requests count as they leave, or as their answers begin.

        Return how many of its own requests upstream has counted, by each guess.
        """
        self._answers += 1
        leaving = bisect_right(self._sent, left) - bisect_right(self._sent, left - WINDOW_SECONDS)
        arriving = len(self._back) - bisect_right(self._back, back - WINDOW_SECONDS)
        self._leaving.add(used - leaving)
        self._arriving.add(used - arriving)
        return leaving, arriving

    def _show_others(self, now: float, others: int) -> None:
        """Record how many of the last window's requests were from others."""
        if now - self._shown_since > WINDOW_SECONDS:
            self._shown_since = now
        is_sure = others > _NOISE_MAX * self._announced or now - self._shown_since >= _OTHER_CLIENTS_SURE_SECONDS
        until = now + (_OTHER_CLIENTS_SECONDS if is_sure else WINDOW_SECONDS)
        if self._others:
            until = max(until, self._others[-1][0])
        while self._others and self._others[-1][1] <= others:  # so that the first is always the largest
            del self._others[-1]
        self._others.append((until, others))

    def _end(self, slot: Slot, now: float) -> None:
        slot.over_at = now
        self._flying -= 1

    def _space(self, used: int, budget: int) -> float:
        """Return the seconds between two requests if there is room for both."""
        if self._others:
            return WINDOW_SECONDS / budget * _SPACING_BESIDE_OTHERS
        return WINDOW_SECONDS / budget * _SPACING if used > budget * _BURST else 0.0

    def _narrow(self, now: float) -> None:
        """Narrow a widened guard by a part for each window without a 429."""
        if self._guard > self._steady_guard:
            windows = max(0.0, now - max(self._guard_at, self._blocked_until)) / WINDOW_SECONDS
            self._guard = self._steady_guard + (self._guard - self._steady_guard) * _NARROWING**windows
            self._guard_at = now

    def _others_now(self, now: float) -> int:
        """Return the maximum that others used in a window lately."""
        while self._others and self._others[0][0] < now:
            del self._others[0]
        return self._others[0][1] if self._others else 0

    def _delete_old(self, now: float) -> None:
        for times in (self._back, self._sent):
            if (old := bisect_right(times, now - 2 * WINDOW_SECONDS - 1.0)) > _DELETE_AT_ONCE:
                del times[:old]
