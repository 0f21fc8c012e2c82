"""The heartbeats of several daemons on one database: each source always has one of them, whatever happens to some."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import structlog
from sqlalchemy import select, update
from structlog.testing import CapturingLogger

from tests.fixtures.fault_injection import DisturbedMirror, Moment, Side
from versionsync.daemon import membership as membership_module
from versionsync.daemon.membership import Heartbeat, Membership, Pace, Report
from versionsync.mirror.database import Mirror
from versionsync.mirror.errors import DatabaseUnavailable, TransactionLost
from versionsync.mirror.holder import Holder
from versionsync.mirror.schema import daemons
from versionsync.mirror.tables.daemons import VALID_SECONDS, daemon_rows
from versionsync.mirror.tables.webhooks import WebhookUpdate, record_call, webhook_rows

pytestmark = pytest.mark.both_databases
QUIET = structlog.wrap_logger(structlog.PrintLogger(), wrapper_class=structlog.make_filtering_bound_logger(50))
DEAD = replace(Holder.of_this_process(), start=1)
TEN = tuple(f"source-{n}" for n in range(10))
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)


class Member:
    """A daemon without workers. Sources that are another's are released at once, unless they are in `in_a_run`."""

    def __init__(self, mirror: Mirror, *names: str, holder: Holder | None = None) -> None:
        self.names = frozenset(names)
        self.in_a_run: set[str] = set()
        self.running: frozenset[str] = frozenset()
        self.last: Heartbeat | None = None
        self.webhooks: dict[str, WebhookUpdate] = {}
        self.membership = Membership(mirror, report=self._report, apply=self._apply, log=QUIET, pace=Pace())
        if holder is not None:
            self.membership._me = holder

    async def beat(self) -> frozenset[str]:
        """Write a heartbeat; return the sources that it runs after that."""
        await self.membership.beat()
        return self.running

    def _report(self) -> Report:
        return Report(sources=self.names, running=self.running | self.in_a_run, webhooks=self.webhooks)

    def _apply(self, heartbeat: Heartbeat) -> None:
        self.last, self.running = heartbeat, heartbeat.held & heartbeat.assigned


@pytest.fixture
async def members() -> AsyncIterator[list[Member]]:
    """Return the daemons of the test, which leave in the end."""
    some: list[Member] = []
    yield some
    for one in some:
        await one.membership._thread.close()


async def started(members: list[Member], mirror: Mirror, *names: str, number: int = 1) -> list[Member]:
    """Start daemons, and return them when they have divided the sources."""
    new = [Member(mirror, *names) for _ in range(number)]
    members.extend(new)
    await settle(*members)
    return new


async def settle(*members: Member) -> None:
    """Let each daemon write heartbeats until it has seen what the others did."""
    for _ in range(3):
        for one in members:
            await one.beat()


def numbers(*members: Member) -> list[int]:
    """Return how many sources each runs; no source is run by two."""
    held = [name for one in members for name in one.running]
    assert len(held) == len(set(held))
    return sorted(len(one.running) for one in members)


def expire(mirror: Mirror, *members: Member, at: datetime = LONG_AGO) -> None:
    """Let the last heartbeats of these daemons be valid until `at`."""
    ids = [one.membership.id for one in members]
    mirror.transact(lambda tx: tx.execute(update(daemons).where(daemons.c.id.in_(ids)).values(expires_at=at)))


async def test_all_join_and_one_leaves(mirror: Mirror, members: list[Member]) -> None:
    """On PostgreSQL they divide the sources; on SQLite the oldest has them all."""
    divides = mirror.dialect.divides_sources
    one, two, three = await started(members, mirror, *TEN, number=3)
    assert numbers(one, two, three) == ([3, 3, 4] if divides else [0, 0, 10])
    before = two.running, three.running
    await one.membership.leave()
    members.remove(one)
    await settle(two, three)
    assert numbers(two, three) == ([5, 5] if divides else [0, 10])
    assert (before[0] <= two.running, before[1] <= three.running) == (True, True)


async def test_a_source_is_handed_over_between_two_runs(mirror: Mirror, members: list[Member]) -> None:
    """Until the run ends the claim stays, and no other daemon begins one."""
    if not mirror.dialect.divides_sources:
        pytest.skip("on SQLite the second daemon gets nothing")
    (one,) = await started(members, mirror, *TEN)
    one.in_a_run = set(TEN)
    (two,) = await started(members, mirror, *TEN)
    assert (len(one.running), two.running) == (5, frozenset())
    assert two.last is not None
    assert len(two.last.assigned) == 5
    one.in_a_run = set(list(two.last.assigned)[:2])
    await settle(one, two)
    assert (len(one.running), len(two.running)) == (5, 3)
    one.in_a_run = set()
    await settle(one, two)
    assert numbers(one, two) == [5, 5]


