"""DatoCMS's times, in all their forms, as aware UTC datetimes.

Projects differ: `2026-03-01T10:00:00Z`, `…:00.123Z`, `…+01:00`, `…+0100`, and in old ones without an offset, which
means UTC. Microseconds are kept; finer digits are cut off.
"""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache

__all__ = ["http_date", "parse_time"]


def parse_time(text: str) -> datetime:
    """Return an ISO 8601 date-time as an aware UTC datetime. Raise ValueError for anything else, also for a date."""
    if text.endswith(" UTC"):  # the default format of Rails
        text = text[:-4] + "Z"
    if len(text) < len("2026-03-01T10"):  # fromisoformat reads a date as midnight
        raise ValueError("expected a date-time")
    try:
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("expected a date-time") from None


@lru_cache(maxsize=16)  # many answers come within one second
def http_date(value: str | None) -> datetime | None:
    """Return the `Date` header as an aware UTC datetime, or None if it is missing or invalid."""
    if not value:
        return None
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
