"""What a budget of requests allows. Pure: what was spent and what time it is go in, the pace comes out.

What is left of the period is spread over what is left of its time; whatever happens, the pace follows from that, so
that it slows down by itself long before nothing is left. Where it does not pay for everything, old histories are read
again less often at first, then complete sweeps are made less often (a week apart at the most), then the source is
looked at less often. A quarter is kept for what changes: reading it is what the rest is for. The log of webhook calls
is read with what is left over, and not at all where it would tell no sooner than looks do.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Final, Self

from versionsync.daemon.intervals import BUSY_SECONDS, MIN_INTERVAL_SECONDS, QUIET_SHARE

__all__ = [
    "EDITED_REQUESTS",
    "Budget",
    "BudgetStatus",
    "Demand",
    "EditingActivity",
    "Period",
    "Schedule",
    "explain",
    "schedule_for",
]

DAY_SECONDS: Final = 86_400.0
QUIET_SECONDS: Final = 600.0
"""So long after a change a project still counts as being edited."""
WORKDAY_SECONDS: Final = 8 * 3600.0
MIN_PERIOD_SECONDS: Final = 3600.0
"""However long it was edited today, it may be for another hour."""
EDITED_REQUESTS: Final = 26_000.0
"""What looks take in a day of nothing but editing: one every ten seconds, and a change every minute."""
CHANGE_SECONDS: Final = 60.0
KNOWN_SECONDS: Final = 600.0
"""What is expected counts as if it had been seen for so long."""
MEMORY_SECONDS: Final = 8 * 3600.0
"""What was seen so long ago, in time of editing, counts about a third."""


@dataclass(slots=True)
class EditingActivity:
    """What was seen of it: requests and changes in so many seconds of editing; `today`, and how long in that day."""

    seconds: float = KNOWN_SECONDS
    requests: float = EDITED_REQUESTS * KNOWN_SECONDS / DAY_SECONDS
    changes: float = KNOWN_SECONDS / CHANGE_SECONDS
    today: date = date.min
    seconds_today: float = 0.0
    _checked_at: datetime | None = None
    _changed_at: datetime | None = None

    @property
    def requests_a_day(self) -> float:
        """What looks would take in a day of nothing but editing."""
        return self.requests * DAY_SECONDS / self.seconds

    @property
    def change_seconds(self) -> float:
        """From one change that is found to the next, while it is edited."""
        return self.seconds / self.changes

    def record_check(self, now: datetime, requests: float, *, found: bool) -> None:
        """A look took so many requests, and found a change or not."""
        if now.date() != self.today:
            self.today, self.seconds_today = now.date(), 0.0
        since = self._checked_at or now
        if found:
            self._changed_at = now
        if self._changed_at is not None and (now - self._changed_at).total_seconds() < QUIET_SECONDS:
            seconds = min(max((now - since).total_seconds(), 0.0), QUIET_SECONDS)
            self.seconds_today += seconds
            kept = math.exp(-seconds / MEMORY_SECONDS)
            self.seconds = self.seconds * kept + seconds
            self.requests = self.requests * kept + requests
            self.changes = self.changes * kept + found
        self._checked_at = now

    def share_of(self, now: datetime, until: datetime) -> float:
        """For which share of the time until then somebody is expected to edit; at the most."""
        midnight = datetime.combine(now.date() + timedelta(days=1), datetime.min.time(), now.tzinfo)
        edited = self.seconds_today if now.date() == self.today else 0.0
        today = min(max(WORKDAY_SECONDS - edited, MIN_PERIOD_SECONDS), (midnight - now).total_seconds())
        days = max((until - midnight).total_seconds(), 0.0) / DAY_SECONDS
        return min((today + days * WORKDAY_SECONDS) / max((until - now).total_seconds(), 1.0), 1.0)


RESERVED_FOR_CHANGES: Final = 0.25
"""The share that is kept for reading what changed."""
MAX_BURST: Final = 4.0
BURST_POWER: Final = 4.0
"""A fifth more than an even share may be spent twice as fast, and so on up to MOST_BURST."""
MAX_SWEEP_DAYS: Final = 7.0
MAX_CHECK_SECONDS: Final = 6 * 3600.0
LOG_SECONDS: Final = 1.0
MAX_LOG_SECONDS: Final = BUSY_SECONDS * QUIET_SHARE
"""Read less often while a project is edited, the log tells no sooner than a look would, and costs as much."""
PAUSE_SHARE: Final = 0.1
"""Where the pauses after changes are a larger share of the time between changes, these delay what changes."""
HISTORY_REQUESTS: Final = 2
"""An old history is the record and its versions."""
RUN_SHARE: Final = 0.5
"""Of what is left, one run may spend this share: a first backfill must leave something for looking."""
SPENT_BELOW: Final = 10
"""With fewer requests left than a run with a change takes, the next period is waited for."""

_SPELLED: Final = re.compile(r"([1-9][0-9]*)/(day|month)")


class Period(StrEnum):
    """What a budget is for; both begin at midnight in UTC."""

    DAY = "day"
    MONTH = "month"

    def bounds(self, now: datetime) -> tuple[datetime, datetime]:
        """When the period around `now` began, and when the next one begins."""
        start = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        if self is Period.DAY:
            return start, start + timedelta(days=1)
        start = start.replace(day=1)
        return start, (start + timedelta(days=32)).replace(day=1)


@dataclass(frozen=True, slots=True)
class Budget:
    """So many requests a period."""

    requests: int
    period: Period

    @classmethod
    def parse(cls, text: str) -> Self:
        """`3000/day`, `100000/month`. Raises ValueError."""
        found = _SPELLED.fullmatch(text)
        if found is None:
            raise ValueError(f"{text} is no budget: 3000/day or 100000/month")
        return cls(int(found[1]), Period(found[2]))

    def __str__(self) -> str:
        return f"{self.requests:,} requests a {self.period.value}"


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetStatus:
    """How it stands with a budget at one moment. `sharers`: how many sources spend it."""

    budget: Budget
    spent: int
    shared_by: int
    now: datetime

    @property
    def left(self) -> int:
        """Requests that may still be sent in this period, by all who share it."""
        return max(self.budget.requests - self.spent, 0)

    @property
    def is_spent(self) -> bool:
        """Whether it is better to wait for the next period."""
        return self.left < SPENT_BELOW

    @property
    def ends_at(self) -> datetime:
        """When the next period begins."""
        return self.budget.period.bounds(self.now)[1]

    @property
    def seconds_left(self) -> float:
        """Of this period; at least one."""
        return max((self.ends_at - self.now).total_seconds(), 1.0)

    @property
    def per_day(self) -> float:
        """Requests a day that one of the sharers may send from now on."""
        return self.left / self.shared_by / (self.seconds_left / DAY_SECONDS)

    @property
    def burst(self) -> float:
        """How much faster than evenly it may be spent now: what a quiet time has saved is there for a busy one."""
        start, end = self.budget.period.bounds(self.now)
        even = self.budget.requests / self.shared_by / ((end - start).total_seconds() / DAY_SECONDS)
        return min(max(float((self.per_day / even) ** BURST_POWER), 1.0), MAX_BURST)

    @property
    def per_run(self) -> int:
        """The most that one run may send."""
        return max(int(self.left * RUN_SHARE / self.shared_by), 1)

    @property
    def change_requests_per_hour(self) -> int:
        """The requests that are kept for changes, in an hour, for one of the sharers."""
        return int(self.per_day * RESERVED_FOR_CHANGES / 24)

    @property
    def forecast(self) -> int:
        """What will be spent by the end of the period, if it goes on as it went."""
        start, end = self.budget.period.bounds(self.now)
        gone = max((self.now - start).total_seconds(), 1.0)
        return round(self.spent * (end - start).total_seconds() / gone)


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What the settings ask for, and the requests of an average look, of one that finds something, of a sweep.

    `editing`: what was seen of how the project is edited.
    """

    check_seconds: float
    scrubs_per_day: int
    check_requests: float = 1.0
    change_requests: float = 8.0
    sweep_requests: int = 5
    editing: EditingActivity = field(default_factory=EditingActivity)


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """What is paid for: a look that often; after one that found something, so long a pause; sweeps and scrubs.

    `log_seconds`: how often the log of webhook calls may be read while the project is being edited; None: looks give
    as much for the same requests.
    """

    check_seconds: float
    after_change_seconds: float
    sweep_days: float
    scrubs_per_day: int
    log_seconds: float | None = LOG_SECONDS

    def is_slower_than(self, wants: Demand) -> bool:
        """Whether something of what is wanted is not paid for."""
        return (
            self.check_seconds > wants.check_seconds
            or self.sweep_days > 1
            or self.scrubs_per_day < wants.scrubs_per_day
        )


