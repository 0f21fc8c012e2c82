"""Upstream's rate limit in two interpretations, and its headers in an answer."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from typing import Protocol

WINDOW = 3.0


@dataclass(frozen=True)
class Verdict:
    """What upstream says to one request: accepted or not, how many are left, seconds until it is worth trying."""

    accepted: bool
    remaining: int
    reset: int


class Limiter(Protocol):
    """Counts what arrives."""

    limit: int

    def hit(self, now: float) -> Verdict: ...


@dataclass
class Sliding:
    """Never more than `limit` in any 3 seconds."""

    limit: int = 60
    arrivals: deque[float] = field(default_factory=deque)

    def hit(self, now: float) -> Verdict:
        while self.arrivals and self.arrivals[0] <= now - WINDOW:
            self.arrivals.popleft()
        if len(self.arrivals) >= self.limit:
            return Verdict(False, 0, max(1, math.ceil(self.arrivals[0] + WINDOW - now)))
        self.arrivals.append(now)
        return Verdict(True, self.limit - len(self.arrivals), 0)


@dataclass
class Fixed:
    """Never more than `limit` between two multiples of 3 seconds."""

    limit: int = 60
    window: int = -1
    count: int = 0

    def hit(self, now: float) -> Verdict:
        window = int(now // WINDOW)
        if window != self.window:
            self.window, self.count = window, 0
        if self.count >= self.limit:
            return Verdict(False, 0, max(1, math.ceil((window + 1) * WINDOW - now)))
        self.count += 1
        return Verdict(True, self.limit - self.count, 0)
