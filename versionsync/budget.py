"""A budget of requests: its limit, its period, and its status at one moment. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final, Self

__all__ = ["Budget", "BudgetStatus", "Period"]

DAY_SECONDS: Final = 86_400.0
MAX_BURST: Final = 4.0
BURST_POWER: Final = 4.0
"""A fifth more than an even share may be spent twice as fast, and so on up to MAX_BURST."""
RESERVED_FOR_CHANGES: Final = 0.25
"""The share that is reserved for reading what changed."""
RUN_SHARE: Final = 0.5
"""The share of what is left that one run may spend: a first backfill must leave something for later checks."""
SPENT_BELOW: Final = 10
"""A run with a change takes more requests than this. With fewer left, the daemon waits for the next period."""

_SPELLED: Final = re.compile(r"([1-9][0-9]*)/(day|month)")


class Period(StrEnum):
    """The period of a budget. Both begin at midnight in UTC."""

    DAY = "day"
    MONTH = "month"

    def bounds(self, now: datetime) -> tuple[datetime, datetime]:
        """Return the start of the period around `now`, and the start of the next one."""
        start = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        if self is Period.DAY:
            return start, start + timedelta(days=1)
        start = start.replace(day=1)
        return start, (start + timedelta(days=32)).replace(day=1)


@dataclass(frozen=True, slots=True)
class Budget:
    """A limit of `requests` per calendar `period` (UTC)."""

    requests: int
    period: Period

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the budget that is spelled `3000/day` or `100000/month`. Raises ValueError."""
        found = _SPELLED.fullmatch(text)
        if found is None:
            raise ValueError(f"{text} is not a budget: write 3000/day or 100000/month")
        return cls(int(found[1]), Period(found[2]))

    def __str__(self) -> str:
        return f"{self.requests:,} requests a {self.period.value}"


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetStatus:
    """The status of a budget at one moment.

    Attributes:
        budget: The limit.
        spent: Requests that were sent in the period, by all sources of the project.
        shared_by: The number of sources that spend it.
        now: The moment.
    """

    budget: Budget
    spent: int
    shared_by: int
    now: datetime

    @property
    def left(self) -> int:
        """Requests that all sources together may still send in this period."""
        return max(self.budget.requests - self.spent, 0)

    @property
    def is_spent(self) -> bool:
        """Whether it is better to wait for the next period."""
        return self.left < SPENT_BELOW

    @property
    def spent_text(self) -> str:
        """One line for people, for a budget that is spent."""
        return f"all {self.budget} are spent; the next run is at {self.ends_at:%Y-%m-%d %H:%M} UTC"

    @property
    def ends_at(self) -> datetime:
        """The start of the next period."""
        return self.budget.period.bounds(self.now)[1]

    @property
    def seconds_left(self) -> float:
        """Seconds until the next period, at least one."""
        return max((self.ends_at - self.now).total_seconds(), 1.0)

    @property
    def per_day(self) -> float:
        """Requests a day that each source may send from now on."""
        return self.left / self.shared_by / (self.seconds_left / DAY_SECONDS)

    @property
    def burst(self) -> float:
        """How much faster than evenly it may be spent now: a busy time may use what a quiet time has saved."""
        start, end = self.budget.period.bounds(self.now)
        even = self.budget.requests / self.shared_by / ((end - start).total_seconds() / DAY_SECONDS)
        return min(max(float((self.per_day / even) ** BURST_POWER), 1.0), MAX_BURST)

    @property
    def per_run(self) -> int:
        """The most requests that one run may send."""
        return max(int(self.left * RUN_SHARE / self.shared_by), 1)

    @property
    def change_requests_per_hour(self) -> int:
        """The requests an hour that one source may spend on reading changes."""
        return int(self.per_day * RESERVED_FOR_CHANGES / 24)

    @property
    def forecast(self) -> int:
        """The requests that will be spent by the end of the period at the present rate."""
        start, end = self.budget.period.bounds(self.now)
        elapsed = max((self.now - start).total_seconds(), 1.0)
        return round(self.spent * (end - start).total_seconds() / elapsed)
