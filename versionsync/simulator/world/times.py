"""Times as DatoCMS writes and reads them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from versionsync.simulator.errors import ApiError, invalid_field

__all__ = ["TimeFormat", "parse_time", "zone_named"]

_NAMES_OF_UTC: Final = frozenset({"UTC", "Etc/UTC"})
_OFFSET_LENGTH: Final = len("+00:00")


@dataclass(frozen=True, slots=True)
class TimeFormat:
    """The form in which answers print times. It changes their text, never the instant."""

    zone: tzinfo = UTC
    """The project's time zone: times are printed with its offset."""
    milliseconds: bool = False
    """Print milliseconds; otherwise whole seconds."""
    utc_with_offset: bool = False
    """Print `+00:00` in UTC rather than `Z`."""

    def show(self, at: datetime) -> str:
        """Return *at* as an answer prints it."""
        text = at.astimezone(self.zone).isoformat(timespec="milliseconds" if self.milliseconds else "seconds")
        return text[:-_OFFSET_LENGTH] + "Z" if self.zone is UTC and not self.utc_with_offset else text


@lru_cache(maxsize=64)
def zone_named(name: str) -> tzinfo:
    """Return the time zone called *name*. Raises Refused (422)."""
    if name in _NAMES_OF_UTC:
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise invalid_field("timezone", "VALIDATION_INCLUSION", value=name) from None


def parse_time(text: str) -> datetime:
    """The time that a request means; without an offset it is UTC. Raises Refused (422)."""
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        raise ApiError("INVALID_DATE", details={"value": text}) from None
    return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)
