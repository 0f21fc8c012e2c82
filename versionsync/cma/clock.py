"""Upstream's clock against ours, from the `Date` headers: pure."""

from __future__ import annotations

from datetime import datetime

__all__ = ["ClockOffset"]


class ClockOffset:
    """Narrows down how far upstream's clock is ahead of ours.

    A `Date` of 10:00:05 means that it was between 10:00:05 and 10:00:06 there, at some moment between sending and
    receiving here. Each answer bounds the offset from both sides; the bounds of many answers meet within milliseconds.
    """

    def __init__(self) -> None:
        self._low = float("-inf")
        self._high = float("inf")

    def observe(self, date: datetime, *, sent_at: float, received_at: float) -> None:
        """One answer: `sent_at` and `received_at` are ours, in seconds since the epoch."""
        low = date.timestamp() - received_at
        high = date.timestamp() + 1.0 - sent_at
        if low > high:  # our own clock was set while the request was under way
            return
        if max(low, self._low) <= min(high, self._high):
            self._low, self._high = max(low, self._low), min(high, self._high)
        else:  # one of the clocks was set, or drifted: what was known before is over
            self._low, self._high = low, high

    @property
    def seconds(self) -> float | None:
        """Upstream's time minus ours; None until an answer told."""
        return None if self._low == float("-inf") else (self._low + self._high) / 2