def schedule_for(wants: Demand, purse: BudgetStatus | None) -> Schedule:
    """The pace that a budget pays for from now on; None: there is no budget."""
    if purse is None:
        return Schedule(
            check_seconds=wants.check_seconds,
            after_change_seconds=0.0,
            sweep_days=1.0,
            scrubs_per_day=wants.scrubs_per_day,
        )
    room = purse.per_day * (1 - RESERVED_FOR_CHANGES)
    looks = wants.check_requests * DAY_SECONDS / wants.check_seconds
    for_scrubs = max(room - looks - wants.sweep_requests, 0.0)
    scrubs = int(min(for_scrubs / HISTORY_REQUESTS, wants.scrubs_per_day))
    for_sweeps = max(room - looks, wants.sweep_requests / MAX_SWEEP_DAYS)
    sweep_days = min(max(wants.sweep_requests / for_sweeps, 1.0), MAX_SWEEP_DAYS)
    for_looks = room - HISTORY_REQUESTS * scrubs - wants.sweep_requests / sweep_days
    longest = max(MAX_CHECK_SECONDS, wants.check_seconds)
    pause = _seconds_each(wants.change_requests, purse.per_day * purse.burst, at_least=0.0, at_most=longest)
    return Schedule(
        check_seconds=_seconds_each(wants.check_requests, for_looks, at_least=wants.check_seconds, at_most=longest),
        after_change_seconds=pause,
        sweep_days=sweep_days,
        scrubs_per_day=scrubs,
        log_seconds=_log_seconds(
            wants, purse, besides=purse.per_day * (1 - RESERVED_FOR_CHANGES) - for_looks, pause=pause
        ),
    )


