"""Times as the mirror keeps them, and when two times are the same instant.

The mirror keeps UTC, microseconds, one width, so that the order of texts is the order of times.

DatoCMS prints times in whole seconds or in milliseconds, and in the project's time zone. Both settings can change at
any time, and then every time is printed in another form. Two printings of one instant are therefore compared at the
coarser of their precisions. Upstream cuts finer digits off, it does not round.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple

__all__ = [
    "TimeText",
    "cut",
    "format_time",
    "is_before",
    "parse_time",
    "precision",
    "read_time",
    "same_instant",
    "same_time_text",
    "same_wall_clock",
]

_SECOND = 1_000_000
_MILLISECOND = 1_000
_NO_OFFSET = timedelta(0)

_TIME_TEXT = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[T ]([0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.([0-9]{1,30}))?"
    r"(?:Z| UTC|([+-][0-9]{2}):?([0-9]{2}))?"
)


def format_time(time: datetime) -> str:
    """`time` (aware) as 27 characters, `2026-03-01T10:00:00.000000Z`.

    Raises ValueError for a time without a zone: it could mean any of 24 hours.
    """
    if time.tzinfo is None:
        raise ValueError("a time without a zone has no place in the mirror")
    return time.astimezone(UTC).isoformat(timespec="microseconds")[:26] + "Z"


def parse_time(text: str) -> datetime:
    """The time that `format_time` wrote as `text`. Raises ValueError for anything else that has no zone."""
    time = datetime.fromisoformat(text)
    if time.tzinfo is None:
        raise ValueError(f"a time without a zone has no place in the mirror: {text!r}")
    return time if time.tzinfo is UTC else time.astimezone(UTC)


def same_instant(a: datetime | None, b: datetime | None) -> bool:
    """Return whether two times are equal at the coarser of their precisions; None is the same only as None.

    A time has the precision of whole seconds if its microseconds are 0, of milliseconds if they are a multiple of
    1,000, else of microseconds. One time in a thousand of a project with milliseconds ends in `.000` and is compared
    as a whole second: within that second it is equal to its neighbours.
    """
    if a is None or b is None:
        return a is b
    if a == b:
        return True
    units = _unit(a), _unit(b)
    return units[0] != units[1] and cut(a, max(units)) == cut(b, max(units))


def is_before(a: datetime, b: datetime) -> bool:
    """Return whether `a` is earlier than `b` and not the same instant."""
    return a < b and not same_instant(a, b)


def precision(times: Iterable[datetime | None]) -> int:
    """Return the coarsest precision of some times, in microseconds; of no time at all that of microseconds."""
    coarsest = 1
    for time in times:
        if time is not None and (unit := _unit(time)) > coarsest:
            coarsest = unit
            if unit == _SECOND:
                break
    return coarsest


def cut(time: datetime, unit: int) -> datetime:
    """Return `time` without what is finer than `unit` microseconds (at most a second)."""
    rest = time.microsecond % unit
    return time.replace(microsecond=time.microsecond - rest) if rest else time


class TimeText(NamedTuple):
    """A date-time as upstream printed it.

    `second` is its instant in UTC, cut to whole seconds, and `fraction` the digits after the point. `wall_clock` is
    the date and time of day as printed, `offset` the printed distance from UTC (none printed: UTC).
    """

    second: datetime
    fraction: str
    wall_clock: str
    offset: timedelta


@lru_cache(maxsize=4096)
def read_time(text: str) -> TimeText | None:
    """Read a date-time in any of the forms in which upstream prints one, or return None.

    The forms are `2026-03-01T10:00:00Z`, with a fraction, with `+02:00` or `+0200`, without an offset (then it is
    UTC), and `2026-03-01 10:00:00 UTC`. A date alone is none.
    """
    match = _TIME_TEXT.fullmatch(text)
    if match is None:
        return None
    day, clock, fraction, hours, minutes = match.groups()
    try:
        offset = timedelta(hours=int(hours), minutes=int(hours[0] + minutes)) if hours else _NO_OFFSET
        second = datetime.fromisoformat(f"{day}T{clock}").replace(tzinfo=UTC) - offset
    except (ValueError, OverflowError):
        return None
    return TimeText(second, fraction or "", f"{day}T{clock}", offset)


def same_time_text(a: TimeText, b: TimeText) -> bool:
    """Return whether two printed date-times are one instant, at the coarser of their precisions."""
    return a.second == b.second and _same_fraction(a, b)


def same_wall_clock(a: TimeText, b: TimeText) -> bool:
    """Return whether two printed date-times show the same date and time of day, in two zones."""
    return a.wall_clock == b.wall_clock and a.offset != b.offset and _same_fraction(a, b)


def _same_fraction(a: TimeText, b: TimeText) -> bool:
    digits = min(len(a.fraction), len(b.fraction))
    return a.fraction[:digits] == b.fraction[:digits]


def _unit(time: datetime) -> int:
    """The precision of `time` in microseconds."""
    if time.microsecond == 0:
        return _SECOND
    return 1 if time.microsecond % _MILLISECOND else _MILLISECOND
