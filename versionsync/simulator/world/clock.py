"""The simulator's only source of time: running beside the real clock, or standing still until it is moved.

Tests stop it, so that acts fall in the same second on purpose; demonstrations let it run, ahead or behind as they like.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

__all__ = ["DEFAULT_START", "Clock"]

DEFAULT_START: Final = datetime(2026, 9, 1, 9, 0, tzinfo=UTC)
"""Where a stopped clock starts when nobody says otherwise: after intervals of publication are tracked."""


class Clock:
    """A clock that can be read, moved and stopped; always aware UTC."""

    __slots__ = ("_offset", "_stopped_at")

    def __init__(self, start: datetime | None = None, *, stopped: bool = False) -> None:
        """Begin at *start* (a running clock: now; a stopped one: `DEFAULT_START`)."""
        self._offset = timedelta(0)
        self._stopped_at: datetime | None = _utc(start or DEFAULT_START) if stopped else None
        if start is not None and not stopped:
            self.set(start)

    @classmethod
    def stopped(cls, at: datetime | None = None) -> Clock:
        """A clock that stands at *at* until it is moved."""
        return cls(at, stopped=True)

    @property
    def is_stopped(self) -> bool:
        """Whether time passes only when somebody moves this clock."""
        return self._stopped_at is not None

    def now(self) -> datetime:
        """The time, UTC, with microseconds."""
        if self._stopped_at is not None:
            return self._stopped_at
        return datetime.now(UTC) + self._offset

    def set(self, at: datetime) -> None:
        """Move the clock to *at*, forward or back; it goes on running, or standing, from there."""
        at = _utc(at)
        if self._stopped_at is not None:
            self._stopped_at = at
        else:
            self._offset = at - datetime.now(UTC)

    def advance(self, by: timedelta) -> datetime:
        """Move the clock by *by* (negative: back) and return the new time."""
        self.set(self.now() + by)
        return self.now()

    def stop(self) -> None:
        """Let time stand still from now on."""
        self._stopped_at = self.now()

    def run(self) -> None:
        """Let time pass from the present reading on."""
        if self._stopped_at is not None:
            self._offset, self._stopped_at = self._stopped_at - datetime.now(UTC), None


def _utc(at: datetime) -> datetime:
    if at.tzinfo is None:
        raise ValueError(f"{at.isoformat()} has no time zone; the simulator's clock wants an aware time")
    return at.astimezone(UTC)
