"""Pages of the log of calls: whatever happens to the log, a call is found, or a gap is reported."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from random import Random

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from versionsync.mirror.tables.webhooks import LogCursor, LoggedCall
from versionsync.webhooks.delivery_log import KEPT_SECONDS, LATE_SECONDS, LogDelta, LogPage, LogPosition, read_page

EPOCH = datetime(2026, 9, 1, 9, 0, tzinfo=UTC)
HOOK = "4"
LATE = int(LATE_SECONDS)


def at(seconds: float) -> datetime:
    """Return a time by the clock of DatoCMS."""
    return EPOCH + timedelta(seconds=seconds)


def page(*seconds: float, now: float = 1000, total: int | None = None) -> LogPage:
    """Return a page with calls made at these times and named after them."""
    calls = [LoggedCall(f"c{second:g}", at(second)) for second in seconds]
    return LogPage(
        ids=[call.id for call in calls], calls=calls, total=len(calls) if total is None else total, at=at(now)
    )


def stood(last: float | None, *, read_at: float = 1000, seen: Sequence[str] = ()) -> LogPosition:
    """Return the position of a reader whose newest call was made at `last`."""
    call = None if last is None else LoggedCall(f"c{last:g}", at(last))
    return LogPosition(up_to=LogCursor(webhook_id=HOOK, read_at=at(read_at), last=call), seen=frozenset(seen))


def read(position: LogPosition | None, page: LogPage) -> LogDelta:
    """Return what is new on the page."""
    return read_page(position, page, webhook_id=HOOK)


def test_the_first_page_is_never_gapless() -> None:
    """Earlier calls may be missing."""
    delta = read(None, page(900, 800))
    assert not delta.is_gapless
    assert delta.position.up_to.last == LoggedCall("c900", at(900))


def test_a_log_that_was_empty_is_complete() -> None:
    """If all of it is on the page, and nothing can have been pruned."""
    assert read(stood(None), page()).is_gapless
    delta = read(stood(None), page(1010, 1005))
    assert (delta.new, delta.is_gapless) == ({"c1010", "c1005"}, True)
    assert not read(stood(None), page(1010, 1005, total=3)).is_gapless
    assert not read(stood(None), page(now=1000 + KEPT_SECONDS)).is_gapless  # some may have come and gone


def test_the_newest_call_must_be_there_again() -> None:
    """Or the log was pruned."""
    assert read(stood(990), page(1010, 990)).is_gapless
    assert not read(stood(990), page(1010)).is_gapless
    assert not read(stood(990), page()).is_gapless


def test_only_calls_not_seen_before_are_new() -> None:
    """Calls come out of order and repeatedly."""
    delta = read(stood(990, seen=["c990", "c985"]), page(1010, 990, 985, 980))
    assert delta.new == {"c1010", "c980"}
    assert read(delta.position, page(1010, 990, 985, 980)).new == frozenset()


def test_a_late_call_is_waited_for() -> None:
    """As long as it may still come, the page must go back that far; then the newest call is enough."""
    young, old = stood(1000 - LATE / 2), stood(1000 - 2 * LATE)
    assert young.since == at(1000 - LATE / 2 - LATE)
    assert old.since == at(1000 - 2 * LATE - 1)
    assert not read(young, page(1010, 1000 - LATE / 2, total=9)).is_gapless
    assert read(old, page(1010, 1000 - 2 * LATE, total=9)).is_gapless
    assert stood(None).since is None


def test_a_page_out_of_order_must_be_complete() -> None:
    """The calls that it leaves out may be the newest."""
    old = 1000 - 2 * LATE
    assert not read(stood(old), page(old, 1010, total=9)).is_gapless
    assert read(stood(old), page(old, 1010)).is_gapless  # it is all there is


def test_another_webhook_is_another_log() -> None:
    """Calls seen before do not count."""
    delta = read_page(stood(990), page(990), webhook_id="5")
    assert (delta.new, delta.is_gapless) == ({"c990"}, False)
    assert delta.position.up_to.webhook_id == "5"


def test_an_unreadable_call_is_new() -> None:
    """Once. Without an id the page is not gapless."""
    shown = replace(page(1010, 990), ids=["c1010", "bad", "c990"], total=3)
    delta = read(stood(990, seen=["c990"]), shown)
    assert (delta.new, delta.is_gapless) == ({"c1010", "bad"}, True)
    assert read(delta.position, shown).new == frozenset()
    assert not read(stood(990), replace(shown, ids=["c1010", None, "c990"])).is_gapless


@given(st.lists(st.integers(0, 300), max_size=12), st.integers(0, 300))
def test_the_same_page_again_has_nothing_new(seconds: list[int], last: int) -> None:
    """Whatever it contains."""
    shown = page(*sorted(set(seconds), reverse=True))
    assert read(read(stood(last), shown).position, shown).new == frozenset()


@dataclass
class Made:
    """A call: when it was made and listed, and whether it was pruned."""

    id: str
    made_at: float
    listed_at: float
    pruned: bool = False
    is_covered: bool = False


class LogMachine(RuleBasedStateMachine):
    """Calls are late, out of order and repeated, pages are short, the log is pruned: none is missed."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0
        self.calls: list[Made] = []
        self.position: LogPosition | None = None
        self.random = Random(7)
        self.gapless = 0

    @rule(seconds=st.one_of(st.floats(0, 3), st.floats(0, 300), st.floats(3000, 8000)))
    def time_passes(self, seconds: float) -> None:
        """A moment, or a while."""
        self.now += seconds

    @rule(number=st.integers(1, 12), delay=st.one_of(st.just(0.0), st.floats(0, LATE_SECONDS)))
    def calls_are_made(self, number: int, delay: float) -> None:
        """Each is listed within LATE_SECONDS."""
        for _ in range(number):
            id = str(100_000 + len(self.calls))
            self.calls.append(Made(id, self.now, self.now + delay * self.random.random()))

    @rule(age=st.floats(KEPT_SECONDS, 3 * KEPT_SECONDS))
    def the_log_is_pruned(self, age: float) -> None:
        """Old calls are removed, but none before it could be listed."""
        for call in self.calls:
            call.pruned |= call.made_at < self.now - age

    @rule()
    def a_daemon_is_started_again(self) -> None:
        """It only keeps its position."""
        if self.position is not None:
            self.position = LogPosition(up_to=self.position.up_to)

    @rule()
    def the_log_is_read(self) -> None:
        """As the daemon does: a short page, and a longer one if that has a gap."""
        listed = [call for call in self.calls if call.listed_at <= self.now]
        shown = self.shown(listed, limit=5)
        delta = read(self.position, shown)
        if self.position is not None and not delta.is_gapless and not shown.is_complete:
            delta = read(self.position, self.shown(listed, limit=20))
        self.position = delta.position
        self.gapless += delta.is_gapless
        for call in listed:
            # A gap leads to a complete check.
            call.is_covered |= call.id in delta.new or not delta.is_gapless
        assert [call for call in listed if not call.is_covered] == []

    def shown(self, listed: Sequence[Made], *, limit: int) -> LogPage:
        """Return a page with full seconds; calls of one second are in any order."""
        since = self.position.since if self.position is not None else None
        found = [call for call in listed if not call.pruned and (since is None or at(int(call.made_at)) > since)]
        self.random.shuffle(found)
        found.sort(key=lambda call: -int(call.made_at))
        calls = [LoggedCall(call.id, at(int(call.made_at))) for call in found[:limit]]
        return LogPage(ids=[call.id for call in calls], calls=calls, total=len(found), at=at(int(self.now)))


TestLogMachine = LogMachine.TestCase
