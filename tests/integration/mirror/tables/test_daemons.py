"""One daemon has a source, as long as it lives; runs that found nothing are deleted after a while."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Connection, select, update

from tests.fixtures.claims import claim_for
from tests.fixtures.databases import MakeDatabase
from tests.integration.mirror.writing import Desk
from versionsync.ledger.events import Event, EventType, TimeBasis
from versionsync.mirror.database import Mirror
from versionsync.mirror.holder import Holder
from versionsync.mirror.schema import daemons, runs
from versionsync.mirror.tables.daemons import (
    ActiveDaemon,
    Renewal,
    active_daemon,
    add_claims,
    daemon_rows,
    delete_daemon,
    delete_old_daemons,
    expire_daemons,
    free_claims,
    invalid_cursors,
    limit_validity,
    newest_queued,
    release_claims,
    renew_daemon,
    save_next_check,
    take_claims,
)
from versionsync.mirror.tables.events import write_events
from versionsync.mirror.tables.runs import KEEP_FAILED, KEEP_UNCHANGED, delete_old_runs, finish_run, start_run
from versionsync.mirror.tables.webhooks import delete_queued, invalidate_cursor, queue_record, queued_records

ONE, TWO = Holder(host="one", pid=1), Holder(host="two", pid=2)
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)


SITE = frozenset({"website"})


def claimed(tx: Connection, daemon_id: int, source_id: int, *, dead: Collection[int] = ()) -> bool:
    """Return whether the daemon could claim the source."""
    return take_claims(tx, daemon_id, [source_id], dead=dead) == {source_id}


def test_only_one_has_a_source(desk: Desk) -> None:
    """The one that came first, until it releases it or is dead."""
    source = desk.lease.source_id
    with desk.mirror.write() as tx:
        add_claims(tx, SITE)
        one, two = (renew_daemon(tx, None, holder, SITE).id for holder in (ONE, TWO))
        assert claimed(tx, one, source)
        assert not claimed(tx, two, source)
        release_claims(tx, two, [source])
        assert not claimed(tx, two, source)
        release_claims(tx, one, [source])
        assert active_daemon(tx, source) is None
        assert claimed(tx, two, source)
        assert claimed(tx, one, source, dead=[two])
        assert active_daemon(tx, source) == ActiveDaemon(
            holder=ONE,
            expires_at=daemon_rows(tx)[0].expires_at,
            is_expired=False,
            next_check_at=None,
            next_check_reason=None,
        )


def test_a_daemon_that_stops_leaves_nothing(desk: Desk) -> None:
    with desk.mirror.write() as tx:
        add_claims(tx, SITE)
        id = renew_daemon(tx, None, ONE, SITE).id
        assert claimed(tx, id, desk.lease.source_id)
        delete_daemon(tx, id)
        assert active_daemon(tx, desk.lease.source_id) is None
        assert daemon_rows(tx) == []
        assert free_claims(tx) == {desk.lease.source_id}


def test_a_heartbeat_renews_and_tells_what_happened_before_it(desk: Desk) -> None:
    """That others do not know this daemon yet, that its settings have changed, that it came too late."""
    with desk.mirror.write() as tx:
        first = renew_daemon(tx, None, ONE, SITE)
        assert first.is_news
        assert renew_daemon(tx, first.id, ONE, SITE) == Renewal(first.id, is_news=False, expired_at=None)
        assert renew_daemon(tx, first.id, ONE, SITE | {"shop"}).is_news
        assert [row.sources for row in daemon_rows(tx)] == [SITE | {"shop"}]
        tx.execute(update(daemons).values(expires_at=LONG_AGO))
        assert [row.is_expired for row in daemon_rows(tx)] == [True]
        assert renew_daemon(tx, first.id, ONE, SITE | {"shop"}).expired_at == LONG_AGO
        assert [row.is_expired for row in daemon_rows(tx)] == [False]


def test_rows_of_the_dead_are_deleted_after_an_hour_and_their_claims_are_free(desk: Desk) -> None:
    """A daemon that was suspended for so long gets a new id."""
    source = desk.lease.source_id
    with desk.mirror.write() as tx:
        add_claims(tx, SITE)
        one, two = (renew_daemon(tx, None, holder, SITE).id for holder in (ONE, TWO))
        claimed(tx, one, source)
        expire_daemons(tx, [one])
        delete_old_daemons(tx)
        assert [row.is_expired for row in daemon_rows(tx)] == [True, False]
        tx.execute(update(daemons).where(daemons.c.id == one).values(expires_at=LONG_AGO))
        delete_old_daemons(tx)
        assert [row.id for row in daemon_rows(tx)] == [two]
        assert free_claims(tx) == {source}
        again = renew_daemon(tx, one, ONE, SITE)
        assert (again.id > two, again.is_news) == (True, True)


def test_a_heartbeat_from_before_the_clock_was_set_back_is_limited(desk: Desk) -> None:
    """Otherwise a dead daemon would count as alive for as long as the clock was set back."""
    with desk.mirror.write() as tx:
        id = renew_daemon(tx, None, ONE, SITE).id
        assert [row.is_far for row in daemon_rows(tx)] == [False]
        tx.execute(update(daemons).values(expires_at=datetime(2126, 1, 1, tzinfo=UTC)))
        assert [row.is_far for row in daemon_rows(tx)] == [True]
        limit_validity(tx, [id])
        assert [(row.is_far, row.is_expired) for row in daemon_rows(tx)] == [(False, False)]


def test_only_the_daemon_of_a_source_says_when_it_checks_next(desk: Desk) -> None:
    """For `status`."""
    source = desk.lease.source_id
    with desk.mirror.write() as tx:
        one = claim_for(tx, source, ONE)
        save_next_check(tx, source, one, at=LONG_AGO, reason="quiet")
        save_next_check(tx, source, one + 1, at=LONG_AGO, reason="never")
        told = active_daemon(tx, source)
    assert told is not None
    assert (told.next_check_at, told.next_check_reason) == (LONG_AGO, "quiet")


def test_what_webhooks_say_is_read_for_all_sources_of_a_daemon_at_once(desk: Desk) -> None:
    """The newest queued call, and a webhook that a command has changed."""
    source = desk.lease.source_id
    with desk.mirror.write() as tx:
        one = claim_for(tx, source, ONE)
        assert (newest_queued(tx, one), invalid_cursors(tx, one)) == ({}, {})
        for record in ("a", "b", None):
            queue_record(tx, source, record, event_type="update", received_at=LONG_AGO)
        invalidate_cursor(tx, source, at=LONG_AGO)
        queued = queued_records(tx, source, limit=10)
        assert queued is not None
        assert (queued.record_ids, queued.needs_check) == (("a", "b"), True)
        assert (newest_queued(tx, one), invalid_cursors(tx, one)) == ({source: queued.last_id}, {source: LONG_AGO})
        assert (newest_queued(tx, one + 1), invalid_cursors(tx, one + 1)) == ({}, {})
        delete_queued(tx, source, up_to=queued.last_id, besides={"b"})
        queued = queued_records(tx, source, limit=10)
        assert queued is not None
        assert (queued.record_ids, queued.needs_check) == (("b",), False)


def test_idle_runs_are_forgotten_and_what_wrote_something_is_kept(desk: Desk) -> None:
    """Failures stay longer; the last run stays whatever it was."""
    now = LONG_AGO + timedelta(days=365)

    def run(age: timedelta, outcome: str, **counts: int) -> int:
        with desk.mirror.write() as tx:
            id = start_run(tx, desk.lease, kind="incremental", trigger="schedule", started_at=now - age)
            finish_run(tx, desk.lease, id, outcome=outcome, finished_at=now - age, counts=counts)
        return id

    old, hour = KEEP_UNCHANGED + timedelta(hours=1), timedelta(hours=1)
    gone = run(old, "succeeded", requests=1)
    kept = [
        run(KEEP_UNCHANGED - hour, "succeeded"),
        run(old, "failed"),
        run(old, "succeeded", versions_inserted=1),
        run(old, "succeeded", events_written=1),
    ]
    long_failed = run(KEEP_FAILED + hour, "failed")
    with desk.mirror.write() as tx:
        killed = start_run(tx, desk.lease, kind="incremental", trigger="schedule", started_at=now - KEEP_FAILED - hour)
        event = Event(type=EventType.MODEL_CREATED, key="key", occurred_at=now, basis=TimeBasis.OBSERVED)
        assert write_events(tx, desk.lease, [event], observed_at=now, run_id=killed) == 1
        tx.execute(update(runs).where(runs.c.id == killed).values(outcome="interrupted", finished_at=LONG_AGO))
    last = run(old, "succeeded")
    with desk.mirror.write() as tx:
        before = set(tx.scalars(select(runs.c.id)))
        assert delete_old_runs(tx, desk.lease, now=now) == 2
        assert before - set(tx.scalars(select(runs.c.id))) == {gone, long_failed}
        assert {*kept, killed, last} <= before
        assert delete_old_runs(tx, desk.lease, now=now) == 0


@pytest.mark.postgres
def test_a_daemon_that_was_suspended_while_it_took_a_source_holds_up_no_other(
    make_postgres_database: MakeDatabase,
) -> None:
    """It keeps its row locked, however long it sleeps; the others leave it that source and go on."""
    with Mirror.open(make_postgres_database()) as mirror:
        with mirror.write() as tx:
            add_claims(tx, {"website", "shop"})
            one, two = (renew_daemon(tx, None, holder, SITE).id for holder in (ONE, TWO))
        with mirror.write() as suspended:
            assert take_claims(suspended, one, [1], dead=()) == {1}
            assert mirror.transact(lambda tx: take_claims(tx, two, [1, 2], dead=())) == {2}
