"""The schedule that a budget of requests allows. Pure.

What is left of the period is spread over the time that is left. The daemon so slows down long before nothing is left.
When the budget does not pay for everything, the daemon saves in this order: it reads old histories again less often,
it makes complete sweeps less often (at most a week apart), and it checks the source less often. A quarter is reserved
for reading changes: this is what the rest is for. The log of webhook calls is read with what is left over, and not at
all if it would report a change no sooner than checks do.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Final

from versionsync.budget import DAY_SECONDS, RESERVED_FOR_CHANGES, BudgetStatus
from versionsync.daemon.next_check import BUSY_SECONDS, MIN_INTERVAL_SECONDS, QUIET_SHARE

__all__ = ["EDITED_REQUESTS", "Demand", "EditingActivity", "Schedule", "explain", "schedule_for"]

QUIET_SECONDS: Final = 600.0
"""A project counts as being edited for this long after a change."""
WORKDAY_SECONDS: Final = 8 * 3600.0
MIN_PERIOD_SECONDS: Final = 3600.0
"""However long it was edited today, another hour is expected."""
EDITED_REQUESTS: Final = 26_000.0
"""The requests for checks in a day of nothing but editing: a check every ten seconds, and a change every minute."""
CHANGE_SECONDS: Final = 60.0
KNOWN_SECONDS: Final = 600.0
"""The initial expectation weighs as much as this many seconds of observation."""
MEMORY_SECONDS: Final = 8 * 3600.0
"""An observation that is this old, in time of editing, weighs about a third."""


@dataclass(slots=True)
class EditingActivity:
    """How busily a project is edited, as observed.

    Attributes:
        seconds: Observed seconds of editing; older ones weigh less.
        requests: Requests of the checks in these seconds.
        changes: Changes that were found in these seconds.
        today: The UTC day of `seconds_today`.
        seconds_today: Seconds of editing in that day.
    """

    seconds: float = KNOWN_SECONDS
    requests: float = EDITED_REQUESTS * KNOWN_SECONDS / DAY_SECONDS
    changes: float = KNOWN_SECONDS / CHANGE_SECONDS
    today: date = date.min
    seconds_today: float = 0.0
    _checked_at: datetime | None = None
    _changed_at: datetime | None = None

    @property
    def requests_a_day(self) -> float:
        """The requests that checks would take in a day of nothing but editing."""
        return self.requests * DAY_SECONDS / self.seconds

    @property
    def change_seconds(self) -> float:
        """The average seconds from one change to the next while the project is edited."""
        return self.seconds / self.changes

    def record_check(self, now: datetime, requests: float, *, found: bool) -> None:
        """Add a check that took `requests`. `found` is whether it found a change."""
        if now.date() != self.today:
            self.today, self.seconds_today = now.date(), 0.0
        since = self._checked_at or now
        if found:
            self._changed_at = now
        if self._changed_at is not None and (now - self._changed_at).total_seconds() < QUIET_SECONDS:
            seconds = min(max((now - since).total_seconds(), 0.0), QUIET_SECONDS)
            self.seconds_today += seconds
            weight = math.exp(-seconds / MEMORY_SECONDS)
            self.seconds = self.seconds * weight + seconds
            self.requests = self.requests * weight + requests
            self.changes = self.changes * weight + found
        self._checked_at = now

    def share_of(self, now: datetime, until: datetime) -> float:
        """Return the largest share of the time until then that may see editing."""
        midnight = datetime.combine(now.date() + timedelta(days=1), datetime.min.time(), now.tzinfo)
        edited = self.seconds_today if now.date() == self.today else 0.0
        today = min(max(WORKDAY_SECONDS - edited, MIN_PERIOD_SECONDS), (midnight - now).total_seconds())
        days = max((until - midnight).total_seconds(), 0.0) / DAY_SECONDS
        return min((today + days * WORKDAY_SECONDS) / max((until - now).total_seconds(), 1.0), 1.0)


MAX_SWEEP_DAYS: Final = 7.0
MAX_CHECK_SECONDS: Final = 6 * 3600.0
LOG_SECONDS: Final = 1.0
MAX_LOG_SECONDS: Final = BUSY_SECONDS * QUIET_SHARE
"""Read less often than this while a project is edited, the log reports no sooner than a check, and costs as much."""
PAUSE_SHARE: Final = 0.1
"""If pauses after changes are a larger share of the time between changes, it is these pauses that delay changes."""
HISTORY_REQUESTS: Final = 2
"""Reading an old history takes one request for the record and one for its versions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What the settings ask for, and what it costs.

    Attributes:
        check_seconds: Seconds between checks of a quiet source.
        scrubs_per_day: Old histories to read again each day.
        check_requests: Requests of an average check.
        change_requests: Requests of an average check that finds a change.
        sweep_requests: Requests of a complete sweep.
        editing: How busily the project is edited.
    """

    check_seconds: float
    scrubs_per_day: int
    check_requests: float = 1.0
    change_requests: float = 8.0
    sweep_requests: int = 5
    editing: EditingActivity = field(default_factory=EditingActivity)


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """What the budget pays for.

    Attributes:
        check_seconds: Seconds between checks of a quiet source.
        after_change_seconds: The pause after a check that found a change.
        sweep_days: Days between complete sweeps.
        scrubs_per_day: Old histories to read again each day.
        log_seconds: Seconds between polls of the log of webhook calls while the project is edited. None: do not poll,
            since checks find as much for the same requests.
    """

    check_seconds: float
    after_change_seconds: float
    sweep_days: float
    scrubs_per_day: int
    log_seconds: float | None = LOG_SECONDS

    def is_slower_than(self, demand: Demand) -> bool:
        """Return whether the budget does not pay for all of the demand."""
        return (
            self.check_seconds > demand.check_seconds
            or self.sweep_days > 1
            or self.scrubs_per_day < demand.scrubs_per_day
        )


def schedule_for(demand: Demand, budget: BudgetStatus | None) -> Schedule:
    """Return the schedule that the budget pays for from now on; without a budget, the whole demand."""
    if budget is None:
        return Schedule(
            check_seconds=demand.check_seconds,
            after_change_seconds=0.0,
            sweep_days=1.0,
            scrubs_per_day=demand.scrubs_per_day,
        )
    available = budget.per_day * (1 - RESERVED_FOR_CHANGES)
    checks = demand.check_requests * DAY_SECONDS / demand.check_seconds
    for_scrubs = max(available - checks - demand.sweep_requests, 0.0)
    scrubs = int(min(for_scrubs / HISTORY_REQUESTS, demand.scrubs_per_day))
    for_sweeps = max(available - checks, demand.sweep_requests / MAX_SWEEP_DAYS)
    sweep_days = min(max(demand.sweep_requests / for_sweeps, 1.0), MAX_SWEEP_DAYS)
    for_checks = available - HISTORY_REQUESTS * scrubs - demand.sweep_requests / sweep_days
    longest = max(MAX_CHECK_SECONDS, demand.check_seconds)
    pause = _seconds_each(demand.change_requests, budget.per_day * budget.burst, at_least=0.0, at_most=longest)
    return Schedule(
        check_seconds=_seconds_each(demand.check_requests, for_checks, at_least=demand.check_seconds, at_most=longest),
        after_change_seconds=pause,
        sweep_days=sweep_days,
        scrubs_per_day=scrubs,
        log_seconds=_log_seconds(demand, budget, other_requests=available - for_checks, pause=pause),
    )


def _log_seconds(demand: Demand, budget: BudgetStatus, *, other_requests: float, pause: float) -> float | None:
    """Return how often to poll the log while editors work, with the requests that checks leave over.

    Polling takes nothing from checks: with a webhook a source is always at least as fresh as without one.
    `other_requests` are the requests a day for anything but checks; `pause` is in seconds after each change.
    """
    if pause > demand.editing.change_seconds * PAUSE_SHARE:
        return None
    share = demand.editing.share_of(budget.now, budget.ends_at)
    checks = (1 - share) * DAY_SECONDS / demand.check_seconds + share * demand.editing.requests_a_day
    left = budget.per_day - other_requests - checks
    seconds = _seconds_each(share, left, at_least=LOG_SECONDS, at_most=MIN_INTERVAL_SECONDS)
    return seconds if seconds < min(MAX_LOG_SECONDS, demand.check_seconds) else None


def explain(demand: Demand, budget: BudgetStatus) -> str | None:
    """Return in numbers why the budget does not pay for the demand; None: it does."""
    schedule = schedule_for(demand, budget)
    if not schedule.is_slower_than(demand):
        return None
    histories = demand.scrubs_per_day * HISTORY_REQUESTS
    checks = demand.check_requests * DAY_SECONDS / demand.check_seconds
    available = budget.per_day * (1 - RESERVED_FOR_CHANGES)
    shared = f", shared by {budget.shared_by} sources," if budget.shared_by > 1 else ""
    no_log = ", and does not read the log of webhook calls" if schedule.log_seconds is None else ""
    return (
        f"max_staleness = {demand.check_seconds:g} takes {checks:,.0f} requests a day, a sweep "
        f"{demand.sweep_requests:,} and {demand.scrubs_per_day:,} old histories {histories:,}; of {budget.budget}"
        f"{shared} {budget.left:,} are left, {available:,.0f} a day without the quarter that is reserved for changes: "
        f"the daemon checks every {schedule.check_seconds:,.0f} s, sweeps every {schedule.sweep_days:.3g} days, reads "
        f"{schedule.scrubs_per_day:,} old histories a day{no_log}"
    )


def _seconds_each(requests: float, a_day: float, *, at_least: float, at_most: float) -> float:
    """Return the seconds between actions of `requests` each that `a_day` requests allow, within the bounds."""
    return at_most if a_day <= 0 else min(max(requests * DAY_SECONDS / a_day, at_least), at_most)
