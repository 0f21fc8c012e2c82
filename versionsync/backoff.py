"""Capped exponential backoff with jitter: how long to wait before the next attempt after failures in a row. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Final

__all__ = ["Backoff"]

_MAX_DOUBLINGS: Final = 30
"""A float overflows at 2 ** 1024, and a year of failures is more than that."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """Delays that double from `first` to `maximum`.

    Attributes:
        first: Seconds after the first failure.
        maximum: The longest delay in seconds.
        min_jitter: The shortest share of a delay that may be drawn. Clients that failed together then come back at
            different times. 1.0 draws nothing.
    """

    first: float
    maximum: float
    min_jitter: float = 0.5

    def delay(self, failures: int, random: Random | None = None) -> float:
        """Return the seconds to wait after `failures` in a row, at least 1. Without `random` there is no jitter."""
        seconds = min(self.first * 2.0 ** min(max(failures - 1, 0), _MAX_DOUBLINGS), self.maximum)
        return seconds if random is None else seconds * random.uniform(self.min_jitter, 1.0)