def _log_seconds(wants: Demand, purse: BudgetStatus, *, besides: float, pause: float) -> float | None:
    """How often the log may be read while somebody edits, with what looks leave over, however long that goes on.

    Nothing is taken from looks for it: a source is never fresher without a webhook than with one. `besides`: requests a
    day for what is no look; `pause`: seconds after each change.
    """
    if pause > wants.editing.change_seconds * PAUSE_SHARE:
        return None
    share = wants.editing.share_of(purse.now, purse.ends_at)
    looks = (1 - share) * DAY_SECONDS / wants.check_seconds + share * wants.editing.requests_a_day
    seconds = _seconds_each(share, purse.per_day - besides - looks, at_least=LOG_SECONDS, at_most=MIN_INTERVAL_SECONDS)
    return seconds if seconds < min(MAX_LOG_SECONDS, wants.check_seconds) else None


def explain(wants: Demand, purse: BudgetStatus) -> str | None:
    """Why the budget does not pay for what is wanted, in numbers; None: it does."""
    pace = schedule_for(wants, purse)
    if not pace.is_slower_than(wants):
        return None
    histories = wants.scrubs_per_day * HISTORY_REQUESTS
    looks, room = wants.check_requests * DAY_SECONDS / wants.check_seconds, purse.per_day * (1 - RESERVED_FOR_CHANGES)
    shared = f", shared by {purse.shared_by} sources," if purse.shared_by > 1 else ""
    unread = ", and no log of webhook calls" if pace.log_seconds is None else ""
    return (
        f"max_staleness = {wants.check_seconds:g} takes {looks:,.0f} requests a day, a sweep {wants.sweep_requests:,} "
        f"and {wants.scrubs_per_day:,} old histories {histories:,}; of {purse.budget}{shared} {purse.left:,} are left, "
        f"{room:,.0f} a day without the quarter that is kept for changes: it looks every {pace.check_seconds:,.0f} s, "
        f"sweeps every {pace.sweep_days:.3g} days and reads {pace.scrubs_per_day:,} old histories a day{unread}"
    )


def _seconds_each(requests: float, a_day: float, *, at_least: float, at_most: float) -> float:
    """How often something may be done that costs so many requests, where so many a day are there for it."""
    return at_most if a_day <= 0 else min(max(requests * DAY_SECONDS / a_day, at_least), at_most)
