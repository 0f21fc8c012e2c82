"""The first run of a source: it takes the lease before it asks for anything, and is recorded however it ends."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from sqlalchemy import func, select

from tests.fixtures.compare_with_expected import differences
from tests.fixtures.fake_upstreams import Given, gateway
from tests.fixtures.sync_env import SyncEnv
from versionsync import cma
from versionsync.errors import ErrorKind
from versionsync.mirror.database import Mirror
from versionsync.mirror.errors import LeaseHeld
from versionsync.mirror.holder import Holder
from versionsync.mirror.schema import sources
from versionsync.mirror.tables.leases import acquire, current, release
from versionsync.mirror.tables.runs import RunRow, last_runs
from versionsync.mirror.tables.sources import add_sources, load_source, source_id
from versionsync.sync.options import SyncOptions
from versionsync.sync.report import Outcome, RunKind


def runs_of(sync_env: SyncEnv) -> list[RunRow]:
    """The runs of the source, newest first."""
    with sync_env.mirror.read() as connection:
        id = source_id(connection, sync_env.spec.name)
        assert id is not None
        assert current(connection, id) is None, "the lease is still held"
        return list(last_runs(connection, id, limit=9))


@pytest.mark.both_databases
def test_a_first_run_with_a_refused_token_is_recorded_and_holds_no_lease(sync_env: SyncEnv) -> None:
    """The source has a row but no project; the next run goes on with the same row."""
    sync_env.token = "wrong"
    report = sync_env.sync()
    assert isinstance(report.error, cma.AuthenticationError)
    (failed,) = runs_of(sync_env)
    assert (failed.id, failed.kind, failed.outcome) == (report.run_id, RunKind.BACKFILL, Outcome.FAILED)
    assert (failed.error, failed.error_kind) == (str(report.error), ErrorKind.REFUSED)
    assert failed.counts["requests"] == 1
    with sync_env.mirror.read() as connection:
        id = source_id(connection, "website")
        assert load_source(connection, "website") is None
    sync_env.token = "simulator-full-access"
    report = sync_env.sync()
    assert report.outcome is Outcome.SUCCEEDED
    assert [run.outcome for run in runs_of(sync_env)] == [Outcome.SUCCEEDED, Outcome.FAILED]
    with sync_env.mirror.read() as connection:
        known = load_source(connection, "website")
    assert known is not None
    assert (known.id, known.project.id) == (id, "205")
    assert differences(sync_env.mirror, sync_env.truth()) == []


def test_a_first_run_of_an_unknown_environment_is_recorded(sync_env: SyncEnv) -> None:
    """With the error that the run reports."""
    sync_env.spec = replace(sync_env.spec, environment="nowhere")
    report = sync_env.sync()
    assert isinstance(report.error, cma.EnvironmentNotFound)
    (failed,) = runs_of(sync_env)
    assert (failed.outcome, failed.error) == (Outcome.FAILED, str(report.error))


def test_a_first_dry_run_writes_nothing(sync_env: SyncEnv) -> None:
    """Not even the row that a lease hangs on."""
    assert sync_env.sync(dry_run=True).outcome is Outcome.SUCCEEDED
    with sync_env.mirror.read() as connection:
        assert connection.scalar(select(func.count()).select_from(sources)) == 0


def test_a_first_run_asks_nothing_while_another_process_has_the_lease(sync_env: SyncEnv) -> None:
    """It is not registered yet: only the row is there."""
    with sync_env.mirror.write() as tx:
        id = add_sources(tx, ["website"])["website"]
    lease = acquire(sync_env.mirror, id, Holder(host="elsewhere", pid=7))
    before = sync_env.simulator.simulator.requests.total
    report = sync_env.sync()
    assert isinstance(report.error, LeaseHeld)
    assert "elsewhere" in str(report.error)
    assert (report.counts.requests, report.run_id) == (0, None)
    assert sync_env.simulator.simulator.requests.total == before
    release(sync_env.mirror, lease)
    assert sync_env.sync().outcome is Outcome.SUCCEEDED


@pytest.mark.both_databases
def test_of_two_first_runs_at_once_one_asks_nothing(sync_env: SyncEnv, database_url: str) -> None:
    """The other one has the lease from before its first request on."""
    asked, answer = threading.Event(), threading.Event()
    paths: list[str] = []

    def hold(path: str) -> Given | None:
        paths.append(path)
        asked.set()
        assert answer.wait(60)
        return None

    with (
        gateway(sync_env.simulator.url, instead=hold) as url,
        Mirror.open(database_url) as other_mirror,
        ThreadPoolExecutor(1) as pool,
    ):
        sync_env.spec = replace(sync_env.spec, base_url=url)
        other = SyncEnv(sync_env.simulator, other_mirror)
        other.spec = sync_env.spec
        winner = pool.submit(sync_env.sync)
        assert asked.wait(60)
        loser = other.sync()
        answered = len(paths)
        answer.set()
        report = winner.result()
    assert isinstance(loser.error, LeaseHeld)
    assert (loser.counts.requests, answered) == (0, 1)
    assert report.outcome is Outcome.SUCCEEDED
    assert len(paths) == report.counts.requests
    assert [run.outcome for run in runs_of(sync_env)] == [Outcome.SUCCEEDED]


def test_a_first_run_that_is_stopped_at_its_first_request_is_recorded(sync_env: SyncEnv) -> None:
    """As interrupted; the lease is free at once."""
    asked, answer = threading.Event(), threading.Event()

    def hold(_path: str) -> Given | None:
        asked.set()
        answer.wait(60)
        return None

    async def stop() -> None:
        run = asyncio.create_task(sync_env.run(SyncOptions()))
        await asyncio.to_thread(asked.wait, 60)
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run

    with gateway(sync_env.simulator.url, instead=hold) as url:
        sync_env.spec = replace(sync_env.spec, base_url=url)
        try:
            asyncio.run(stop())
        finally:
            answer.set()
    assert [run.outcome for run in runs_of(sync_env)] == [Outcome.INTERRUPTED]
