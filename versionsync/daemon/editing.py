"""How a project is edited, as far as looks at it have told: what that takes of a budget, and for how long it will.

Nobody knows what editors will do. But what a change costs and how often one comes while they are at work is much the
same from one hour to the next, and so is how long they work a day. Until something is known, much is expected.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

__all__ = ["EDITED_REQUESTS", "Editing"]

DAY_SECONDS: Final = 86_400.0
QUIET_SECONDS: Final = 600.0
"""So long after a change a project still counts as being edited."""
WORKDAY_SECONDS: Final = 8 * 3600.0
LEAST_SECONDS: Final = 3600.0
"""However long it was edited today, it may be for another hour."""
EDITED_REQUESTS: Final = 26_000.0
"""What looks take in a day of nothing but editing: one every ten seconds, and a change every minute."""
CHANGE_SECONDS: Final = 60.0
KNOWN_SECONDS: Final = 600.0
"""What is expected counts as if it had been seen for so long."""
MEMORY_SECONDS: Final = 8 * 3600.0
"""What was seen so long ago, in time of editing, counts about a third."""


@dataclass(slots=True)
class Editing:
    """What was seen of it: requests and changes in so many seconds of editing; `today`, and how long in that day."""

    seconds: float = KNOWN_SECONDS
    requests: float = EDITED_REQUESTS * KNOWN_SECONDS / DAY_SECONDS
    changes: float = KNOWN_SECONDS / CHANGE_SECONDS
    today: date = date.min
    seconds_today: float = 0.0
    _looked_at: datetime | None = None
    _changed_at: datetime | None = None

    @property
    def requests_a_day(self) -> float:
        """What looks would take in a day of nothing but editing."""
        return self.requests * DAY_SECONDS / self.seconds

    @property
    def change_seconds(self) -> float:
        """From one change that is found to the next, while it is edited."""
        return self.seconds / self.changes

    def looked(self, now: datetime, requests: float, *, found: bool) -> None:
        """A look took so many requests, and found a change or not."""
        if now.date() != self.today:
            self.today, self.seconds_today = now.date(), 0.0
        since = self._looked_at or now
        if found:
            self._changed_at = now
        if self._changed_at is not None and (now - self._changed_at).total_seconds() < QUIET_SECONDS:
            seconds = min(max((now - since).total_seconds(), 0.0), QUIET_SECONDS)
            self.seconds_today += seconds
            kept = math.exp(-seconds / MEMORY_SECONDS)
            self.seconds = self.seconds * kept + seconds
            self.requests = self.requests * kept + requests
            self.changes = self.changes * kept + found
        self._looked_at = now

    def share_of(self, now: datetime, until: datetime) -> float:
        """For which share of the time until then somebody is expected to edit; at the most."""
        midnight = datetime.combine(now.date() + timedelta(days=1), datetime.min.time(), now.tzinfo)
        edited = self.seconds_today if now.date() == self.today else 0.0
        today = min(max(WORKDAY_SECONDS - edited, LEAST_SECONDS), (midnight - now).total_seconds())
        days = max((until - midnight).total_seconds(), 0.0) / DAY_SECONDS
        return min((today + days * WORKDAY_SECONDS) / max((until - now).total_seconds(), 1.0), 1.0)
