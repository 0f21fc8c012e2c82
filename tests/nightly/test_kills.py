"""Killed at any instant, nothing is lost, nothing is told twice, and little is done twice (invariant 9).

More of the same by one command: VERSIONSYNC_TEST_KILLS=500 pytest tests/nightly/test_kills.py
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from sqlalchemy import func, select

from tests.fixtures.compare_with_expected import differences, emitted_events
from tests.fixtures.projections import differences_from_rebuild, projected, rebuilt
from tests.fixtures.sync_env import START, MakeSyncEnv, SyncEnv
from versionsync.history.projections.filling import request_rebuild
from versionsync.mirror.database import Mirror
from versionsync.mirror.schema import projection_cursors, records, runs
from versionsync.mirror.tables.projection_cursors import PROJECTIONS
from versionsync.simulator import Clock, Faults, World
from versionsync.simulator.scenarios.bulk import build_bulk
from versionsync.sync.run_limits import Limits

KILLS = int(os.environ.get("VERSIONSYNC_TEST_KILLS", "20"))
SEED = int(os.environ.get("VERSIONSYNC_TEST_SEED", "1"))
RECORDS = 800
VERSIONS = 2
EDITS = 200
OTHER_REQUESTS = 15  # what a run asks for beside versions, about
PULL = "GET /items/{item_id}/versions"
UNDER_WAY = 24


class Program:
    """The installed program, syncing a sync_env's project into its mirror."""

    def __init__(self, sync_env: SyncEnv, faults: Faults, database_url: str, folder: Path) -> None:
        self._faults = faults
        self._folder = folder
        self._environment = sync_env.environ(database_url)

    def sync(self, *, killed_after: int | None = None, seconds: float = 0.0) -> bool:
        """Whether a sync ended by itself; it is killed so many seconds after its nth request was answered."""
        reached = threading.Event()
        if killed_after is not None:
            self._faults.run_after(lambda _: reached.set(), nth=killed_after)
        log = self._folder / "sync.log"
        with (
            log.open("wb") as output,
            subprocess.Popen(
                [sys.executable, "-m", "versionsync", "sync"],
                env=self._environment,
                cwd=self._folder,
                stdout=output,
                stderr=subprocess.STDOUT,
            ) as process,
        ):
            while process.poll() is None:
                if reached.wait(0.01):
                    time.sleep(seconds)
                    process.kill()
                    process.wait()
        self._faults.clear()
        assert process.returncode in {0, -9}, log.read_text()
        return process.returncode == 0


@pytest.mark.timeout(120 + 10 * KILLS)
def test_a_run_that_is_killed_again_and_again_ends_like_an_undisturbed_one(
    make_sync_env: MakeSyncEnv, database_url: str, tmp_path: Path
) -> None:
    """The real process, SIGKILL at random instants of a backfill and of the edits after it."""
    print(f"VERSIONSYNC_TEST_SEED={SEED}")
    chance, faults = random.Random(SEED), Faults()
    world = World(seed=SEED, clock=Clock.stopped(START))
    build_bulk(world, records=RECORDS, versions=VERSIONS)
    sync_env = make_sync_env(world, faults=faults)
    program = Program(sync_env, faults, database_url, tmp_path)
    sync_env.wait(60)
    kills, mirrored, needed = 0, 0, RECORDS
    while kills < KILLS:
        waiting = EDITS if mirrored == RECORDS else RECORDS - mirrored
        if program.sync(
            killed_after=chance.randint(1, waiting + OTHER_REQUESTS), seconds=chance.choice([0.0, 0.01, 0.1, 0.3])
        ):
            edit(sync_env, chance)
            needed += EDITS
        else:
            kills += 1
        before, mirrored = mirrored, count_records(sync_env.mirror)
        assert mirrored >= before, "something committed is lost"
    assert program.sync()
    assert differences(sync_env.mirror, sync_env.truth()) == []
    events = emitted_events(sync_env.mirror)
    assert len(set(events)) == len(events)
    assert differences_from_rebuild(sync_env.mirror) == []
    with sync_env.mirror.read() as connection:
        outcomes = set(connection.scalars(select(runs.c.outcome)))
    assert outcomes <= {"succeeded", "interrupted"}
    repeated = sync_env.simulator.simulator.requests.count(PULL) - needed
    print(f"{repeated / KILLS:.0f} of {RECORDS} histories read again for each kill")
    assert repeated <= KILLS * (Limits().batch_records + UNDER_WAY)


@pytest.mark.timeout(120 + 10 * KILLS)
def test_a_filling_that_is_killed_again_and_again_ends_like_an_undisturbed_one(
    make_sync_env: MakeSyncEnv, database_url: str, tmp_path: Path
) -> None:
    """SIGKILL between a commit and its projections, and between any two of their batches (invariant 15)."""
    print(f"VERSIONSYNC_TEST_SEED={SEED}")
    chance = random.Random(SEED)
    world = World(seed=SEED, clock=Clock.stopped(START))
    build_bulk(world, records=RECORDS, versions=VERSIONS)
    sync_env = make_sync_env(world)
    sync_env.sync()
    progress = set[int]()
    for number in range(KILLS):
        if number % 10 == 9:
            sync_env.act(lambda world: world.update(world.user, min(world.environment(None).records), {"title": "new"}))
            sync_env.sync()
        with subprocess.Popen(
            [sys.executable, "-c", FILL, database_url], cwd=tmp_path, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            for _ in range(chance.randint(1, 4)):
                assert process.stdout.readline() == "a batch\n"
            time.sleep(chance.choice([0.0, 0.005, 0.02, 0.1]))
            process.kill()
            process.wait()
        with sync_env.mirror.read() as connection:
            progress |= set(connection.scalars(select(projection_cursors.c.event_id)))
        if number % 7 == 6:
            with sync_env.mirror.write() as tx:
                request_rebuild(tx, 1, [chance.choice(PROJECTIONS)])
    assert len(progress) > 1, "no kill came between two batches"
    assert differences_from_rebuild(sync_env.mirror) == []
    assert rebuilt(sync_env.mirror) == projected(sync_env.mirror)


FILL = """
import sys
from versionsync.history.projections.filling import ProjectionFiller
from versionsync.mirror.database import Mirror

filler = ProjectionFiller(Mirror.open(sys.argv[1]), 1, events_at_once=200)
while True:
    filler.fill_batch()
    print("a batch", flush=True)
"""
"""Fills the projections for as long as it lives."""


def edit(sync_env: SyncEnv, chance: random.Random) -> None:
    """Editors change some records, which the next sync has to find."""

    def act(world: World) -> None:
        for id in chance.sample(sorted(world.environment(None).records), EDITS):
            world.update(world.user, id, {"title": str(chance.random())})

    sync_env.act(act)
    sync_env.wait(60)


def count_records(mirror: Mirror) -> int:
    """How many records there are in the mirror."""
    with mirror.read() as connection:
        return connection.scalar(select(func.count()).select_from(records)) or 0
