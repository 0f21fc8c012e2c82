"""When to look next. Pure: how long nothing has happened goes in, seconds come out.

A project that was just edited is probably edited again soon; one that was quiet for an hour can wait some minutes. So
the next look comes after a tenth of the time for which nothing has changed: what is new is then seen after a tenth of
the pause before it, and a whole night costs a few looks more than an hour does. Nights and weekends need no setting.

A failure is tried again soon at first and then less often, up to a limit that never moves. Every wait has some
randomness in it: those who failed together shall not come back together.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Final

from versionsync.errors import ErrorKind

__all__ = [
    "BUSY_SECONDS",
    "HELD_SECONDS",
    "MIN_INTERVAL_SECONDS",
    "QUIET_SHARE",
    "STANDBY_SECONDS",
    "Retry",
    "next_check",
    "next_poll",
    "reason",
    "retry_wait",
]

SHOWN_IN_SECONDS_UNTIL: Final = 120.0
"""A longer time is told in minutes."""

MIN_INTERVAL_SECONDS: Final = 10.0
"""However busy a project is, it is not looked at more often, unless it must be fresher than that."""

QUIET_SHARE: Final = 0.1
"""The next look comes after this share of the time for which nothing has changed."""
BUSY_SECONDS: Final = 60.0
"""So long after a change the log of webhook calls is read as often as it may; then less and less often."""
MIN_JITTER: Final = 0.5

HELD_SECONDS: Final = 5.0
"""How soon a source is tried again to which another process is writing; a fraction of the time for a lease."""

STANDBY_SECONDS: Final = 5.0
"""How often one that stands by looks whether the other one is still there. It asks the database alone."""


@dataclass(frozen=True, slots=True)
class Retry:
    """Seconds to the first try after a failure; each further failure doubles them, up to `most`."""

    first: float
    maximum: float


RETRIES: Final[dict[ErrorKind, Retry]] = {
    ErrorKind.UNAVAILABLE: Retry(5, 120),
    ErrorKind.STALLED: Retry(5, 120),
    ErrorKind.DATABASE: Retry(2, 30),
    ErrorKind.UNEXPECTED: Retry(5, 120),
    # Mostly one answer that came wrong; what does not pass is asked for with every try, so these end up far apart.
    ErrorKind.PARTIAL: Retry(3, 300),
    ErrorKind.UNKNOWN_RECORD: Retry(3, 300),
    # These do not pass by themselves within seconds, and each try may cost a sweep.
    ErrorKind.REFUSED: Retry(30, 300),
    ErrorKind.CONFIGURATION: Retry(30, 300),
    ErrorKind.MASS_DELETE: Retry(30, 300),
    ErrorKind.BUDGET: Retry(60, 300),
    ErrorKind.LOCKED: Retry(30, 300),
}


def next_check(*, quiet_seconds: float, max_staleness: float) -> float:
    """Seconds until the next look at a source in which nothing has changed for `quiet_seconds`."""
    quickest = min(MIN_INTERVAL_SECONDS, max_staleness)
    return min(max(quiet_seconds * QUIET_SHARE, quickest), max_staleness)


def reason(*, quiet_seconds: float, has_changed: bool) -> str:
    """Why `next_look` says so. `has_changed`: a change was seen since the start; otherwise that is what is recent."""
    if quiet_seconds < MIN_INTERVAL_SECONDS:
        return "something has just changed" if has_changed else "the daemon has just started"
    told_in_seconds = quiet_seconds < SHOWN_IN_SECONDS_UNTIL
    span = f"{quiet_seconds:.0f} s" if told_in_seconds else f"{quiet_seconds / 60:.0f} minutes"
    return f"nothing has changed for {span}"


def next_poll(*, quiet_seconds: float, quickest: float) -> float:
    """Seconds until the log of webhook calls is read again, `quickest` ones at the least."""
    return quickest * max(quiet_seconds / BUSY_SECONDS, 1.0)


def retry_wait(trouble: ErrorKind, failures: int, *, random: Random) -> float:
    """Seconds until the next try after `failures` in a row, at least 1; up to half of the wait is left to chance."""
    retry = RETRIES[trouble]
    doublings = min(failures - 1, 16)  # a float has an end, the failures of a year have not
    return min(retry.first * 2.0**doublings, retry.maximum) * random.uniform(MIN_JITTER, 1.0)
