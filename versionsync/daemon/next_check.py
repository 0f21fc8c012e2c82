"""When to check a source next. Pure.

A project that was just edited is probably edited again soon; one that was quiet for an hour can wait some minutes. The
interval is therefore 10 % of the quiet time: a change is seen after a tenth of the pause before it, and a whole night
costs only a few checks more than an hour does. Nights and weekends need no setting.

A failure is tried again soon at first and then less often. Every wait has some randomness, so that sources that failed
together do not come back together.
"""

from __future__ import annotations

from datetime import timedelta
from random import Random
from typing import Final

from versionsync.backoff import Backoff
from versionsync.errors import ErrorKind
from versionsync.text import span

__all__ = [
    "BUSY_SECONDS",
    "HELD_SECONDS",
    "MIN_INTERVAL_SECONDS",
    "QUIET_SHARE",
    "RETRIES",
    "next_check",
    "next_poll",
    "reason",
    "retry_wait",
]

MIN_INTERVAL_SECONDS: Final = 10.0
"""The shortest interval between checks of a busy project, unless `max_staleness` is shorter."""
QUIET_SHARE: Final = 0.1
"""The share of the quiet time after which the next check comes."""
BUSY_SECONDS: Final = 60.0
"""For this long after a change the log of webhook calls is read as often as allowed; then less and less often."""
HELD_SECONDS: Final = 5.0
"""The wait while another process writes to the source: a fraction of the time for a lease."""

RETRIES: Final[dict[ErrorKind, Backoff]] = {
    ErrorKind.UNAVAILABLE: Backoff(5, 120),
    ErrorKind.STALLED: Backoff(5, 120),
    ErrorKind.DATABASE: Backoff(2, 30),
    ErrorKind.UNEXPECTED: Backoff(5, 120),
    # Usually one bad response. A record that keeps failing is requested in every attempt, so these end far apart.
    ErrorKind.PARTIAL: Backoff(3, 300),
    ErrorKind.UNKNOWN_RECORD: Backoff(3, 300),
    # These do not pass by themselves within seconds, and each attempt may cost a sweep.
    ErrorKind.REFUSED: Backoff(30, 300),
    ErrorKind.CONFIGURATION: Backoff(30, 300),
    ErrorKind.MASS_DELETE: Backoff(30, 300),
    ErrorKind.BUDGET: Backoff(60, 300),
    ErrorKind.LOCKED: Backoff(30, 300),
}


def next_check(*, quiet_seconds: float, max_staleness: float) -> float:
    """Return the seconds until the next check of a source that has not changed for `quiet_seconds`."""
    shortest = min(MIN_INTERVAL_SECONDS, max_staleness)
    return min(max(quiet_seconds * QUIET_SHARE, shortest), max_staleness)


def reason(*, quiet_seconds: float, has_changed: bool) -> str:
    """Return the reason for `next_check`. `has_changed` is whether a change was found since the start."""
    if quiet_seconds < MIN_INTERVAL_SECONDS:
        return "something has just changed" if has_changed else "the daemon has just started"
    return f"nothing has changed for {span(timedelta(seconds=quiet_seconds))}"


def next_poll(*, quiet_seconds: float, shortest: float) -> float:
    """Return the seconds until the next poll of the log of webhook calls, at least `shortest`."""
    return shortest * max(quiet_seconds / BUSY_SECONDS, 1.0)


def retry_wait(kind: ErrorKind, failures: int, *, random: Random) -> float:
    """Return the seconds until the next attempt after `failures` in a row, at least 1."""
    return RETRIES[kind].delay(failures, random)
