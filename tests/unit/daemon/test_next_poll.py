"""How often the log of webhook calls is read: while it is worth it, and as far as the budget goes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis.strategies import builds, datetimes, floats, integers, just, sampled_from

from versionsync.daemon.budget import (
    LOG_SECONDS,
    MAX_LOG_SECONDS,
    Budget,
    BudgetStatus,
    Demand,
    EditingActivity,
    Period,
    Schedule,
    schedule_for,
)
from versionsync.daemon.intervals import BUSY_SECONDS, next_check, next_poll

WANTS = Demand(check_seconds=60, scrubs_per_day=240)
DAY = 86_400.0

times = datetimes(datetime(2024, 1, 1), datetime(2030, 1, 1), timezones=just(UTC))  # noqa: DTZ001 - Hypothesis adds it
purses = builds(
    BudgetStatus,
    budget=builds(Budget, integers(100, 10_000_000), sampled_from(Period)),
    spent=integers(0, 1_000_000),
    sharers=integers(1, 3),
    now=times,
)
edited = builds(EditingActivity, seconds=floats(600, 100_000), requests=floats(0, 50_000), changes=floats(0.1, 5000))
wants = builds(Demand, look_seconds=floats(1, 86_400), scrubs_a_day=integers(0, 10_000), editing=edited)


def pace(budget: str, *, spent: int = 0, editing: EditingActivity | None = None) -> Schedule:
    """What a budget pays for at nine in the morning, when the night took some of it."""
    now = datetime(2026, 11, 2, 9, tzinfo=UTC)
    purse = BudgetStatus(budget=Budget.parse(budget), spent=600 + spent, shared_by=1, now=now)
    return schedule_for(Demand(check_seconds=60, scrubs_per_day=240, editing=editing or EditingActivity()), purse)


def test_it_is_read_less_and_less_often() -> None:
    """As often as it may for a minute, then in proportion to the quiet."""
    waits = [next_poll(quiet_seconds=quiet, quickest=1.0) for quiet in (0, BUSY_SECONDS, 600, 3600)]
    assert waits == [1.0, 1.0, 10.0, 60.0]


def test_without_a_budget_it_is_read_every_second() -> None:
    """While somebody edits."""
    assert schedule_for(WANTS, None).log_seconds == LOG_SECONDS


@pytest.mark.parametrize(
    ("budget", "seconds"), [("100000/day", 1.0), ("30000/day", 1.44), ("20000/day", 2.88), ("10000/day", None)]
)
def test_a_budget_pays_for_so_much(budget: str, seconds: float | None) -> None:
    """Where nothing is known yet, a change a minute is expected; what is left beside that is for the log."""
    assert pace(budget).log_seconds == pytest.approx(seconds, abs=0.01)


def test_a_project_in_which_little_changes_has_it_read_with_less() -> None:
    """What its changes do not take is there for the log."""
    little = EditingActivity(seconds=36_000, requests=4_000, changes=60)
    assert pace("10000/day", editing=little).log_seconds == pytest.approx(5.26, abs=0.01)
    assert pace("3000/day", editing=little).log_seconds is None


def test_a_budget_that_runs_out_ends_it_first() -> None:
    """Looks stay as they are."""
    rich, poor = pace("30000/day"), pace("30000/day", spent=20_000)
    assert rich.log_seconds is not None
    assert poor.log_seconds is None
    assert rich.check_seconds == poor.check_seconds == 60


@given(wants, purses, floats(0, 100_000))
def test_with_a_log_nothing_is_seen_later_than_without(wants: Demand, purse: BudgetStatus, quiet: float) -> None:
    """Where it is read, it is read at least as often as looks alone would come; where it is not, these do come."""
    seconds = schedule_for(wants, purse).log_seconds
    if seconds is not None:
        alone = next_check(quiet_seconds=quiet, max_staleness=wants.check_seconds)
        reading = next_poll(quiet_seconds=quiet, quickest=seconds)
        assert min(reading, wants.check_seconds) <= alone * (1 + 1e-9)


@given(wants, purses)
def test_readings_take_nothing_from_looks(wants: Demand, purse: BudgetStatus) -> None:
    """All that is to come in this period is paid for, though somebody edits for as long as is expected at the most."""
    pace = schedule_for(wants, purse)
    if pace.log_seconds is not None:
        share = wants.editing.share_of(purse.now, purse.ends_at)
        looks = (1 - share) * DAY / wants.check_seconds + share * wants.editing.requests_a_day
        besides = 2 * pace.scrubs_per_day + wants.sweep_requests / pace.sweep_days
        assert looks + besides + share * DAY / pace.log_seconds <= purse.per_day * (1 + 1e-9)
        assert LOG_SECONDS <= pace.log_seconds < MAX_LOG_SECONDS


@given(wants, purses, integers(1, 1_000_000))
def test_who_has_spent_more_reads_no_more_often(wants: Demand, purse: BudgetStatus, more: int) -> None:
    """So that readings slow themselves down."""
    poorer = BudgetStatus(budget=purse.budget, spent=purse.spent + more, shared_by=purse.shared_by, now=purse.now)
    one, two = schedule_for(wants, purse).log_seconds, schedule_for(wants, poorer).log_seconds
    if two is not None:
        assert one is not None
        assert one <= two


def test_what_a_change_takes_is_learned() -> None:
    """From the time of editing alone: neither a night nor a weekend counts."""
    editing, now = EditingActivity(), datetime(2026, 11, 2, 9, tzinfo=UTC)
    for day in (0, 1):
        for number in range(240):
            at = now + timedelta(days=day, seconds=120 * number)
            editing.record_check(at, 10.0, found=True)
    assert editing.change_seconds == pytest.approx(120, rel=0.05)
    assert editing.requests_a_day == pytest.approx(10 * DAY / 120, rel=0.05)
    quiet = editing.requests_a_day
    for minute in range(600):
        editing.record_check(now + timedelta(days=2, minutes=minute), 1.0, found=False)
    assert editing.requests_a_day == quiet


def test_editing_is_expected_for_the_rest_of_a_workday() -> None:
    """What was worked today is over; an hour may always follow; a month has more days."""
    nine = datetime(2026, 11, 2, 9, tzinfo=UTC)
    midnight = nine + timedelta(hours=15)
    assert EditingActivity().share_of(nine, midnight) == pytest.approx(8 / 15)
    worked = EditingActivity(today=nine.date(), seconds_today=6 * 3600.0)
    assert worked.share_of(nine + timedelta(hours=6), midnight) == pytest.approx(2 / 9)
    worked = EditingActivity(today=nine.date(), seconds_today=9 * 3600.0)
    assert worked.share_of(nine + timedelta(hours=9), midnight) == pytest.approx(1 / 6)
    assert EditingActivity().share_of(nine, midnight + timedelta(days=20)) == pytest.approx((8 + 160) / (15 + 480))
