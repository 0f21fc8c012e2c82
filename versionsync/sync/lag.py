"""How long new versions took from upstream's clock to the mirror: a histogram, of one size however many come."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field
from typing import Final

__all__ = ["LAG_SECONDS", "Lag"]

LAG_SECONDS: Final = (0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0, 6 * 3600.0, 86_400.0)
"""The upper ends of its classes; what took longer is in one more."""


@dataclass(slots=True)
class Lag:
    """`numbers`: how many versions are in each class. Clocks may differ: less than nothing counts as nothing."""

    numbers: list[int] = field(default_factory=lambda: [0] * (len(LAG_SECONDS) + 1))
    seconds: float = 0.0

    def observe(self, seconds: float) -> None:
        """One more version, that took so long."""
        seconds = max(seconds, 0.0)
        self.numbers[bisect_left(LAG_SECONDS, seconds)] += 1
        self.seconds += seconds

    def add(self, other: Lag) -> None:
        """Count what the other one has counted."""
        self.numbers = [mine + theirs for mine, theirs in zip(self.numbers, other.numbers, strict=True)]
        self.seconds += other.seconds
