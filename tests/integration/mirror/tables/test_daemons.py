"""One daemon follows a source, the others stand by; what it found nothing in is forgotten after a while."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, update

from tests.fixtures.databases import MakeDatabase
from tests.integration.mirror.writing import Desk, project, register_source
from versionsync.ledger.events import Event, EventType, TimeBasis
from versionsync.mirror.database import Mirror
from versionsync.mirror.errors import DatabaseUnavailable
from versionsync.mirror.holder import Holder
from versionsync.mirror.schema import runs, source_claims
from versionsync.mirror.tables import leases
from versionsync.mirror.tables.daemons import active_daemon, claim_source, release_source, save_next_check
from versionsync.mirror.tables.events import write_events
from versionsync.mirror.tables.runs import KEEP_FAILED, KEEP_UNCHANGED, delete_old_runs, finish_run, start_run

ONE, TWO = Holder(host="one", pid=1), Holder(host="two", pid=2)
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)


def test_only_one_follows(desk: Desk) -> None:
    """Whoever came first, for as long as it says so."""
    with desk.mirror.write() as tx:
        assert claim_source(tx, desk.lease.source_id, ONE) == ONE
        assert claim_source(tx, desk.lease.source_id, TWO) == ONE
        assert claim_source(tx, desk.lease.source_id, ONE) == ONE


def test_one_that_leaves_is_followed_at_once(desk: Desk) -> None:
    """And one that does not follow cannot leave in another's place."""
    with desk.mirror.write() as tx:
        claim_source(tx, desk.lease.source_id, ONE)
        release_source(tx, desk.lease.source_id, TWO)
        assert claim_source(tx, desk.lease.source_id, TWO) == ONE
        release_source(tx, desk.lease.source_id, ONE)
        assert active_daemon(tx, desk.lease.source_id) is None
        assert claim_source(tx, desk.lease.source_id, TWO) == TWO


def test_one_that_falls_silent_is_overtaken(desk: Desk) -> None:
    """And stands by when it wakes up."""
    with desk.mirror.write() as tx:
        claim_source(tx, desk.lease.source_id, ONE)
        tx.execute(update(source_claims).values(expires_at=LONG_AGO))
        assert claim_source(tx, desk.lease.source_id, TWO) == TWO
        assert claim_source(tx, desk.lease.source_id, ONE) == TWO


def test_the_follower_alone_says_when_it_looks_next(desk: Desk) -> None:
    """For `status`."""
    with desk.mirror.write() as tx:
        claim_source(tx, desk.lease.source_id, ONE)
        save_next_check(tx, desk.lease.source_id, ONE, at=LONG_AGO, reason="quiet")
        save_next_check(tx, desk.lease.source_id, TWO, at=LONG_AGO, reason="never")
        told = active_daemon(tx, desk.lease.source_id)
    assert told is not None
    assert (told.next_check_at, told.next_check_reason) == (LONG_AGO, "quiet")


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
def test_one_stopped_while_it_says_that_it_follows_is_not_waited_for_without_end(
    make_postgres_database: MakeDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It keeps its row locked, however long it sleeps."""
    monkeypatch.setattr(leases, "LOCK_SECONDS", 1)
    with Mirror.open(make_postgres_database()) as mirror:
        with mirror.write() as tx:
            source_id = register_source(tx, "website", project(), observed_at=LONG_AGO).id
            claim_source(tx, source_id, ONE)
        with mirror.write() as stopped:
            claim_source(stopped, source_id, ONE)
            with pytest.raises(DatabaseUnavailable, match="locked by another session"):
                mirror.transact(lambda tx: claim_source(tx, source_id, TWO))
