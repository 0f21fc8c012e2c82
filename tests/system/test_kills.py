"""Killed at any instant, nothing is lost and nothing is told twice (invariant 9).

More of the same by one command: VERSIONSYNC_TEST_KILLS=500 pytest tests/system/test_kills.py
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import func, select

from tests.fixtures.comparing import differences, told
from tests.fixtures.lab import START, Lab, MakeLab
from versionsync.mirror.database import Mirror
from versionsync.mirror.tables import records, runs
from versionsync.simulator import FULL_ACCESS_TOKEN, Clock, World
from versionsync.simulator.bulk import build_bulk

KILLS = int(os.environ.get("VERSIONSYNC_TEST_KILLS", "20"))
SEED = int(os.environ.get("VERSIONSYNC_TEST_SEED", "1"))
RECORDS = 400
VERSIONS = 3
EDITS = 30


class Program:
    """The installed program, syncing a lab's project into its mirror."""

    def __init__(self, lab: Lab, database_url: str, folder: Path) -> None:
        self._folder = folder
        self._environment = {
            **os.environ,
            "DATOCMS_API_TOKEN": FULL_ACCESS_TOKEN,
            "VERSIONSYNC_BASE_URL": lab.simulator.url,
            "VERSIONSYNC_DATABASE_URL": database_url,
            "VERSIONSYNC_RATE_LIMIT": "none",
        }

    def sync(self, seconds: float | None = None) -> bool:
        """Whether a sync ended by itself; it is killed after `seconds`."""
        process = subprocess.Popen(
            [sys.executable, "-m", "versionsync", "sync"],
            env=self._environment,
            cwd=self._folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        with process:
            try:
                output, _ = process.communicate(timeout=seconds)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()
                return False
        assert process.returncode == 0, output.decode()
        return True


@pytest.mark.slow
@pytest.mark.timeout(60 + 10 * KILLS)
def test_a_run_that_is_killed_again_and_again_ends_like_an_undisturbed_one(
    make_lab: MakeLab, database_url: str, tmp_path: Path
) -> None:
    """The real process, SIGKILL at random instants of a backfill and of the edits after it."""
    print(f"VERSIONSYNC_TEST_SEED={SEED}")
    chance = random.Random(SEED)
    world = World(seed=SEED, clock=Clock.stopped(START))
    build_bulk(world, records=RECORDS, versions=VERSIONS)
    lab = make_lab(world)
    program = Program(lab, database_url, tmp_path)
    lab.wait(60)
    kills, mirrored = 0, 0
    while kills < KILLS:
        if program.sync(chance.uniform(0.5, 2.5)):
            edit(lab, chance)
        else:
            kills += 1
        assert mirrored <= (mirrored := count_records(lab.mirror)), "something committed is lost"
    assert program.sync()
    assert differences(lab.mirror, lab.truth()) == []
    events = told(lab.mirror)
    assert len(set(events)) == len(events)
    with lab.mirror.read() as connection:
        outcomes = set(connection.scalars(select(runs.c.outcome)))
    assert outcomes <= {"succeeded", "interrupted"}


def edit(lab: Lab, chance: random.Random) -> None:
    """Editors change some records, which the next sync has to find."""

    def act(world: World) -> None:
        for id in chance.sample(sorted(world.environment(None).records), EDITS):
            world.update(world.user, id, {"title": str(chance.random())})

    lab.act(act)
    lab.wait(60)


def count_records(mirror: Mirror) -> int:
    """How many records there are in the mirror."""
    with mirror.read() as connection:
        return connection.scalar(select(func.count()).select_from(records)) or 0