async def test_one_that_was_killed_is_replaced_at_once(mirror: Mirror, members: list[Member]) -> None:
    """Its process is known to be dead. The others learn it too, though they may run on another machine."""
    killed = Member(mirror, *TEN, holder=DEAD)
    members.append(killed)
    assert await killed.beat() == frozenset(TEN)
    (one,) = await started([], mirror, *TEN)
    members.append(one)
    assert one.running == frozenset(TEN)
    with mirror.read() as connection:
        assert [row.is_expired for row in daemon_rows(connection)] == [True, False]


async def test_one_that_is_suspended_is_replaced_when_its_heartbeat_expires(
    mirror: Mirror, members: list[Member]
) -> None:
    """Not before. When it wakes up it finds that its sources are another's."""
    one, two = await started(members, mirror, *TEN, number=2)
    before = two.running
    await two.beat()
    assert two.running == before
    expire(mirror, one)
    await two.beat()
    assert two.running == frozenset(TEN)
    await one.beat()
    assert one.running == frozenset()
    await settle(one, two)
    assert numbers(one, two) == ([5, 5] if mirror.dialect.divides_sources else [0, 10])


async def test_a_restart_gets_the_same_sources_back(mirror: Mirror, members: list[Member]) -> None:
    """Nothing else moves."""
    one, two, three = await started(members, mirror, *TEN, number=3)
    before = one.running, two.running, three.running
    expire(mirror, two)
    members.remove(two)
    again = Member(mirror, *TEN)
    members.append(again)
    await again.beat()
    await settle(*members)
    assert (one.running, again.running, three.running) == before


async def test_daemons_with_different_sources(mirror: Mirror, members: list[Member]) -> None:
    """Each has only sources of its settings, and a reload with others moves what it must."""
    one, two = Member(mirror, "a", "b", "c"), Member(mirror, "c", "d")
    members += [one, two]
    await settle(one, two)
    assert (one.running, two.running) == ({"a", "b"}, {"c", "d"}) or one.running == {"a", "b", "c"}
    assert numbers(one, two) in ([2, 2], [1, 3])
    one.names = frozenset({"a", "e"})
    await settle(one, two)
    assert (one.running, two.running) == ({"a", "e"}, {"c", "d"})


async def test_after_an_outage_of_the_database_nothing_moves(mirror: Mirror, members: list[Member]) -> None:
    """All heartbeats have expired, and the first one that is back cannot tell that the others are dead."""
    all_three = await started(members, mirror, *TEN, number=3)
    before = [one.running for one in all_three]
    expire(mirror, *all_three, at=datetime.now(UTC) - timedelta(seconds=20))
    await settle(*all_three)
    assert [one.running for one in all_three] == before


