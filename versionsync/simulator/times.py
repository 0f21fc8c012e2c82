"""Times as DatoCMS writes and reads them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from versionsync.simulator.problems import Refused
from versionsync.simulator.switches import Switches

__all__ = ["parse_time", "show_time"]

_OFFSET_LENGTH: Final = len("+00:00")


def show_time(at: datetime, switches: Switches) -> str:
    """*at* as an answer shows it: whole seconds or milliseconds, `Z` or an offset."""
    text = at.isoformat(timespec="milliseconds" if switches.milliseconds else "seconds")
    return text if switches.times_with_offset else text[:-_OFFSET_LENGTH] + "Z"


def parse_time(text: str) -> datetime:
    """The time that a request means; without an offset it is UTC. Raises Refused (422)."""
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        raise Refused("INVALID_DATE", details={"value": text}) from None
    return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)
