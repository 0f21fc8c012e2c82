"""The rate limit: a number of requests in some seconds of real time, independent of the simulator's clock."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, replace
from typing import Final, Literal

__all__ = ["Allowance", "RateLimit"]

DEFAULT_LIMIT: Final = 60
WINDOW_SECONDS: Final = 3.0


@dataclass(frozen=True, slots=True)
class Allowance:
    """Whether a request is allowed, and what the answer's headers say about the next ones."""

    limit: int
    remaining: int
    reset_seconds: int | None = None
    """If the request is refused: whole seconds, at least one, until another is allowed."""

    @property
    def is_refused(self) -> bool:
        return self.reset_seconds is not None

    def headers(self) -> dict[str, str]:
        headers = {"X-RateLimit-Limit": str(self.limit), "X-RateLimit-Remaining": str(self.remaining)}
        if self.reset_seconds is not None:
            headers["X-RateLimit-Reset"] = str(self.reset_seconds)
        return headers


@dataclass(eq=False)
class RateLimit:
    """Counts the requests of each token (or of the whole project) in sliding or fixed windows."""

    limit: int = DEFAULT_LIMIT
    _: KW_ONLY
    window_seconds: float = WINDOW_SECONDS
    windows: Literal["sliding", "fixed"] = "sliding"
    scope: Literal["token", "project"] = "token"
    monotonic: Callable[[], float] = time.monotonic

    def __post_init__(self) -> None:
        self.refused = 0
        """The number of refused requests."""
        self._uses: dict[str, deque[float]] = {}
        self._reserved: deque[float] = deque()

    def without_state(self) -> RateLimit:
        """Return the same limit with nothing counted."""
        return replace(self)

    def take(self, token: str) -> Allowance:
        """Count a request of *token*, unless its window is full."""
        now = self.monotonic()
        uses = self._uses.setdefault(token if self.scope == "token" else "", deque())
        start = self._window_start(now)
        for queue in (uses, self._reserved):
            while queue and queue[0] <= start:
                queue.popleft()
        used = len(uses) + len(self._reserved)
        if used >= self.limit:
            self.refused += 1
            oldest = min(queue[0] for queue in (uses, self._reserved) if queue)
            end = oldest + self.window_seconds if self.windows == "sliding" else start + self.window_seconds
            return Allowance(self.limit, 0, max(1, math.ceil(end - now)))
        uses.append(now)
        return Allowance(self.limit, self.limit - used - 1)

    def reserve(self, requests: int) -> None:
        """Count *requests* of another program in the current window of every token."""
        self._reserved.extend([self.monotonic()] * requests)

    def _window_start(self, now: float) -> float:
        if self.windows == "sliding":
            return now - self.window_seconds
        # A request at the very start of a fixed window belongs to it.
        return math.nextafter(now // self.window_seconds * self.window_seconds, -math.inf)
