"""DatoCMS's times, in every form in which they come, as aware UTC datetimes.

Projects differ: `2026-03-01T10:00:00Z`, `…:00.123Z`, `…+01:00`, `…+0100`, and in old ones without any offset, which
then means UTC. Microseconds are kept; finer digits than a datetime can hold are cut off.
"""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

__all__ = ["http_date", "parse_time"]


def parse_time(text: str) -> datetime:
    """An ISO 8601 date-time as an aware UTC datetime; ValueError when it is none (a date alone is none)."""
    if text.endswith(" UTC"):  # how Rails prints a time that nobody formatted
        text = text[:-4] + "Z"
    if len(text) < len("2026-03-01T10"):  # fromisoformat takes a date alone for midnight
        raise ValueError("expected a date-time")
    try:
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("expected a date-time") from None


def http_date(value: str | None) -> datetime | None:
    """The `Date` header as an aware UTC datetime, None when there is none that can be read."""
    if not value:
        return None
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
