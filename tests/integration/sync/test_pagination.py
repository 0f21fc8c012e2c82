"""Random walks: editors, runs of every kind and faults in any order; after each quiet run the mirror is as the truth.

More of the same by one command: VERSIONSYNC_TEST_SEEDS=100 pytest tests/integration/sync/test_pagination.py
"""

from __future__ import annotations

import asyncio
import os
import random
from datetime import timedelta

import pytest

from tests.fixtures.compare_with_expected import differences, emitted_events
from tests.fixtures.editing_load import EditingLoad
from tests.fixtures.sync_env import START, MakeSyncEnv, SyncEnv
from versionsync.simulator import Clock, FaultKind, Faults, SimulatorOptions, World
from versionsync.sync.options import SyncOptions
from versionsync.sync.report import Outcome

SEEDS = range(1, 1 + int(os.environ.get("VERSIONSYNC_TEST_SEEDS", "2")))
STEPS = 8
FAULTS = {
    FaultKind.RESET: 0.02,
    FaultKind.TRUNCATED: 0.02,
    FaultKind.WRONG_SHAPE: 0.02,
    FaultKind.STALE: 0.02,
    FaultKind.REPEATED_PAGE: 0.02,
    FaultKind.REORDERED: 0.02,
}


@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_happens_a_quiet_run_makes_it_right(make_sync_env: MakeSyncEnv, seed: int) -> None:
    """No version, flag or transition is missed or imagined, and looking again changes nothing."""
    chance = random.Random(seed)
    switches = SimulatorOptions(
        publishing_moves_updated_at=chance.random() < 0.5,
        deleted_versions_readable=chance.random() < 0.5,
        schedules_move_beacon=chance.random() < 0.5,
        versions_order=chance.choice(["newest_first", "newest_first", "oldest_first"]),
    )
    faults = Faults(seed=seed)
    sync_env = make_sync_env(World(seed=seed, clock=Clock.stopped(START), options=switches), faults=faults)
    newsroom = EditingLoad(seed)
    sync_env.act(lambda world: newsroom.open(world, records=12))
    done: list[str] = []
    for _ in range(STEPS):
        sync_env.pause = timedelta(seconds=chance.choice([1, 1, 60, 3600]))
        done += [sync_env.act(newsroom.act) for _ in range(chance.randint(1, 5))]
        faults.rates = FAULTS if chance.random() < 0.5 else {}
        done.append(disturbed(sync_env, chance))
        faults.rates = {}
        report = sync_env.sync(quick_check_from=chance.choice([1, 2000]), full=chance.random() < 0.2)
        done.append(f"quiet: {report.outcome} {report.error or ''} {[each.reason for each in report.failures]}")
        assert report.outcome is Outcome.SUCCEEDED, done
        assert differences(sync_env.mirror, sync_env.truth()) == [], done
        before = emitted_events(sync_env.mirror)
        sync_env.sync(full=True)
        assert emitted_events(sync_env.mirror) == before, done


def disturbed(sync_env: SyncEnv, chance: random.Random) -> str:
    """A run that may be of any kind, may meet faults, and may be stopped at any moment; returns what came of it."""
    kind = chance.choice(["plain", "quick", "full", "scrub", "dry", "stopped"])
    if kind == "stopped":
        return f"stopped: {asyncio.run(stop_after(sync_env, chance.uniform(0, 0.3)))}"
    options = {
        "quick": SyncOptions(quick_check_from=1, wait_until_settled=False),
        "full": SyncOptions(full=True, wait_until_settled=False),
        "scrub": SyncOptions(scrub=5, wait_until_settled=False),
        "dry": SyncOptions(dry_run=True, wait_until_settled=False),
    }
    report = asyncio.run(sync_env.run(options.get(kind, SyncOptions(wait_until_settled=False))))
    return f"{kind}: {report.outcome} {report.error or ''} {[each.reason for each in report.failures]}"


async def stop_after(sync_env: SyncEnv, seconds: float) -> str:
    """Cancel a run that lasts longer than that."""
    task = asyncio.create_task(sync_env.run(SyncOptions(wait_until_settled=False)))
    done, _ = await asyncio.wait([task], timeout=seconds)
    if done:
        return str(task.result().outcome)
    task.cancel()
    await asyncio.wait([task])
    return "in the middle"
