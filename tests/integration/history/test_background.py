"""Filling beside other work: it never makes a sync fail or wait."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
import structlog
from structlog.testing import CapturingLogger

from tests.fixtures.projections import differences_from_rebuild
from tests.fixtures.running_daemon import eventually, running_daemon, source_config
from tests.fixtures.sync_env import SyncEnv
from versionsync.config import Secret
from versionsync.history.projections.background import BackgroundFiller
from versionsync.history.projections.filling import FillState, ProjectionFiller, request_rebuild
from versionsync.history.projections.reading import coverage
from versionsync.mirror.database import Mirror
from versionsync.mirror.errors import DatabaseUnavailable
from versionsync.mirror.tables.leases import Holder, acquire, release
from versionsync.sync.report import Outcome


@pytest.fixture
def logger() -> CapturingLogger:
    return CapturingLogger()


@pytest.fixture
def log(logger: CapturingLogger) -> Any:
    return structlog.wrap_logger(logger, processors=[])


def run(filler: BackgroundFiller, *, times: int = 1) -> list[FillState | None]:
    """Let it fill, and close it."""

    async def work() -> list[FillState | None]:
        try:
            return [await filler.fill() for _ in range(times)]
        finally:
            await filler.close()

    return asyncio.run(work())


def is_filled(mirror: Mirror) -> bool:
    with mirror.read() as connection:
        state = coverage(connection, 1)
    return state.is_complete and not state.is_empty


def edit(sync_env: SyncEnv) -> None:
    sync_env.act(lambda world: world.create(world.account, "post", {"title": "Fish"}))


def test_it_fills_until_nothing_is_left(sync_env: SyncEnv, log: Any) -> None:
    edit(sync_env)
    sync_env.sync()
    assert run(BackgroundFiller(sync_env.mirror, "website", log=log)) == [FillState.COMPLETE]
    assert is_filled(sync_env.mirror)


def test_a_source_that_is_not_there_yet_has_nothing_to_fill(mirror: Mirror, log: Any) -> None:
    assert run(BackgroundFiller(mirror, "website", log=log)) == [FillState.COMPLETE]


def test_it_leaves_a_source_to_the_process_that_writes_to_it(sync_env: SyncEnv, log: Any) -> None:
    edit(sync_env)
    sync_env.sync()
    lease = acquire(sync_env.mirror, 1, Holder.of_this_process())
    assert run(BackgroundFiller(sync_env.mirror, "website", log=log)) == [FillState.BUSY]
    release(sync_env.mirror, lease)
    assert not is_filled(sync_env.mirror)


@pytest.mark.parametrize("error", [DatabaseUnavailable("no room on the disk"), ZeroDivisionError("a bug")])
def test_what_goes_wrong_is_logged_once_and_raises_nothing(
    sync_env: SyncEnv, log: Any, logger: CapturingLogger, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """A bug as an error, an unavailable database for information: the runs report that too."""
    edit(sync_env)
    sync_env.sync()

    def fail(_: ProjectionFiller) -> None:
        raise error

    monkeypatch.setattr(ProjectionFiller, "fill_batch", fail)
    assert run(BackgroundFiller(sync_env.mirror, "website", log=log), times=2) == [None, None]
    told = [(call.method_name, call.kwargs["event"], call.kwargs["reason"]) for call in logger.calls]
    level = "info" if isinstance(error, DatabaseUnavailable) else "error"
    assert told == [(level, "projections.failed", str(error)), ("debug", "projections.failed", str(error))]


def test_cancelling_drops_the_batch(sync_env: SyncEnv, log: Any) -> None:
    """And ends at once; the next filling does it again."""
    edit(sync_env)
    sync_env.sync()

    async def work() -> None:
        filler = BackgroundFiller(sync_env.mirror, "website", log=log, is_busy=lambda: True)
        filling = asyncio.create_task(filler.fill())
        await asyncio.sleep(0)
        filling.cancel()
        await asyncio.wait({filling})
        await filler.close()

    asyncio.run(work())
    assert run(BackgroundFiller(sync_env.mirror, "website", log=log)) == [FillState.COMPLETE]
    assert differences_from_rebuild(sync_env.mirror) == []


def test_batches_have_long_pauses_while_a_run_is_in_progress(sync_env: SyncEnv, log: Any) -> None:
    edit(sync_env)
    sync_env.sync()
    waits = list[float]()

    async def work() -> None:
        filler = BackgroundFiller(sync_env.mirror, "website", log=log, is_busy=lambda: True)
        loop = asyncio.get_running_loop()
        began = loop.time()
        assert await filler.fill() is FillState.COMPLETE
        waits.append(loop.time() - began)
        await filler.close()

    asyncio.run(work())
    assert waits[0] > 0.1


# --- the daemon ---


def opener(sync_env: SyncEnv, log: Any) -> Callable[[str, Callable[[], bool]], BackgroundFiller]:
    return lambda name, is_busy: BackgroundFiller(sync_env.mirror, name, log=log, is_busy=is_busy, idle_pauses=0)


async def test_the_daemon_fills_after_a_run_that_found_something(sync_env: SyncEnv, log: Any) -> None:
    """And again what was asked for by `db rebuild`, while it runs."""
    edit(sync_env)
    async with running_daemon(sync_env.mirror, source_config(sync_env), open_filler=opener(sync_env, log)) as running:
        await eventually(lambda: is_filled(sync_env.mirror))
        edit(sync_env)
        sync_env.wait(60)
        await eventually(lambda: running.state().counts.versions_inserted == 2 and is_filled(sync_env.mirror))
    assert differences_from_rebuild(sync_env.mirror) == []


async def test_the_daemon_does_a_rebuild_that_someone_asked_for(
    sync_env: SyncEnv, log: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("versionsync.daemon.source_worker.FILL_SECONDS", 0.1)
    edit(sync_env)
    async with running_daemon(sync_env.mirror, source_config(sync_env), open_filler=opener(sync_env, log)):
        await eventually(lambda: is_filled(sync_env.mirror))
        with sync_env.mirror.write() as tx:
            request_rebuild(tx, 1)
        await eventually(lambda: is_filled(sync_env.mirror))


# --- sync ---


def test_a_sync_succeeds_though_projections_cannot_be_filled(
    sync_env: SyncEnv, log: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from versionsync.config import SourceSettings
    from versionsync.sync.options import SyncOptions
    from versionsync.wiring.sync_all import SourceJob, sync_all

    edit(sync_env)

    def fail(_: ProjectionFiller) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(ProjectionFiller, "fill_batch", fail)
    job = SourceJob(SourceSettings(name="website", base_url=sync_env.spec.base_url), Secret(sync_env.token))
    (report,) = asyncio.run(sync_all(sync_env.mirror, [job], SyncOptions(wait_until_settled=False), log=log))
    assert report.outcome is Outcome.SUCCEEDED, report
