"""A budget is always kept, and the least important requests are saved first."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis.strategies import builds, datetimes, floats, integers, just, sampled_from

from versionsync.budget import Budget, BudgetStatus, Period
from versionsync.daemon.budget_schedule import (
    HISTORY_REQUESTS,
    MAX_CHECK_SECONDS,
    MAX_SWEEP_DAYS,
    Demand,
    Schedule,
    explain,
    schedule_for,
)
from versionsync.daemon.next_check import next_check

START = datetime(2026, 11, 1, tzinfo=UTC)

budgets = builds(Budget, integers(1, 10_000_000), sampled_from(Period))
FIRST, LAST = datetime(2024, 1, 1), datetime(2030, 1, 1)  # noqa: DTZ001 - Hypothesis adds the zone
times = datetimes(FIRST, LAST, timezones=just(UTC))
statuses = builds(BudgetStatus, budget=budgets, spent=integers(0, 10_000_000), shared_by=integers(1, 9), now=times)
demands = builds(
    Demand,
    check_seconds=floats(1, 604_800),
    scrubs_per_day=integers(0, 100_000),
    check_requests=floats(1, 100),
    change_requests=floats(1, 1000),
    sweep_requests=integers(1, 5000),
)


def cost(demand: Demand, schedule: Schedule) -> float:
    """Return the requests a day."""
    checks = demand.check_requests * 86_400 / schedule.check_seconds
    return checks + demand.sweep_requests / schedule.sweep_days + HISTORY_REQUESTS * schedule.scrubs_per_day


@given(demands, statuses)
def test_a_schedule_costs_no_more_than_the_budget(demand: Demand, status: BudgetStatus) -> None:
    """A quarter is left for changes. Only the slowest schedule may cost more."""
    schedule = schedule_for(demand, status)
    sweeps_least = schedule.sweep_days == pytest.approx(MAX_SWEEP_DAYS)
    slowest = schedule.check_seconds >= MAX_CHECK_SECONDS and sweeps_least and not schedule.scrubs_per_day
    assert slowest or cost(demand, schedule) <= status.per_day * 0.75 + 1e-6 * status.per_day


@given(demands, statuses)
def test_nothing_is_done_more_often_than_the_settings_ask_for(demand: Demand, status: BudgetStatus) -> None:
    """However large the budget is."""
    schedule = schedule_for(demand, status)
    assert schedule.check_seconds >= demand.check_seconds
    assert 1 <= schedule.sweep_days <= MAX_SWEEP_DAYS
    assert 0 <= schedule.scrubs_per_day <= demand.scrubs_per_day


@given(demands, statuses)
def test_scrubs_are_saved_before_sweeps_and_sweeps_before_checks(demand: Demand, status: BudgetStatus) -> None:
    """Each only when the one before it is at its minimum."""
    schedule = schedule_for(demand, status)
    if schedule.sweep_days > 1:
        assert schedule.scrubs_per_day == 0
    if schedule.check_seconds > demand.check_seconds * (1 + 1e-9):
        assert schedule.sweep_days == pytest.approx(MAX_SWEEP_DAYS)


@given(demands, statuses, integers(1, 1_000_000))
def test_a_source_that_has_spent_more_is_no_faster(demand: Demand, status: BudgetStatus, more: int) -> None:
    """So the spending slows down by itself."""
    poorer = BudgetStatus(budget=status.budget, spent=status.spent + more, shared_by=status.shared_by, now=status.now)
    one, two = schedule_for(demand, status), schedule_for(demand, poorer)
    assert two.check_seconds >= one.check_seconds * (1 - 1e-9)
    assert two.sweep_days >= one.sweep_days * (1 - 1e-9)
    assert two.scrubs_per_day <= one.scrubs_per_day
    assert two.after_change_seconds >= one.after_change_seconds * (1 - 1e-9)


def test_a_run_may_spend_its_share_of_half_of_what_is_left() -> None:
    """The other half is for later runs, and the other sources of the project get as much."""
    status = BudgetStatus(budget=Budget.parse("1000/day"), spent=200, shared_by=1, now=START)
    assert [replace(status, shared_by=sources).per_run for sources in (1, 2, 3, 4)] == [400, 200, 133, 100]
    assert replace(status, spent=998).per_run == 1
    assert replace(status, spent=1200, shared_by=4).per_run == 1, "one request is always allowed"


def test_the_search_for_a_change_uses_the_share_reserved_for_changes() -> None:
    """A quarter of what is left, spread over the rest of the time, for each source."""
    status = BudgetStatus(budget=Budget.parse("2400/day"), spent=0, shared_by=1, now=START)
    assert status.change_requests_per_hour == 25
    assert replace(status, shared_by=5).change_requests_per_hour == 5
    assert replace(status, spent=1200, now=START + timedelta(hours=12)).change_requests_per_hour == 25
    assert replace(status, spent=2400).change_requests_per_hour == 0


@given(statuses)
def test_all_sources_together_leave_half_of_what_is_left(status: BudgetStatus) -> None:
    """Even if all of them run at the same moment."""
    assert status.per_run >= 1
    assert status.per_run == 1 or status.per_run * status.shared_by <= status.left / 2


@pytest.mark.parametrize(
    ("budget", "spent", "now", "expected"),
    [
        ("1000/day", 500, START + timedelta(hours=6), 2000),
        ("1000/day", 500, START + timedelta(hours=24, seconds=-1), 500),
        ("30000/month", 300, START + timedelta(days=3), 3000),
        ("1000/day", 0, START + timedelta(hours=6), 0),
        ("1000/day", 2, START, 2 * 86_400),
    ],
)
def test_the_forecast_continues_the_present_rate(budget: str, spent: int, now: datetime, expected: int) -> None:
    """To the end of the period; November has thirty days."""
    assert BudgetStatus(budget=Budget.parse(budget), spent=spent, shared_by=3, now=now).forecast == expected


@given(budgets, times)
def test_periods_follow_each_other_without_a_gap(budget: Budget, now: datetime) -> None:
    """Days and months in UTC, of whatever length."""
    start, end = budget.period.bounds(now)
    assert start <= now < end
    assert budget.period.bounds(end)[0] == end
    assert budget.period.bounds(end - timedelta(microseconds=1)) == (start, end)


@given(demands, statuses, floats(1, MAX_CHECK_SECONDS, exclude_max=True))
def test_a_budget_that_is_too_small_is_explained(demand: Demand, status: BudgetStatus, seconds: float) -> None:
    """And only one that is too small."""
    demand = replace(demand, check_seconds=seconds)
    reason = explain(demand, status)
    assert (reason is not None) == schedule_for(demand, status).is_slower_than(demand)


def test_the_explanation_has_the_numbers() -> None:
    """As it is logged at the start."""
    status = BudgetStatus(budget=Budget.parse("1000/day"), spent=0, shared_by=1, now=START)
    assert explain(Demand(check_seconds=60, scrubs_per_day=240), status) == (
        "max_staleness = 60 takes 1,440 requests a day, a sweep 5 and 240 old histories 480; of 1,000 requests a day "
        "1,000 are left, 750 a day without the quarter that is reserved for changes: the daemon checks every 115 s, "
        "sweeps every 7 days, reads 0 old histories a day, and does not read the log of webhook calls"
    )
    assert explain(Demand(check_seconds=600, scrubs_per_day=240), status) is None


@pytest.mark.parametrize("text", ["", "3000", "0/day", "-1/day", "3000/year", "3,000/day", "3000 / day", "1e3/day"])
def test_anything_else_is_not_a_budget(text: str) -> None:
    with pytest.raises(ValueError, match="is not a budget"):
        Budget.parse(text)


def month(budget: str, *, editing: float, seed: int = 1, check_seconds: float = 60.0) -> tuple[list[int], list[float]]:
    """Return the requests of each day of a month, and the delay of each edit. `editing` is in edits an hour by day."""
    random, now, given = Random(seed), START, Budget.parse(budget)
    demand = Demand(check_seconds=check_seconds, scrubs_per_day=240)
    spent_by_day, late = [0] * 31, list[float]()
    average, changed_at, pending = 1.0, START, list[datetime]()
    swept_at, scrubbed = START, 0.0
    while now < START + timedelta(days=30):
        start = given.period.bounds(now)[0]
        since = (start - START).days
        status = BudgetStatus(budget=given, spent=sum(spent_by_day[since:]), shared_by=1, now=now)
        if status.is_spent:
            pause, found = status.seconds_left, False
        else:
            demand = Demand(check_seconds=check_seconds, scrubs_per_day=240, check_requests=average)
            schedule = schedule_for(demand, status)
            requests = min(8 + len(pending) if pending else 1, status.per_run)
            found = bool(pending)
            late += [(now - edit).total_seconds() for edit in pending]
            pending.clear()
            average += 0.05 * (requests - average)
            if found:
                changed_at = now
            if now - swept_at > timedelta(days=schedule.sweep_days):
                swept_at, requests = now, requests + demand.sweep_requests
            pause = next_check(quiet_seconds=(now - changed_at).total_seconds(), max_staleness=schedule.check_seconds)
            if found:
                pause = max(pause, schedule.after_change_seconds)
            scrubbed += schedule.scrubs_per_day * pause / 86_400
            requests, scrubbed = requests + int(scrubbed), scrubbed % 1
            spent_by_day[(now - START).days] += requests
        if 8 <= now.hour < 18 and now.weekday() < 5:
            rate = editing * pause / 3600
            edits = int(rate) + (random.random() < rate % 1)
            pending += [now + timedelta(seconds=random.uniform(0, pause)) for _ in range(edits)]
        now += timedelta(seconds=pause)
    return spent_by_day[:30], late


@pytest.mark.parametrize("editing", [*(pytest.param(edits, marks=pytest.mark.nightly) for edits in (0, 2, 20)), 200])
def test_a_budget_of_3000_a_day_is_kept_over_a_month(editing: float) -> None:
    """However busy the editors are."""
    days, _ = month("3000/day", editing=editing)
    assert max(days) <= 3000


@pytest.mark.nightly
def test_3000_a_day_show_edits_within_minutes() -> None:
    """On an ordinary day within about two minutes, most of them much sooner."""
    days, late = month("3000/day", editing=6)
    late.sort()
    assert max(days) <= 3000
    assert late[len(late) // 2] < 60
    assert late[int(len(late) * 0.99)] < 240


@pytest.mark.nightly
def test_a_month_of_100000_lasts_to_its_end() -> None:
    """Even with an edit every minute of every working day, the last day is as good as the others."""
    days, late = month("100000/month", editing=60)
    assert sum(days) <= 100_000
    assert min(days) > 500
    assert max(late) < 3600


@pytest.mark.nightly
def test_an_idle_day_costs_what_the_settings_say() -> None:
    """A check a minute, a sweep and the old histories; a tenth of the checks if the mirror may be ten minutes old."""
    days, _ = month("1000000/day", editing=0)
    assert days[10] == pytest.approx(1440 + 240 + 5, abs=15)
    days, _ = month("1000000/day", editing=0, check_seconds=600)
    assert days[10] == pytest.approx(144 + 240 + 5, abs=15)
