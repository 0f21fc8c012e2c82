"""Each problem is sent once, and its end once; never a flood."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from versionsync.budget import Budget, BudgetStatus
from versionsync.daemon.notifications.rules import (
    MAX_PER_HOUR,
    SETTLED_SECONDS,
    NotificationKind,
    NotificationState,
    Rule,
    kind_of,
)
from versionsync.daemon.worker_state import WorkerState, WorkerStatus
from versionsync.errors import ErrorKind

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
ALL = Rule()

WELL = ("well", WorkerStatus.ACTIVE, None, 0, 5.0)
STANDBY = ("standby", WorkerStatus.STANDBY, None, 0, 4000.0)
ONCE = ("once", WorkerStatus.FAILING, ErrorKind.UNAVAILABLE, 1, 20.0)
FAILING = ("failing", WorkerStatus.FAILING, ErrorKind.UNAVAILABLE, 3, 40.0)
STALE = ("stale", WorkerStatus.FAILING, ErrorKind.UNAVAILABLE, 2, 4000.0)
MASS_DELETE = ("mass_delete", WorkerStatus.FAILING, ErrorKind.MASS_DELETE, 1, 40.0)
SPENT = ("spent", WorkerStatus.FAILING, ErrorKind.BUDGET, 1, 4000.0)
STARTING = ("starting", WorkerStatus.STARTING, None, 0, 4000.0)

Situation = tuple[str, WorkerStatus, ErrorKind | None, int, float]
SITUATIONS = [WELL, STANDBY, ONCE, FAILING, STALE, MASS_DELETE, SPENT, STARTING]


def state(situation: Situation, *, name: str = "website") -> WorkerState:
    """Return a source in one of the situations above, last checked `seen` seconds before NOW."""
    _, status, kind, failures, seen = situation
    return WorkerState(
        name=name,
        max_staleness=60,
        since=NOW - timedelta(days=1),
        status=status,
        error_kind=kind,
        failures=failures,
        last_success_at=NOW - timedelta(seconds=seen),
    )


def sent(situations: list[Situation], rule: Rule = ALL, *, every: float = SETTLED_SECONDS) -> list[NotificationKind]:
    """Return what is sent about a source that is in each of these for `every` seconds."""
    channel, kinds = NotificationState(), []
    for number, situation in enumerate(situations):
        for part in range(2):
            clock = (number + part) * every
            kind = channel.due(state(situation), rule, now=NOW, clock=clock)
            if kind is not None:
                channel.mark_sent({"website": kind}, clock=clock)
                kinds.append(kind)
    return kinds


@pytest.mark.parametrize(
    ("situations", "kinds"),
    [
        ([WELL, ONCE, WELL], []),
        ([ONCE, FAILING, FAILING, WELL], ["failing", "recovered"]),
        ([FAILING, WELL, FAILING, WELL], ["failing", "recovered"] * 2),
        ([STALE, STALE, WELL], ["stale", "recovered"]),
        ([SPENT, SPENT, SPENT, WELL], ["stale", "recovered"]),
        ([MASS_DELETE, MASS_DELETE, WELL], ["mass_delete", "recovered"]),
        ([STALE, FAILING, MASS_DELETE, FAILING, STALE, ONCE, WELL], ["stale", "failing", "mass_delete", "recovered"]),
        ([FAILING, ONCE], ["failing"]),
        ([FAILING, STANDBY, FAILING], ["failing"]),
        ([FAILING, STANDBY, WELL], ["failing", "recovered"]),
        ([STANDBY, STARTING, WELL], []),
    ],
    ids=lambda value: "-".join(value[0] if isinstance(value, tuple) else value for value in value),
)
def test_a_problem_is_sent_once_and_its_end_once(situations: list[Situation], kinds: list[str]) -> None:
    """In between only something worse is sent."""
    assert sent(situations) == kinds


def test_a_channel_gets_only_what_its_rule_covers() -> None:
    """Also for the recovery."""
    only = Rule(on=frozenset({NotificationKind.MASS_DELETE, NotificationKind.RECOVERED}))
    assert sent([FAILING, STALE, WELL, MASS_DELETE, WELL], only) == ["mass_delete", "recovered"]
    silent = Rule(on=frozenset({NotificationKind.FAILING}))
    assert sent([FAILING, WELL, FAILING, WELL], silent) == ["failing", "failing"]
    assert sent([FAILING, WELL], Rule(sources=frozenset({"shop"}))) == []
    assert sent([ONCE, WELL], Rule(after_failures=1)) == ["failing", "recovered"]


def test_a_machine_that_wakes_up_sends_nothing() -> None:
    """Everything is stale then, until the next check."""
    channel = NotificationState()
    for clock in (0.0, SETTLED_SECONDS - 1):
        assert channel.due(state(STALE), ALL, now=NOW, clock=clock) is None
    assert channel.due(state(WELL), ALL, now=NOW, clock=SETTLED_SECONDS) is None
    assert channel.due(state(STALE), ALL, now=NOW, clock=SETTLED_SECONDS + 1) is None
    assert channel.due(state(STALE), ALL, now=NOW, clock=2 * SETTLED_SECONDS + 1) is NotificationKind.STALE


def test_a_source_that_a_budget_slows_down_is_not_stale() -> None:
    """Until its next check is overdue."""
    slow = state(("slow", WorkerStatus.ACTIVE, None, 0, 4000.0))
    slow.budget = BudgetStatus(budget=Budget.parse("100/day"), spent=50, shared_by=1, now=NOW)
    slow.next_check_at = NOW + timedelta(seconds=300)
    assert kind_of(slow, NOW, ALL) is None
    slow.next_check_at = NOW - timedelta(seconds=60)
    assert kind_of(slow, NOW, ALL) is NotificationKind.STALE


def test_a_notification_stays_due_until_it_was_sent() -> None:
    channel = NotificationState()
    for clock in (0.0, 1.0, 2.0):
        assert channel.due(state(FAILING), ALL, now=NOW, clock=clock) is NotificationKind.FAILING
    channel.mark_sent({"website": NotificationKind.FAILING}, clock=2.0)
    assert channel.due(state(FAILING), ALL, now=NOW, clock=3.0) is None


def test_the_limit_of_an_hour_delays_what_exceeds_it() -> None:
    channel, number = NotificationState(), 0
    while channel.due(state(FAILING, name=f"source{number}"), ALL, now=NOW, clock=number) is not None:
        assert channel.is_last_of_the_hour(number) is (number == MAX_PER_HOUR - 1)
        channel.mark_sent({f"source{number}": NotificationKind.FAILING}, clock=number)
        number += 1
    assert number == MAX_PER_HOUR
    assert channel.due(state(FAILING, name="one more"), ALL, now=NOW, clock=3599) is None
    assert channel.due(state(FAILING, name="one more"), ALL, now=NOW, clock=3600) is NotificationKind.FAILING


@given(
    st.lists(st.sampled_from(SITUATIONS), max_size=40),
    st.sets(st.sampled_from(list(NotificationKind)), min_size=1),
    st.sampled_from([1.0, SETTLED_SECONDS, 600.0]),
)
def test_never_two_of_the_same_without_a_recovery(
    situations: list[Situation], on: set[NotificationKind], every: float
) -> None:
    """A recovery comes only after something else, and at most MAX_PER_HOUR come in an hour."""
    kinds = sent(situations, Rule(on=frozenset(on | {NotificationKind.RECOVERED})), every=every)
    since: list[NotificationKind] = []
    for kind in kinds:
        if kind is NotificationKind.RECOVERED:
            assert since
            since = []
        else:
            assert kind not in since
            since.append(kind)
    if every == 1.0:
        assert len(kinds) <= MAX_PER_HOUR
    assert set(kinds) <= on | {NotificationKind.RECOVERED}
