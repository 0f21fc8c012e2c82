"""Killed at any instant, nothing is lost and nothing is told twice (invariant 9)."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sqlalchemy import func, select

from tests.fixtures.comparing import differences, told
from tests.fixtures.lab import START, MakeLab
from versionsync.mirror.tables import records, runs
from versionsync.simulator import FULL_ACCESS_TOKEN, Clock, World
from versionsync.simulator.bulk import build_bulk

KILLS = int(os.environ.get("VERSIONSYNC_TEST_KILLS", "20"))
SEED = int(os.environ.get("VERSIONSYNC_TEST_SEED", "1"))
RECORDS = 400
VERSIONS = 3


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
    ids = sorted(world.environment(None).records)
    environment = {
        **os.environ,
        "DATOCMS_API_TOKEN": FULL_ACCESS_TOKEN,
        "VERSIONSYNC_BASE_URL": lab.simulator.url,
        "VERSIONSYNC_DATABASE_URL": database_url,
        "VERSIONSYNC_RATE_LIMIT": "none",
    }

    def run(seconds: float | None) -> bool:
        """Whether a sync ended by itself, within `seconds` of its start."""
        command = [sys.executable, "-m", "versionsync", "sync"]
        with subprocess.Popen(
            command, env=environment, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        ) as process:
            try:
                output, _ = process.communicate(timeout=seconds)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()
                return False
        assert process.returncode == 0, output.decode()
        return True

    started = time.monotonic()
    lab.wait(60)
    pulled = mirrored_records(lab.mirror)
    kills = 0
    while kills < KILLS:
        if run(chance.uniform(0.5, 2.5)):
            lab.act(lambda world: world.update(world.user, chance.choice(ids), {"title": str(kills)}))
            for id in chance.sample(ids, 30):
                lab.act(lambda world, id=id: world.update(world.user, id, {"title": f"{kills}"}))
            lab.wait(60)
        else:
            kills += 1
    assert run(None)
    assert pulled <= mirrored_records(lab.mirror)
    assert differences(lab.mirror, lab.truth(), source_id=1) == []
    events = told(lab.mirror)
    assert len(set(events)) == len(events)
    with lab.mirror.read() as connection:
        interrupted = connection.scalar(
            select(func.count()).select_from(runs).where(runs.c.outcome.in_(["running", "failed"]))
        )
    assert interrupted == 0
    print(f"{kills} kills in {time.monotonic() - started:.0f} s")


def mirrored_records(mirror: object) -> int:
    """How many records there are."""
    with mirror.read() as connection:  # type: ignore[attr-defined]
        return connection.scalar(select(func.count()).select_from(records)) or 0
