"""How often the log of webhook calls is polled, and what the budget pays for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis.strategies import builds, datetimes, floats, integers, just, sampled_from

from versionsync.budget import Budget, BudgetStatus, Period
from versionsync.daemon.budget_schedule import (
    LOG_SECONDS,
    MAX_LOG_SECONDS,
    Demand,
    EditingActivity,
    Schedule,
    schedule_for,
)
from versionsync.daemon.next_check import BUSY_SECONDS, next_check, next_poll

DEMAND = Demand(check_seconds=60, scrubs_per_day=240)
DAY = 86_400.0

times = datetimes(datetime(2024, 1, 1), datetime(2030, 1, 1), timezones=just(UTC))  # noqa: DTZ001 - Hypothesis adds it
statuses = builds(
    BudgetStatus,
    budget=builds(Budget, integers(100, 10_000_000), sampled_from(Period)),
    spent=integers(0, 1_000_000),
    shared_by=integers(1, 3),
    now=times,
)
edited = builds(EditingActivity, seconds=floats(600, 100_000), requests=floats(0, 50_000), changes=floats(0.1, 5000))
demands = builds(Demand, check_seconds=floats(1, 86_400), scrubs_per_day=integers(0, 10_000), editing=edited)


def schedule_of(budget: str, *, spent: int = 0, editing: EditingActivity | None = None) -> Schedule:
    """Return what a budget pays for at nine in the morning, after the night has used some of it."""
    now = datetime(2026, 11, 2, 9, tzinfo=UTC)
    status = BudgetStatus(budget=Budget.parse(budget), spent=600 + spent, shared_by=1, now=now)
    return schedule_for(Demand(check_seconds=60, scrubs_per_day=240, editing=editing or EditingActivity()), status)


def test_polls_become_rarer_in_a_quiet_time() -> None:
    """As often as allowed for a minute, then in proportion to the quiet time."""
    waits = [next_poll(quiet_seconds=quiet, shortest=1.0) for quiet in (0, BUSY_SECONDS, 600, 3600)]
    assert waits == [1.0, 1.0, 10.0, 60.0]


def test_without_a_budget_the_log_is_polled_every_second() -> None:
    """While a project is edited."""
    assert schedule_for(DEMAND, None).log_seconds == LOG_SECONDS


@pytest.mark.parametrize(
    ("budget", "seconds"), [("100000/day", 1.0), ("30000/day", 1.44), ("20000/day", 2.88), ("10000/day", None)]
)
def test_a_budget_pays_for_this_many_polls(budget: str, seconds: float | None) -> None:
    """Before anything is known, a change a minute is expected; what is left beside that is for the log."""
    assert schedule_of(budget).log_seconds == pytest.approx(seconds, abs=0.01)


def test_a_project_with_few_changes_is_polled_on_a_smaller_budget() -> None:
    """The requests that changes do not take are left for the log."""
    little = EditingActivity(seconds=36_000, requests=4_000, changes=60)
    assert schedule_of("10000/day", editing=little).log_seconds == pytest.approx(5.26, abs=0.01)
    assert schedule_of("3000/day", editing=little).log_seconds is None


def test_a_budget_that_runs_out_ends_the_polls_first() -> None:
    """Checks stay as frequent as before."""
    rich, poor = schedule_of("30000/day"), schedule_of("30000/day", spent=20_000)
    assert rich.log_seconds is not None
    assert poor.log_seconds is None
    assert rich.check_seconds == poor.check_seconds == 60


@given(demands, statuses, floats(0, 100_000))
def test_with_a_log_no_change_is_seen_later_than_without(demand: Demand, status: BudgetStatus, quiet: float) -> None:
    """A log that is polled is polled at least as often as checks alone would come."""
    seconds = schedule_for(demand, status).log_seconds
    if seconds is not None:
        alone = next_check(quiet_seconds=quiet, max_staleness=demand.check_seconds)
        poll = next_poll(quiet_seconds=quiet, shortest=seconds)
        assert min(poll, demand.check_seconds) <= alone * (1 + 1e-9)


@given(demands, statuses)
def test_polls_take_nothing_from_checks(demand: Demand, status: BudgetStatus) -> None:
    """The budget pays for the rest of the period, even if the project is edited for the longest expected time."""
    schedule = schedule_for(demand, status)
    if schedule.log_seconds is not None:
        share = demand.editing.share_of(status.now, status.ends_at)
        checks = (1 - share) * DAY / demand.check_seconds + share * demand.editing.requests_a_day
        other = 2 * schedule.scrubs_per_day + demand.sweep_requests / schedule.sweep_days
        assert checks + other + share * DAY / schedule.log_seconds <= status.per_day * (1 + 1e-9)
        assert LOG_SECONDS <= schedule.log_seconds < MAX_LOG_SECONDS


@given(demands, statuses, integers(1, 1_000_000))
def test_a_source_that_has_spent_more_polls_no_more_often(demand: Demand, status: BudgetStatus, more: int) -> None:
    """So polls slow down by themselves."""
    poorer = BudgetStatus(budget=status.budget, spent=status.spent + more, shared_by=status.shared_by, now=status.now)
    one, two = schedule_for(demand, status).log_seconds, schedule_for(demand, poorer).log_seconds
    if two is not None:
        assert one is not None
        assert one <= two


def test_the_cost_of_a_change_is_learned() -> None:
    """Only from the time of editing: neither a night nor a weekend counts."""
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
    """Past hours of today do not count; an hour may always follow; a month has more days."""
    nine = datetime(2026, 11, 2, 9, tzinfo=UTC)
    midnight = nine + timedelta(hours=15)
    assert EditingActivity().share_of(nine, midnight) == pytest.approx(8 / 15)
    worked = EditingActivity(today=nine.date(), seconds_today=6 * 3600.0)
    assert worked.share_of(nine + timedelta(hours=6), midnight) == pytest.approx(2 / 9)
    worked = EditingActivity(today=nine.date(), seconds_today=9 * 3600.0)
    assert worked.share_of(nine + timedelta(hours=9), midnight) == pytest.approx(1 / 6)
    assert EditingActivity().share_of(nine, midnight + timedelta(days=20)) == pytest.approx((8 + 160) / (15 + 480))
