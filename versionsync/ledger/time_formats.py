"""In which form a project prints its times, and when that changed. Pure.

Upstream prints every time in the project's time zone, in whole seconds or in milliseconds. The zone is an attribute of
the project. The precision is recognised from the texts: `precision_of` gives that of a record's fingerprint.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from versionsync.ledger.content import precision_of
from versionsync.ledger.events import Event, EventType, JsonValue, observed_event

__all__ = ["TimeFormat", "finer", "finest_precision", "plan_format_change"]


@dataclass(frozen=True, slots=True)
class TimeFormat:
    """The form of a project's times.

    `precision` is the number of decimals of a second, `zone` the project's time zone. Each is None while unknown.
    """

    precision: int | None
    zone: str | None

    def updated(self, seen: TimeFormat) -> TimeFormat:
        """Return what is known after `seen`: a member that was not seen stays as it was."""
        return TimeFormat(
            self.precision if seen.precision is None else seen.precision, self.zone if seen.zone is None else seen.zone
        )


def finer(one: int | None, other: int | None) -> int | None:
    """Return the larger number of decimals of a second; None is not known."""
    return max((each for each in (one, other) if each is not None), default=None)


def finest_precision(fingerprints: Iterable[bytes]) -> int | None:
    """Return the number of decimals of the finest time in the records' meta, or None if there was no time."""
    found = (precision for fingerprint in fingerprints if (precision := precision_of(fingerprint)) is not None)
    return max(found, default=None)


def plan_format_change(
    before: TimeFormat, now: TimeFormat, *, seen_before: datetime | None, observed_at: datetime
) -> Event | None:
    """Return the event for a changed form of times, or None if nothing is known to have changed.

    `now` is what this run saw, `before` what was known. A member that is None in one of them has not changed. What
    the project's times look like for the first time is no change. `seen_before` is when the form was last seen.
    """
    after = before.updated(now)
    is_known = (before.precision is not None and after.precision != before.precision) or (
        before.zone is not None and after.zone != before.zone
    )
    if not is_known:
        return None
    data = {"before": _as_data(before), "now": _as_data(after)}
    return observed_event(EventType.SOURCE_FORMAT_CHANGED, None, observed_at, seen_before=seen_before, data=data)


def _as_data(form: TimeFormat) -> dict[str, JsonValue]:
    return {"time_precision": form.precision, "time_zone": form.zone}