async def test_one_that_died_during_an_outage_is_replaced_later(
    mirror: Mirror, members: list[Member], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others give it as much time for a heartbeat as one is valid."""
    one, two = await started(members, mirror, *TEN, number=2)
    held, now = two.running, 1000.0
    monkeypatch.setattr(membership_module.time, "monotonic", lambda: now)
    expire(mirror, one, two, at=datetime.now(UTC) - timedelta(seconds=20))
    assert await two.beat() == held
    now += VALID_SECONDS + 1
    assert await two.beat() == frozenset(TEN)


async def test_a_clock_that_is_set_forward_moves_nothing(mirror: Mirror, members: list[Member]) -> None:
    """By days: all heartbeats have expired long ago, and no row is deleted."""
    all_three = await started(members, mirror, *TEN, number=3)
    before = [one.running for one in all_three]
    ids = [one.membership.id for one in all_three]
    expire(mirror, *all_three)
    await settle(*all_three)
    assert [one.running for one in all_three] == before
    assert [one.membership.id for one in all_three] == ids


async def test_a_clock_that_is_set_back_keeps_no_dead_daemon_alive(mirror: Mirror, members: list[Member]) -> None:
    """Its heartbeat would be valid for hours."""
    one, two = await started(members, mirror, *TEN, number=2)
    expire(mirror, one, at=datetime.now(UTC) + timedelta(hours=5))
    await two.beat()
    with mirror.read() as connection:
        (row,) = [row for row in daemon_rows(connection) if row.id == one.membership.id]
    assert row.expires_at < datetime.now(UTC) + timedelta(seconds=2 * VALID_SECONDS)


async def test_a_daemon_finds_out_without_a_message(mirror: Mirror, members: list[Member]) -> None:
    """By reading the tables: that another one joined, left or died."""
    one, two = await started(members, mirror, *TEN, number=2)
    for happens in (lambda: None, lambda: expire(mirror, two)):
        await one.membership.look()
        one.membership._wanted.clear()
        await one.membership.look()
        assert not one.membership._wanted.is_set()
        happens()
    await one.membership.look()
    assert one.membership._wanted.is_set()


async def test_the_state_of_webhooks_is_saved_with_the_heartbeat(mirror: Mirror, members: list[Member]) -> None:
    """Of sources that this daemon holds; the time of the last poll stays if there was none since."""
    (one,) = await started(members, mirror, "a", "b")
    assert one.last is not None
    polled = WebhookUpdate(receives=True, log_state="active", log_read_at=LONG_AGO, undelivered_changes=1)
    one.webhooks = {"a": polled}
    await one.beat()
    one.webhooks = {"a": replace(polled, log_read_at=None, undelivered_changes=0), "b": polled}
    await one.beat()
    with mirror.read() as connection:
        found = webhook_rows(connection, list(one.last.ids.values()))
        rows = [found.get(one.last.ids[name]) for name in ("a", "b")]
    assert [row and (row.log_read_at, row.undelivered_changes, row.receives) for row in rows] == [
        (LONG_AGO, 0, True),
        (LONG_AGO, 1, True),
    ]


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
async def test_one_that_is_suspended_in_a_transaction_holds_up_no_heartbeat(
    mirror: Mirror, members: list[Member]
) -> None:
    """Its rows stay locked for as long as the server keeps its connection. They are deleted or saved after that."""
    one, two = await started(members, mirror, "a", "b", number=2)
    assert two.last is not None
    expire(mirror, one)
    polled = WebhookUpdate(receives=True, log_state="active", log_read_at=LONG_AGO, undelivered_changes=0)
    with mirror.write() as suspended:
        suspended.execute(select(daemons).where(daemons.c.id == one.membership.id).with_for_update())
        record_call(suspended, two.last.ids["b"], at=LONG_AGO)
        two.webhooks = {"a": polled, "b": polled}
        async with asyncio.timeout(60):
            assert await two.beat() == {"a", "b"}
            assert await two.beat() == {"a", "b"}
        assert not two.last.has_saved_webhooks
    await two.beat()
    assert two.last.has_saved_webhooks
    with mirror.read() as connection:
        assert [row.id for row in daemon_rows(connection)] == [two.membership.id]
        assert len(webhook_rows(connection, list(two.last.ids.values()))) == 2


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
async def test_messages_arrive_again_after_the_connection_was_lost(mirror: Mirror, members: list[Member]) -> None:
    """The end of the connection is an error of the mirror, and a new one hears what comes after it."""
    (one,) = await started(members, mirror, "a")
    for number in range(2):
        messages = mirror.messages()
        assert await anext(messages) == ""
        mirror.transact(lambda tx: mirror.dialect.notify(tx, "webhook 7"))
        assert await anext(messages) == "webhook 7"
        with mirror.write() as tx:
            ended = tx.exec_driver_sql(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND query LIKE 'LISTEN%%'"
            ).all()
        assert len(ended) == 1, number
        with pytest.raises(DatabaseUnavailable):
            await anext(messages)
    assert one.last is not None
    assert one.last.can_listen


@pytest.fixture
def disturbed(database_url: str) -> Iterator[DisturbedMirror]:
    """A mirror that can be lost for a while."""
    with DisturbedMirror.open(database_url, outage_seconds=0.0) as mirror:
        yield mirror


async def test_a_heartbeat_that_fails_changes_nothing(disturbed: DisturbedMirror, members: list[Member]) -> None:
    """The daemon goes on with what it has; runs report the outage."""

    def away(_: object) -> None:
        raise TransactionLost("the database is unavailable")

    (one,) = await started(members, disturbed, *TEN)
    disturbed.plant(away, moment=Moment.BEFORE, side=Side.WRITE, times=1_000_000)
    assert not await one.membership.beat()
    assert one.running == frozenset(TEN)
    disturbed.leave_alone()
    assert await one.membership.beat()
    assert one.running == frozenset(TEN)


async def test_a_start_without_a_database_is_logged_once(disturbed: DisturbedMirror, members: list[Member]) -> None:
    """No run can report it: the daemon does not know yet which sources are its own."""

    def away(_: object) -> None:
        raise TransactionLost("the database is unavailable")

    one, logger = Member(disturbed, *TEN), CapturingLogger()
    members.append(one)
    one.membership._log = structlog.wrap_logger(logger, processors=[])
    disturbed.plant(away, moment=Moment.BEFORE, side=Side.WRITE, times=1_000_000)
    for _ in range(3):
        assert not await one.membership.beat()
    disturbed.leave_alone()
    assert await one.beat() == frozenset(TEN)
    lines = [(call.method_name, call.kwargs["event"]) for call in logger.calls if call.method_name != "debug"]
    assert lines == [("warning", "daemons.unknown"), ("info", "daemons.known")]


async def test_a_check_waits_for_a_heartbeat_if_the_last_one_has_expired(
    mirror: Mirror, members: list[Member], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process may have been suspended, and another daemon may have the source."""
    now = 1000.0
    monkeypatch.setattr(membership_module.time, "monotonic", lambda: now)
    one, two = await started(members, mirror, *TEN, number=2)
    now += VALID_SECONDS
    attempts = one.membership.attempts
    await one.membership.confirm()
    assert one.membership.attempts == attempts
    now += 1
    expire(mirror, one)
    await two.beat()
    await one.membership.confirm()
    assert (one.membership.attempts, one.running) == (attempts + 1, frozenset())
