"""How often the log of webhook calls is read: while it is worth it, and as far as the budget goes."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from versionsync.daemon.budget import LOG_SECONDS, MOST_LOG_SECONDS, Budget, Pace, Purse, Wants, pace_of
from versionsync.daemon.waits import BUSY_SECONDS, next_reading

WANTS = Wants(look_seconds=60, scrubs_a_day=240)


def pace(budget: str, *, spent: int = 0) -> Pace:
    """What a budget pays for at the beginning of its day."""
    now = datetime(2026, 11, 2, tzinfo=UTC)
    return pace_of(WANTS, Purse(budget=Budget.parse(budget), spent=spent, sharers=1, now=now))


def test_it_is_read_less_and_less_often() -> None:
    """As often as it may for a minute, then in proportion to the quiet."""
    waits = [next_reading(quiet_seconds=quiet, quickest=1.0) for quiet in (0, BUSY_SECONDS, 600, 3600)]
    assert waits == [1.0, 1.0, 10.0, 60.0]


def test_without_a_budget_it_is_read_every_second() -> None:
    """While somebody edits."""
    assert pace_of(WANTS, None).log_seconds == LOG_SECONDS


@pytest.mark.parametrize(
    ("budget", "seconds"), [("100000/day", 1.0), ("30000/day", 1.04), ("10000/day", 3.71), ("3000/day", 10.0)]
)
def test_a_budget_pays_for_so_much(budget: str, seconds: float) -> None:
    """What is left when all else is paid for, spent in a quarter of the day."""
    assert pace(budget).log_seconds == pytest.approx(seconds, abs=0.01)


def test_a_budget_that_runs_out_slows_it_down_first() -> None:
    """Looks stay as they are."""
    rich, poor = pace("10000/day"), pace("10000/day", spent=6500)
    assert rich.log_seconds < poor.log_seconds <= MOST_LOG_SECONDS
    assert rich.look_seconds == poor.look_seconds == 60
