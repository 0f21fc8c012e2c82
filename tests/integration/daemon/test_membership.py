"""Several daemons on one database: they divide the sources, and each source always has one of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import nullcontext
from dataclasses import replace

import pytest

from tests.fixtures.running_daemon import RunningDaemon, eventually, source_config
from tests.fixtures.sync_env import SyncEnv
from versionsync.daemon import daemon
from versionsync.daemon.membership import Pace
from versionsync.daemon.source_worker import STALL_SECONDS
from versionsync.daemon.worker_state import SourceConfig

FAST = Pace(heartbeat=1.0, valid=5, retry=0.2, gather=0.05, look=0.3)


def sources(sync_env: SyncEnv, number: int) -> list[SourceConfig]:
    """Return sources that are checked once a minute."""
    return [replace(source_config(sync_env, name=f"source-{n}"), max_staleness=60.0) for n in range(number)]


class Fleet:
    """Daemons that run in this process."""

    def __init__(self, sync_env: SyncEnv) -> None:
        self.sync_env = sync_env
        self.running: dict[RunningDaemon, asyncio.Task[None]] = {}

    def start(self, configs: Sequence[SourceConfig], pace: Pace = FAST) -> RunningDaemon:
        """Start a daemon."""
        one = RunningDaemon(self.sync_env.mirror, configs, stall_seconds=STALL_SECONDS, pace=pace)
        self.running[one] = asyncio.create_task(one.daemon.run())
        return one

    async def stop(self, one: RunningDaemon) -> None:
        """Stop it as a signal does."""
        one.daemon.stop()
        await self.running.pop(one)

    def numbers(self) -> list[int]:
        """Return how many sources each daemon holds."""
        return [len(one.daemon.held) for one in self.running]

    def is_divided(self, number: int) -> bool:
        """Return whether each of the sources has one daemon, and all daemons have equally many."""
        held = [name for one in self.running for name in one.daemon.held]
        numbers = self.numbers()
        return len(held) == len(set(held)) == number and max(numbers) - min(numbers) <= 1


ON_POSTGRES = pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
ON_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
async def fleet(sync_env: SyncEnv, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Fleet]:
    """Return a place for daemons, all of which are stopped in the end."""
    monkeypatch.setattr(daemon, "handled", lambda **_: nullcontext())  # one process cannot have three of them
    some = Fleet(sync_env)
    yield some
    for one in list(some.running):
        await some.stop(one)


@pytest.mark.postgres
@ON_POSTGRES
async def test_three_daemons_divide_the_sources(fleet: Fleet) -> None:
    configs = sources(fleet.sync_env, 10)
    one = fleet.start(configs)
    await eventually(lambda: fleet.is_divided(10))
    assert one.told("info", "sources.assigned") == []
    fleet.start(configs)
    third = fleet.start(configs)
    await eventually(lambda: fleet.is_divided(10), seconds=20)
    await fleet.stop(third)
    await eventually(lambda: fleet.is_divided(10), seconds=20)
