"""One process at a time writes to a source, and a late one writes nothing (invariant 8)."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import text, update

from tests.fixtures.databases import MakeDatabase
from tests.integration.mirror.writing import at, project, register_source
from versionsync.mirror import holder as holders
from versionsync.mirror.database import Mirror
from versionsync.mirror.engine.dialects import dialect_of
from versionsync.mirror.errors import DatabaseUnavailable, LeaseHeld, LeaseLost
from versionsync.mirror.schema import leases
from versionsync.mirror.tables import leases as leases_module
from versionsync.mirror.tables.leases import LEASE_SECONDS, Holder, Lease, acquire, assert_and_renew, current, release

ME = Holder.of_this_process()
ELSEWHERE = Holder("elsewhere", 1, start=5, boot_id="another kernel", pid_namespace="pid:[1]")


@pytest.fixture
def source_id(mirror: Mirror) -> int:
    """A source that nobody writes to."""
    with mirror.write() as tx:
        return register_source(tx, "website", project(), observed_at=at(0)).id


@pytest.fixture
def dead_process() -> Iterator[Holder]:
    """A process of this host and container that is no more."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        here = Holder.of_this_process()
        (start,) = _starts(process.pid)
        holder = replace(here, pid=process.pid, start=start)
        assert not holder.is_known_dead()
        process.communicate()
    yield holder


def test_a_free_lease_is_taken_held_and_given_back(mirror: Mirror, source_id: int) -> None:
    """The whole life of one, twice: the epoch rises with each holder."""
    for epoch in (1, 2):
        lease = acquire(mirror, source_id, ME)
        assert lease == Lease(source_id, epoch, ME)
        mirror.transact(partial(assert_and_renew, lease=lease))
        with mirror.read() as connection:
            held = current(connection, source_id)
        assert held is not None
        assert (held.holder, held.epoch, held.is_expired) == (ME, epoch, False)
        release(mirror, lease)
        with mirror.read() as connection:
            assert current(connection, source_id) is None


def test_a_living_holder_keeps_its_lease(mirror: Mirror, source_id: int) -> None:
    """The error says who, and until when."""
    acquire(mirror, source_id, ME)
    with pytest.raises(LeaseHeld) as caught:
        acquire(mirror, source_id, ELSEWHERE)
    assert caught.value.holder == f"process {os.getpid()} on {ME.host}"
    assert caught.value.source == "website"
    with mirror.read() as connection:
        now = connection.scalar(_select_now(connection))
    assert timedelta(0) < caught.value.expires_at - now <= timedelta(seconds=LEASE_SECONDS)


def test_a_process_elsewhere_is_waited_for_until_its_lease_ends(mirror: Mirror, source_id: int) -> None:
    """It cannot be known to be dead; the database's clock decides."""
    first = acquire(mirror, source_id, ELSEWHERE)
    with pytest.raises(LeaseHeld, match="elsewhere"):
        acquire(mirror, source_id, ME)
    _expire(mirror, source_id)
    assert acquire(mirror, source_id, ME).epoch == first.epoch + 1


def test_a_dead_process_of_this_host_is_followed_at_once(mirror: Mirror, source_id: int, dead_process: Holder) -> None:
    """Nobody waits 30 s after a crash."""
    assert dead_process.is_known_dead()
    acquire(mirror, source_id, dead_process)
    assert acquire(mirror, source_id, ME).epoch == 2


def test_in_another_container_the_same_process_id_says_nothing(dead_process: Holder) -> None:
    """Nor after a restart of the machine, nor on a host of another name."""
    assert not replace(dead_process, pid_namespace="pid:[42]").is_known_dead()
    assert not replace(dead_process, boot_id="another").is_known_dead()
    assert not replace(dead_process, host="another").is_known_dead()
    assert not replace(dead_process, start=None).is_known_dead()


def test_a_process_id_that_is_used_again_is_another_process() -> None:
    """It started at another time."""
    assert ME.start is not None
    assert replace(ME, start=ME.start - 1).is_known_dead()
    assert not ME.is_known_dead()


