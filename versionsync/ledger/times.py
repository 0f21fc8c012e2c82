"""Times as the mirror keeps them: UTC, microseconds, one width, so that the order of texts is the order of times."""

from __future__ import annotations

from datetime import UTC, datetime

__all__ = ["format_time", "parse_time"]


def format_time(time: datetime) -> str:
    """`time` (aware) as 27 characters, `2026-03-01T10:00:00.000000Z`.

    Raises ValueError for a time without a zone: it could mean any of 24 hours.
    """
    if time.tzinfo is None:
        raise ValueError("a time without a zone has no place in the mirror")
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ").rjust(27, "0")


def parse_time(text: str) -> datetime:
    """The time that `format_time` wrote as `text`. Raises ValueError for anything else that has no zone."""
    time = datetime.fromisoformat(text)
    if time.tzinfo is None:
        raise ValueError(f"a time without a zone has no place in the mirror: {text!r}")
    return time.astimezone(UTC)
