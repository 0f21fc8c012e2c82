"""A run's limits: one that hangs is ended as failed, one that has sent its requests too; what is committed stays."""

from __future__ import annotations

import asyncio
import time
from datetime import datetime, timedelta

import pytest

from tests.fixtures.compare_with_expected import differences
from tests.fixtures.sync_env import SyncEnv
from versionsync.mirror.tables.leases import LEASE_SECONDS, current
from versionsync.mirror.tables.runs import last_runs
from versionsync.simulator import FaultKind, RateLimit, World
from versionsync.sync.lease_renewal import LeaseKeeper
from versionsync.sync.options import SyncOptions
from versionsync.sync.report import Outcome
from versionsync.sync.run_limits import RequestLimitReached, StalledError, Timings


def write(sync_env: SyncEnv, number: int) -> None:
    """So many records."""

    def act(world: World) -> None:
        for each in range(number):
            world.create(world.user, "post", {"title": f"{each}"})

    sync_env.act(act)


def test_a_run_that_hangs_is_ended_as_failed(sync_env: SyncEnv) -> None:
    """And the next one does all of it."""
    write(sync_env, 2)
    sync_env.simulator.simulator.faults.plant(FaultKind.STALL, path="/versions", seconds=30)
    report = sync_env.sync(stall_seconds=1.0)
    assert report.outcome is Outcome.FAILED
    assert isinstance(report.error, StalledError)
    with sync_env.mirror.read() as connection:
        assert [(run.outcome, run.error) for run in last_runs(connection)] == [("failed", str(report.error))]
    assert sync_env.sync(stall_seconds=5.0).outcome is Outcome.SUCCEEDED
    assert differences(sync_env.mirror, sync_env.truth()) == []


def test_a_run_that_only_takes_long_is_not_ended(sync_env: SyncEnv) -> None:
    """As long as something moves."""
    write(sync_env, 30)
    sync_env.simulator.simulator.limits = RateLimit(15)
    assert sync_env.sync(stall_seconds=3.5).outcome is Outcome.SUCCEEDED


def test_a_run_that_has_sent_its_requests_is_ended(sync_env: SyncEnv) -> None:
    """The next runs continue."""
    write(sync_env, 60)
    sync_env.simulator.simulator.limits = RateLimit(30)
    report = sync_env.sync(max_requests=20)
    assert report.outcome is Outcome.FAILED
    assert isinstance(report.error, RequestLimitReached)
    assert 20 <= report.counts.requests < 60
    kept = report.counts.versions_inserted
    sync_env.simulator.simulator.limits = None
    assert sync_env.sync().counts.versions_inserted == 60 - kept
    assert differences(sync_env.mirror, sync_env.truth()) == []


def test_cancelling_a_run_with_limits_interrupts_it(sync_env: SyncEnv) -> None:
    """A limit does not take a cancellation for its own."""
    write(sync_env, 1)
    sync_env.simulator.simulator.faults.plant(FaultKind.STALL, path="/items", seconds=30)

    async def cancel() -> None:
        task = asyncio.create_task(
            sync_env.run(SyncOptions(wait_until_settled=False, stall_seconds=60, max_requests=1000))
        )
        await asyncio.sleep(0.5)
        task.cancel()
        await asyncio.wait({task})
        assert task.cancelled()

    asyncio.run(cancel())
    with sync_env.mirror.read() as connection:
        assert [run.outcome for run in last_runs(connection)] == ["interrupted"]


def test_cancelling_a_run_that_ends_lets_it_end(sync_env: SyncEnv, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its outcome waits behind another transaction, and its lease must not be kept until it is too old."""
    write(sync_env, 1)
    end = LeaseKeeper.release

    async def cancel() -> None:
        async def end_cancelled(keeper: LeaseKeeper, *args: object, **kwargs: object) -> None:
            before = asyncio.create_task(keeper.database.writing.run(time.sleep, 0.3))
            await asyncio.sleep(0)
            running.cancel()
            await end(keeper, *args, **kwargs)  # type: ignore[arg-type]
            await before

        monkeypatch.setattr(LeaseKeeper, "release", end_cancelled)
        running = asyncio.create_task(sync_env.run(SyncOptions(wait_until_settled=False)))
        await asyncio.wait({running})
        assert running.cancelled()

    asyncio.run(cancel())
    with sync_env.mirror.read() as connection:
        assert [run.outcome for run in last_runs(connection)] == ["succeeded"]
        assert current(connection, 1) is None


def test_the_lease_of_a_long_run_is_renewed(sync_env: SyncEnv) -> None:
    """In the database, and in what the daemon's metrics say of it."""
    write(sync_env, 1)
    sync_env.sync()
    sync_env.timings = Timings(renew_lease=0.1)
    sync_env.simulator.simulator.faults.plant(FaultKind.SLOW, path="/items", seconds=1.0)
    seen: list[datetime] = []

    def read_lease(_: World) -> None:
        with sync_env.mirror.read() as connection:
            lease = current(connection, 1)
        assert lease is not None
        seen.append(lease.expires_at)

    sync_env.simulator.simulator.faults.run_after(read_lease, path=r"/site\?include")
    sync_env.simulator.simulator.faults.run_after(read_lease, path="/items")
    began = time.monotonic()
    assert sync_env.sync(full=True).outcome is Outcome.SUCCEEDED
    term = sync_env.progress.lease
    assert term is not None
    assert began + 0.5 < term.until - LEASE_SECONDS < time.monotonic()
    assert seen[1] - seen[0] > timedelta(seconds=0.5)
