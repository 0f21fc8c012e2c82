"""A budget is kept whatever happens, and what is thinned out first is what can best be missed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis.strategies import builds, datetimes, floats, integers, just, sampled_from

from versionsync.daemon.budget import (
    HISTORY_REQUESTS,
    MAX_CHECK_SECONDS,
    MAX_SWEEP_DAYS,
    Budget,
    BudgetStatus,
    Demand,
    Period,
    Schedule,
    explain,
    schedule_for,
)
from versionsync.daemon.intervals import next_check

START = datetime(2026, 11, 1, tzinfo=UTC)

budgets = builds(Budget, integers(1, 10_000_000), sampled_from(Period))
FIRST, LAST = datetime(2024, 1, 1), datetime(2030, 1, 1)  # noqa: DTZ001 - Hypothesis adds the zone
times = datetimes(FIRST, LAST, timezones=just(UTC))
purses = builds(BudgetStatus, budget=budgets, spent=integers(0, 10_000_000), sharers=integers(1, 9), now=times)
wants = builds(
    Demand,
    look_seconds=floats(1, 604_800),
    scrubs_a_day=integers(0, 100_000),
    look_requests=floats(1, 100),
    change_requests=floats(1, 1000),
    sweep_requests=integers(1, 5000),
)


def cost(wants: Demand, pace: Schedule) -> float:
    """Requests a day."""
    looks = wants.check_requests * 86_400 / pace.check_seconds
    return looks + wants.sweep_requests / pace.sweep_days + HISTORY_REQUESTS * pace.scrubs_per_day


@given(wants, purses)
def test_the_pace_costs_no_more_than_there_is(wants: Demand, purse: BudgetStatus) -> None:
    """But where even the slowest one does; a quarter is left for changes."""
    pace = schedule_for(wants, purse)
    sweeps_least = pace.sweep_days == pytest.approx(MAX_SWEEP_DAYS)
    slowest = pace.check_seconds >= MAX_CHECK_SECONDS and sweeps_least and not pace.scrubs_per_day
    assert slowest or cost(wants, pace) <= purse.per_day * 0.75 + 1e-6 * purse.per_day


@given(wants, purses)
def test_nothing_is_done_more_often_than_it_is_wanted(wants: Demand, purse: BudgetStatus) -> None:
    """However much there is."""
    pace = schedule_for(wants, purse)
    assert pace.check_seconds >= wants.check_seconds
    assert 1 <= pace.sweep_days <= MAX_SWEEP_DAYS
    assert 0 <= pace.scrubs_per_day <= wants.scrubs_per_day


@given(wants, purses)
def test_scrubs_are_thinned_out_before_sweeps_and_sweeps_before_looks(wants: Demand, purse: BudgetStatus) -> None:
    """Each only when the one before it is at its least."""
    pace = schedule_for(wants, purse)
    if pace.sweep_days > 1:
        assert pace.scrubs_per_day == 0
    if pace.check_seconds > wants.check_seconds * (1 + 1e-9):
        assert pace.sweep_days == pytest.approx(MAX_SWEEP_DAYS)


@given(wants, purses, integers(1, 1_000_000))
def test_who_has_spent_more_goes_no_faster(wants: Demand, purse: BudgetStatus, more: int) -> None:
    """So that spending slows itself down."""
    poorer = BudgetStatus(budget=purse.budget, spent=purse.spent + more, shared_by=purse.shared_by, now=purse.now)
    one, two = schedule_for(wants, purse), schedule_for(wants, poorer)
    assert two.check_seconds >= one.check_seconds * (1 - 1e-9)
    assert two.sweep_days >= one.sweep_days * (1 - 1e-9)
    assert two.scrubs_per_day <= one.scrubs_per_day
    assert two.after_change_seconds >= one.after_change_seconds * (1 - 1e-9)


def test_a_run_may_spend_its_share_of_half_of_what_is_left() -> None:
    """The other half is for the other runs, and the other sources of the project have as much."""
    purse = BudgetStatus(budget=Budget.parse("1000/day"), spent=200, shared_by=1, now=START)
    assert [replace(purse, sharers=sharers).per_run for sharers in (1, 2, 3, 4)] == [400, 200, 133, 100]
    assert replace(purse, spent=998).per_run == 1
    assert replace(purse, spent=1200, sharers=4).per_run == 1, "it may ask once, and then knows"


def test_the_search_for_a_change_takes_the_share_that_is_kept_for_changes() -> None:
    """A quarter of what is left, spread over what is left of the time, for each of the sharers."""
    purse = BudgetStatus(budget=Budget.parse("2400/day"), spent=0, shared_by=1, now=START)
    assert purse.change_requests_per_hour == 25
    assert replace(purse, sharers=5).change_requests_per_hour == 5
    assert replace(purse, spent=1200, now=START + timedelta(hours=12)).change_requests_per_hour == 25
    assert replace(purse, spent=2400).change_requests_per_hour == 0


@given(purses)
def test_all_sharers_together_leave_half_of_what_is_left(purse: BudgetStatus) -> None:
    """If each of them has a run at the same moment."""
    assert purse.per_run >= 1
    assert purse.per_run == 1 or purse.per_run * purse.shared_by <= purse.left / 2


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
def test_the_forecast_is_what_will_be_spent_if_it_goes_on_so(
    budget: str, spent: int, now: datetime, expected: int
) -> None:
    """By the end of the period; November has thirty days."""
    assert BudgetStatus(budget=Budget.parse(budget), spent=spent, shared_by=3, now=now).forecast == expected


@given(budgets, times)
def test_a_period_is_one_and_the_next_follows_it(budget: Budget, now: datetime) -> None:
    """Days and months in UTC, of whatever length."""
    start, end = budget.period.bounds(now)
    assert start <= now < end
    assert budget.period.bounds(end)[0] == end
    assert budget.period.bounds(end - timedelta(microseconds=1)) == (start, end)


@given(wants, purses, floats(1, MAX_CHECK_SECONDS, exclude_max=True))
def test_a_budget_that_is_too_small_is_told_with_its_arithmetic(
    wants: Demand, purse: BudgetStatus, seconds: float
) -> None:
    """And one that is not is not."""
    wants = replace(wants, look_seconds=seconds)
    told = explain(wants, purse)
    assert (told is not None) == schedule_for(wants, purse).is_slower_than(wants)


def test_the_arithmetic_in_numbers() -> None:
    """As it is told at the start."""
    purse = BudgetStatus(budget=Budget.parse("1000/day"), spent=0, shared_by=1, now=START)
    assert explain(Demand(check_seconds=60, scrubs_per_day=240), purse) == (
        "max_staleness = 60 takes 1,440 requests a day, a sweep 5 and 240 old histories 480; of 1,000 requests a day "
        "1,000 are left, 750 a day without the quarter that is kept for changes: it looks every 115 s, sweeps every 7 "
        "days and reads 0 old histories a day, and no log of webhook calls"
    )
    assert explain(Demand(check_seconds=600, scrubs_per_day=240), purse) is None


@pytest.mark.parametrize("text", ["", "3000", "0/day", "-1/day", "3000/year", "3,000/day", "3000 / day", "1e3/day"])
def test_what_is_no_budget(text: str) -> None:
    """Everything that is not spelled as the settings say."""
    with pytest.raises(ValueError, match="is no budget"):
        Budget.parse(text)


def month(budget: str, *, editing: float, seed: int = 1, look_seconds: float = 60.0) -> tuple[list[int], list[float]]:
    """A month of so many edits an hour at day: the requests of each day, and how late each edit was seen."""
    random, now, given = Random(seed), START, Budget.parse(budget)
    wants = Demand(check_seconds=look_seconds, scrubs_per_day=240)
    spent_by_day, late = [0] * 31, list[float]()
    average, changed_at, pending = 1.0, START, list[datetime]()
    swept_at, scrubbed = START, 0.0
    while now < START + timedelta(days=30):
        start = given.period.bounds(now)[0]
        since = (start - START).days
        purse = BudgetStatus(budget=given, spent=sum(spent_by_day[since:]), shared_by=1, now=now)
        if purse.is_spent:
            pause, found = purse.seconds_left, False
        else:
            wants = Demand(check_seconds=look_seconds, scrubs_per_day=240, check_requests=average)
            pace = schedule_for(wants, purse)
            requests = min(8 + len(pending) if pending else 1, purse.per_run)
            found = bool(pending)
            late += [(now - edit).total_seconds() for edit in pending]
            pending.clear()
            average += 0.05 * (requests - average)
            if found:
                changed_at = now
            if now - swept_at > timedelta(days=pace.sweep_days):
                swept_at, requests = now, requests + wants.sweep_requests
            pause = next_check(quiet_seconds=(now - changed_at).total_seconds(), max_staleness=pace.check_seconds)
            if found:
                pause = max(pause, pace.after_change_seconds)
            scrubbed += pace.scrubs_per_day * pause / 86_400
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
    """However much is edited."""
    days, _ = month("3000/day", editing=editing)
    assert max(days) <= 3000


@pytest.mark.nightly
def test_what_3000_a_day_give() -> None:
    """An ordinary day's edits are seen within about two minutes, most of them much sooner."""
    days, late = month("3000/day", editing=6)
    late.sort()
    assert max(days) <= 3000
    assert late[len(late) // 2] < 60
    assert late[int(len(late) * 0.99)] < 240


@pytest.mark.nightly
def test_a_month_of_100000_lasts_to_its_end() -> None:
    """Nothing is left to wait for on the last day, even where an edit comes every minute of every working day."""
    days, late = month("100000/month", editing=60)
    assert sum(days) <= 100_000
    assert min(days) > 500
    assert max(late) < 3600


@pytest.mark.nightly
def test_an_idle_day_costs_what_the_settings_say() -> None:
    """A look a minute, a sweep, the old histories; and a tenth of that where the mirror may be ten minutes old."""
    days, _ = month("1000000/day", editing=0)
    assert days[10] == pytest.approx(1440 + 240 + 5, abs=15)
    days, _ = month("1000000/day", editing=0, look_seconds=600)
    assert days[10] == pytest.approx(144 + 240 + 5, abs=15)