def test_a_process_that_cannot_be_seen_is_not_known_to_be_dead(
    dead_process: Holder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The processes of other users and services are hidden from a service (hidepid, systemd's ProtectProc=)."""
    for name in ("self", "sys"):
        (tmp_path / name).symlink_to(f"/proc/{name}")
    monkeypatch.setattr(holders, "PROC", tmp_path)
    assert Holder.of_this_process().pid_namespace == ME.pid_namespace
    assert not ME.is_known_dead()
    assert dead_process.is_known_dead()


def test_an_expired_lease_that_nobody_took_is_still_held(mirror: Mirror, source_id: int) -> None:
    """A process that was suspended goes on if it missed nothing."""
    lease = acquire(mirror, source_id, ME)
    _expire(mirror, source_id)
    mirror.transact(lambda tx: assert_and_renew(tx, lease))
    with mirror.read() as connection:
        held = current(connection, source_id)
    assert held is not None
    assert not held.is_expired


def test_after_a_takeover_the_former_holder_writes_nothing(mirror: Mirror, source_id: int) -> None:
    """Its transaction ends in an error, and what it did in it is gone."""
    former = acquire(mirror, source_id, ELSEWHERE)
    _expire(mirror, source_id)
    acquire(mirror, source_id, ME)
    with pytest.raises(LeaseLost, match=rf"epoch 1.*process {ME.pid} on {ME.host} has taken it"), mirror.write() as tx:
        tx.execute(text("UPDATE sources SET name = 'stolen'"))
        assert_and_renew(tx, former)
    with mirror.read() as connection:
        assert connection.scalar(text("SELECT name FROM sources")) == "website"
    release(mirror, former)  # does nothing to the new holder's
    with mirror.read() as connection:
        assert current(connection, source_id) is not None


def test_of_many_that_want_it_at_once_one_gets_it(mirror: Mirror, source_id: int) -> None:
    """Whatever the database does between reading and writing."""

    def attempt(number: int) -> bool:
        try:
            acquire(mirror, source_id, replace(ELSEWHERE, pid=number))
        except LeaseHeld:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(attempt, range(16))) == 1


@pytest.mark.postgres
def test_a_lease_that_is_locked_is_not_waited_for_without_end(
    make_postgres_database: MakeDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that was stopped in the middle of a transaction keeps its row locked, though its time is over."""
    monkeypatch.setattr(leases_module, "LOCK_SECONDS", 1)
    with Mirror.open(make_postgres_database()) as mirror:
        with mirror.write() as tx:
            source_id = register_source(tx, "website", project(), observed_at=at(0)).id
        lease = acquire(mirror, source_id, ELSEWHERE)
        with mirror.write() as stopped:
            assert_and_renew(stopped, lease)
            with pytest.raises(LeaseHeld, match="elsewhere"):  # its time is not over: no need to wait
                acquire(mirror, source_id, ME)
        _expire(mirror, source_id)
        with mirror.write() as stopped:
            assert_and_renew(stopped, lease)
            with pytest.raises(DatabaseUnavailable, match="locked by another session, perhaps"):
                acquire(mirror, source_id, ME)


def test_leases_of_two_sources_do_not_meet(mirror: Mirror, source_id: int) -> None:
    """Sources are written side by side."""
    with mirror.write() as tx:
        other = register_source(tx, "shop", project(id="p2"), observed_at=at(0)).id
    acquire(mirror, source_id, ME)
    acquire(mirror, other, ELSEWHERE)


def test_a_source_that_is_not_there_has_no_lease(mirror: Mirror) -> None:
    """A mistake of the caller's."""
    with pytest.raises(LookupError):
        acquire(mirror, 99, ME)


def test_a_holder_survives_the_way_through_the_database() -> None:
    """Every part of it."""
    assert Holder.from_json(ME.to_json()) == ME
    assert Holder.from_json(ELSEWHERE.to_json()) == ELSEWHERE


def _expire(mirror: Mirror, source_id: int) -> None:
    with mirror.write() as tx:
        tx.execute(
            update(leases).where(leases.c.source_id == source_id).values(expires_at=dialect_of(tx).now(seconds=-1))
        )


def _select_now(connection: object) -> object:
    from sqlalchemy import Connection, select

    assert isinstance(connection, Connection)
    return select(dialect_of(connection).now())


def _starts(*pids: int) -> list[int]:
    from versionsync.mirror.holder import _start

    return [start for pid in pids if (start := _start(pid)) is not None]
