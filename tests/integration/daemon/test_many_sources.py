"""A daemon with many more sources than places: bounded threads and connections, and no source left out."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest
import structlog
from sqlalchemy import text

from tests.fixtures.running_daemon import eventually, running_daemon, source_config
from tests.fixtures.sync_env import SyncEnv
from versionsync.daemon import runner
from versionsync.daemon.source_worker import SourceWorker
from versionsync.daemon.worker_state import WorkerStatus
from versionsync.history.projections.background import BackgroundFiller
from versionsync.mirror.database import Mirror

SOURCES = 60
MAX_RUNS = 4
THREADS = MAX_RUNS + 4


@pytest.fixture
def shared(database_url: str) -> Iterator[Mirror]:
    """The mirror as a daemon opens it."""
    with Mirror.open(database_url, threads=THREADS) as mirror:
        yield mirror


class Watch:
    """Watches the daemon's runs, threads and connections while it works."""

    def __init__(self, mirror: Mirror, observer: Mirror) -> None:
        self.threads = self.connections = self.runs = 0
        self.twice: set[str] = set()
        self._mirror = mirror
        self._observer = observer
        self._running: set[str] = set()

    def look(self) -> None:
        """Count what there is now. The threads of the test itself are left out."""
        mine = [thread for thread in threading.enumerate() if thread.name.startswith("database")]
        self.threads = max(self.threads, len(mine))
        if self._mirror.dialect.name == "postgresql":
            with self._observer.read() as connection:
                found = connection.scalar(
                    text(
                        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
                        "AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
                    )
                )
            self.connections = max(self.connections, found or 0)

    def begins(self, name: str) -> None:
        """Record that a run of a source begins."""
        if name in self._running:
            self.twice.add(name)
        self._running.add(name)
        self.runs = max(self.runs, len(self._running))

    def ends(self, name: str) -> None:
        """Record that it ended."""
        self._running.discard(name)


@pytest.mark.both_databases
@pytest.mark.timeout(900)
async def test_each_of_many_sources_is_checked(
    sync_env: SyncEnv, shared: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a few threads and connections, no source twice at once, and all again and again."""
    sync_env.act(lambda world: world.create(world.user, "post", {"title": "one"}))
    sync_env.wait(60)
    watch, checks = Watch(shared, sync_env.mirror), dict.fromkeys((f"s{number}" for number in range(SOURCES)), 0)
    filled = asyncio.Semaphore(2)
    sync = runner.sync_source

    async def watched(mirror, client, spec, options, **rest):  # type: ignore[no-untyped-def]
        watch.begins(spec.name)
        try:
            return await sync(mirror, client, spec, options, **rest)
        finally:
            watch.ends(spec.name)
            checks[spec.name] += 1

    monkeypatch.setattr(runner, "sync_source", watched)
    sources = [replace(source_config(sync_env, name=name), max_staleness=5.0) for name in checks]

    def open_filler(name: str, is_busy: object) -> BackgroundFiller:
        return BackgroundFiller(shared, name, log=structlog.get_logger(), turns=filled)

    async with running_daemon(shared, *sources, max_runs=MAX_RUNS, open_filler=open_filler) as running:

        def are_all_checked() -> bool:
            watch.look()
            return min(checks.values()) >= 2

        await eventually(are_all_checked, seconds=800)
        statuses = {state.status for state in running.daemon.states.values()}
        workers: list[SourceWorker] = list(running.daemon.workers.values())
        assert running.daemon.stuck() == []
    assert statuses == {WorkerStatus.ACTIVE}
    assert len(workers) == SOURCES
    assert watch.twice == set()
    assert watch.runs <= MAX_RUNS
    assert 1 <= watch.threads <= THREADS
    assert watch.connections <= THREADS + 2  # heartbeats and messages have one each
