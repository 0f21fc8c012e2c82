"""A simulated week of the daemon: no day takes more requests than the budget, and nothing is missed."""

from __future__ import annotations

from datetime import timedelta

import pytest

from benchmarks.daemon.budget_month import office_hours
from benchmarks.daemon.simulation import START, Hears, live

pytestmark = pytest.mark.nightly

DAYS = 7
EDITS = office_hours(5)
"""From Tuesday to Friday; what a day does not pay for the weekend does."""


@pytest.mark.parametrize("hears", Hears)
@pytest.mark.parametrize("requests", [500, 3_000])
def test_no_day_takes_more_than_the_budget(hears: Hears, requests: int) -> None:
    """However it hears of changes, on days with and without editing; and every edit is mirrored in the end."""
    lived = live(days=DAYS, edits=EDITS, hears=hears, budget=f"{requests}/day")
    assert max(lived.requests.values()) <= requests
    assert lived.unseen == 0
    assert len(lived.latencies) == len(EDITS)


def test_a_month_s_budget_is_spread_over_it() -> None:
    """No week takes more than its share and what is lent to busy days."""
    lived = live(days=30, edits=office_hours(30), budget="30000/month")
    assert sum(lived.requests.values()) <= 30_000
    assert min(lived.requests.values()) > 300


def test_an_idle_day_costs_what_the_settings_ask_for() -> None:
    """A look in `max_staleness`, two requests an old history and two a run of those, and a few beside."""
    second = (START + timedelta(days=1)).date()
    for max_staleness in (60, 600):
        lived = live(days=2, edits=(), max_staleness=max_staleness, scrub=240)
        looks, histories = 86_400 // max_staleness, 24 * (2 + 2 * 10)
        assert 0 <= lived.requests[second] - looks - histories <= 60


def test_without_a_budget_an_edit_is_seen_as_soon_as_the_settings_say() -> None:
    """By looks alone never later than `max_staleness`, by the log of calls sooner, by the receiver at once."""
    seen = {hears: sorted(live(days=1, edits=office_hours(1), hears=hears).latencies) for hears in Hears}
    assert seen[Hears.NOTHING][-1] <= 60.0
    assert seen[Hears.LOG][-1] <= 60.0
    assert seen[Hears.LOG][len(seen[Hears.LOG]) // 2] <= 3.0
    assert seen[Hears.RECEIVER][-1] == 0.0


@pytest.mark.parametrize("requests", [1_000, 3_000, 8_000, 15_000])
@pytest.mark.parametrize("between", [20.0, 120.0])
def test_a_log_of_calls_makes_nothing_later(requests: int, between: float) -> None:
    """Within any budget, half of all edits, all but one in a hundred and the last one: but for what chance does."""
    edits = office_hours(4, between=between)
    alone, with_log = (
        sorted(live(days=4, edits=edits, hears=hears, budget=f"{requests}/day").latencies)
        for hears in (Hears.NOTHING, Hears.LOG)
    )
    for quantile in (0.5, 0.99):
        place = int(len(alone) * quantile)
        assert with_log[place] <= 1.1 * alone[place] + 2.0
    assert with_log[-1] <= max(1.1 * alone[-1], 60.0)
