"""What following costs within a budget, and what it gives: a simulated month, and days on which nobody edits."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from random import Random
from statistics import fmean

from benchmarks.daemon.simulation import START, Hears, Lived, live
from benchmarks.tables import Table, seconds_at, thousands

__all__ = ["BUDGET", "office_hours", "tables"]

BUDGET = "3000/day"
WORKDAYS = 21
BEGINS_AT, HOURS = timedelta(hours=9), timedelta(hours=8)
BETWEEN_EDITS = 120.0
SATURDAY = 5


def tables(*, days: int) -> list[Table]:
    """The month, and idle days by what the settings ask for."""
    return [_month(days), _idle()]


def office_hours(days: int, *, between: float = BETWEEN_EDITS) -> list[datetime]:
    """When somebody edits: at random, every two minutes on average, for eight hours on the first 21 workdays."""
    random, edits = Random(1), list[datetime]()
    workdays = [at for at in (START + timedelta(days=number) for number in range(days)) if at.weekday() < SATURDAY]
    for day in workdays[:WORKDAYS]:
        at = day + BEGINS_AT
        while (at := at + timedelta(seconds=random.expovariate(1 / between))) < day + BEGINS_AT + HOURS:
            edits.append(at)
    return edits


def _month(days: int) -> Table:
    edits = office_hours(days)
    rows = []
    for budget in (BUDGET, "10000/day", "30000/day", None):
        for hears in Hears:
            lived = live(days=days, edits=edits, hears=hears, budget=budget)
            rows.append([f"{budget or 'no budget'}, {hears}", *_figures(lived, edits)])
    return Table(
        f"A simulated month of {days} days, edited on {len({edit.date() for edit in edits})} of them for eight hours, "
        "every two minutes on average",
        (
            "budget, changes come by",
            "requests of a day with edits",
            "most",
            "of a day without",
            "most",
            "an edit is seen after: p50",
            "p99",
            "most",
            "missed",
        ),
        rows,
        (
            "max_staleness = 60, scrub = 240, 5,000 records, all mirrored before. Simulated: the daemon's own code "
            "decides, with a clock that jumps. Each kind of run costs what the engine was measured to cost, and takes "
            "no time.",
        ),
    )


def _figures(lived: Lived, edits: Sequence[datetime]) -> list[str]:
    edited = {edit.date() for edit in edits}
    with_edits = [number for day, number in lived.requests.items() if day in edited]
    without = [number for day, number in lived.requests.items() if day not in edited]
    return [
        *_mean_and_most(with_edits),
        *_mean_and_most(without),
        *(seconds_at(lived.latencies, quantile) for quantile in (0.5, 0.99, 1.0)),
        thousands(lived.unseen),
    ]


def _mean_and_most(requests: Sequence[int]) -> list[str]:
    return [thousands(fmean(requests)), thousands(max(requests))] if requests else ["-", "-"]


def _idle() -> Table:
    second: date = (START + timedelta(days=1)).date()
    rows = [
        [
            f"{max_staleness:,}",
            *(
                thousands(live(days=2, edits=(), max_staleness=max_staleness, scrub=scrub).requests[second])
                for scrub in (0, 240)
            ),
        ]
        for max_staleness in (10, 60, 300, 3600)
    ]
    return Table(
        "Requests of an idle day",
        ("max_staleness", "scrub = 0", "scrub = 240"),
        rows,
        (
            "Simulated as above, without a budget: checks, a sweep of 5,000 records, old histories (two requests each: "
            "the record and its versions), and a request an hour to see whether there is a webhook.",
        ),
    )
