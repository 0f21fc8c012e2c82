"""Each trouble is told once, and once that it has passed; never a flood."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from versionsync.daemon.notifications.rules import MOST_AN_HOUR, SETTLED_SECONDS, Memory, NoticeKind, Rule, kind_of
from versionsync.daemon.state import SourceState, Stance
from versionsync.sync.error_kinds import ErrorKind

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
ALL = Rule()

WELL = ("well", Stance.FOLLOWING, None, 0, 5.0)
STANDBY = ("standby", Stance.STANDBY, None, 0, 4000.0)
ONCE = ("once", Stance.FAILING, ErrorKind.UNAVAILABLE, 1, 20.0)
FAILING = ("failing", Stance.FAILING, ErrorKind.UNAVAILABLE, 3, 40.0)
STALE = ("stale", Stance.FAILING, ErrorKind.UNAVAILABLE, 2, 4000.0)
VANISHED = ("vanished", Stance.FAILING, ErrorKind.MASS_DELETE, 1, 40.0)
SPENT = ("spent", Stance.FAILING, ErrorKind.BUDGET, 1, 4000.0)
STARTING = ("starting", Stance.STARTING, None, 0, 4000.0)

Situation = tuple[str, Stance, ErrorKind | None, int, float]
SITUATIONS = [WELL, STANDBY, ONCE, FAILING, STALE, VANISHED, SPENT, STARTING]


def state(situation: Situation, *, name: str = "website") -> SourceState:
    """A source in one of the situations above, last seen whole so many seconds before NOW."""
    _, stance, trouble, failures, seen = situation
    return SourceState(
        name=name,
        max_staleness=60,
        since=NOW - timedelta(days=1),
        stance=stance,
        trouble=trouble,
        failures=failures,
        last_success_at=NOW - timedelta(seconds=seen),
    )


def told(situations: list[Situation], rule: Rule = ALL, *, every: float = SETTLED_SECONDS) -> list[NoticeKind]:
    """What is told of a source that is in each of these for so many seconds."""
    memory, kinds = Memory(), []
    for number, situation in enumerate(situations):
        for part in range(2):
            clock = (number + part) * every
            kind = memory.next_of(state(situation), rule, now=NOW, clock=clock)
            if kind is not None:
                memory.told({"website": kind}, clock=clock)
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
        ([VANISHED, VANISHED, WELL], ["vanished", "recovered"]),
        ([STALE, FAILING, VANISHED, FAILING, STALE, ONCE, WELL], ["stale", "failing", "vanished", "recovered"]),
        ([FAILING, ONCE], ["failing"]),
        ([FAILING, STANDBY, FAILING], ["failing"]),
        ([FAILING, STANDBY, WELL], ["failing", "recovered"]),
        ([STANDBY, STARTING, WELL], []),
    ],
    ids=lambda value: "-".join(value[0] if isinstance(value, tuple) else value for value in value),
)
def test_a_trouble_is_told_once_and_its_end_once(situations: list[Situation], kinds: list[str]) -> None:
    """What comes in between only where it is worse."""
    assert told(situations) == kinds


def test_what_nobody_asked_for_is_not_told() -> None:
    """Nor that it has passed."""
    only = Rule(on=frozenset({NoticeKind.VANISHED, NoticeKind.RECOVERED}))
    assert told([FAILING, STALE, WELL, VANISHED, WELL], only) == ["vanished", "recovered"]
    silent = Rule(on=frozenset({NoticeKind.FAILING}))
    assert told([FAILING, WELL, FAILING, WELL], silent) == ["failing", "failing"]
    assert told([FAILING, WELL], Rule(sources=frozenset({"shop"}))) == []
    assert told([ONCE, WELL], Rule(after=1)) == ["failing", "recovered"]


def test_a_machine_that_wakes_up_tells_nothing() -> None:
    """Everything is stale then, until the next look."""
    memory = Memory()
    for clock in (0.0, SETTLED_SECONDS - 1):
        assert memory.next_of(state(STALE), ALL, now=NOW, clock=clock) is None
    assert memory.next_of(state(WELL), ALL, now=NOW, clock=SETTLED_SECONDS) is None
    assert memory.next_of(state(STALE), ALL, now=NOW, clock=SETTLED_SECONDS + 1) is None
    assert memory.next_of(state(STALE), ALL, now=NOW, clock=2 * SETTLED_SECONDS + 1) is NoticeKind.STALE


def test_a_source_that_a_budget_slows_down_is_not_stale() -> None:
    """Its next look is planned; only one that is overdue is."""
    slow = state(("slow", Stance.FOLLOWING, None, 0, 4000.0))
    slow.next_look_at = NOW + timedelta(seconds=300)
    assert kind_of(slow, NOW, ALL) is None
    slow.next_look_at = NOW - timedelta(seconds=60)
    assert kind_of(slow, NOW, ALL) is NoticeKind.STALE


def test_what_did_not_arrive_is_told_again() -> None:
    """Until it has."""
    memory = Memory()
    for clock in (0.0, 1.0, 2.0):
        assert memory.next_of(state(FAILING), ALL, now=NOW, clock=clock) is NoticeKind.FAILING
    memory.told({"website": NoticeKind.FAILING}, clock=2.0)
    assert memory.next_of(state(FAILING), ALL, now=NOW, clock=3.0) is None


def test_what_an_hour_has_no_room_for_comes_after_it() -> None:
    """If it is still so by then."""
    memory, number = Memory(), 0
    while memory.next_of(state(FAILING, name=f"source{number}"), ALL, now=NOW, clock=number) is not None:
        assert memory.is_last_of_the_hour(number) is (number == MOST_AN_HOUR - 1)
        memory.told({f"source{number}": NoticeKind.FAILING}, clock=number)
        number += 1
    assert number == MOST_AN_HOUR
    assert memory.next_of(state(FAILING, name="one more"), ALL, now=NOW, clock=3599) is None
    assert memory.next_of(state(FAILING, name="one more"), ALL, now=NOW, clock=3600) is NoticeKind.FAILING


@given(
    st.lists(st.sampled_from(SITUATIONS), max_size=40),
    st.sets(st.sampled_from(list(NoticeKind)), min_size=1),
    st.sampled_from([1.0, SETTLED_SECONDS, 600.0]),
)
def test_never_two_of_the_same_without_a_recovery(
    situations: list[Situation], on: set[NoticeKind], every: float
) -> None:
    """Whatever happens; a recovery comes only after something else, and no more than MOST_AN_HOUR in an hour."""
    kinds = told(situations, Rule(on=frozenset(on | {NoticeKind.RECOVERED})), every=every)
    since: list[NoticeKind] = []
    for kind in kinds:
        if kind is NoticeKind.RECOVERED:
            assert since
            since = []
        else:
            assert kind not in since
            since.append(kind)
    if every == 1.0:
        assert len(kinds) <= MOST_AN_HOUR
    assert set(kinds) <= on | {NoticeKind.RECOVERED}
